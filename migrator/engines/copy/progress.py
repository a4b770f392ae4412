"""What a copy tells while it runs, and what it has done in the end."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

from migrator.postgres.checkpoints import Counts

if TYPE_CHECKING:
    from collections.abc import Mapping

    from migrator.engines.copy.path import Path


@dataclass(frozen=True, slots=True)
class Settled:
    """One page is in the target and in the checkpoint."""

    source: str
    counts: Counts


@dataclass(slots=True)
class Tally:
    """What was sent: requests, requests made again by reason, and write units as DynamoDB counted them.

    `present` counts the items that were left as they were, since something stood there already.
    """

    requests: int = 0
    present: int = 0
    consumed: float = 0.0
    unprocessed: int = 0
    retries: dict[str, int] = field(default_factory=dict)

    def add(self, other: Tally) -> None:
        """Take up what another worker has sent."""
        self.requests += other.requests
        self.present += other.present
        self.consumed += other.consumed
        self.unprocessed += other.unprocessed
        for reason, count in other.retries.items():
            self.retries[reason] = self.retries.get(reason, 0) + count


class Listener(Protocol):
    """Who is told of a copy's progress."""

    def chosen(self, paths: Mapping[str, Path]) -> None:
        """How each table is copied."""

    def began(self, estimates: Mapping[str, int], settled: Mapping[str, Counts]) -> None:
        """The copy begins: about how many rows each table has, and what an earlier run has settled."""

    def settled(self, page: Settled) -> None:
        """A page was settled."""

    def warned(self, sentence: str) -> None:
        """Something the operator should know, which does not stop the copy."""


class Silent:
    """A listener that tells nobody."""

    def chosen(self, paths: Mapping[str, Path]) -> None:
        """As in `Listener`."""

    def began(self, estimates: Mapping[str, int], settled: Mapping[str, Counts]) -> None:
        """As in `Listener`."""

    def settled(self, page: Settled) -> None:
        """As in `Listener`."""

    def warned(self, sentence: str) -> None:
        """As in `Listener`."""


__all__ = ["Counts", "Listener", "Settled", "Silent", "Tally"]
