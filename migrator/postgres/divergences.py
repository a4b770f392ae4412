"""The ledger of divergences: what verifications have found, from a key's first sight to the look that cleared it."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from migrator.postgres.errors import OWN_TABLES, errors_explained
from migrator.postgres.queries import QUERIES

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping, Sequence
    from datetime import datetime

    from migrator.postgres.connection import Connection

MAX_KEPT: Final = 100_000
"""Divergences that are kept at most, of all models."""


@dataclass(frozen=True, slots=True)
class Sighting:
    """A key that a verification found to differ. `key` holds the key attributes as text; of values there are none."""

    verdict: str
    table: str
    key: Mapping[str, str]
    entity: str | None = None
    attributes: Sequence[str] = ()
    cause: str | None = None


@dataclass(frozen=True, slots=True)
class Divergence:
    """A key that differs, or has differed: a `Sighting`, and which verifications have seen it, how often and when.

    `repaired_at` is when a later look found it in order; None: it is open.
    """

    verdict: str
    table: str
    key: Mapping[str, str]
    entity: str | None
    attributes: Sequence[str]
    cause: str | None
    first_verification: int
    last_verification: int
    times: int
    first_seen: datetime
    last_seen: datetime
    repaired_at: datetime | None


async def record(connection: Connection, model: str, verification: int, found: Iterable[Sighting]) -> None:
    """Record what a verification has found; what was known of a key with this verdict is brought up to date."""
    # A statement cannot touch a row twice.
    unique = {(each.table, _text(each.key), each.verdict): each for each in found}
    columns = (
        [table for table, _, _ in unique],
        [key for _, key, _ in unique],
        [verdict for _, _, verdict in unique],
        [each.entity for each in unique.values()],
        [json.dumps(list(each.attributes)) for each in unique.values()],
        [each.cause for each in unique.values()],
    )
    with errors_explained("record divergences", connection=connection, privileges=OWN_TABLES):
        await connection.execute(QUERIES["record_divergences"], model, verification, *columns)


async def close(
    connection: Connection,
    model: str,
    verification: int,
    entities: Collection[str],
    tables: Collection[str],
    *,
    unsettled: Iterable[tuple[str, Mapping[str, str]]] = (),
) -> None:
    """Close what earlier verifications have found and this one, which looked at all of it, has not.

    Args:
        connection: the source.
        model: the model's name.
        verification: the number of the verification.
        entities: those all of whose keys it has looked at.
        tables: the target tables in which it has looked at every key, those of no entity included.
        unsettled: table and key of those of which it can say nothing.
    """
    left = [(table, _text(key)) for table, key in unsettled]
    columns = list(entities), list(tables), [table for table, _ in left], [key for _, key in left]
    with errors_explained("close divergences", connection=connection, privileges=OWN_TABLES):
        await connection.execute(QUERIES["close_divergences"], model, verification, *columns)


async def close_keys(
    connection: Connection, model: str, verification: int, table: str, keys: Iterable[Mapping[str, str]]
) -> None:
    """Close what earlier verifications have found of keys of a target table that this one has found in order."""
    texts = [_text(key) for key in keys]
    with errors_explained("close divergences", connection=connection, privileges=OWN_TABLES):
        await connection.execute(QUERIES["close_divergences_of_keys"], model, verification, table, texts)


async def end(connection: Connection, model: str, entities: Collection[str]) -> None:
    """Close what was found of entities that are not verified any more, within the caller's transaction."""
    with errors_explained("close divergences", connection=connection, privileges=OWN_TABLES):
        await connection.execute(QUERIES["end_divergences"], model, list(entities))


async def latest(connection: Connection, model: str, *, limit: int, only_open: bool = False) -> list[Divergence]:
    """Return the divergences of a model, those seen latest first."""
    with errors_explained("read the divergences", connection=connection, privileges=OWN_TABLES):
        rows = await connection.fetch(QUERIES["divergences"], model, limit, only_open)
    return [_divergence(row) for row in rows]


async def count_open(connection: Connection, model: str) -> int:
    """Return how many divergences of a model are open."""
    with errors_explained("count the divergences", connection=connection, privileges=OWN_TABLES):
        return int(await connection.fetchval(QUERIES["open_divergences"], model))


async def forget(connection: Connection, days: int, *, kept: int = MAX_KEPT) -> None:
    """Forget what was closed so many days ago, and the oldest divergences beyond `kept`, closed ones first."""
    with errors_explained("forget old divergences", connection=connection, privileges=OWN_TABLES):
        await connection.execute(QUERIES["forget_divergences"], days, kept)


def _divergence(row: Mapping[str, Any]) -> Divergence:
    return Divergence(**{**row, "key": json.loads(row["key"]), "attributes": json.loads(row["attributes"])})


def _text(key: Mapping[str, str]) -> str:
    """One text for a key, whatever characters it holds."""
    return json.dumps(dict(key))
