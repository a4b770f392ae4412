"""What bounds the mirror and the reads: how much waits, how long, and when they give up for a while."""

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


@dataclass(frozen=True, slots=True)
class ReadLimits:
    """Bounds of one process's reads, and of what its repositories write.

    Attributes:
        deadline: seconds that a read of DynamoDB may take before PostgreSQL is asked.
        write: seconds that repositories try to write to DynamoDB.
        at_once: reads of DynamoDB that threads wait for at once; further ones go to PostgreSQL.
        lease: seconds for which the phases that were read are taken to hold. They are read again after a third of them.
            The operator waits for no less when writes move.
        failures: how many reads of DynamoDB in a row fail before PostgreSQL is asked for all.
        rest: seconds that DynamoDB is then left alone.
        index_delay: seconds for which an index may be behind its table: what a context has written is read from
            PostgreSQL for so much longer where an index would be asked.
        sample: the share of reads that are repeated in both stores, off the response path, and compared; 0 for none.
        queue: repeated reads that may wait; further ones are left out.
        looks: seconds to wait before each further look at answers that differ; those that differ each time are counted.
        longest: items of an answer that are compared.
    """

    deadline: float = 0.5
    write: float = 3.0
    at_once: int = 32
    lease: float = 5.0
    failures: int = 5
    rest: float = 5.0
    index_delay: float = 1.0
    sample: float = 0.01
    queue: int = 100
    looks: tuple[float, ...] = (0.3, 1.0, 3.0)
    longest: int = 200
