"""What sessions commit reaches the target by the mirror alone: no relay runs here."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker, create_async_engine

from tests.integration.app.application import Application, until
from tests.support import orm

if TYPE_CHECKING:
    from collections.abc import AsyncIterator


@pytest.fixture
async def async_sessions(app: Application) -> AsyncIterator[async_sessionmaker[AsyncSession]]:
    engine = create_async_engine(app.url(app.migration, "asyncpg"))
    yield async_sessionmaker(engine)
    await engine.dispose()


def test_a_row_is_there_when_an_inline_commit_returns(app: Application) -> None:
    with app.mirrored(mode="inline", deadline=20.0) as writer:
        with app.sessions.begin() as session:
            session.add(orm.organization("org-1"))
        assert app.waiting() == 0
        assert app.differing() == []
        assert len(app.migration.items()) == 1
        assert (writer.counts.mirrored, writer.counts.late) == (1, 0)


@pytest.mark.uncovered
def test_insert_update_delete_and_a_moved_key(app: Application) -> None:
    owner = orm.user(1)
    with app.mirrored(mode="inline", deadline=20.0) as writer:
        with app.sessions() as session:
            session.add_all([owner, orm.organization("org-1"), orm.organization("org-2")])
            session.flush()
            session.add_all([orm.task(f"task-{number}", owner.id) for number in range(5)])
            session.add(orm.TaskDependency(task_id="task-1", depends_on_task_id="task-0", created_at=owner.created_at))
            session.commit()
            assert app.differing() == []
            session.get(orm.Task, "task-1").status = "done"
            session.get(orm.Organization, "org-1").id = "org-moved"
            session.delete(session.get(orm.Task, "task-2"))
            session.delete(session.get(orm.TaskDependency, ("task-1", "task-0")))
            session.commit()
        assert app.waiting() == 0
        assert app.differing() == []
        assert writer.counts.left == {"not_found": 1}, "the key that the moved row had is in the mark of its move"


def test_rows_that_go_with_their_parent_are_named_too(app: Application) -> None:
    now = orm.organization("x").created_at
    owner = orm.user(1)
    with app.sessions.begin() as session:
        session.execute(
            sa.text("INSERT INTO users (id, github_id, created_at, updated_at) VALUES (:id, 1, now(), now())"),
            {"id": owner.id},
        )
        session.execute(
            sa.text("INSERT INTO repositories (id, user_id, created_at, updated_at) VALUES ('r', :id, now(), now())"),
            {"id": owner.id},
        )
        session.execute(sa.text("DELETE FROM migrator.marks"))
    execution = orm.Execution(
        id="e", repository_id="r", agent_type="a", status="s", started_at=now, created_at=now, updated_at=now
    )
    execution.logs = [orm.Log(id=str(number), created_at=now) for number in range(3)]
    with app.mirrored(mode="inline", deadline=20.0), app.sessions() as session:
        session.add(execution)
        session.commit()
        assert app.waiting() == 0
        execution.logs.pop()
        session.commit()
        assert app.waiting() == 0, "the orphan was deleted by the flush"
        session.delete(execution)
        session.commit()
        assert app.waiting() == 0


@pytest.mark.uncovered
def test_in_the_background_a_commit_does_not_wait(app: Application) -> None:
    with app.mirrored() as writer:
        for number in range(30):
            with app.sessions.begin() as session:
                session.add(orm.organization(f"org-{number}"))
        until(lambda: writer.counts.mirrored == 30)
        assert app.waiting() == 0
        assert app.differing() == []


def test_what_is_queued_is_carried_over_when_the_writer_is_closed(app: Application) -> None:
    with app.mirrored() as writer, app.sessions.begin() as session:
        session.add_all([orm.organization(f"org-{number}") for number in range(20)])
    assert writer.counts.mirrored == 20
    assert app.waiting() == 0
    assert app.differing() == []


async def test_async_sessions_are_served_alike(
    app: Application, async_sessions: async_sessionmaker[AsyncSession]
) -> None:
    writer = app.writer(mode="inline", deadline=20.0)
    writer.attach(async_sessions)
    async with writer, async_sessions() as session:
        session.add(orm.organization("org-1"))
        await session.commit()
        assert writer.counts.mirrored == 1
        writer.mode = "background"
        await session.delete(await session.get_one(orm.Organization, "org-1"))
        await session.commit()
    assert writer.counts.mirrored == 2
    assert await app.migration.differing() == []
    writer.detach()


async def test_an_engine_of_either_kind_can_be_watched(
    app: Application, async_sessions: async_sessionmaker[AsyncSession]
) -> None:
    engine = async_sessions.kw["bind"]
    writer = app.writer(mode="inline", deadline=20.0)
    writer.attach(engine)
    async with writer:
        async with AsyncSession(engine) as session:
            session.add(orm.organization("org-1"))
            await session.commit()
        assert writer.counts.mirrored == 1
        # Sessions on another engine are not this writer's.
        with app.sessions.begin() as other:
            other.add(orm.organization("org-2"))
        assert writer.counts.touched == 1
    writer.detach()


def test_nothing_of_a_rollback_is_mirrored(app: Application) -> None:
    with app.mirrored(mode="inline", deadline=20.0) as writer, app.sessions() as session:
        session.add(orm.organization("org-1"))
        session.flush()
        session.rollback()
        session.add(orm.organization("org-kept"))
        savepoint = session.begin_nested()
        session.add(orm.organization("org-2"))
        session.flush()
        savepoint.rollback()
        with session.begin_nested():
            session.add(orm.organization("org-3"))
            with session.begin_nested() as inner:
                session.add(orm.organization("org-4"))
                session.flush()
                inner.rollback()
        session.commit()
        assert writer.counts.touched == 2
        assert writer.counts.mirrored == 2
        assert writer.counts.left == {}
        assert session.info == {}
        session.add(orm.organization("org-5"))
        session.flush()
        session.close()
        assert session.info == {}
    assert app.waiting() == 0
    assert len(app.migration.items()) == 2
    assert app.differing() == []


def test_statements_that_name_no_rows_are_left_to_the_relay_and_counted(app: Application) -> None:
    with app.mirrored(mode="inline", deadline=20.0) as writer:
        with app.sessions.begin() as session:
            session.execute(sa.insert(orm.Organization), [vars(orm.organization("org-1")) | {}])
        with app.sessions.begin() as session:
            session.execute(sa.update(orm.Organization).values(name="other"))
        assert writer.counts.left == {"unnamed": 2}
        assert writer.counts.touched == 0
    assert app.waiting() == 2


def test_a_large_transaction_is_named_in_part(app: Application) -> None:
    with app.mirrored(mode="inline", deadline=20.0) as writer:
        with app.sessions.begin() as session:
            session.add_all([orm.organization(f"org-{number}") for number in range(150)])
        assert writer.counts.left == {"too_many": 50}
        assert writer.counts.mirrored == 100
    assert app.waiting() == 50


def test_keys_of_every_type_are_found_in_the_form_that_marks_have(app: Application) -> None:
    owner = orm.user(7)
    with app.mirrored(mode="inline", deadline=20.0) as writer:
        with app.sessions.begin() as session:
            session.add_all([owner, orm.organization("Ünïcode 'quoted' \"#1\\"), orm.organization("")])
        assert (writer.counts.mirrored, writer.counts.left) == (3, {})
    assert app.waiting() == 0
