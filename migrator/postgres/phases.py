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
Stage: TypeAlias = Literal["fenced", "open", "returning"]
"""Of `write_target`: the source is fenced, DynamoDB is written, or nobody writes and the changes are carried back."""
FOLLOWED: Final[frozenset[Phase]] = frozenset({"dual_write", "read_target"})
"""The phases in which PostgreSQL is the master and is written, and its changes are carried over."""


@dataclass(frozen=True, slots=True)
class Standing:
    """Where an entity is.

    Attributes:
        phase: its phase.
        epoch: how often it has moved; a change of `percent` is a move too.
        changed_at: since when, by the server's clock.
        seconds: how many seconds ago that was.
        percent: in `read_target`, of a hundred keys, how many are read from the target.
        fingerprint: that of its mapping when it moved; None: it has never moved, or that is not known.
        stage: of `write_target`; None in all other phases.
    """

    phase: Phase = "prepare"
    epoch: int = 0
    changed_at: datetime | None = None
    seconds: float | None = None
    percent: int = 0
    fingerprint: str | None = None
    stage: Stage | None = None

    @property
    def is_followed(self) -> bool:
        """Whether items are written as PostgreSQL says."""
        return self.phase in FOLLOWED or self.stage == "fenced"

    @property
    def is_carried_back(self) -> bool:
        """Whether rows are written as DynamoDB says."""
        return self.stage in {"open", "returning"}


@dataclass(frozen=True, slots=True)
class Moment:
    """What a snapshot needs beside its rows.

    `version` is for what is written from it: never given before, and above all that were. `followed` are the entities
    whose items are written as PostgreSQL says.
    """

    at: datetime
    version: int
    followed: frozenset[str]

    def follows(self, entity: str) -> bool:
        """Whether an entity's items are written as PostgreSQL says."""
        return entity in self.followed


async def standings(connection: Connection, model: str) -> dict[str, Standing]:
    """Return the entities of a model that have left `prepare` at some time."""
    with errors_explained("read the phases", connection=connection, privileges=OWN_TABLES):
        found = await connection.fetch(QUERIES["phases"], model)
    return {
        row["entity"]: Standing(**{name: value for name, value in row.items() if name != "entity"}) for row in found
    }


async def known(connection: Connection, model: str) -> dict[str, Standing]:
    """Return the same; nothing where the toolkit's schema is not installed, or knows no phases yet."""
    if not await connection.fetchval(QUERIES["phases_table"]):
        return {}
    return await standings(connection, model)


async def move(  # noqa: PLR0913 - what is recorded
    connection: Connection,
    model: str,
    entities: Sequence[str],
    phase: Phase,
    *,
    percent: int = 0,
    fingerprints: Mapping[str, str] | None = None,
    quiet: float = 0.0,
) -> bool:
    """Record that entities are in a phase, in a transaction of its own; where one is already, its epoch stays.

    Args:
        connection: a session that is in no transaction.
        model: the model.
        entities: the entities.
        phase: where they go.
        percent: in `read_target`, of a hundred keys, how many are read from the target.
        fingerprints: those of the entities' mappings, by entity.
        quiet: seconds for which no copy of the model may have sent anything.

    Returns:
        False where one has, and nothing was moved.
    """
    with errors_explained(f"move to {phase}", connection=connection, privileges=OWN_TABLES):
        async with connection.transaction():
            await connection.execute(QUERIES["hold_copies"])
            sent = await connection.fetchval(QUERIES["last_sent"], model)
            if quiet and sent is not None and sent < quiet:
                return False
            await record(connection, model, entities, phase, percent=percent, fingerprints=fingerprints)
    return True


async def record(  # noqa: PLR0913 - what is recorded
    connection: Connection,
    model: str,
    entities: Sequence[str],
    phase: Phase,
    *,
    percent: int = 0,
    fingerprints: Mapping[str, str] | None = None,
    stage: Stage | None = None,
) -> None:
    """Record the same within the caller's transaction, which from here on no snapshot overlaps.

    `stage` is that of `write_target`.

    Raises:
        SourceError: PostgreSQL cannot be reached.
    """
    await hold(connection)
    with errors_explained(f"move to {phase}", connection=connection, privileges=OWN_TABLES):
        prints = [(fingerprints or {}).get(name) for name in entities]
        await connection.execute(QUERIES["move_phase"], model, list(entities), phase, percent, prints, stage)


async def hold(connection: Connection) -> None:
    """Have no snapshot overlap the rest of the caller's transaction: those that are under way have ended.

    Raises:
        SourceError: PostgreSQL cannot be reached.
    """
    with errors_explained("hold the phases", connection=connection, privileges=OWN_TABLES):
        await connection.execute(QUERIES["hold_phases"])


async def moment(connection: Connection, model: str) -> Moment:
    """Return what this transaction's snapshot needs, as its first statement: it fixes the snapshot."""
    with errors_explained("take a snapshot", connection=connection, privileges=OWN_TABLES):
        row = await connection.fetchrow(QUERIES["moment"], model)
    return Moment(row["at"], row["version"], frozenset(row["followed"]))


async def advance_versions(connection: Connection) -> None:
    """Have new versions be above those that applications gave while the target was the master; it stands at once.

    Raises:
        SourceError: a privilege is missing, or PostgreSQL cannot be reached.
    """
    grants = (*OWN_TABLES, "UPDATE ON SEQUENCE migrator.item_versions")
    with errors_explained("advance the versions", connection=connection, privileges=grants):
        await connection.execute(QUERIES["advance_versions"])


async def sources_since_sent(connection: Connection, model: str) -> dict[str, float]:
    """Return how long ago a copy may have sent its last request for rows of a source, by source; none: not there."""
    with errors_explained("see when a copy has sent last", connection=connection, privileges=OWN_TABLES):
        found = await connection.fetch(QUERIES["sources_last_sent"], model)
    return {row["source"]: row["seconds"] for row in found}


async def seconds_since_sent(connection: Connection, model: str) -> float | None:
    """Return how long ago a copy may have sent its last request; None: none has."""
    with errors_explained("see when a copy has sent last", connection=connection, privileges=OWN_TABLES):
        seconds: float | None = await connection.fetchval(QUERIES["last_sent"], model)
    return seconds
