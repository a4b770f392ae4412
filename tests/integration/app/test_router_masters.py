"""Reads while the master moves: none is answered by a store that lacks what was acknowledged, whatever is known."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import pytest
import sqlalchemy as sa
from botocore.exceptions import ClientError

from migrator.app import Router
from migrator.app.repository import Repository, UnavailableError
from tests.integration.app.application import until
from tests.integration.app.reading import LIMITS, ORGANIZATION, Reader, move, routed
from tests.integration.app.test_repository import organization
from tests.support.faults import server_error

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.integration.app.application import Application
    from tests.support.fault_proxy import FaultProxy

ROOT = Path(__file__).parents[3]
LASTING = replace(LIMITS, lease=60.0)
COMPLETE = """
import sys
from migrator.app import ReadLimits, Router
from migrator.app.repository import Repository
from tests.support import renamed

with Router(renamed.MODEL, phase="complete", limits=ReadLimits(deadline=20.0, write=20.0)) as router:
    organizations = Repository(router, "ORGANIZATION")
    read = organizations.get(id="org-1")
    with organizations.writing() as write:
        organizations.put(write, read.model_copy(update={"name": "of a process without PostgreSQL"}))
    print(organizations.get(id="org-1").name)
"""


def written(app: Application, name: str) -> None:
    """What an instance has written that goes by the phase as it is."""
    with routed(app) as router:
        organizations = Repository(router, "ORGANIZATION", app.sessions)
        record = organizations.get(id="org-1").model_copy(update={"name": name})
        with organizations.writing() as write:
            organizations.put(write, record)


@contextmanager
def unaware(app: Application, endpoint_url: str | None = None, **limits: Any) -> Iterator[Reader]:  # noqa: ANN401 - of any
    """An instance that goes by the phase that there is now, until it has reason to ask again."""
    with Reader.on(app, limits=replace(LASTING, **limits), endpoint_url=endpoint_url) as reader:
        yield reader


def test_while_postgresql_is_fenced_dynamodb_is_asked_first(app: Application, proxy: FaultProxy) -> None:
    app.commit("org-1", name="Acme")
    app.drain()
    move(app, "write_target", stage="fenced")
    with unaware(app, proxy.endpoint_url) as reader:
        assert reader.name("org-1") == ("dynamodb", "Acme")
        with proxy.failing(server_error()):
            assert reader.name("org-1") == ("postgres", "Acme"), "which has all that was written"
            assert asyncio.run(reader.aname("org-1")) == ("postgres", "Acme")
        assert reader.causes() == {"failed": 2}


@pytest.mark.uncovered
def test_an_instance_that_has_not_heard_that_dynamodb_is_written_does_not_fall_back(
    app: Application, proxy: FaultProxy
) -> None:
    app.commit("org-1", name="before")
    app.drain()
    move(app, "write_target", stage="fenced")
    with unaware(app, proxy.endpoint_url) as reader:
        move(app, "write_target", stage="open")
        written(app, "after")
        proxy.inject(server_error(), times=1)
        assert reader.name("org-1") == ("dynamodb", "after")
        assert reader.causes() == {"failed": 1}, "PostgreSQL was asked, and its answer was not taken"
        with proxy.failing(server_error()), pytest.raises(ClientError):
            reader.name("org-1")
        with proxy.failing(server_error()), pytest.raises(ClientError):
            asyncio.run(reader.aname("org-1"))
        assert reader.causes() == {"failed": 1}


def test_an_instance_whose_lease_has_ended_asks_before_it_believes_postgresql(app: Application) -> None:
    app.commit("org-1", name="before")
    app.drain()
    with unaware(app) as reader:
        assert reader.name("org-1") == ("postgres", "before")
        move(app, "write_target", stage="open")
        written(app, "after")
        known = reader.router._lease._known  # noqa: SLF001 - as if its time was over
        reader.router._lease._known = known._replace(until=1.0)  # noqa: SLF001
        assert reader.name("org-1") == ("dynamodb", "after")
        reader.router._lease._known = known._replace(until=1.0)  # noqa: SLF001
        assert asyncio.run(reader.aname("org-1")) == ("dynamodb", "after")
        assert reader.causes() == {"phase": 1, "lease": 2}


@pytest.mark.uncovered
def test_an_instance_that_starts_waits_until_it_knows(app: Application) -> None:
    app.commit("org-1", name="before")
    app.drain()
    move(app, "write_target", stage="open")
    written(app, "after")
    place = app.migration.endpoint
    with Router(
        app.migration.model,
        app.migration.database.url,
        region=place.region,
        endpoint_url=place.endpoint_url,
        limits=LIMITS,
    ) as router:
        organizations = Repository(router, "ORGANIZATION", app.sessions)
        assert organizations.get(id="org-1").name == "after"
        assert router.counts["get ORGANIZATION"].postgres == {}


def test_a_source_that_has_no_phases_yet_is_the_master(app: Application) -> None:
    app.commit("org-1", name="Acme")
    app.migration.database.execute("DROP TABLE migrator.phases")
    with Reader.on(app) as reader:
        assert reader.name("org-1") == ("postgres", "Acme")
        assert reader.causes() == {"phase": 1}


def test_reads_are_not_compared_when_postgresql_is_not_the_master(app: Application) -> None:
    app.commit("org-1", name="Acme")
    app.drain()
    move(app, "read_target", 100)
    with unaware(app, sample=1.0, looks=(0.5,)) as reader:
        move(app, "write_target", stage="open")
        written(app, "after")
        reader.name("org-1")
        reader.router.masters.look()
        until(lambda: reader.router.counts[ORGANIZATION].sampled == {"skipped": 1})
        assert reader.name("org-1") == ("dynamodb", "after")
        assert reader.router.counts[ORGANIZATION].sampled == {"skipped": 1}


def sessions_of_reads(app: Application) -> int:
    with app.sessions() as session:
        return int(
            session.scalar(
                sa.text(
                    "SELECT count(*) FROM pg_stat_activity"
                    " WHERE datname = current_database() AND application_name = 'migrator reads'"
                )
            )
            or 0
        )


@pytest.mark.uncovered
def test_an_application_in_complete_goes_on_when_postgresql_is_switched_off(app: Application) -> None:
    app.commit("org-1", name="Acme")
    app.drain()
    move(app, "write_target", stage="open")
    with Reader.on(app) as reader:
        organizations = Repository(reader.router, "ORGANIZATION", app.sessions)
        assert organizations.get(id="org-1").name == "Acme"
        move(app, "complete")
        until(lambda: sessions_of_reads(app) == 0)
        name = urlsplit(app.migration.database.url).path.removeprefix("/")
        app.migration.database.sibling("postgres").execute(
            f'ALTER DATABASE "{name}" ALLOW_CONNECTIONS false',
            f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{name}'",  # noqa: S608 - a test's
        )
        with pytest.raises(sa.exc.OperationalError), app.sessions() as session:
            session.execute(sa.text("SELECT 1"))
        for number in range(3):
            with organizations.writing() as write:
                organizations.put(write, organization(organizations, f"org-{number}"), overwrite=True)
            assert organizations.get(id=f"org-{number}").name == "Acme"
            assert reader.name(f"org-{number}") == ("dynamodb", "Acme")
        reader.router.close()
        assert reader.name("org-1") == ("dynamodb", "Acme"), "that is known for good"
        environment = {name: value for name, value in os.environ.items() if not name.startswith("PG")}
        done = subprocess.run(
            [sys.executable, "-c", COMPLETE],
            cwd=ROOT,
            env=environment | {"DATABASE_URL": "postgresql://nobody@127.0.0.1:1/nothing", "PGHOST": "127.0.0.1"},
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert (done.stdout, done.stderr) == ("of a process without PostgreSQL\n", "")
        with reader.router:
            assert organizations.get(id="org-1").name == "of a process without PostgreSQL"


def test_a_repository_without_sessions_when_postgresql_is_the_master(app: Application) -> None:
    with Reader.on(app) as reader:
        organizations = Repository(reader.router, "ORGANIZATION")
        with pytest.raises(UnavailableError, match="PostgreSQL is the master, and the repository has no sessions"):
            organizations.get(id="org-1")
        write = organizations.writing()
        organizations.put(write, organization(organizations))
        with pytest.raises(UnavailableError, match="the repository has no sessions"), write:
            pass
