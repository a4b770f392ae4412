"""What stays of a verification in the source: its record, kept while it runs, and the ledger of what it found."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from migrator.engines.verify.findings import NOT_ASKED_FOR
from migrator.errors import MigratorError
from migrator.postgres import divergences, verifications
from migrator.postgres.connection import connect
from migrator.postgres.divergences import Sighting
from migrator.postgres.verifications import Result

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping, Sequence
    from datetime import datetime

    from migrator.engines.verify.findings import Difference, Report
    from migrator.engines.verify.masters import Masters
    from migrator.mapping import Entity, Model
    from migrator.postgres.connection import Connection
    from migrator.postgres.verifications import Ending, Verification

_PATIENCE_SECONDS: Final = 5.0


@dataclass(frozen=True)
class Record:
    """What is recorded of one verification: of which model and entities, in which report, and on which database."""

    model: Model
    masters: Masters
    report: Report
    database_url: str | None

    @asynccontextmanager
    async def kept(self, control: Connection, since: datetime | None = None) -> AsyncIterator[Verification]:
        """Record the verification that the block makes, however it ends; yields the record as it begins.

        `control` must live as long as the block: that it does says that the verification is under way. `since` is when
        the one began that it goes on with.

        Raises:
            SourceError: the source cannot be reached or written to. Where that was the failure, it is not on record.
        """
        begun = await verifications.begin(control, self.model.name, self.model.fingerprint, self._scope(), since=since)
        self.report.record = begun.id
        try:
            yield begun
        except BaseException as error:
            await self._end(control, begun, _ending(error))
            raise
        await self._fill_ledger(control, begun)
        result = self._result("equal" if self.report.clean else "different")
        await verifications.finish(control, begun.id, result)

    async def _end(self, control: Connection, begun: Verification, failure: str | None) -> None:
        """Record a failure; None: it was interrupted. What failed may have taken the connection with it, or all others.

        Where neither serves, the verification counts as interrupted; its reader is told of the failure.
        """
        result = self._result("interrupted" if failure is None else "failed", failure)
        with suppress(MigratorError, TimeoutError):
            async with asyncio.timeout(_PATIENCE_SECONDS):
                return await verifications.finish(control, begun.id, result)
        with suppress(MigratorError, TimeoutError):
            async with asyncio.timeout(_PATIENCE_SECONDS):
                connection = await connect(self.database_url, purpose="verify")
                try:
                    await verifications.finish(connection, begun.id, result)
                finally:
                    connection.terminate()
        return None

    async def in_order(self, control: Connection, table: str, keys: Sequence[Mapping[str, Any]]) -> None:
        """Record that keys of a table, which earlier verifications may have found to differ, are in order by now.

        `keys` are as those of differences.

        Raises:
            SourceError: the source cannot be reached or written to.
        """
        if self.report.record is not None:
            await divergences.close_keys(control, self.model.name, self.report.record, table, map(key_texts, keys))

    async def _fill_ledger(self, control: Connection, begun: Verification) -> None:
        report = self.report
        await divergences.record(control, self.model.name, begun.id, map(_sighting, report.differences))
        if not self._narrowed and not report.unjudged:
            names = {entity.name for entity in self.masters.entities}
            tables = [
                table.name
                for table in self.model.tables
                if all(entity.name in names for entity in self.model.of_table(table))
            ]
            unsettled = [(each.table, key_texts(each.key)) for each in report.moving]
            await divergences.close(control, self.model.name, begun.id, names, tables, unsettled=unsettled)

    @property
    def _narrowed(self) -> bool:
        """Whether not every key of the entities was looked at."""
        scope = self.report.scope
        return any(each is not None for each in (scope.sample_percent, scope.since, scope.key_range))

    @property
    def _every(self) -> bool:
        """Whether all entities were looked at of which something can be said."""
        looked_at = {each.name for each in self.masters.entities}
        return looked_at | self.masters.ended == {each.name for each in self.model.entities}

    def _scope(self) -> dict[str, Any]:
        scope = self.report.scope
        return {
            "tables": [entity.source_name for entity in self.masters.entities],
            "whole": not self._narrowed and self._every,
            "sample_percent": scope.sample_percent,
            "since": scope.since,
            "key_range": scope.key_range,
        }

    def _result(self, outcome: Ending, failure: str | None = None) -> Result:
        cost = self.report.cost
        units = cost.units or self.report.read_units
        spent = {"foreseen_units": cost.foreseen_units, "units": units, "dollars": cost.dollars}
        return Result(outcome, self._scope(), _counts(self.report, self.masters.entities), spent, failure)


def _ending(error: BaseException) -> str | None:
    """Why a verification has failed, in a sentence without values; None: it was interrupted."""
    match error:
        case MigratorError():
            return error.what
        case BaseExceptionGroup():
            return _ending(error.exceptions[0])
        case Exception():
            return f"in a way that is not known: {type(error).__name__}"
        case _:
            return None


def text(value: object) -> str:
    """A key attribute's value as text: of a Binary its bytes in hexadecimal."""
    return f"0x{value.hex()}" if isinstance(value, bytes) else str(value)


def key_texts(key: Mapping[str, Any]) -> dict[str, str]:
    """A key as the ledger has it."""
    return {name: text(value) for name, value in key.items()}


def _sighting(difference: Difference) -> Sighting:
    return Sighting(
        difference.verdict.value,
        difference.table,
        key_texts(difference.key),
        difference.entity,
        difference.attributes,
        None if difference.cause is None else difference.cause.value,
    )


def _counts(report: Report, entities: Sequence[Entity]) -> dict[str, Any]:
    """What was found: in all, and by entity."""
    verdicts: dict[str, int] = defaultdict(int)
    by_entity: dict[str, dict[str, int]] = {
        entity.name: {"rows": report.rows.get(entity.source_name, 0)} for entity in entities
    }
    for difference in report.differences:
        verdict = difference.verdict.value
        verdicts[verdict] += 1
        if difference.entity in by_entity:
            counts = by_entity[difference.entity]
            counts[verdict] = counts.get(verdict, 0) + 1
    return {
        "rows": sum(report.rows.values()),
        "items_expected": report.items_expected,
        "items_scanned": report.items_scanned,
        "expired": report.expired,
        "moving": len(report.moving),
        "unjudged": report.unjudged,
        "answers": sum(parity.differs for parity in report.parities),
        "patterns": {
            parity.pattern: {"asked": parity.asked, "equal": parity.equal}
            for parity in report.parities
            if parity.reason != NOT_ASKED_FOR
        },
        **verdicts,
        "entities": by_entity,
    }
