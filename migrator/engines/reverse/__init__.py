"""Carries changes of DynamoDB back to PostgreSQL while DynamoDB is the master.

A table's stream names the keys that have changed; the items are read as they are now, and rows made what they say, in
one transaction with the place in the stream. `docs/explanation/the-way-back.md` says why each step is as it is.
"""

from migrator.engines.reverse.course import present_stream
from migrator.engines.reverse.job import apply_keys, backlog, carry_back, known_streams
from migrator.engines.reverse.landing import lock_of
from migrator.engines.reverse.outcome import Limits, Listener, Outcome, Silent
from migrator.postgres.streams import Backlog

__all__ = [
    "Backlog",
    "Limits",
    "Listener",
    "Outcome",
    "Silent",
    "apply_keys",
    "backlog",
    "carry_back",
    "known_streams",
    "lock_of",
    "present_stream",
]
