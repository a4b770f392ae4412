"""Documents made of what a verification has found, and of what the source has on record."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

import migrator
from migrator.cli.report.document import (
    CostSeen,
    DifferenceFound,
    Document,
    EarlierRun,
    EntityCoverage,
    LeftAlone,
    ModelVerified,
    PatternParity,
    RepairDone,
    ScopeSeen,
    Stand,
    Values,
)
from migrator.cli.verification import next_steps
from migrator.engines.verify import Verdict
from migrator.postgres import verifications
from migrator.postgres.address import parse
from migrator.postgres.connection import connect

if TYPE_CHECKING:
    from collections.abc import Sequence

    from migrator.cli.work import Work
    from migrator.engines.stores import Stores
    from migrator.engines.verify import Difference, Repaired, Report
    from migrator.postgres.verifications import Verification

RECORDS: Final = 30
"""Verifications of which a document tells, this one included."""


@dataclass(frozen=True)
class Repair:
    """A repair: what the verification before it had found, what it has done, and the tables accepted after it."""

    before: Report
    done: Repaired | None
    accepted: Sequence[str]


def document(models: Sequence[ModelVerified], *, values: bool) -> Document:
    """All of it."""
    return Document(
        migrator=migrator.__version__,
        clean=all(model.clean for model in models),
        values_shown=values,
        models=list(models),
    )


def verified(
    work: Work, report: Report, stores: Stores, *, values: bool = False, repair: Repair | None = None
) -> ModelVerified:
    """What is told of a model's latest verification, which is on record in the source.

    Args:
        work: what was verified.
        report: what was found.
        stores: the stores; the source is asked for the records.
        values: whether values are told, too.
        repair: the repair that went before, where there was one.

    Raises:
        ConfigurationError, SourceError: the source cannot be asked any more.
    """
    stand, records = asyncio.run(_circumstances(stores, work.model.name))
    this = next(each for each in records if each.id == report.record)
    return ModelVerified(
        name=work.model.name,
        fingerprint=work.model.fingerprint,
        clean=report.clean,
        followed=report.followed,
        carried_back=sorted(report.carried_back),
        started_at=this.started_at,
        finished_at=this.finished_at,
        stand=stand,
        scope=_scope(work, report),
        rows=report.rows,
        entities=_entities(work, report),
        items_expected=report.items_expected,
        items_scanned=report.items_scanned,
        expired=report.expired,
        read_units=report.read_units,
        foreign=report.foreign,
        suspects=report.suspects,
        unjudged=report.unjudged,
        seconds=report.seconds,
        differences=[_difference(each, values=values) for each in report.differences],
        moving=[_difference(each, values=values) for each in report.moving],
        patterns=[PatternParity(**vars(parity), differs=parity.differs) for parity in report.parities],
        cost=CostSeen(**vars(report.cost)),
        repair=None if repair is None or repair.done is None else _repair(repair.before, repair.done),
        accepted=[] if repair is None else list(repair.accepted),
        next_steps=[] if report.clean else list(next_steps(work, report)),
        earlier=[_earlier(each, work.model.fingerprint) for each in records if each.id < this.id],
    )


async def _circumstances(stores: Stores, model: str) -> tuple[Stand, list[Verification]]:
    connection = await connect(stores.database_url, purpose="report", read_only=True)
    try:
        records = await verifications.latest(connection, model, limit=RECORDS)
        server = connection.get_server_version()
    finally:
        await connection.close()
    target = await asyncio.to_thread(stores.target)
    stand = Stand(
        source=str(parse(stores.database_url)),
        server_version=f"{server.major}.{server.minor}",
        # A URL may hold a password.
        endpoint=urlsplit(target.endpoint_url).netloc.rpartition("@")[2],
        region=target.region,
    )
    return stand, records


def _scope(work: Work, report: Report) -> ScopeSeen:
    tables = [entity.source_name for entity in work.entities]
    return ScopeSeen(
        tables=tables,
        left_out=[each.source_name for each in work.model.entities if each.source_name not in tables],
        **vars(report.scope),
    )


def _entities(work: Work, report: Report) -> list[EntityCoverage]:
    return [
        EntityCoverage(
            entity=entity.name,
            source=entity.source_name,
            target=entity.table.name,
            rows=report.rows.get(entity.source_name, 0),
            items=report.items.get(entity.source_name, 0),
            expired=report.past.get(entity.source_name, 0),
            differences=sum(each.entity == entity.name for each in report.differences),
        )
        for entity in work.entities
    ]


def _difference(found: Difference, *, values: bool) -> DifferenceFound:
    return DifferenceFound(
        verdict=found.verdict.value,
        table=found.table,
        key={name: _text(value) for name, value in found.key.items()},
        entity=found.entity,
        row_key=None if found.row_key is None else [_text(value) for value in found.row_key],
        attributes=list(found.attributes),
        index_keys=list(found.index_keys),
        ttl=found.ttl,
        reason=found.reason,
        cause=None if found.cause is None else found.cause.value,
        values={name: Values(expected=pair[0], found=pair[1]) for name, pair in found.values.items()}
        if values
        else None,
    )


def _repair(before: Report, done: Repaired) -> RepairDone:
    return RepairDone(
        found={each.value: before.count(each) for each in Verdict} | {"unjudged": before.unjudged},
        examined=done.examined,
        repaired={verdict.value: done.marked[verdict] for verdict in Verdict if done.marked[verdict]},
        settled=done.settled,
        written=done.written,
        tried=done.tried,
        set_aside=dict(done.set_aside),
        waiting=done.waiting,
        left_alone=done.alone,
        left_alone_keys=[LeftAlone(table=table, key=key) for table, key in done.alone_keys],
        seconds=done.seconds,
    )


def _earlier(run: Verification, fingerprint: str) -> EarlierRun:
    return EarlierRun(
        started_at=run.started_at,
        finished_at=run.finished_at,
        outcome=run.outcome,
        differences=sum(run.counts.get(name, 0) for name in (*(verdict.value for verdict in Verdict), "unjudged")),
        whole=run.whole,
        same_mapping=run.mapping_fingerprint == fingerprint,
    )


def _text(value: object) -> str:
    return f"0x{value.hex()}" if isinstance(value, bytes) else str(value)
