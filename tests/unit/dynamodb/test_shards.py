from __future__ import annotations

import pytest

from migrator.dynamodb.shards import KEPT_SECONDS, Position, check_unbroken, parents_of, readable
from migrator.errors import ConfigurationError, TargetError

NOW = 1_800_000_000.0
# One shard was split, and one of its halves once more.
SPLIT = {"a": None, "b": "a", "c": "a", "d": "b"}
READ = Position(NOW, "100")
ENDED = Position(NOW, "200", ended=True)


def test_parents_are_read_to_their_end_before_their_children() -> None:
    assert readable(SPLIT, {}) == ["a"]
    assert readable(SPLIT, {"a": READ}) == ["a"]
    assert readable(SPLIT, {"a": ENDED}) == ["b", "c"]
    assert readable(SPLIT, {"a": ENDED, "b": ENDED, "c": READ}) == ["c", "d"]
    assert readable(SPLIT, dict.fromkeys(SPLIT, ENDED)) == []


def test_a_shard_whose_parent_is_not_there_any_more_waits_for_nothing() -> None:
    assert readable({"b": "a", "d": "b"}, {}) == ["b"]


def test_shards_are_told_with_their_parents() -> None:
    assert parents_of([{"ShardId": "a"}, {"ShardId": "b", "ParentShardId": "a"}]) == {"a": None, "b": "a"}


@pytest.mark.parametrize("position", [Position(NOW), READ, Position(NOW, ended=True)])
def test_a_position_is_kept_as_text(position: Position) -> None:
    assert Position.parse(str(position)) == position


@pytest.mark.parametrize("text", ["", "after 1", "after x 1", "before 1", "end", "beginning -1"])
def test_what_is_no_position_is_refused(text: str) -> None:
    with pytest.raises(ConfigurationError, match="is no position in a stream"):
        Position.parse(text)


@pytest.mark.parametrize(
    "positions",
    [
        {},
        {"a": READ},
        {"a": ENDED, "b": READ},
        {"gone": ENDED, "a": READ},
        {"a": Position(NOW - KEPT_SECONDS + 60)},
    ],
)
def test_a_stream_that_was_read_in_time_is_unbroken(positions: dict[str, Position]) -> None:
    check_unbroken("orders", SPLIT, positions, NOW)


@pytest.mark.parametrize(
    ("parents", "positions"),
    [
        # The shard that was being read is gone.
        ({"b": None}, {"a": READ}),
        # So is one that came and went unread: the parent of one that is there.
        ({"d": "b"}, {"a": ENDED}),
        # It was found empty, and not looked at for a day.
        ({"a": None}, {"a": Position(NOW - KEPT_SECONDS)}),
    ],
)
def test_a_stream_that_was_left_too_long_is_refused(
    parents: dict[str, str | None], positions: dict[str, Position]
) -> None:
    with pytest.raises(TargetError, match="orders was not read for longer than the 24 hours") as raised:
        check_unbroken("orders", parents, positions, NOW)
    assert raised.value.next_step is not None
