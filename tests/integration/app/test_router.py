"""Reads follow the phase: which store answers, and what a context reads of its own writes."""

from __future__ import annotations

import asyncio
import threading
from typing import TYPE_CHECKING

import pytest
import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker, create_async_engine

from mappings.miyabi import schema
from migrator.app import OwnWrites, remembering
from migrator.app.question import place
from migrator.app.row_name import RowName
from tests.integration.app.application import until
from tests.integration.app.reading import BY_STATUS, LIMITS, Reader, move
from tests.support import orm
from tests.support.faults import Stall

if TYPE_CHECKING:
    from tests.integration.app.application import Application
    from tests.support.fault_proxy import FaultProxy


def in_another_context(reader: Reader, key: str) -> tuple[str, str | None]:
    """What somebody else is told."""
    told: list[tuple[str, str | None]] = []
    thread = threading.Thread(target=lambda: told.append(reader.name(key)))
    thread.start()
    thread.join()
    return told[0]


@pytest.mark.uncovered
def test_reads_follow_the_phase_forward_and_back(app: Application) -> None:
    app.commit("org-1", name="Acme")
    app.drain()
    with Reader.on(app) as reader:
        assert reader.name("org-1") == ("postgres", "Acme")
        assert reader.causes() == {"phase": 1}
        move(app, "read_target", 100)
        until(lambda: reader.name("org-1") == ("dynamodb", "Acme"))
        assert asyncio.run(reader.aname("org-1")) == ("dynamodb", "Acme")
        assert reader.name("org-2") == ("dynamodb", None)
        move(app, "read_target", 0)
        until(lambda: reader.name("org-1")[0] == "postgres")
        assert reader.causes()["percent"] > 0
        move(app, "write_target", stage="open")
        until(lambda: reader.name("org-1") == ("dynamodb", "Acme"))
        move(app, "dual_write")
        until(lambda: reader.name("org-1")[0] == "postgres")


@pytest.mark.uncovered
def test_a_share_of_the_keys_is_read_from_dynamodb(app: Application) -> None:
    keys = [f"org-{number}" for number in range(60)]
    app.commit(*keys)
    app.drain()
    move(app, "read_target", 30)
    with Reader.on(app) as reader:
        moved = {key for key in keys if reader.name(key)[0] == "dynamodb"}
    assert moved == {key for key in keys if place("ORGANIZATION", [key]) < 30}
    assert 5 < len(moved) < 35


def test_a_mapping_that_the_reads_have_not_moved_under(app: Application) -> None:
    move(app, "read_target", 100)
    app.migration.database.execute("UPDATE migrator.phases SET mapping_fingerprint = 'another'")
    with Reader.on(app) as reader:
        assert reader.name("org-1")[0] == "postgres"
        assert reader.causes() == {"mapping": 1}


def test_what_a_context_wrote_is_read_where_it_is(app: Application, proxy: FaultProxy) -> None:
    app.commit("org-1", "org-2", name="before")
    app.drain()
    move(app, "read_target", 100)
    with app.mirrored(endpoint_url=proxy.endpoint_url) as writer, Reader.on(app, writer) as reader:
        until(lambda: writer._worker is not None and writer._worker.followed is not None)  # noqa: SLF001 - its stores are open
        with proxy.failing(Stall(), on="PutItem"):
            with remembering() as own:
                app.commit("org-1", name="after")
                assert reader.name("org-1") == ("postgres", "after")
                assert reader.name("org-2") == ("dynamodb", "before")
                assert asyncio.run(reader.aname("org-1")) == ("postgres", "after")
            assert in_another_context(reader, "org-1") == ("dynamodb", "before")
            proxy.release()
        until(lambda: writer.counts.mirrored == 1)
        with remembering(own):
            until(lambda: reader.name("org-1") == ("dynamodb", "after"))
        assert reader.causes() == {"own_write": 2}


def test_a_task_reads_what_its_blocks_wrote(app: Application, proxy: FaultProxy) -> None:
    move(app, "read_target", 100)

    async def run() -> None:
        engine = create_async_engine(app.url(app.migration, "asyncpg"))
        sessions = async_sessionmaker(engine)
        writer = app.writer(endpoint_url=proxy.endpoint_url)
        writer.attach(sessions)
        async with writer:
            with Reader.on(app, writer) as reader, proxy.failing(Stall(), on="PutItem"):
                async with sessions.begin() as session:
                    session.add(orm.organization("org-1", "Acme"))
                assert await reader.aname("org-1") == ("postgres", "Acme")
                proxy.release()
        writer.detach()
        await engine.dispose()

    asyncio.run(run())


def test_a_task_reads_what_it_wrote_and_so_do_its_tasks(app: Application, proxy: FaultProxy) -> None:
    move(app, "read_target", 100)

    async def requests(reader: Reader, sessions: async_sessionmaker[AsyncSession]) -> None:
        with proxy.failing(Stall(), on="PutItem"), remembering():
            async with sessions.begin() as session:
                session.add(orm.organization("org-1", "Acme"))
            assert await reader.aname("org-1") == ("postgres", "Acme")

            async def by_another_task() -> None:
                async with sessions.begin() as session:
                    session.add(orm.organization("org-2", "of a task"))

            await asyncio.create_task(by_another_task())
            assert await reader.aname("org-2") == ("postgres", "of a task")
            proxy.release()

    async def run() -> None:
        engine = create_async_engine(app.url(app.migration, "asyncpg"))
        sessions = async_sessionmaker(engine)
        writer = app.writer(endpoint_url=proxy.endpoint_url)
        writer.attach(sessions)
        async with writer:
            with Reader.on(app, writer) as reader:
                await requests(reader, sessions)
        writer.detach()
        await engine.dispose()

    asyncio.run(run())


def test_a_question_about_many_rows_sees_the_contexts_own(app: Application) -> None:
    move(app, "read_target", 100)
    with app.mirrored(mode="inline", deadline=20.0) as writer, Reader.on(app, writer) as reader:
        with app.sessions.begin() as session:
            owner = orm.user(1)
            session.add(owner)
            session.flush()
            session.add(orm.task("task-1", owner.id, "running"))
        assert reader.tasks("running") == ("postgres", 1), "an index may be behind its table"
        until(lambda: reader.tasks("running") == ("dynamodb", 1))
        assert set(reader.causes(BY_STATUS)) == {"own_write"}


def test_rows_that_a_statement_changed_are_read_from_postgresql_until_no_mark_is_older(app: Application) -> None:
    app.commit("org-1", name="before")
    app.drain()
    move(app, "read_target", 100)
    with app.mirrored() as writer, Reader.on(app, writer) as reader:
        table = schema.organizations
        with app.sessions.begin() as session:
            session.execute(sa.update(orm.Organization).where(table.c.id == "org-1").values(name="after"))
        asyncio.run(asyncio.sleep(2 * LIMITS.lease))
        assert reader.name("org-1") == ("postgres", "after")
        app.drain()
        until(lambda: reader.name("org-1") == ("dynamodb", "after"))


@pytest.mark.uncovered
def test_with_the_mirror_off_own_writes_are_still_known(app: Application) -> None:
    app.commit("org-1", name="before")
    app.drain()
    move(app, "read_target", 100)
    with app.mirrored(mode="off") as writer, Reader.on(app, writer) as reader:
        app.commit("org-1", name="after")
        assert reader.name("org-1") == ("postgres", "after")
        assert writer.counts.touched == 0
        app.drain()
        until(lambda: reader.name("org-1") == ("dynamodb", "after"))


def test_own_writes_beyond_a_number_count_as_all_of_the_table() -> None:
    own = OwnWrites()
    own.note([RowName("organizations", (str(number),)) for number in range(2_000)], others=False)
    assert own.waits("organizations", ("nobody",), settled=0.0, quiet=0.0)
    assert not own.waits("users", ("nobody",), settled=0.0, quiet=0.0)
    assert not own.waits("organizations", ("nobody",), settled=float("inf"), quiet=0.0)
