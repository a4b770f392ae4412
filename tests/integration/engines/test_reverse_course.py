"""What carrying back goes through: appliers that are cut off or take turns, phases, fences and streams that change."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, ClassVar

import pytest

from migrator.engines import reverse
from migrator.errors import GateError, TargetError
from migrator.mapping import Model
from migrator.postgres import streams
from tests.support.faults import Aged, ByTtl, Hold
from tests.support.library import author, book
from tests.support.target import create

if TYPE_CHECKING:
    from migrator.errors import MigratorError
    from migrator.postgres.connection import Connection
    from tests.support.fault_proxy import FaultProxy
    from tests.support.library import Library

SHELVED = ("SHELF#A", "BOOK#b")


@dataclass
class Heard(reverse.Silent):
    """A listener that remembers."""

    stop: asyncio.Event = field(default_factory=asyncio.Event)
    applied: asyncio.Event = field(default_factory=asyncio.Event)
    failures: list[MigratorError] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    refusals: list[tuple[str, str]] = field(default_factory=list)

    def progressed(self, outcome: reverse.Outcome) -> None:  # noqa: ARG002
        self.applied.set()

    def warned(self, sentence: str) -> None:
        self.warnings.append(sentence)

    def refused(self, entity: str, reason: str) -> None:
        self.refusals.append((entity, reason))

    def failed(self, error: MigratorError, pause: float) -> None:  # noqa: ARG002
        self.failures.append(error)


async def until_waiting(session: Connection) -> None:
    """Return when a session waits for another."""
    while not await session.fetchval("SELECT count(*) FROM pg_locks WHERE NOT granted AND locktype <> 'advisory'"):
        pass


@pytest.fixture
async def shelved(library: Library) -> Library:
    """An author and a book, in both stores."""
    library.put("AUTHOR", author(1, "Jane"))
    library.put("BOOK", book("b", "Emma"))
    await library.back()
    return library


@pytest.mark.uncovered
async def test_what_ttl_has_removed_is_not_carried_back(shelved: Library, proxy: FaultProxy) -> None:
    proxy.inject(ByTtl())
    # A change that was not carried back in time can not be any more; the row stays as it was.
    shelved.put("BOOK", book("b", "Lady Susan"))
    shelved.remove(*SHELVED)
    outcome = await shelved.through(proxy.endpoint_url).back()
    assert (outcome.applied, outcome.deleted, outcome.refused) == (0, 0, 0)
    assert await shelved.rows("books", "title") == [("Emma",)]


async def test_a_removal_by_somebody_who_leaves_no_tombstone_is_carried_back(shelved: Library) -> None:
    shelved.remove(*SHELVED)
    assert (await shelved.back()).deleted == 1


async def test_an_applier_that_has_waited_finds_the_phase_over(library: Library) -> None:
    library.put("AUTHOR", author(1, "Jane"))
    async with library.migration.session() as session:
        async with session.transaction():
            await session.execute("LOCK TABLE authors IN ACCESS EXCLUSIVE MODE")
            task = asyncio.create_task(library.back())
            await until_waiting(session)
            await session.execute("UPDATE migrator.phases SET phase = 'dual_write', stage = NULL")
        assert (await task).applied == 0
    assert await library.rows("authors") == await library.rows("migrator.stream_positions") == []


async def test_a_move_waits_for_an_applier_at_work(library: Library, proxy: FaultProxy) -> None:
    library.put("AUTHOR", author(1, "Jane"))
    proxy.inject(Hold(), on="BatchGetItem", times=1)
    carrying = asyncio.create_task(library.through(proxy.endpoint_url).back())
    await asyncio.to_thread(proxy.wait_for, "BatchGetItem", 1)
    moving = asyncio.create_task(library.move("dual_write"))
    async with library.migration.session() as session:
        await until_waiting(session)
    await asyncio.to_thread(proxy.release)
    assert (await carrying).applied == 1
    await moving
    assert await library.rows("authors") == [(1, "Jane")]


@pytest.mark.parametrize("at", ["reading", "writing"])
async def test_an_applier_that_is_cut_off_has_done_nothing(shelved: Library, proxy: FaultProxy, at: str) -> None:
    before = await shelved.rows("migrator.stream_positions", "shard, position")
    shelved.put("AUTHOR", author(1, "Jane A."), author(2, "Anne"))
    async with shelved.migration.session() as session, session.transaction():
        if at == "reading":
            proxy.inject(Hold(), on="BatchGetItem", times=1)
        else:
            await session.execute("SELECT FROM authors FOR UPDATE")
        task = asyncio.create_task(shelved.through(proxy.endpoint_url).back())
        await asyncio.to_thread(proxy.wait_for, "BatchGetItem", 1)
        if at == "writing":
            await until_waiting(session)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
    assert await shelved.rows("authors") == [(1, "Jane")]
    assert await shelved.rows("migrator.stream_positions", "shard, position") == before
    await asyncio.to_thread(proxy.release)
    assert (await shelved.back()).applied == 2
    assert await shelved.rows("authors") == [(1, "Jane A."), (2, "Anne")]


async def test_a_write_past_the_fence_is_told(shelved: Library) -> None:
    async with shelved.migration.session() as session:
        await session.execute("ALTER TABLE authors DISABLE TRIGGER migrator_fence")
        await session.execute("UPDATE authors SET name = 'Anne'")
    shelved.put("AUTHOR", author(1, "Jane A."))
    with pytest.raises(GateError, match=r"written to public\.authors past the fence"):
        await shelved.back()
    assert await shelved.marks() == 1
    assert await shelved.rows("authors", "name") == [("Anne",)]


async def test_a_fence_that_is_not_whole_is_told(shelved: Library) -> None:
    heard = Heard()
    async with shelved.migration.session() as session:
        await session.execute("DROP TRIGGER migrator_fence ON books")
    await shelved.carrying(heard, heard.stop, until_drained=True)
    assert [sentence.partition(" is not whole")[0] for sentence in heard.warnings] == ["the fence of public.books"]


@pytest.mark.uncovered
async def test_a_stream_that_is_turned_off_is_refused_and_another_one_is(shelved: Library) -> None:
    shelved.client.update_table(TableName=shelved.table, StreamSpecification={"StreamEnabled": False})
    with pytest.raises(TargetError, match="is not on"):
        await shelved.back()
    async with shelved.migration.session() as session:
        await session.execute("UPDATE migrator.stream_positions SET stream = stream || '-before'")
    shelved.client.update_table(
        TableName=shelved.table, StreamSpecification={"StreamEnabled": True, "StreamViewType": "KEYS_ONLY"}
    )
    with pytest.raises(TargetError, match="another one than was read"):
        await shelved.back()
    async with shelved.migration.session() as session:
        await streams.returned(session, shelved.migration.model, shelved.migration.model.entities)
        # An entity is carried back still.
        assert await session.fetchval("SELECT count(*) FROM migrator.stream_positions") > 0
        await session.execute("UPDATE migrator.phases SET phase = 'dual_write', stage = NULL")
        await streams.returned(session, shelved.migration.model, shelved.migration.model.entities)
    await shelved.move("write_target", "open")
    assert (await shelved.back()).refused == 0


@pytest.mark.parametrize(
    "aging",
    [
        "UPDATE migrator.stream_positions SET position = 'beginning 1'",
        "DELETE FROM migrator.stream_positions; UPDATE migrator.phases SET changed_at = now() - interval '1 day'",
    ],
)
async def test_a_stream_that_was_not_read_for_a_day_is_refused(shelved: Library, aging: str) -> None:
    async with shelved.migration.session() as session:
        await session.execute(aging)
    with pytest.raises(TargetError, match="changes have gone unread"):
        await shelved.back()


@pytest.mark.uncovered
async def test_several_appliers_take_turns(library: Library) -> None:
    library.put("AUTHOR", *(author(number, "Jane") for number in range(1, 21)))
    outcomes = await asyncio.gather(*(library.back(batch=3) for _ in range(3)))
    assert sum(each.applied for each in outcomes) == 20
    assert [number for number, _ in await library.rows("authors")] == list(range(1, 21))


async def test_an_applier_goes_on_where_another_has_stopped_meanwhile(library: Library) -> None:
    heard = Heard()
    running = asyncio.create_task(library.carrying(heard, heard.stop))
    library.put("AUTHOR", author(1, "Jane"))
    await heard.applied.wait()
    heard.applied.clear()
    async with library.migration.session() as session:
        await session.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
            "WHERE application_name = 'migrator reverse' AND datname = current_database()"
        )
    library.put("AUTHOR", author(2, "Anne"))
    await heard.applied.wait()
    heard.stop.set()
    assert (await running).applied == 2
    assert heard.failures
    assert await library.rows("authors") == [(1, "Jane"), (2, "Anne")]


async def test_an_hour_late_is_an_alarm_until_it_is_caught_up(library: Library, proxy: FaultProxy) -> None:
    class Writing(Heard):
        """Writes an author whenever one was carried back, so that there is always more to follow."""

        lags: ClassVar[list[float]] = []

        def progressed(self, outcome: reverse.Outcome) -> None:
            library.put("AUTHOR", author(outcome.applied + 1, "Anne"))

        def looked(self, outcome: reverse.Outcome) -> None:
            self.lags.append(outcome.lag)
            if len(self.lags) == 1:
                proxy.remove(late)
            elif not self.lags[-1] > 3600:
                self.stop.set()

    late, heard = proxy.inject(Aged(2 * 3600.0)), Writing()
    library.put("AUTHOR", author(1, "Jane"))
    await library.through(proxy.endpoint_url).carrying(heard, heard.stop)
    assert heard.lags[0] > 2 * 3600
    assert len(heard.lags) == 2, "the next look finds it caught up"
    assert len(heard.warnings) == 1
    assert "more than 1 h late, and streams keep changes for 24 h only" in heard.warnings[0]


async def test_what_the_source_refuses_is_heard(library: Library) -> None:
    heard = Heard()
    library.put("BOOK", book("b", ""))
    await library.carrying(heard, heard.stop, until_drained=True)
    assert heard.refusals == [("BOOK", "PostgreSQL does not take it back (CheckViolation of a_title)")]


async def test_how_much_is_not_carried_back_is_told(library: Library) -> None:
    model = library.migration.model
    async with library.migration.session() as session:
        assert (await reverse.backlog(session, model)) == reverse.Backlog(0, None)
        library.put("BOOK", book("b", "Emma"))
        await library.back()
        told = await reverse.backlog(session, model)
        assert told.refused == 1
        assert told.seconds is not None
        assert told.seconds < 60
        (refusal,) = await streams.refusals(session, "library", limit=10)
    assert (refusal.table, refusal.entity, refusal.key) == (library.table, "BOOK", '["SHELF#A","BOOK#b"]')


async def test_keys_of_entities_that_are_followed_are_passed_over(library: Library) -> None:
    await library.move("read_target", None, "PAIR")
    library.put("PAIR", {"id": "p", "left": "l", "right": "r"})
    assert (await library.back()).skipped == 2
    assert await library.rows("pairs") == []
    await library.move("dual_write")
    with pytest.raises(GateError, match="BOOK, AUTHOR, PAIR is carried back"):
        await library.back()


async def test_an_entity_without_a_way_back_is_refused_unless_that_is_agreed_to(library: Library) -> None:
    model = library.migration.model
    poor = replace(library.migration.entity("AUTHOR"), attributes=[])
    entities = [poor if each.name == "AUTHOR" else each for each in model.entities]
    lossy = replace(library, migration=replace(library.migration, model=Model("library", entities)))
    library.put("AUTHOR", author(1, "Jane"))
    library.put("PAIR", {"id": "p", "left": "l", "right": "r"})
    with pytest.raises(GateError, match="AUTHOR has no way back: no item holds name"):
        await lossy.back()
    outcome = await lossy.back(lost=("AUTHOR",))
    assert (outcome.applied, outcome.skipped) == (1, 1)
    assert await library.rows("authors") == []


async def test_each_table_has_a_stream_of_its_own(library: Library) -> None:
    apart = replace(library.migration.table, name=f"{library.table}-authors")
    create(library.migration.endpoint, apart)
    library.client.update_table(
        TableName=apart.name, StreamSpecification={"StreamEnabled": True, "StreamViewType": "KEYS_ONLY"}
    )
    moved = replace(library.migration.entity("AUTHOR"), table=apart)
    entities = [moved if each.name == "AUTHOR" else each for each in library.migration.model.entities]
    both = replace(library, migration=replace(library.migration, model=Model("library", entities)))
    library.put("BOOK", book("b", "Emma"))
    (item,) = library.items("AUTHOR", author(1, "Jane"))
    written: Any = item
    library.client.put_item(TableName=apart.name, Item=written)
    # The book may come first: it waits for its author.
    outcome = await both.back()
    assert (outcome.applied, outcome.aside) == (2, 0)
    assert await library.rows("books", "id, author_id") == [("b", 1)]
    assert len({table for table, _ in await library.rows("migrator.stream_positions", "target, shard")}) == 2
