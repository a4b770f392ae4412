"""What bounds the mirror: how much waits, how long, and when it gives up for a while."""

from __future__ import annotations

from dataclasses import dataclass, field

from migrator.reconcile import Times


@dataclass(frozen=True, slots=True)
class Limits:
    """Bounds of one process's mirror. Beyond each, rows are left to the relay.

    Attributes:
        queue: rows that may wait.
        commit: rows that are named of one transaction; a transaction that touches more is not slowed down by them.
        batch: rows that are carried over at once.
        gather: seconds for which rows that no commit waits for are gathered: a batch of ten costs little more than one
            of a single row.
        hands: batches at once. Each holds two sessions of PostgreSQL.
        window: how far back marks are searched for, counted in marks.
        attempt: seconds that a batch may take.
        lease: seconds for which the phases that were read are taken to hold. The snapshot from which an item is
            written reads them again.
        inspection: seconds after which tables and their capture are looked at again.
        failures: how many batches in a row fail before the mirror rests.
        rest: seconds that it rests.
        times: how long requests live; the same as the relay's.
    """

    queue: int = 10_000
    commit: int = 100
    batch: int = 200
    gather: float = 0.05
    hands: int = 2
    window: int = 10_000
    attempt: float = 5.0
    lease: float = 5.0
    inspection: float = 60.0
    failures: int = 5
    rest: float = 10.0
    times: Times = field(default_factory=Times)
