"""The record of rehearsals: that rows were led forward and back, how many, when, and under which mapping."""

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
class Rehearsal:
    """One rehearsal; both times are by the server's clock.

    Attributes:
        mapping_fingerprint: the fingerprint of the model's mapping.
        started_at: when it began.
        finished_at: when it ended.
        sample: how many rows of each entity were asked for.
        proven: whether every row that was looked at came back.
        counts: by entity, `rows`, `proven`, `failed`, `expired`, `moving`, and `dropped`: the columns without
            which rows come back.
    """

    mapping_fingerprint: str
    started_at: datetime
    finished_at: datetime
    sample: int
    proven: bool
    counts: Mapping[str, Any]


async def record(connection: Connection, model: str, rehearsal: Rehearsal) -> None:
    """Record a rehearsal of all entities of a model."""
    with errors_explained("record the rehearsal", connection=connection, privileges=OWN_TABLES):
        await connection.execute(
            QUERIES["record_rehearsal"],
            model,
            rehearsal.mapping_fingerprint,
            rehearsal.started_at,
            rehearsal.finished_at,
            rehearsal.sample,
            rehearsal.proven,
            json.dumps(dict(rehearsal.counts)),
        )


async def latest(connection: Connection, model: str) -> Rehearsal | None:
    """Return the latest rehearsal of all entities of a model, if there is one."""
    with errors_explained("read the rehearsals", connection=connection, privileges=OWN_TABLES):
        row = await connection.fetchrow(QUERIES["latest_rehearsal"], model)
    return row and Rehearsal(**{**row, "counts": json.loads(row["counts"])})
