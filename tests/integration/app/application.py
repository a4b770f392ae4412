"""A small application with sessions of both kinds, and what its tests ask of the stores."""

from __future__ import annotations

import asyncio
import time
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import sqlalchemy as sa
from sqlalchemy import create_engine
from sqlalchemy.orm import sessionmaker

from migrator.app import DualWriter, Limits
from migrator.engines.relay import Limits as RelayLimits
from migrator.engines.relay import Silent, relay
from migrator.postgres import pending
from migrator.reconcile import Times
from tests.support import orm

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.support.migration import Migration

PATIENCE: Final = 20.0
LIMITS: Final = Limits(gather=0.005, attempt=3.0, lease=0.2, inspection=0.4, rest=0.5, times=Times(request=2.0))


def until(what: Callable[[], bool]) -> None:
    """Waits until something holds."""
    end = time.monotonic() + PATIENCE
    while not what():
        assert time.monotonic() < end, "it does not come about"
        time.sleep(0.02)


@dataclass(frozen=True)
class Application:
    """The application. `sessions` are made anew for each test, as events stay on their class."""

    migration: Migration
    sessions: sessionmaker[Any]

    @classmethod
    @contextmanager
    def on(cls, migration: Migration) -> Iterator[Application]:
        engine = create_engine(cls.url(migration, "psycopg"))
        try:
            yield cls(migration, sessionmaker(engine))
        finally:
            engine.dispose()

    @staticmethod
    def url(migration: Migration, driver: str) -> str:
        return migration.database.url.replace("postgresql://", f"postgresql+{driver}://", 1)

    def writer(self, **options: Any) -> DualWriter:  # noqa: ANN401 - the writer's own
        """A writer for the model, with patience in proportion to a test's."""
        endpoint = self.migration.endpoint
        defaults: dict[str, Any] = {
            "region": endpoint.region,
            "endpoint_url": endpoint.endpoint_url,
            "limits": LIMITS,
        }
        return DualWriter(self.migration.model, self.migration.database.url, **defaults | options)

    @contextmanager
    def mirrored(self, **options: Any) -> Iterator[DualWriter]:  # noqa: ANN401 - the writer's own
        """A writer attached to the sessions until the block ends."""
        writer = self.writer(**options)
        writer.attach(self.sessions)
        try:
            with writer:
                yield writer
        finally:
            writer.detach()

    def waiting(self) -> int:
        """The marks that wait for a relay."""
        return asyncio.run(self._waiting())

    async def _waiting(self) -> int:
        async with self.migration.session() as session:
            sources = [f"public.{entity.source_name}" for entity in self.migration.model.entities]
            return (await pending.backlog(session, sources)).waiting

    def differing(self) -> list[str]:
        """The keys on which source and target do not agree."""
        return asyncio.run(self.migration.differing())

    def commit(self, *keys: str, name: str = "an organization") -> None:
        """Commits organizations of these keys, new or changed."""
        with self.sessions.begin() as session:
            for key in keys:
                session.merge(orm.organization(key, name))

    def drain(self) -> None:
        """What a relay does with the marks that are left."""
        asyncio.run(
            relay(
                self.migration.model,
                self.migration.model.entities,
                self.migration.stores,
                limits=RelayLimits(200, LIMITS.times),
                until_empty=True,
                stop=asyncio.Event(),
                listener=Silent(),
            )
        )

    def mirrors(self) -> int:
        """The sessions that mirrors have open on the source."""
        with self.sessions() as session:
            return int(
                session.scalar(
                    sa.text(
                        "SELECT count(*) FROM pg_stat_activity"
                        " WHERE datname = current_database() AND application_name = 'migrator mirror'"
                    )
                )
            )
