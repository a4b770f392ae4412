"""The lines of both sides, joined on disk: the same whatever the number of partitions, and nothing is left there."""

from __future__ import annotations

import resource
from collections import defaultdict
from contextlib import contextmanager
from random import Random
from typing import TYPE_CHECKING

import pytest

from migrator.engines.verify.spill import SIDES, Mismatch, Side, Spill
from migrator.errors import MigratorError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

# More partitions than there are: every one is its own file. One partition: all lines are joined at once.
EXPECTED = [0, 1_000_000, 100_000_000]


def lines(seed: int, count: int) -> dict[Side, list[tuple[bytes, bytes]]]:
    """Lines of two sides that are alike for the most part."""
    random = Random(seed)  # noqa: S311 - repeatable, not secret
    keys = [b'["USER#%d","METADATA"]' % number for number in range(count)]
    source = [(key, b"%d" % random.getrandbits(64)) for key in keys]
    target = [line for line in source if random.random() > 0.01]
    target = [(key, b"other") if random.random() < 0.01 else (key, value) for key, value in target]
    target += [(b'["STRAY#%d","METADATA"]' % number, b"stray") for number in range(count // 100)]
    source += [(keys[0], b"twice"), (keys[1], b"twice")]
    random.shuffle(target)
    return {"source": source, "target": target}


def mismatched(sides: dict[Side, list[tuple[bytes, bytes]]]) -> set[bytes]:
    """The keys that the sides do not hold alike, found in the plainest way."""
    held: dict[Side, dict[bytes, list[bytes]]] = {side: defaultdict(list) for side in SIDES}
    for side, statements in sides.items():
        for key, value in statements:
            held[side][key].append(value)
    keys = held["source"].keys() | held["target"].keys()
    return {key for key in keys if held["source"].get(key) != held["target"].get(key)}


def joined(directory: Path, expected: int, sides: dict[Side, list[tuple[bytes, bytes]]]) -> list[Mismatch]:
    with Spill(expected, directory) as spill:
        for start in range(0, max(map(len, sides.values())), 500):
            for side in SIDES:
                spill.add(side, sides[side][start : start + 500])
        return list(spill.mismatches())


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_the_number_of_partitions_changes_nothing(tmp_path: Path, seed: int) -> None:
    sides = lines(seed, 20_000)
    found = [joined(tmp_path, expected, sides) for expected in EXPECTED]
    assert {mismatch.key for mismatch in found[0]} == mismatched(sides)
    for other in found[1:]:
        assert len(other) == len(found[0])
        assert {(m.key, frozenset(m.source), frozenset(m.target)) for m in other} == {
            (m.key, frozenset(m.source), frozenset(m.target)) for m in found[0]
        }
    assert list(tmp_path.iterdir()) == []


def test_a_key_that_one_side_holds_twice_is_found(tmp_path: Path) -> None:
    line = (b'["A","B"]', b"value")
    (mismatch,) = joined(tmp_path, 10, {"source": [line, line], "target": [line]})
    assert mismatch.key == line[0]


def test_lines_are_on_disk_and_not_in_memory(tmp_path: Path) -> None:
    sides = lines(1, 20_000)
    with Spill(10, tmp_path) as spill:
        for side in SIDES:
            spill.add(side, sides[side])
        (directory,) = tmp_path.iterdir()
        stored = sum(file.stat().st_size for file in directory.iterdir())
        assert stored == spill.bytes_on_disk > 1_500_000
        assert len(list(spill.mismatches())) == len(mismatched(sides))
        assert list(directory.iterdir()) == []


@contextmanager
def full_disk(size: int) -> Iterator[None]:
    """Let no file of this process grow beyond `size` bytes."""
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, limits[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)


def test_a_full_disk_is_said_to_be_full(tmp_path: Path) -> None:
    sides = lines(1, 20_000)
    with pytest.raises(MigratorError, match="verify cannot write its temporary files in") as caught, full_disk(100_000):
        joined(tmp_path, 10, sides)
    assert "TMPDIR" in str(caught.value.next_step)
    assert caught.value.safe == "Nothing was changed in either store; the temporary files are removed."
    assert list(tmp_path.iterdir()) == []


def test_a_directory_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(MigratorError, match=r"temporary files in .*/none: No such file"), Spill(10, tmp_path / "none"):
        pass


def test_nothing_is_left_where_the_work_fails(tmp_path: Path) -> None:
    def interrupted() -> None:
        with Spill(10, tmp_path) as spill:
            spill.add("source", lines(1, 5_000)["source"])
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert list(tmp_path.iterdir()) == []
