"""A verification as an operator leaves it running: alone, on record, and told of."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

from migrator.cli import alerts
from migrator.errors import LockedError, MigratorError, SourceError
from migrator.postgres import divergences, state, verifications
from migrator.postgres.connection import connect
from migrator.postgres.locks import lock

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from pathlib import Path

    from migrator.cli.work import Work
    from migrator.postgres.connection import Connection
    from migrator.postgres.verifications import Verification
    from migrator.settings import Settings

_REMEMBERED: Final = 100
_LOOKED_AT: Final = 5


@dataclass
class Watch:
    """Verifies models one attempt at a time.

    Attributes:
        works: the models, and those of their tables that are verified.
        settings: where the source is, how long records are kept, and who is told.
        report: the file that is to tell of each attempt, if there is one.
        unrecorded: attempts that failed because the source was away: when, and why.
        failing: whether the last attempt failed.
        before: the number of each model's latest verification before the attempt; 0: there was none.
    """

    works: Sequence[Work]
    settings: Settings
    report: Path | None = None
    unrecorded: list[tuple[datetime, str]] = field(default_factory=list)
    failing: bool = False
    before: dict[str, int] = field(default_factory=dict)

    def attempt(self, verify: Callable[[], bool]) -> bool:
        """Verify while nobody else verifies these models; return whether target and source are equal.

        Raises:
            LockedError: somebody else does.
            MigratorError: it failed. Whoever is to know has been told.
        """
        try:
            clean = self._alone(verify)
        except LockedError:
            raise
        except MigratorError as error:
            self._failed(error)
            raise
        except ExceptionGroup as group:
            self._failed(first_error(group))
            raise
        self.failing = False
        return clean

    def _alone(self, verify: Callable[[], bool]) -> bool:
        with self._held() as (runner, connection):
            clean = verify()
            records = runner.run(self._settle(connection))
        document = alerts.judged(records, failed_before=self.failing)
        if document is not None:
            alerts.tell(self.settings.webhook_url, document)
        return clean

    @contextmanager
    def _held(self) -> Iterator[tuple[asyncio.Runner, Connection]]:
        """Hold the models' locks while the block runs, on a session of a loop that stands still meanwhile."""
        with asyncio.Runner() as runner:
            stack = AsyncExitStack()
            try:
                connection = runner.run(self._open(stack))
            except SourceError as error:
                self.unrecorded = [*self.unrecorded, (datetime.now(UTC), error.what)][-_REMEMBERED:]
                raise
            try:
                yield runner, connection
            finally:
                # The locks go with the session, which may be gone already.
                connection.terminate()
                runner.run(stack.aclose())

    async def _open(self, stack: AsyncExitStack) -> Connection:
        connection = await connect(self.settings.source_url, purpose="verify")
        try:
            await state.require(connection)
            for name in sorted(work.model.name for work in self.works):
                await stack.enter_async_context(lock(connection, f"verify:{name}"))
            await self._record_failures(connection)
            for work in self.works:
                records = await verifications.latest(connection, work.model.name)
                self.before[work.model.name] = records[0].id if records else 0
        except BaseException:
            connection.terminate()
            await stack.aclose()
            raise
        return connection

    async def _record_failures(self, connection: Connection) -> None:
        for at, why in self.unrecorded:
            for work in self.works:
                scope = {"tables": [entity.source_name for entity in work.entities], "whole": False}
                model = work.model
                await verifications.record_failure(connection, model.name, model.fingerprint, at, scope, why)
        self.unrecorded = []

    async def _settle(self, connection: Connection) -> Mapping[str, Sequence[Verification]]:
        """Forget what is old; return the latest verifications of each model, if the attempt has made one."""
        await divergences.forget(connection, self.settings.history_days)
        await verifications.forget(connection, self.settings.history_days)
        found = {}
        for work in self.works:
            records = await verifications.latest(connection, work.model.name, limit=_LOOKED_AT)
            ended = [each for each in records if each.finished_at is not None]
            if not ended or ended[0].id <= self.before[work.model.name]:
                continue
            found[work.model.name] = ended
            if self.report is not None:
                await verifications.name_report(connection, ended[0].id, str(self.report.absolute()))
        return found

    def _failed(self, error: MigratorError) -> None:
        self.failing = True
        alerts.tell(self.settings.webhook_url, alerts.failed([work.model.name for work in self.works], error))


def first_error(group: BaseExceptionGroup[BaseException]) -> MigratorError:
    """The first of several tasks' failures that is an expected one, as a rule all of them for the same reason."""
    expected = group.subgroup(MigratorError)
    if expected is None:
        return MigratorError("a task failed in a way that is not known")
    error = expected.exceptions[0]
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error
