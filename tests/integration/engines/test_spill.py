"""The lines of both sides, joined on disk: the same whatever the number of partitions, and nothing is left there."""

from __future__ import annotations

import os
import resource
from collections import defaultdict
from contextlib import contextmanager
from functools import partial
from random import Random
from typing import TYPE_CHECKING

import pytest

from migrator.engines.verify.reading import spill as spill_of_verify
from migrator.engines.verify.reading.spill import SIDES, Mismatch, Side, Spill, Spiller
from migrator.errors import MigratorError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
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
        spiller = Spiller(spill.partitions)
        for start in range(0, max(map(len, sides.values())), 500):
            for side in SIDES:
                spiller.add(side, sides[side][start : start + 500])
        spiller.flush()
        return list(spill.mismatches())


def alike(one: list[Mismatch], other: list[Mismatch]) -> bool:
    """Whether two joins have found the same."""
    sets = [{(m.key, frozenset(m.source), frozenset(m.target)) for m in each} for each in (one, other)]
    return len(one) == len(other) and sets[0] == sets[1]


@pytest.mark.uncovered
@pytest.mark.parametrize("seed", [1, 2, 3])
def test_the_number_of_partitions_changes_nothing(tmp_path: Path, seed: int) -> None:
    sides = lines(seed, 5_000)
    found = [joined(tmp_path, expected, sides) for expected in EXPECTED]
    assert {mismatch.key for mismatch in found[0]} == mismatched(sides)
    assert all(alike(found[0], other) for other in found[1:])
    assert list(tmp_path.iterdir()) == []


def test_more_lines_than_were_expected_are_divided_further(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The planner's figures may be far too low: what is joined at once has a bound all the same."""
    sides = lines(4, 5_000)
    found = joined(tmp_path, 10, sides)
    monkeypatch.setattr(spill_of_verify, "_JOINED_BYTES", 4_000)
    largest = 0

    def seen(only: Callable[..., object], mine: list[bytes], others: list[bytes]) -> object:
        nonlocal largest
        largest = max(largest, len(mine))
        return only(mine, others)

    monkeypatch.setattr(spill_of_verify, "_only", partial(seen, spill_of_verify._only))  # noqa: SLF001 - to look at
    assert alike(found, joined(tmp_path, 10, sides))
    assert largest < 100
    assert list(tmp_path.iterdir()) == []


def test_lines_of_one_key_can_be_divided_no_further(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(spill_of_verify, "_JOINED_BYTES", 100)
    (mismatch,) = joined(tmp_path, 10, {"source": [(b'["A"]', b"%d" % number) for number in range(50)], "target": []})
    assert len(mismatch.source) == 50


def test_lines_of_several_processes_are_joined(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    sides = lines(5, 5_000)
    with Spill(100_000, tmp_path) as spill:
        for pid in (1, 2, 3):
            monkeypatch.setattr(os, "getpid", lambda pid=pid: pid)
            spiller = Spiller(spill.partitions, share=0.1)
            for side in SIDES:
                spiller.add(side, sides[side][pid - 1 :: 3])
            spiller.flush()
        assert {path.name[-2:] for path in spill.partitions.directory.iterdir()} == {"-1", "-2", "-3"}
        found = list(spill.mismatches())
    assert alike(found, joined(tmp_path, 10, sides))


def test_a_key_that_one_side_holds_twice_is_found(tmp_path: Path) -> None:
    line = (b'["A","B"]', b"value")
    (mismatch,) = joined(tmp_path, 10, {"source": [line, line], "target": [line]})
    assert mismatch.key == line[0]


def test_lines_are_on_disk_and_not_in_memory(tmp_path: Path) -> None:
    sides = lines(1, 20_000)
    with Spill(10, tmp_path) as spill:
        spiller = Spiller(spill.partitions)
        for side in SIDES:
            spiller.add(side, sides[side])
        spiller.flush()
        (directory,) = tmp_path.iterdir()
        stored = sum(file.stat().st_size for file in directory.iterdir())
        assert stored == spill.bytes_on_disk > 1_500_000
        assert len(list(spill.mismatches())) == len(mismatched(sides))
        # A run that is killed while it joins leaves all that there is to join.
        assert spill.bytes_on_disk == stored


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
    assert caught.value.safe == "Nothing was changed in either store."
    assert list(tmp_path.iterdir()) == []


def test_a_directory_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(MigratorError, match=r"temporary files in .*/none: No such file"), Spill(10, tmp_path / "none"):
        pass


def test_nothing_is_left_where_the_work_fails(tmp_path: Path) -> None:
    def interrupted() -> None:
        with Spill(10, tmp_path) as spill:
            Spiller(spill.partitions).add("source", lines(1, 5_000)["source"])
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert list(tmp_path.iterdir()) == []
