"""Gates: what has to hold before a model may move to another phase."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

MARGIN: Final = 0.1
"""Seconds that a wait is longer than it need be, so that it is not a moment too short."""


@dataclass(frozen=True, slots=True)
class Gate:
    """One condition of a move.

    Attributes:
        name: what is asked.
        reasons: why it is closed, a sentence each; none: it is open.
        next_steps: what to do about it.
        wait: seconds after which it opens by itself, 0 where it does not.
    """

    name: str
    reasons: tuple[str, ...] = ()
    next_steps: tuple[str, ...] = ()
    wait: float = 0.0

    @property
    def is_open(self) -> bool:
        """Whether it lets the move pass."""
        return not self.reasons
