"""An application that reads: organizations by their key and tasks by status, asked of either store as anybody would."""

from __future__ import annotations

import asyncio
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import boto3
from botocore.config import Config

from migrator.app import ReadLimits, Router
from migrator.postgres import fence, phases
from migrator.postgres.identifiers import TableName
from tests.integration.app.application import until
from tests.support import orm

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mypy_boto3_dynamodb import DynamoDBClient

    from migrator.app import DualWriter
    from migrator.app.lease import Lease
    from migrator.app.read_counts import Cause
    from migrator.mapping import Query
    from migrator.postgres.phases import Phase, Stage
    from tests.integration.app.application import Application

ORGANIZATION, BY_STATUS = "organization", "tasks-by-status"
LIMITS = ReadLimits(deadline=5.0, write=10.0, lease=1.2, rest=0.5, index_delay=0.3, sample=0.0, looks=(0.05, 0.1))


async def _move(app: Application, phase: Phase, percent: int, stage: Stage | None) -> None:
    model = app.migration.model
    names = [each.name for each in model.entities]
    tables = [TableName(each.source.name) for each in model.entities]
    async with app.migration.session() as session, session.transaction():
        if stage is not None:
            await fence.fence(session, tables, model=model.name, phase=phase)
        elif phase in phases.FOLLOWED and await session.fetchval("SELECT max(stage) FROM migrator.phases"):
            await fence.unfence(session, tables)
        await phases.record(session, model.name, names, phase, percent=percent, stage=stage)


def move(app: Application, phase: Phase, percent: int = 0, stage: Stage | None = None) -> None:
    """Records a phase for all entities, and fences the source or lifts the fence."""
    asyncio.run(_move(app, phase, percent, stage))


@contextmanager
def routed(
    app: Application, limits: ReadLimits = LIMITS, endpoint_url: str | None = None, writer: DualWriter | None = None
) -> Iterator[Router]:
    """A router that knows the phase already."""
    place = app.migration.endpoint
    router = Router(
        app.migration.model,
        app.migration.database.url,
        writer=writer,
        region=place.region,
        endpoint_url=endpoint_url or place.endpoint_url,
        limits=limits,
    )
    with router:
        # From then on, a read's way is no accident.
        until(lambda: _knows(router._lease))  # noqa: SLF001 - what no application has to ask
        yield router


def _knows(lease: Lease) -> bool:
    """Whether phases were read, and after them marks, where there are any phases."""
    phases_known = bool(lease._known.standings)  # noqa: SLF001 - as above
    return lease.holds and (not phases_known or bool(lease._horizons) or lease.settled > 0)  # noqa: SLF001


@dataclass
class Reader:
    """Reads through a router. Each answer says which store has given it."""

    app: Application
    router: Router
    client: DynamoDBClient

    @classmethod
    @contextmanager
    def on(
        cls,
        app: Application,
        writer: DualWriter | None = None,
        limits: ReadLimits = LIMITS,
        endpoint_url: str | None = None,
    ) -> Iterator[Reader]:
        """A reader whose router knows the phase already."""
        endpoint = app.migration.endpoint
        client = boto3.client(
            "dynamodb",
            endpoint_url=endpoint_url or endpoint.endpoint_url,
            region_name=endpoint.region,
            aws_access_key_id=endpoint.access_key_id,
            aws_secret_access_key=endpoint.secret_access_key,
            config=Config(retries={"total_max_attempts": 1}, max_pool_connections=20, read_timeout=5),
        )
        with routed(app, limits, endpoint_url, writer) as router:
            yield cls(app, router, client)
        client.close()

    def name(self, key: str) -> tuple[str, str | None]:
        """An organization's name, and the store that has given it."""
        return self.router.read(
            ORGANIZATION, {"id": key}, postgres=lambda: self._name_by_sql(key), dynamodb=lambda: self._name_by_key(key)
        )

    async def aname(self, key: str) -> tuple[str, str | None]:
        """The same, from an event loop."""

        async def postgres() -> tuple[str, str | None]:
            return await asyncio.to_thread(self._name_by_sql, key)

        async def dynamodb() -> tuple[str, str | None]:
            return await asyncio.to_thread(self._name_by_key, key)

        return await self.router.aread(ORGANIZATION, {"id": key}, postgres=postgres, dynamodb=dynamodb)

    def tasks(self, status: str) -> tuple[str, int]:
        """How many tasks have a status, and the store that says so."""
        return self.router.read(
            BY_STATUS,
            {"status": status},
            postgres=lambda: ("postgres", self._tasks_by_sql(status)),
            dynamodb=lambda: ("dynamodb", self._tasks_by_key(status)),
        )

    def causes(self, pattern: str = ORGANIZATION) -> dict[Cause, int]:
        """Why PostgreSQL was asked."""
        return dict(self.router.counts[pattern].postgres)

    def _name_by_sql(self, key: str) -> tuple[str, str | None]:
        with self.app.sessions() as session:
            found = session.get(orm.Organization, key)
            return "postgres", None if found is None else found.name

    def _name_by_key(self, key: str) -> tuple[str, str | None]:
        request: Any = self.router.question(ORGANIZATION, {"id": key})
        item = self.client.get_item(**request.pattern.request(id=key), ConsistentRead=True).get("Item")
        return "dynamodb", None if item is None or "_del" in item else item["Data"]["M"]["name"]["S"]

    def _tasks_by_sql(self, status: str) -> int:
        with self.app.sessions() as session:
            return len(session.query(orm.Task).filter_by(status=status).all())

    def _tasks_by_key(self, status: str) -> int:
        pattern: Query = self.router.question(BY_STATUS, {"status": status}).pattern  # type: ignore[assignment]
        return len(self.client.query(**pattern.request(status=status))["Items"])
