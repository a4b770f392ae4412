"""Tables that the mirror does not know, or must not touch: clear, counted, and nothing is lost."""

from __future__ import annotations

import asyncio
import re
import uuid
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from sqlalchemy.orm import sessionmaker

from migrator.app import DualWriter
from migrator.errors import UsageError
from migrator.mapping import Model
from migrator.postgres import phases
from tests.integration.app.application import LIMITS, Application, until
from tests.support import orm
from tests.support.project import as_role

if TYPE_CHECKING:
    from tests.support.migration import Migration

ROOT = Path(__file__).parents[3]


def warnings(caplog: pytest.LogCaptureFixture, words: str) -> list[str]:
    return [record.message for record in caplog.records if words in record.message]


def test_a_second_attach_is_refused(app: Application) -> None:
    with app.mirrored() as writer:
        with pytest.raises(UsageError, match="attached already") as refused:
            writer.attach(app.sessions)
        assert "detach()" in (refused.value.next_step or "")
        other = app.writer()
        with pytest.raises(UsageError, match="attached already"):
            other.attach(app.sessions)
        # Another model on the same sessions is another matter.
        another = DualWriter(Model("another", app.migration.model.entities))
        another.attach(app.sessions)
        another.detach()
    writer.attach(app.sessions)
    writer.detach()
    writer.detach()


@pytest.mark.parametrize("target", ["Session", object(), sessionmaker])
def test_what_is_no_sessionmaker_and_no_engine_is_refused(app: Application, target: object) -> None:
    with pytest.raises(UsageError, match="cannot be attached"):
        app.writer().attach(target)  # type: ignore[arg-type] # on purpose


def test_rows_of_a_table_that_the_mapping_does_not_know_are_not_touched(app: Application) -> None:
    model = app.migration.model
    known = Model(model.name, [each for each in model.entities if each.source_name != "organizations"])
    endpoint = app.migration.endpoint
    writer = DualWriter(
        known,
        app.migration.database.url,
        region=endpoint.region,
        endpoint_url=endpoint.endpoint_url,
        limits=LIMITS,
        mode="inline",
        deadline=20.0,
    )
    writer.attach(app.sessions)
    with writer:
        app.commit("org-1")
    writer.detach()
    assert (writer.counts.touched, app.waiting()) == (0, 1)


def test_a_table_without_capture_is_refused_until_it_has_it(app: Application, caplog: pytest.LogCaptureFixture) -> None:
    app.migration.database.execute("ALTER TABLE organizations DISABLE TRIGGER migrator_capture")
    owner = orm.user(1)
    with app.mirrored(mode="inline", deadline=20.0) as writer:
        with app.sessions.begin() as session:
            session.add_all([owner, orm.organization("org-1")])
        assert (writer.counts.mirrored, writer.counts.left) == (1, {"refused": 1})
        app.commit("org-2")
        [warning] = warnings(caplog, "organizations")
        assert "op.create_capture('organizations'" in warning
        assert "org-1" not in warning
        app.migration.database.execute("ALTER TABLE organizations ENABLE ALWAYS TRIGGER migrator_capture")

        def mirrored() -> bool:
            app.commit("org-3", name=str(writer.counts.touched))
            return writer.counts.mirrored > 1

        until(mirrored)


@pytest.mark.parametrize("inspection", [0.3, 60.0])
def test_a_schema_migration_in_the_middle_refuses_the_table_and_keeps_its_marks(
    app: Application, caplog: pytest.LogCaptureFixture, inspection: float
) -> None:
    limits = replace(LIMITS, inspection=inspection)
    with app.mirrored(mode="inline", deadline=20.0, limits=limits) as writer:
        app.commit("org-1")
        app.migration.database.execute("ALTER TABLE organizations RENAME COLUMN plan TO former_plan")
        if inspection < 1:
            until(lambda: bool(warnings(caplog, "column plan of public.organizations does not exist")))
        for number in range(2):
            # With a row of another table, which is none the worse for it.
            with app.sessions.begin() as session:
                session.add_all([orm.user(number), orm.slim(f"slim-{number}")])
        [warning] = warnings(caplog, "column plan of public.organizations does not exist")
        assert "alembic upgrade head" in warning
        assert (writer.counts.mirrored, writer.counts.left) == (3, {"refused": 2})
        assert app.waiting() == 2
    app.migration.database.execute("ALTER TABLE organizations RENAME COLUMN former_plan TO plan")
    app.drain()
    assert app.differing() == []


def test_a_table_that_is_as_the_mapping_says_again_is_mirrored_again(app: Application) -> None:
    app.migration.database.execute("ALTER TABLE organizations RENAME COLUMN plan TO former_plan")
    with app.mirrored(mode="inline", deadline=20.0) as writer:
        with app.sessions.begin() as session:
            session.add(orm.slim("slim"))
        assert writer.counts.left == {"refused": 1}
        app.migration.database.execute("ALTER TABLE organizations RENAME COLUMN former_plan TO plan")

        def mirrored() -> bool:
            app.commit("org-1", name=str(writer.counts.touched))
            return writer.counts.mirrored > 0

        until(mirrored)


def test_nothing_is_mirrored_in_prepare(prepared: Migration) -> None:
    with Application.on(prepared) as app, app.mirrored(mode="inline", deadline=20.0) as writer:
        app.commit("org-1")
        until(lambda: writer.counts.left["contended"] + writer.counts.left["phase"] == 1)
        app.commit("org-2")
        assert writer.counts.left["phase"] >= 1
        assert (writer.counts.mirrored, app.waiting(), prepared.items()) == (0, 2, [])


def test_the_phase_is_followed_within_a_lease(prepared: Migration) -> None:
    with Application.on(prepared) as app, app.mirrored(mode="inline", deadline=20.0) as writer:
        app.commit("org-1")
        assert writer.counts.mirrored == 0
        asyncio.run(_move(prepared, "dual_write"))

        def mirrored() -> bool:
            app.commit("org-2", name=str(writer.counts.touched))
            return writer.counts.mirrored > 0

        until(mirrored)
        asyncio.run(_move(prepared, "prepare"))
        before = writer.counts.mirrored
        app.commit("org-3")
        assert writer.counts.mirrored == before, "the snapshot reads the phase, whatever the lease says"


async def _move(migration: Migration, phase: phases.Phase) -> None:
    async with migration.session() as session:
        await phases.move(session, migration.model.name, [each.name for each in migration.model.entities], phase)


def test_a_key_that_dynamodb_does_not_take_is_set_aside(app: Application) -> None:
    with app.mirrored(mode="inline", deadline=20.0) as writer:
        app.commit("x" * 3000, "org-1")
        assert (writer.counts.mirrored, writer.counts.set_aside) == (1, 1)
    assert app.waiting() == 0


def test_the_grants_that_the_documentation_names_are_enough(app: Application) -> None:
    page = (ROOT / "docs/how-to/embed-the-adapter.md").read_text(encoding="utf-8")
    [grants] = re.findall(r"```sql\n(.*?)```", page, re.DOTALL)
    role = f"app_{uuid.uuid4().hex}"
    database = app.migration.database
    named = [grant.replace("TO app", f"TO {role}") for grant in grants.strip().split("\n")]
    tables = "GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA public"
    database.execute(f"CREATE ROLE {role} LOGIN PASSWORD 'secret'", *named, f"{tables} TO {role}")
    writer = app.writer(mode="inline", deadline=20.0)
    writer._place = replace(writer._place, database_url=as_role(database.url, role, "secret"))  # noqa: SLF001
    writer.attach(app.sessions)
    try:
        with writer:
            app.commit("org-1")
            with app.sessions.begin() as session:
                session.delete(session.get(orm.Organization, "org-1"))
        assert writer.counts.mirrored == 2, writer.counts
    finally:
        writer.detach()
        database.execute(f"DROP OWNED BY {role}", f"DROP ROLE {role}")
