"""What is asked of a move, beside where it goes, and the bounds within which its gates are open."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta


@dataclass(frozen=True, slots=True)
class Terms:
    """How a move is to be made.

    Attributes:
        entities: the entities to move, with all that move together with them; none named: all of the model.
        percent: in `read_target`, of a hundred keys, how many are read from the target: 1 to 100.
        back: whether it is a move back; those pass no gate but that of legality.
        one_way: entities that may lose the way back when writes move.
        max_age: how long ago the verification that proves the target may have begun.
        max_lag: for how many seconds a change may wait.
        max_marks: how many changes may wait.
    """

    entities: tuple[str, ...] = ()
    percent: int = 100
    back: bool = False
    one_way: tuple[str, ...] = ()
    max_age: timedelta = timedelta(hours=24)
    max_lag: float = 60.0
    max_marks: int = 1_000
