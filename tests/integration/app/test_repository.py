"""Repositories on both stores: the same records from either, writes with their locks, and no store's own errors."""

from __future__ import annotations

import asyncio
import uuid
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from itertools import islice
from typing import TYPE_CHECKING, Any

import asyncpg
import pytest
from sqlalchemy import create_engine
from sqlalchemy.ext.asyncio import async_sessionmaker, create_async_engine
from sqlalchemy.orm import sessionmaker

from mappings.miyabi.sample import rows
from migrator.app.repository import (
    AsyncRepository,
    ConflictError,
    NotFoundError,
    Repository,
    ThrottledError,
    UnavailableError,
)
from migrator.sandbox.loading import load
from tests.integration.app.application import until
from tests.integration.app.reading import LIMITS, Reader, move, routed
from tests.support.faults import Cut, Stall, server_error, throttle

if TYPE_CHECKING:
    from migrator.app import Router
    from migrator.app.repository import Record
    from tests.integration.app.application import Application
    from tests.support.fault_proxy import FaultProxy

NOW = datetime(2026, 1, 2, 3, 4, 5, 678900, tzinfo=UTC)


def put(app: Application, repository: Repository, *records: Record) -> list[Record]:
    with app.sessions.begin() as session:
        return [repository.put(session, record) for record in records]


def organization(repository: Repository, key: str = "org-1", **values: Any) -> Record:  # noqa: ANN401 - of any column
    return repository.record(**{"id": key, "name": "Acme", "created_at": NOW, "updated_at": NOW, **values})


def user(users: Repository | AsyncRepository, number: int = 1, **values: Any) -> Record:  # noqa: ANN401 - as above
    key = uuid.uuid5(uuid.NAMESPACE_OID, str(number))
    return users.record(id=key, github_id=number, created_at=NOW, updated_at=NOW, **values)


def task(tasks: Repository, number: int, owner: Record, status: str = "open") -> Record:
    at = NOW + timedelta(seconds=number)
    return tasks.record(
        id=f"task-{number}", user_id=owner.id, name="a task", status=status, created_at=at, updated_at=at
    )


async def fill(app: Application, total: int) -> None:
    session = await asyncpg.connect(app.migration.database.url)
    try:
        await load(session, rows(total, 7, datetime.now(UTC)))
    finally:
        await session.close()


def test_either_store_gives_the_same_records_and_answers(app: Application) -> None:
    asyncio.run(fill(app, 300))
    app.drain()
    move(app, "read_target", 100)
    model, asked = app.migration.model, 0
    with routed(app) as router:
        for entity in model.entities:
            repository = Repository(router, entity.name, app.sessions)
            patterns = [pattern for pattern in model.patterns if pattern.entity.name == entity.name]
            with app.sessions() as session:
                found = session.execute(entity.source.select().limit(8)).mappings().all()
                for row in found:
                    for pattern in patterns:
                        values = {name: row[name] for name in pattern.parameters}
                        if None in values.values():
                            continue
                        by_key = list(repository.query(pattern.id, **values))
                        by_sql = list(repository.query(pattern.id, session=session, **values))
                        key_of = repository._items.shape.key_of  # noqa: SLF001 - ties of an index are in no order
                        assert sorted(by_key, key=key_of) == sorted(by_sql, key=key_of), pattern.id
                        assert by_key, pattern.id
                        asked += 1
                    key = next(get.parameters for get in repository._items._gets.values())  # noqa: SLF001 - any of them
                    values = {name: row[name] for name in key}
                    assert repository.get(**values) == repository.get(session=session, **values)
        assert asked > 80
        assert {cause for counts in router.counts.values() for cause in counts.postgres} == set()


@pytest.mark.uncovered
def test_values_are_the_columns_own(app: Application) -> None:
    move(app, "read_target", 100)
    with routed(app) as router:
        organizations = Repository(router, "ORGANIZATION", app.sessions)
        settings = {"a": [1, 2.5, None, {"b": "c"}], "large": 12345678901234567890}
        put(app, organizations, organization(organizations, settings=settings, github_org_id=7))
        users, repositories = (Repository(router, name, app.sessions) for name in ("USER", "REPOSITORY"))
        executions = Repository(router, "AGENT_EXECUTION", app.sessions)
        owner = put(app, users, user(users))[0]
        put(app, repositories, repositories.record(id="repo", user_id=owner.id, created_at=NOW, updated_at=NOW))
        execution = executions.record(
            id="exec",
            repository_id="repo",
            agent_type="codegen",
            status="running",
            started_at=NOW,
            quality_score=Decimal("98.499"),
            created_at=NOW,
            updated_at=NOW,
        )
        [written] = put(app, executions, execution)
        assert written.quality_score == Decimal("98.5"), "as PostgreSQL has rounded it"
        put(app, executions, written.model_copy(update={"pr_number": 1}))
        app.drain()
        found = organizations.get(id="org-1")
        assert (found.settings, found.github_org_id, type(found.github_org_id)) == (settings, 7, int)
        assert found.created_at == NOW
        assert executions.get(id="exec").quality_score == Decimal("98.5")
        assert executions.get(id="exec") == executions.get(repository_id="repo", started_at=NOW, id="exec")
        assert [each.id for each in executions.query("executions-by-kind", agent_type="codegen")] == ["exec"]
        assert users.get(id=owner.id).id == owner.id
        assert all(counts.dynamodb and not counts.postgres for counts in router.counts.values())
        with pytest.raises(NotFoundError, match="no such row of ORGANIZATION"):
            organizations.get(id="org-2")


def test_a_record_is_written_where_it_is_as_it_was_read(app: Application) -> None:
    with routed(app) as router:
        organizations = Repository(router, "ORGANIZATION", app.sessions)
        [made] = put(app, organizations, organization(organizations))
        app.drain()
        with pytest.raises(ConflictError, match="there is a row of ORGANIZATION"):
            put(app, organizations, organization(organizations))
        move(app, "read_target", 100)
        until(lambda: organizations.get(id="org-1") is not None and "get ORGANIZATION" in router.counts)
        until(lambda: bool(organizations.get(id="org-1")) and router.counts["get ORGANIZATION"].dynamodb > 0)
        read = organizations.get(id="org-1")
        [renamed] = put(app, organizations, read.model_copy(update={"name": "Other"}))
        with pytest.raises(ConflictError, match="has changed since it was read, in name"):
            put(app, organizations, made.model_copy(update={"plan": "free"}))
        assert put(app, organizations, renamed.model_copy(update={"plan": "free"}))[0].name == "Other"
        with app.sessions.begin() as session:
            organizations.put(session, organization(organizations, name="Whatever"), overwrite=True)
            assert organizations.get(session=session, id="org-1").name == "Whatever", "read within the transaction"
            with pytest.raises(ConflictError):
                organizations.delete(session, renamed)
            organizations.delete(session, organizations.get(session=session, id="org-1"))
        with app.sessions() as session, pytest.raises(NotFoundError):
            organizations.delete(session, made)
        with pytest.raises(ConflictError, match="has been deleted since"):
            put(app, organizations, made)
        app.drain()
        with pytest.raises(NotFoundError):
            organizations.get(id="org-1")
        assert app.differing() == []


@pytest.mark.uncovered
def test_two_who_write_at_once_do_not_lose_a_write(app: Application) -> None:
    with routed(app) as router:
        organizations = Repository(router, "ORGANIZATION", app.sessions)
        put(app, organizations, organization(organizations, github_org_id=0))

        async def add(_: int) -> int:
            conflicts = 0
            while True:
                read = await asyncio.to_thread(organizations.get, id="org-1")
                more = read.model_copy(update={"github_org_id": read.github_org_id + 1})
                try:
                    await asyncio.to_thread(put, app, organizations, more)
                except ConflictError:
                    conflicts += 1
                else:
                    return conflicts

        async def all_of_them() -> int:
            return sum(await asyncio.gather(*map(add, range(12))))

        conflicts = asyncio.run(all_of_them())
        assert organizations.get(id="org-1").github_org_id == 12
        assert conflicts > 0


def test_a_user_and_its_membership_are_written_together(app: Application) -> None:
    move(app, "read_target", 100)
    with app.mirrored(mode="inline", deadline=20.0) as writer, Reader.on(app, writer) as reader:
        users, members = (Repository(reader.router, name, app.sessions) for name in ("USER", "ORG_MEMBER"))
        somebody = user(users, org_role="admin")
        membership = members.record(org_id="org-1", user_id=somebody.id, permissions=("read", "write"), joined_at=NOW)
        with app.sessions.begin() as session:
            users.put(session, somebody)
            members.put(session, membership)
        assert writer.counts.mirrored == 2, writer.counts
        found = members.get(org_id="org-1", user_id=somebody.id)
        assert (found.permissions, users.get(id=somebody.id).org_role) == (("read", "write"), "admin")
        assert reader.router.counts["get ORG_MEMBER"].dynamodb == 1
        other = user(users, 2)
        with app.sessions() as session:
            members.put(session, members.record(org_id="org-2", user_id=other.id, joined_at=NOW))
            with pytest.raises(ConflictError, match="unique values"):
                users.put(session, other.model_copy(update={"github_id": somebody.github_id}))
        with pytest.raises(NotFoundError):
            members.get(org_id="org-2", user_id=other.id)
    assert app.differing() == []


@pytest.mark.uncovered
def test_pages_are_read_as_they_are_taken_and_what_is_gone_is_passed_over(app: Application, proxy: FaultProxy) -> None:
    move(app, "read_target", 100)
    with routed(app, endpoint_url=proxy.endpoint_url) as router:
        users, tasks = (Repository(router, name, app.sessions) for name in ("USER", "TASK"))
        [owner] = put(app, users, user(users))
        put(app, tasks, *(task(tasks, number, owner) for number in range(100, 350)))
        app.drain()
        with app.sessions.begin() as session:
            for record in islice(tasks.query("AP6", session=session, user_id=owner.id), 120):
                tasks.delete(session, record)
        app.drain()
        before = proxy.seen["Query"]
        first = list(islice(tasks.query("AP6", user_id=owner.id), 1))
        assert [each.id for each in first] == ["task-220"]
        assert proxy.seen["Query"] - before == 2, "120 tombstones fill the first page"
        assert [each.id for each in tasks.query("AP6", user_id=owner.id, limit=3)] == [
            f"task-{number}" for number in (220, 221, 222)
        ]
        assert len(list(tasks.query("AP6", user_id=owner.id))) == 130
        assert router.counts["AP6"].postgres == {}


@pytest.mark.uncovered
def test_expired_rows_are_in_no_answer(app: Application) -> None:
    move(app, "read_target", 100)
    with routed(app) as router:
        users, sockets = (Repository(router, name, app.sessions) for name in ("USER", "WEBSOCKET"))
        [owner] = put(app, users, user(users))
        ends = int(datetime.now(UTC).timestamp()) + 3
        for key, ttl in (("soon", ends), ("later", ends + 3600), ("never", None)):
            put(app, sockets, sockets.record(id=key, user_id=owner.id, connected_at=NOW, ttl=ttl))
        app.drain()

        def ids(**options: Any) -> list[str]:  # noqa: ANN401 - the query's own
            return [each.id for each in sockets.query("user-connections", user_id=owner.id, **options)]

        until(lambda: ids() == ["later", "never"])
        with app.sessions() as session:
            until(lambda: ids(session=session) == ["later", "never"])
        with pytest.raises(NotFoundError):
            sockets.get(id="soon")
        assert sockets.get(id="later").user_id == owner.id


def test_an_answer_goes_on_in_postgresql_where_dynamodb_fails_in_its_middle(
    app: Application, proxy: FaultProxy
) -> None:
    move(app, "read_target", 100)
    with routed(app, replace(LIMITS, deadline=0.5, failures=99), proxy.endpoint_url) as router:
        users, tasks = (Repository(router, name, app.sessions) for name in ("USER", "TASK"))
        [owner] = put(app, users, user(users))
        put(app, tasks, *(task(tasks, number, owner) for number in range(100, 350)))
        app.drain()
        expected = [f"task-{number}" for number in range(100, 350)]
        for fault in (throttle(), server_error(), Cut("before"), Stall()):
            found = tasks.query("AP6", user_id=owner.id)
            ids = [each.id for each in islice(found, 150)]
            with proxy.failing(fault):
                ids += [each.id for each in found]
            proxy.release()
            assert ids == expected
        assert sum(router.counts["AP6"].postgres.values()) == 4


@pytest.mark.uncovered
def test_where_dynamodb_is_the_master_its_failures_are_told_in_the_repositorys_words(
    app: Application, proxy: FaultProxy
) -> None:
    app.commit("org-1", name="Acme")
    app.drain()
    move(app, "write_target", stage="open")
    with routed(app, replace(LIMITS, deadline=2.5), proxy.endpoint_url) as router:
        organizations = Repository(router, "ORGANIZATION", app.sessions)
        router.target.ask(lambda _: asyncio.sleep(0)).result(20)
        assert organizations.get(id="org-1").name == "Acme"
        for fault, error in ((server_error(), UnavailableError), (throttle(), ThrottledError)):
            with proxy.failing(fault), pytest.raises(error) as raised:
                organizations.get(id="org-1")
            assert "org-1" not in str(raised.value)
        with proxy.failing(Stall()), pytest.raises(UnavailableError):
            organizations.get(id="org-1")
        proxy.release()


def test_a_postgresql_that_does_not_answer(app: Application) -> None:
    nowhere = sessionmaker(create_engine("postgresql+psycopg://nobody@127.0.0.1:1/nothing"))
    with routed(app) as router:
        organizations = Repository(router, "ORGANIZATION", nowhere)
        with pytest.raises(UnavailableError, match="PostgreSQL does not answer"):
            organizations.get(id="org-1")
        with nowhere() as session, pytest.raises(UnavailableError):
            organizations.put(session, organization(organizations))


def test_the_same_on_an_event_loop(app: Application, proxy: FaultProxy) -> None:
    move(app, "read_target", 100)

    async def run(router: Router) -> None:
        engine = create_async_engine(app.url(app.migration, "asyncpg"))
        sessions = async_sessionmaker(engine)
        users, members = AsyncRepository(router, "USER", sessions), AsyncRepository(router, "ORG_MEMBER", sessions)
        somebody = user(users, name="Kim")
        async with sessions.begin() as session:
            await users.put(session, somebody)
            for number in range(5):
                await members.put(session, members.record(org_id="org-1", user_id=uuid.UUID(int=number), joined_at=NOW))
            assert (await users.get(session=session, id=somebody.id)).name == "Kim"
        await asyncio.to_thread(app.drain)
        read = await users.get(id=somebody.id)
        async with sessions.begin() as session:
            await users.put(session, read.model_copy(update={"name": "Lee"}))
        with pytest.raises(ConflictError):
            async with sessions.begin() as session:
                await users.put(session, read)
        found = [each.user_id async for each in members.query("organization-members", org_id="org-1")]
        assert found == [uuid.UUID(int=number) for number in range(5)]
        assert [each async for each in members.query("organization-members", org_id="org-1", limit=0)] == []
        with proxy.failing(server_error()):
            again = [each.user_id async for each in members.query("organization-members", org_id="org-1", limit=3)]
        assert again == found[:3]
        async with sessions.begin() as session:
            await users.delete(session, await users.get(session=session, id=somebody.id))
        await asyncio.to_thread(app.drain)
        with pytest.raises(NotFoundError):
            await users.get(id=somebody.id)
        await engine.dispose()

    with routed(app, replace(LIMITS, deadline=2.0), proxy.endpoint_url) as router:
        asyncio.run(run(router))
        assert router.counts["get USER"].dynamodb == 2


def test_a_router_that_closes_while_it_is_asked_cancels_nobody(app: Application, proxy: FaultProxy) -> None:
    app.commit("org-1", name="Acme")
    app.drain()
    move(app, "read_target", 100)

    async def run(router: Router) -> None:
        engine = create_async_engine(app.url(app.migration, "asyncpg"))
        organizations = AsyncRepository(router, "ORGANIZATION", async_sessionmaker(engine))
        with proxy.failing(Stall()):
            reading = asyncio.create_task(organizations.get(id="org-1"))
            await asyncio.to_thread(proxy.wait_for, "GetItem", 1)
            await router.aclose()
            assert (await reading).name == "Acme"
        proxy.release()
        await engine.dispose()

    with routed(app, replace(LIMITS, deadline=30.0), proxy.endpoint_url) as router:
        asyncio.run(run(router))
        assert router.counts["get ORGANIZATION"].postgres == {"failed": 1}
