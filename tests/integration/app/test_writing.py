"""Blocks of changes: made in the store that is the master, with the same locks and the same items whichever it is."""

from __future__ import annotations

import asyncio
from contextlib import contextmanager
from dataclasses import replace
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pytest
import sqlalchemy as sa
from sqlalchemy.ext.asyncio import async_sessionmaker, create_async_engine

from mappings.miyabi import schema
from migrator.app.repository import (
    AsyncRepository,
    ConflictError,
    FencedError,
    NotFoundError,
    PausedError,
    Repository,
    ThrottledError,
    UnavailableError,
)
from migrator.errors import UsageError
from tests.integration.app.reading import LIMITS, move, routed
from tests.integration.app.test_repository import NOW, fill, organization, user
from tests.support.faults import Cut, server_error, throttle

if TYPE_CHECKING:
    from collections.abc import Iterator

    from migrator.app import Router
    from migrator.app.repository import Record
    from migrator.mapping import WireItem
    from tests.integration.app.application import Application
    from tests.support.fault_proxy import FaultProxy

LASTING = replace(LIMITS, lease=60.0)
"""An instance that goes by the phase that it has heard of, until it is told otherwise."""


@contextmanager
def opened(app: Application, endpoint_url: str | None = None) -> Iterator[Router]:
    """A router, when DynamoDB is the master."""
    move(app, "write_target", stage="open")
    with routed(app, LASTING, endpoint_url) as router:
        yield router


def put(repository: Repository, *records: Record, overwrite: bool = False) -> list[Record]:
    with repository.writing() as write:
        return [repository.put(write, record, overwrite=overwrite) for record in records]


def delete(repository: Repository, record: Record) -> None:
    with repository.writing() as write:
        repository.delete(write, record)


def items(app: Application) -> dict[tuple[str, str], WireItem]:
    """What the table holds, by key."""
    return {(item["PK"]["S"], item["SK"]["S"]): item for item in app.migration.items()}


def rows(app: Application) -> int:
    with app.sessions() as session:
        return int(session.scalar(sa.select(sa.func.count()).select_from(schema.organizations)) or 0)


def test_a_record_is_written_where_its_items_are_as_it_was_read(app: Application) -> None:
    app.commit("org-1", name="before")
    app.drain()
    with routed(app, LASTING) as router:
        organizations = Repository(router, "ORGANIZATION", app.sessions)
        read = organizations.get(id="org-1")
        move(app, "write_target", stage="open")
        router.masters.look()
        [renamed] = put(organizations, read.model_copy(update={"name": "after"}))
        assert organizations.get(id="org-1") == renamed
        with pytest.raises(ConflictError, match="the row of ORGANIZATION has changed since it was read, in name"):
            put(organizations, read.model_copy(update={"plan": "free"}))
        with pytest.raises(ConflictError, match="there is a row of ORGANIZATION with this key"):
            put(organizations, organization(organizations))
        with pytest.raises(ConflictError, match="has changed since"):
            delete(organizations, read)
        [again] = put(organizations, renamed.model_copy(update={"plan": "free"}))
        [whatever] = put(organizations, organization(organizations, name="whatever"), overwrite=True)
        assert (again.plan, organizations.get(id="org-1").plan) == ("free", None)
        before = items(app)["ORG#org-1", "METADATA"]
        delete(organizations, whatever)
        with pytest.raises(NotFoundError, match="no such row of ORGANIZATION"):
            organizations.get(id="org-1")
        tombstone = items(app)["ORG#org-1", "METADATA"]
        assert set(tombstone) == {"PK", "SK", "_v", "_del"}
        assert int(tombstone["_v"]["N"]) > int(before["_v"]["N"])
        with pytest.raises(NotFoundError):
            delete(organizations, whatever)
        with pytest.raises(ConflictError, match="has been deleted since it was read"):
            put(organizations, whatever)
        [anew] = put(organizations, organization(organizations, name="anew"))
        assert organizations.get(id="org-1") == anew
    assert rows(app) == 1, "PostgreSQL is as it was"


def test_a_row_that_moves_leaves_tombstones_where_its_items_were(app: Application) -> None:
    with opened(app) as router:
        executions = Repository(router, "AGENT_EXECUTION", app.sessions)
        [made] = put(
            executions,
            executions.record(
                id="e", repository_id="r", agent_type="a", status="s", started_at=NOW, created_at=NOW, updated_at=NOW
            ),
        )
        [moved] = put(executions, made.model_copy(update={"repository_id": "other", "status": "done"}))
        held = {key: "_del" in item for key, item in items(app).items()}
        at = "2026-01-02T03:04:05Z"
        assert held == {
            ("REPO#r", f"EXEC#{at}#e"): True,
            ("REPO#other", f"EXEC#{at}#e"): False,
            ("EXEC#e", "METADATA"): False,
        }
        assert executions.get(id="e") == moved
        assert list(executions.query("AP3", repository_id="r")) == []
        # Whoever has not read it, and so does not know where its items are, is told of them by the one that it has.
        unread = executions.record(**moved.model_dump() | {"repository_id": "third"})
        put(executions, unread, overwrite=True)
        assert [each.id for each in executions.query("AP3", repository_id="third")] == ["e"]
        assert list(executions.query("AP3", repository_id="other")) == []
        with pytest.raises(ConflictError, match="there is a row of AGENT_EXECUTION"):
            put(executions, unread)
        delete(executions, unread)
        assert {"_del" in item for item in items(app).values()} == {True}


def test_rows_of_several_entities_are_written_together_or_not_at_all(app: Application) -> None:
    for stage in (None, "open"):
        if stage == "open":
            move(app, "write_target", stage="open")
        with routed(app) as router:
            users, members = (Repository(router, name, app.sessions) for name in ("USER", "ORG_MEMBER"))
            kim = user(users, 2 if stage else 1, name="Kim")
            membership = members.record(org_id="o", user_id=kim.id, permissions=("read",), joined_at=NOW)
            with users.writing() as write:
                written = users.put(write, kim)
                members.put(write, membership)
            changed = written.model_copy(update={"name": "Lee"})

            write = users.writing()
            users.put(write, changed)
            members.put(write, membership)
            with pytest.raises(ConflictError, match="there is a row of ORG_MEMBER"), write:
                pass
            write = users.writing()
            users.put(write, changed)
            with pytest.raises(KeyError), write:
                raise KeyError
            with users.writing() as write:
                users.delete(write, changed)
                with pytest.raises(UsageError, match="it has the row's change already"):
                    users.put(write, changed)
                write._changes.clear()  # noqa: SLF001 - the block is to end without any
            with pytest.raises(UsageError, match="it has ended"):
                users.put(write, changed)
            if stage is None:
                app.drain()
            assert users.get(id=kim.id).name == "Kim"
            assert members.get(org_id="o", user_id=kim.id).permissions == ("read",)


def test_entities_with_two_masters_are_not_written_together(app: Application) -> None:
    move(app, "write_target", stage="open")
    app.migration.database.execute(
        "UPDATE migrator.phases SET phase = 'dual_write', stage = NULL WHERE entity = 'USER'"
    )
    with routed(app) as router:
        users, organizations = (Repository(router, name, app.sessions) for name in ("USER", "ORGANIZATION"))
        write = users.writing()
        users.put(write, user(users))
        organizations.put(write, organization(organizations))
        with pytest.raises(UsageError, match="USER is written in PostgreSQL, ORGANIZATION in DynamoDB"), write:
            pass
    assert items(app) == {}


def plain(item: WireItem) -> WireItem:
    return {name: app_value(value) for name, value in item.items() if name != "_v"}


def app_value(value: Any) -> Any:  # noqa: ANN401 - an attribute's
    """A value of which the same ones are equal: numbers by their value."""
    match value:
        case {"N": number}:
            return Decimal(number)
        case dict():
            return {name: app_value(each) for name, each in value.items()}
        case list():
            return [app_value(each) for each in value]
    return value


def test_a_record_becomes_the_items_that_its_row_became(app: Application) -> None:
    asyncio.run(fill(app, 120))
    app.drain()
    before = {key: plain(item) for key, item in items(app).items()}
    compared = 0
    with opened(app) as router:
        for entity in app.migration.model.entities:
            repository = Repository(router, entity.name, app.sessions)
            with app.sessions() as session:
                found = session.execute(entity.source.select().limit(4)).mappings().all()
            for row in found:
                get = next(iter(repository._items._gets.values()))  # noqa: SLF001 - any of them
                read = repository.get(**{name: row[name] for name in get.parameters})
                delete(repository, read)
                put(repository, repository.record(**read.model_dump()))
                compared += 1
    after = {key: plain(item) for key, item in items(app).items()}
    assert compared > 20
    assert after == before


def test_values_that_a_column_does_not_hold(app: Application) -> None:
    with opened(app) as router:
        executions, organizations = (
            Repository(router, name, app.sessions) for name in ("AGENT_EXECUTION", "ORGANIZATION")
        )
        record = executions.record(
            id="e", repository_id="r", agent_type="a", status="s", started_at=NOW, created_at=NOW, updated_at=NOW,
            quality_score=Decimal("98.445"),
        )  # fmt: skip
        [written] = put(executions, record)
        assert written.quality_score == executions.get(id="e").quality_score == Decimal("98.45"), "as PostgreSQL rounds"
        for values, why in (
            ({"quality_score": Decimal("1E9")}, "column quality_score: a number of at most"),
            ({"pr_number": 1 << 40}, "column pr_number: a whole number of at most 32 bits"),
            ({"status": "a\0b"}, "column status: text with U"),
        ):
            with pytest.raises(UsageError, match=why):
                put(executions, written.model_copy(update=values))
        exact = {"large": 12345678901234567890, "small": 0.1, "text": "é"}
        put(organizations, organization(organizations, settings=exact))
        assert organizations.get(id="org-1").settings == exact


@pytest.mark.uncovered
def test_many_who_write_at_once_do_not_lose_a_write(app: Application) -> None:
    with opened(app) as router:
        organizations = Repository(router, "ORGANIZATION", app.sessions)
        put(organizations, organization(organizations, github_org_id=0))

        async def add(_: int) -> None:
            while True:
                read = await asyncio.to_thread(organizations.get, id="org-1")
                more = read.model_copy(update={"github_org_id": read.github_org_id + 1})
                try:
                    await asyncio.to_thread(put, organizations, more)
                except ConflictError:
                    continue
                return

        async def all_of_them() -> None:
            await asyncio.gather(*map(add, range(8)))

        asyncio.run(all_of_them())
        assert organizations.get(id="org-1").github_org_id == 8


def test_an_answer_that_is_lost_is_no_conflict(app: Application, proxy: FaultProxy) -> None:
    with opened(app, proxy.endpoint_url) as router:
        organizations, executions = (
            Repository(router, name, app.sessions) for name in ("ORGANIZATION", "AGENT_EXECUTION")
        )
        proxy.inject(Cut("after"), on="PutItem", times=1)
        [made] = put(organizations, organization(organizations))
        proxy.inject(Cut("after"), on="TransactWriteItems", times=1)
        put(
            executions,
            executions.record(
                id="e", repository_id="r", agent_type="a", status="s", started_at=NOW, created_at=NOW, updated_at=NOW
            ),
        )
        assert (proxy.seen["PutItem"], proxy.seen["TransactWriteItems"]) == (2, 2)
        put(organizations, made.model_copy(update={"name": "after"}))
        assert executions.get(id="e").status == "s"


def test_a_dynamodb_that_fails_is_told_in_the_repositorys_words(app: Application, proxy: FaultProxy) -> None:
    move(app, "write_target", stage="open")
    with routed(app, replace(LASTING, deadline=0.5, write=0.5), proxy.endpoint_url) as router:
        organizations = Repository(router, "ORGANIZATION", app.sessions)
        for fault, error in ((server_error(), UnavailableError), (throttle(), ThrottledError)):
            with proxy.failing(fault), pytest.raises(error, match="write ORGANIZATION") as raised:
                put(organizations, organization(organizations))
            assert "not known whether it was written" in str(raised.value.safe)
        put(organizations, organization(organizations))


def test_the_same_on_an_event_loop(app: Application) -> None:
    async def run(router: Router) -> None:
        engine = create_async_engine(app.url(app.migration, "asyncpg"))
        sessions = async_sessionmaker(engine)
        users, members = AsyncRepository(router, "USER", sessions), AsyncRepository(router, "ORG_MEMBER", sessions)

        async def both(number: int) -> Record:
            kim = user(users, number, name="Kim")
            async with users.writing() as write:
                written = await users.put(write, kim)
                await members.put(write, members.record(org_id="o", user_id=kim.id, joined_at=NOW))
            return written

        first = await both(1)
        await asyncio.to_thread(app.drain)
        await asyncio.to_thread(move, app, "write_target", 0, "fenced")
        with pytest.raises(PausedError):
            await both(2)
        await asyncio.to_thread(move, app, "write_target", 0, "open")
        await router.masters.alook()
        second = await both(2)
        async with users.writing() as write:
            await users.put(write, first.model_copy(update={"name": "Lee"}))
            await users.delete(write, second)
        assert [each.name async for each in users.query("AP1", id=first.id)] == ["Lee"]
        with pytest.raises(ConflictError):
            async with users.writing() as write:
                await users.put(write, first)
        with pytest.raises(NotFoundError):
            await users.get(id=second.id)
        with pytest.raises(FencedError):
            async with sessions() as session:
                await users.put(session, first)
        with pytest.raises(FencedError):
            async with sessions() as session:
                await users.get(session=session, id=first.id)
        await engine.dispose()

    with routed(app, LASTING) as router:
        asyncio.run(run(router))
