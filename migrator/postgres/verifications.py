"""The record of verifications: what was compared, what was found, when."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from migrator.postgres.errors import OWN_TABLES, errors_explained
from migrator.postgres.queries import QUERIES

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from migrator.postgres.connection import Connection


@dataclass(frozen=True, slots=True)
class Verification:
    """One verification. `scope` says what was compared, `counts` what was found; both are JSON objects.

    `started_at` is by the server's clock (`now`), and so is `finished_at`, which `record` sets.
    """

    model: str
    mapping_fingerprint: str
    started_at: datetime
    scope: Mapping[str, Any]
    counts: Mapping[str, Any]
    clean: bool
    finished_at: datetime | None = None


async def now(connection: Connection) -> datetime:
    """Return the time by the server's clock, by which all ages are judged; a verification starts at it."""
    with errors_explained("read the server's clock", connection=connection):
        moment: datetime = await connection.fetchval(QUERIES["now"])
    return moment


async def record(connection: Connection, done: Verification) -> Verification:
    """Record a verification that is done; return it as it is on record."""
    texts = [json.dumps(dict(each)) for each in (done.scope, done.counts)]
    values = (done.model, done.mapping_fingerprint, done.started_at, *texts, done.clean)
    with errors_explained("record the verification", connection=connection, privileges=OWN_TABLES):
        return _verification(await connection.fetchrow(QUERIES["record_verification"], *values))


async def latest(connection: Connection, model: str, *, limit: int = 1) -> list[Verification]:
    """Return the verifications of a model, the latest first."""
    with errors_explained("read the verifications", connection=connection, privileges=OWN_TABLES):
        return [_verification(row) for row in await connection.fetch(QUERIES["verifications"], model, limit)]


def _verification(row: Mapping[str, Any]) -> Verification:
    return Verification(**{**row, "scope": json.loads(row["scope"]), "counts": json.loads(row["counts"])})
