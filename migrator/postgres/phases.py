"""The phase record: where each entity of a model is on its way, with an epoch that counts its moves."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal, TypeAlias, get_args

from migrator.postgres.errors import OWN_TABLES, errors_explained
from migrator.postgres.queries import QUERIES

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime

    from migrator.postgres.connection import Connection

Phase: TypeAlias = Literal["prepare", "dual_write", "read_target", "write_target", "complete"]
PHASES: Final[tuple[Phase, ...]] = get_args(Phase)
FOLLOWED: Final[frozenset[Phase]] = frozenset({"dual_write", "read_target"})
"""The phases in which PostgreSQL is the master and its changes are carried over."""


@dataclass(frozen=True, slots=True)
class Standing:
    """An entity's phase, since when, and how often it has moved."""

    phase: Phase = "prepare"
    epoch: int = 0
    changed_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Moment:
    """What a snapshot needs beside its rows.

    `version` is for what is written from it: never given before, and above all that were. An entity that is not in
    `phases` is in `prepare`.
    """

    at: datetime
    version: int
    phases: Mapping[str, Phase]

    def follows(self, entity: str) -> bool:
        """Whether an entity's items are written as PostgreSQL says."""
        return self.phases.get(entity, "prepare") in FOLLOWED


async def standings(connection: Connection, model: str) -> dict[str, Standing]:
    """Return the entities of a model that have left `prepare` at some time."""
    with errors_explained("read the phases", connection=connection, privileges=OWN_TABLES):
        found = await connection.fetch(QUERIES["phases"], model)
    return {row["entity"]: Standing(row["phase"], row["epoch"], row["changed_at"]) for row in found}


async def move(connection: Connection, model: str, entities: Sequence[str], phase: Phase) -> None:
    """Record that entities are in a phase; where one is already, its epoch stays."""
    with errors_explained(f"move to {phase}", connection=connection, privileges=OWN_TABLES):
        await connection.execute(QUERIES["move_phase"], model, list(entities), phase)


async def moment(connection: Connection, model: str) -> Moment:
    """Return what this transaction's snapshot needs, as its first statement: it fixes the snapshot."""
    with errors_explained("take a snapshot", connection=connection, privileges=OWN_TABLES):
        row = await connection.fetchrow(QUERIES["moment"], model)
    return Moment(row["at"], row["version"], dict(each.rsplit(" ", 1) for each in row["phases"]))


async def seconds_since_sent(connection: Connection, model: str) -> float | None:
    """Return how long ago a copy may have sent its last request; None: none has."""
    with errors_explained("see when a copy has sent last", connection=connection, privileges=OWN_TABLES):
        seconds: float | None = await connection.fetchval(QUERIES["last_sent"], model)
    return seconds
