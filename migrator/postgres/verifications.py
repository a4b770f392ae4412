"""The record of verifications: what was compared, what was found, when, and how it ended, failures included."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

from migrator.postgres.errors import OWN_TABLES, errors_explained
from migrator.postgres.queries import QUERIES

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime, timedelta

    from migrator.postgres.connection import Connection

Ending: TypeAlias = Literal["equal", "different", "failed", "interrupted"]
Outcome: TypeAlias = Ending | Literal["running"]


@dataclass(frozen=True, slots=True)
class Verification:
    """One verification; both times are by the server's clock.

    Attributes:
        id: its number, which grows.
        model: the model's name.
        mapping_fingerprint: the fingerprint of its mapping.
        started_at: when it began.
        scope: what was compared, a JSON object: `tables`, whether that was the `whole` of the model, and what it was
            narrowed to (`sample_percent`, `since`, `key_range`).
        outcome: how it has ended, if it has; one that was killed counts as interrupted.
        finished_at: when it ended; None: it runs, or was killed.
        counts: what was found, a JSON object.
        cost: read units and US dollars, a JSON object.
        failure: why it could not be brought to its end.
        report: the file that tells of it.
    """

    id: int
    model: str
    mapping_fingerprint: str
    started_at: datetime
    scope: Mapping[str, Any]
    outcome: Outcome
    finished_at: datetime | None = None
    counts: Mapping[str, Any] = field(default_factory=dict)
    cost: Mapping[str, Any] = field(default_factory=dict)
    failure: str | None = None
    report: str | None = None

    @property
    def clean(self) -> bool:
        """Whether target and source held the same."""
        return self.outcome == "equal"

    @property
    def whole(self) -> bool:
        """Whether everything of the model was compared."""
        return self.scope.get("whole") is True

    @property
    def duration(self) -> timedelta | None:
        """How long it took."""
        return None if self.finished_at is None else self.finished_at - self.started_at


@dataclass(frozen=True, slots=True)
class Result:
    """How a verification has ended: the fields of `Verification` that are known by then."""

    outcome: Ending
    scope: Mapping[str, Any]
    counts: Mapping[str, Any]
    cost: Mapping[str, Any]
    failure: str | None = None


async def now(connection: Connection) -> datetime:
    """Return the time by the server's clock, by which all ages are judged."""
    with errors_explained("read the server's clock", connection=connection):
        moment: datetime = await connection.fetchval(QUERIES["now"])
    return moment


async def begin(
    connection: Connection, model: str, fingerprint: str, scope: Mapping[str, Any], *, since: datetime | None = None
) -> Verification:
    """Record that a verification begins. It counts as running until `finish`, or until the session ends.

    `since` is when the one began that it goes on with; None: it begins now.
    """
    with errors_explained("record the verification", connection=connection, privileges=OWN_TABLES):
        values = (model, fingerprint, json.dumps(dict(scope)), since)
        row = await connection.fetchrow(QUERIES["begin_verification"], *values)
    return _verification({name: value for name, value in row.items() if name != "lock"})


async def finish(connection: Connection, number: int, result: Result) -> None:
    """Record how a verification has ended; the connection may be another than the one it began on."""
    texts = [json.dumps(dict(each)) for each in (result.scope, result.counts, result.cost)]
    with errors_explained("record the verification", connection=connection, privileges=OWN_TABLES):
        values = (number, result.outcome, *texts, _storable(result.failure))
        await connection.execute(QUERIES["finish_verification"], *values)


async def record_failure(
    connection: Connection, model: str, fingerprint: str, at: datetime, scope: Mapping[str, Any], failure: str
) -> None:
    """Record a verification that could not even begin, since the source was away at that time."""
    with errors_explained("record the verification", connection=connection, privileges=OWN_TABLES):
        values = (model, fingerprint, at, json.dumps(dict(scope)), _storable(failure))
        await connection.execute(QUERIES["record_failure"], *values)


async def name_report(connection: Connection, number: int, path: str) -> None:
    """Record the file that tells of a verification."""
    with errors_explained("record the report", connection=connection, privileges=OWN_TABLES):
        await connection.execute(QUERIES["name_report"], number, path)


async def latest(
    connection: Connection, model: str, *, limit: int = 1, judged: bool = False, whole: bool = False
) -> list[Verification]:
    """Return the verifications of a model, the latest first.

    Args:
        connection: the source; a replica will do, where one that was killed counts as running.
        model: the model's name.
        limit: how many at most.
        judged: only those that came to a verdict.
        whole: only those that compared everything.
    """
    with errors_explained("read the verifications", connection=connection, privileges=OWN_TABLES):
        rows = await connection.fetch(QUERIES["verifications"], model, limit, judged, whole)
    return [_verification(row) for row in rows]


async def forget(connection: Connection, days: int) -> None:
    """Forget the verifications that ended so many days ago, but for the latest of each model."""
    with errors_explained("forget old verifications", connection=connection, privileges=OWN_TABLES):
        await connection.execute(QUERIES["forget_verifications"], days)


def _verification(row: Mapping[str, Any]) -> Verification:
    return Verification(**{**row, **{name: json.loads(row[name]) for name in ("scope", "counts", "cost")}})


def _storable(text: str | None) -> str | None:
    """The text without the one character that PostgreSQL's text cannot hold."""
    return None if text is None else text.replace("\0", "\\u0000")
