"""How far the streams of target tables are carried back, and the changes that the source has refused."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from migrator.postgres.errors import OWN_TABLES, errors_explained
from migrator.postgres.queries import named_statements

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from datetime import datetime

    from migrator.mapping import Entity, Model
    from migrator.postgres.connection import Connection

_STATEMENTS: Final = named_statements("reverse.sql")


@dataclass(frozen=True, slots=True)
class Refused:
    """A change that the source does not take back.

    Attributes:
        key: the item's key, as one line of JSON.
        entity: the entity whose row it is about.
        removed: whether the change was a removal.
        reason: why it is refused, without any value of the row.
    """

    key: str
    entity: str
    removed: bool
    reason: str


@dataclass(frozen=True, slots=True)
class Refusal:
    """A refused change as it is on record: when it was refused first, and when it was tried last."""

    table: str
    key: str
    entity: str
    reason: str
    first_at: datetime
    tried_at: datetime


@dataclass(frozen=True, slots=True)
class Backlog:
    """How many changes are refused, and for how many seconds the stream was not read, of the table where it is longest.

    `seconds` is None where the stream of a table was never read. `lag` is how many seconds late changes were carried
    back then, where more may have followed; 0 where nothing was left.
    """

    refused: int
    seconds: float | None
    lag: float = 0.0

    def alarm(self, most: float) -> str | None:
        """What to say where changes are carried back so many seconds late, or streams are not read for so long."""
        if max(self.lag, self.seconds or 0.0) < most:
            return None
        return (
            f"the source follows the target more than {most / 3600:g} h late, and streams keep changes for 24 h only: "
            "see that `migrate relay` runs and keeps up. What goes unread is not lost, but `migrate rollback` alone "
            "finds it, by comparing everything"
        )


@dataclass(frozen=True, slots=True)
class Noted:
    """How far a shard is carried back, and how many seconds late (`Backlog.lag`)."""

    position: str
    lag: float


async def positions(connection: Connection, model: str, target: str) -> dict[str, dict[str, str]]:
    """Return how far each shard of a table's streams was carried back: stream -> shard -> position."""
    with errors_explained("read how far streams are carried back", connection=connection, privileges=OWN_TABLES):
        found = await connection.fetch(_STATEMENTS["positions"], model, target)
    streams: dict[str, dict[str, str]] = {}
    for row in found:
        streams.setdefault(row["stream"], {})[row["shard"]] = row["position"]
    return streams


async def note(connection: Connection, model: str, target: str, stream: str, reached: Mapping[str, Noted]) -> None:
    """Note how far shards are carried back: shard -> position and lag."""
    with errors_explained("note how far a stream is carried back", connection=connection, privileges=OWN_TABLES):
        texts, lags = [each.position for each in reached.values()], [each.lag for each in reached.values()]
        await connection.execute(_STATEMENTS["note_positions"], model, target, stream, list(reached), texts, lags)


async def forget(connection: Connection, model: str, target: str, shards: Sequence[str]) -> None:
    """Forget shards that are not there any more."""
    with errors_explained("forget shards of a stream", connection=connection, privileges=OWN_TABLES):
        await connection.execute(_STATEMENTS["forget_positions"], model, target, list(shards))


async def refuse(connection: Connection, model: str, target: str, refused: Sequence[Refused]) -> None:
    """Record changes that the source does not take back; of one that is on record, why it is refused now."""
    fields = ([each.key for each in refused], [each.entity for each in refused], [each.removed for each in refused])
    with errors_explained("record refused changes", connection=connection, privileges=OWN_TABLES):
        await connection.execute(_STATEMENTS["refuse"], model, target, *fields, [each.reason for each in refused])


async def settle(connection: Connection, model: str, target: str, keys: Iterable[str]) -> None:
    """Forget that changes were refused."""
    with errors_explained("settle refused changes", connection=connection, privileges=OWN_TABLES):
        await connection.execute(_STATEMENTS["settle_refused"], model, target, list(keys))


async def refused(connection: Connection, model: str, target: str, *, before: datetime, limit: int) -> dict[str, bool]:
    """Return refused changes of a table that were last tried before that time: key -> whether it was a removal."""
    with errors_explained("read refused changes", connection=connection, privileges=OWN_TABLES):
        found = await connection.fetch(_STATEMENTS["refused"], model, target, before, limit)
    return {row["key"]: row["removed"] for row in found}


async def refusals(connection: Connection, model: str, *, limit: int) -> list[Refusal]:
    """Return the refused changes of a model, the oldest first."""
    with errors_explained("read refused changes", connection=connection, privileges=OWN_TABLES):
        return [Refusal(**row) for row in await connection.fetch(_STATEMENTS["refusals"], model, limit)]


async def backlog(connection: Connection, model: str, targets: Sequence[str]) -> Backlog:
    """Return how much of these tables is not carried back.

    Raises:
        SourceError: PostgreSQL cannot be reached.
    """
    with errors_explained("see what is not carried back", connection=connection, privileges=OWN_TABLES):
        return Backlog(**await connection.fetchrow(_STATEMENTS["reverse_backlog"], model, list(targets)))


async def returned(connection: Connection, model: Model, entities: Sequence[Entity]) -> None:
    """Forget, within the transaction that ends their way back, how far the streams of entities were read.

    A later way back begins with the stream anew: its positions of now would be long gone from it. A table's are kept
    while another of its entities is carried back.

    Raises:
        SourceError: PostgreSQL cannot be reached.
    """
    tables = {entity.table.name for entity in entities}
    of = [(entity.table.name, entity.name) for entity in model.entities if entity.table.name in tables]
    with errors_explained("end the way back", connection=connection, privileges=OWN_TABLES):
        await connection.execute(
            _STATEMENTS["forget_streams"], model.name, [table for table, _ in of], [name for _, name in of]
        )
        await connection.execute(_STATEMENTS["forget_refused"], model.name, [entity.name for entity in entities])
