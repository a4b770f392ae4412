"""Blocks of changes while the writes move: each in the store that is the master, or in none."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from sqlalchemy.exc import DBAPIError

from migrator.app import is_fenced
from migrator.app.repository import FencedError, PausedError, Repository, UnavailableError
from migrator.errors import ConfigurationError
from tests.integration.app.application import until
from tests.integration.app.reading import LIMITS, move, routed
from tests.integration.app.test_repository import organization
from tests.integration.app.test_writing import LASTING, items, put, rows
from tests.support import orm

if TYPE_CHECKING:
    from tests.integration.app.application import Application


@pytest.mark.uncovered
def test_each_phase_has_its_master(app: Application) -> None:
    with routed(app) as router:
        organizations = Repository(router, "ORGANIZATION", app.sessions)

        def written(key: str) -> tuple[int, int]:
            put(organizations, organization(organizations, key))
            return rows(app), len(items(app))

        assert written("dual_write") == (1, 0)
        app.drain()
        move(app, "read_target", 100)
        assert written("read_target") == (2, 1)
        app.drain()
        move(app, "write_target", stage="fenced")
        with pytest.raises(
            PausedError, match=r"ORGANIZATION is not written at this moment: .*\(write_target, fenced\)"
        ):
            written("fenced")
        until(lambda: router.masters.is_sure("ORGANIZATION") is False)
        assert organizations.get(id="dual_write").name == "Acme"
        move(app, "write_target", stage="open")
        router.masters.look()
        assert written("open") == (2, 3)
        move(app, "write_target", stage="returning")
        router.masters.look()
        with pytest.raises(PausedError, match="write_target, returning"):
            written("returning")
        assert organizations.get(id="open").name == "Acme"
        move(app, "complete")
        router.masters.look()
        assert written("complete") == (2, 4)


def test_a_stale_writer_is_stopped_by_the_fence_and_goes_where_the_master_is(app: Application) -> None:
    with app.mirrored() as writer, routed(app, LASTING) as router:
        organizations = Repository(router, "ORGANIZATION", app.sessions)
        put(organizations, organization(organizations))
        app.drain()
        move(app, "write_target", stage="fenced")
        with pytest.raises(PausedError, match="fenced"):
            put(organizations, organization(organizations, "org-2"))
        move(app, "write_target", stage="open")
    with routed(app, LASTING) as router:
        organizations = Repository(router, "ORGANIZATION", app.sessions)
        assert organizations.get(id="org-1").name == "Acme"
        move(app, "dual_write")
        router.masters.look()
        put(organizations, organization(organizations, "org-2"))
        move(app, "write_target", stage="open")
        with pytest.raises(FencedError, match="PostgreSQL is not written any more"), app.sessions.begin() as session:
            organizations.put(session, organization(organizations, "org-3"))
        until(lambda: router.masters.is_moved("ORGANIZATION"))
        move(app, "dual_write")
        router.masters.look()
        move(app, "write_target", stage="open")
        [put_there] = put(organizations, organization(organizations, "org-3"))
        assert organizations.get(id="org-3") == put_there
        assert ("ORG#org-3", "METADATA") in items(app)
        with pytest.raises(FencedError, match="phase write_target"), app.sessions() as session:
            organizations.delete(session, put_there)
        with pytest.raises(FencedError), app.sessions() as session:
            organizations.get(session=session, id="org-3")
    assert rows(app) == 2
    with app.mirrored() as writer:
        with pytest.raises(DBAPIError) as raised, app.sessions.begin() as session:
            session.add(orm.organization("org-4"))
        assert is_fenced(raised.value)
        assert not is_fenced(KeyError())
        assert writer.counts.touched == 0


def test_whoever_cannot_renew_the_lease_does_not_write(app: Application) -> None:
    move(app, "write_target", stage="open")
    with routed(app, replace(LIMITS, deadline=0.5)) as router:
        organizations = Repository(router, "ORGANIZATION", app.sessions)
        put(organizations, organization(organizations))
        app.migration.database.execute("ALTER TABLE migrator.phases RENAME COLUMN model TO away")
        until(lambda: not router._lease.holds)  # noqa: SLF001 - as soon as it is not known any more
        with pytest.raises(UnavailableError, match="not known which store is the master"):
            put(organizations, organization(organizations, "org-2"))
        assert organizations.get(id="org-1").name == "Acme", "nobody else can answer"
        app.migration.database.execute("ALTER TABLE migrator.phases RENAME COLUMN away TO model")
        put(organizations, organization(organizations, "org-2"))
        router.close()
        with pytest.raises(UnavailableError, match="the router is closed"):
            put(organizations, organization(organizations, "org-3"))
    assert len(items(app)) == 2


def test_writes_that_have_moved_under_another_mapping(app: Application) -> None:
    move(app, "write_target", stage="open")
    app.migration.database.execute("UPDATE migrator.phases SET mapping_fingerprint = 'another'")
    with routed(app) as router:
        organizations = Repository(router, "ORGANIZATION", app.sessions)
        with pytest.raises(ConfigurationError, match="ORGANIZATION have moved under another mapping"):
            put(organizations, organization(organizations))
