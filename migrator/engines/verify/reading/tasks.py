"""The parts that a verification's reading is cut into, and where in each of them it stands."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from migrator.mapping import WireItem
    from migrator.postgres.rows import Key


@dataclass(frozen=True)
class KeyRange:
    """Rows of a source table to read: those whose keys are in (`after`, `until`], None being no bound.

    `number` is its place among the tasks of the verification.
    """

    source: str
    after: Key | None
    until: Key | None
    number: int = 0


@dataclass(frozen=True)
class Segment:
    """A part of a target table to scan, from after the key `start`; `task` is its place among the tasks."""

    table: str
    number: int
    total: int
    start: WireItem | None = None
    task: int = 0


def as_json(task: KeyRange | Segment) -> dict[str, Any]:
    """A task as it is kept on disk, its place left to where it stands."""
    if isinstance(task, KeyRange):
        return {"source": task.source, "after": task.after, "until": task.until}
    return {"table": task.table, "number": task.number, "total": task.total}


def of_json(kept: dict[str, Any], place: int, position: Any) -> KeyRange | Segment:  # noqa: ANN401 - of either kind
    """The task of `as_json`, to go on with from `position` (None: from its beginning)."""
    if "source" in kept:
        after = kept["after"] if position is None else position
        return KeyRange(kept["source"], _key(after), _key(kept["until"]), place)
    return Segment(kept["table"], kept["number"], kept["total"], position, place)


def _key(value: list[str] | None) -> Key | None:
    return None if value is None else tuple(value)
