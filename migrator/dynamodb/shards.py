"""The shards of a stream: which of them may be read, and how far they have been. Pure.

A shard's records are in order. What happens to a key after its shard was split is in a child of that shard, so a child
is read when its parent has been read to its end.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Self

from migrator.errors import ConfigurationError, TargetError

if TYPE_CHECKING:
    from collections.abc import Mapping

KEPT_SECONDS: Final = 24 * 3600.0
"""How long a stream keeps its records."""
_AFTER: Final = "after"
_BEGINNING: Final = "beginning"
_END: Final = "end"


class StreamLostError(TargetError):
    """Changes have gone unread, or can be read no more: no later attempt will find them."""


@dataclass(frozen=True, slots=True)
class Position:
    """How far a shard has been read.

    Attributes:
        after: the sequence number of the last record that was read; None: none was yet.
        read_at: when that was known, in seconds since the epoch.
        ended: whether the shard has been read to its end: no record will come any more.
    """

    read_at: float
    after: str | None = None
    ended: bool = False

    def __str__(self) -> str:
        if self.ended:
            return f"{_END} {self.read_at:.0f}"
        return f"{_BEGINNING} {self.read_at:.0f}" if self.after is None else f"{_AFTER} {self.read_at:.0f} {self.after}"

    @classmethod
    def parse(cls, text: str) -> Self:
        """A position from its text, which is for nobody else to read.

        Raises:
            ConfigurationError: it is no such text.
        """
        match text.split(" "):
            case ["after", read_at, number] if read_at.isdecimal():
                return cls(float(read_at), number)
            case ["beginning", read_at] if read_at.isdecimal():
                return cls(float(read_at))
            case ["end", read_at] if read_at.isdecimal():
                return cls(float(read_at), ended=True)
            case _:
                raise ConfigurationError(
                    f"{text!r} is no position in a stream", next_step="use the version of migrator that has written it"
                )


def parents_of(description: list[dict[str, Any]]) -> dict[str, str | None]:
    """Shards by their id, with their parents', from the `Shards` of DescribeStream."""
    return {shard["ShardId"]: shard.get("ParentShardId") for shard in description}


def readable(parents: Mapping[str, str | None], positions: Mapping[str, Position]) -> list[str]:
    """The shards that may be read now: those not at their end whose parent is, or is not there any more."""
    ended = {shard for shard, position in positions.items() if position.ended}
    return [
        shard
        for shard, parent in parents.items()
        if shard not in ended and (parent is None or parent in ended or parent not in parents)
    ]


def check_unbroken(
    table: str, parents: Mapping[str, str | None], positions: Mapping[str, Position], now: float
) -> None:
    """Refuse to go on where records may have gone that were not read.

    Args:
        table: the table, for the message.
        parents: the shards that are there, with their parents.
        positions: how far shards were read; none: nothing was read yet, and nothing can be missing.
        now: seconds since the epoch.

    Raises:
        StreamLostError: a stream keeps its records for 24 hours, and was not read for longer.
    """
    if not positions:
        return
    unread = {shard: position for shard, position in positions.items() if not position.ended}
    gone = [shard for shard in unread if shard not in parents]
    # A shard that was read up to its beginning has no sequence number that the stream could refuse.
    aged = [shard for shard, each in unread.items() if each.after is None and now - each.read_at >= KEPT_SECONDS]
    known = {*parents, *positions}
    orphans = [
        shard
        for shard, parent in parents.items()
        if shard not in positions and parent is not None and parent not in known
    ]
    if gone or aged or orphans:
        raise trimmed(table)


def trimmed(table: str) -> StreamLostError:
    """The error for a stream of which records have gone unread."""
    return lost(
        f"the stream of table {table} was not read for longer than the 24 hours that it keeps its records: "
        "changes have gone unread"
    )


def lost(what: str) -> StreamLostError:
    """The error for a stream by which the way back does not go on, while the target is written."""
    return StreamLostError(
        what,
        safe="nothing is lost: applications go on, and the table has every item; the source lacks what was written",
        next_step="`migrate rollback` compares every item with its row, and carries back what differs; the next "
        "`migrate switch writes` begins with the stream anew. Who need not return runs `migrate complete`",
    )
