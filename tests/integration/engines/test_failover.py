"""A standby takes over: it is refused before, followed after, and what it lacks is taken back from the target."""

from __future__ import annotations

import asyncio
from contextlib import ExitStack
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from sqlalchemy.dialects.postgresql import dialect
from sqlalchemy.schema import CreateTable

from migrator.engines.relay import Limits, Silent, relay
from migrator.engines.verify import accept, look
from migrator.errors import GateError, SourceError
from migrator.postgres import capture, state
from migrator.reconcile import Times
from migrator.sandbox import embedded_postgres
from tests.integration.engines.test_repair import repaired
from tests.support import accounts
from tests.support.migration import Migration
from tests.support.relaying import change, drain, follow, waiting
from tests.support.renamed import renamed
from tests.support.standby import both, caught_up, cut_off, promote, standby_of
from tests.support.stores import Database
from tests.support.target import create

if TYPE_CHECKING:
    from collections.abc import Iterator

    from migrator.sandbox.postgres import PostgresEndpoint
    from tests.support.stores import DynamoDBStore


class Pair:
    """A primary with a migration of the small model, and its standby."""

    def __init__(
        self, made: Migration, primary: PostgresEndpoint, standby: PostgresEndpoint, running: ExitStack
    ) -> None:
        self.primary = primary
        self.standby = standby
        self.made = made
        self.later = replace(made, database=Database(standby.url))
        self.named_both = replace(made, database=Database(both(primary, standby)))
        self._running = running

    async def fail_over(self) -> None:
        """The primary is gone, and the standby takes over with what it has."""
        await asyncio.to_thread(self._running.close)
        await promote(self.standby)


@pytest.fixture
def pair(dynamodb: DynamoDBStore, monkeypatch: pytest.MonkeyPatch) -> Iterator[Pair]:
    with ExitStack() as running:
        primary = running.enter_context(embedded_postgres())
        model = renamed(accounts.MODEL, dynamodb.table_name("failover"))
        made = Migration(model, accounts.__name__, Database(primary.url), dynamodb)
        for name, value in made.variables.items():
            monkeypatch.setenv(name, value)
        create(dynamodb, made.table)
        tables = [str(CreateTable(each).compile(dialect=dialect())) for each in accounts.metadata.sorted_tables]  # type: ignore[no-untyped-call]
        rows = "INSERT INTO accounts SELECT i, 'h' || i, 'x', 0 FROM generate_series(1, 5) AS i"
        made.database.execute(state.install_statement(), *tables, rows)
        asyncio.run(follow(made))
        with standby_of(primary) as standby:
            yield Pair(made, primary, standby, running)


async def faults(of: Migration) -> set[str]:
    async with of.session() as session:
        standing = await capture.standing(session, capture.wanted([of.model]))
    return {fault.kind for each in standing.values() for fault in each.faults}


async def versions(of: Migration) -> dict[str, int]:
    items = await asyncio.to_thread(of.items)
    return {f"{item['PK']['S']} {item['SK']['S']}": int(item["_v"]["N"]) for item in items if "_v" in item}


class Heard(Silent):
    def __init__(self) -> None:
        self.warnings: list[str] = []

    def warned(self, sentence: str) -> None:
        self.warnings.append(sentence)


async def test_a_standby_is_refused_and_followed_when_it_was_promoted(pair: Pair) -> None:
    with pytest.raises(SourceError, match="is a replica"):
        await drain(pair.later)
    with pytest.raises(SourceError, match="is a replica"):
        await pair.later.copy()
    heard, stop = Heard(), asyncio.Event()
    of = pair.named_both
    limits = Limits(20, Times(request=2.0))
    running = asyncio.create_task(
        relay(of.model, of.model.entities, of.stores, limits=limits, until_empty=False, stop=stop, listener=heard)
    )
    await change(pair.made, "UPDATE accounts SET value = 1")
    async with asyncio.timeout(60):
        while await waiting(pair.made):  # noqa: ASYNC110 - the relay offers nothing to wait on
            await asyncio.sleep(0.05)
    await caught_up(pair.primary, pair.standby)
    before = await versions(pair.later)
    await pair.fail_over()
    await change(pair.later, "UPDATE accounts SET value = 2", "DELETE FROM accounts WHERE id = 5")
    async with asyncio.timeout(90):
        while await waiting(pair.later) or not heard.warnings:
            assert not running.done(), running.result()
            await asyncio.sleep(0.1)
    stop.set()
    await running
    assert await pair.later.differing() == []
    after = await versions(pair.later)
    assert before
    assert min(after[key] for key in before) > max(before.values())
    assert "migrate verify --repair" in heard.warnings[0]


async def test_what_the_new_primary_lacks_is_taken_back(pair: Pair) -> None:
    await change(pair.made, "UPDATE accounts SET value = 1")
    await drain(pair.made)
    await caught_up(pair.primary, pair.standby)
    await cut_off(pair.standby)
    # Carried over, and then lost with the primary: marks and all.
    lost = ("INSERT INTO accounts VALUES (6, 'lost', 'x', 0)", "DELETE FROM accounts WHERE id = 1")
    await change(pair.made, *lost, "UPDATE accounts SET handle = 'moved' WHERE id = 2")
    await drain(pair.made)
    assert await faults(pair.made) == set()
    await pair.fail_over()
    later = pair.later
    assert await faults(later) == {"promoted"}
    assert await waiting(later) == 0
    assert len(await later.differing()) > 3
    with pytest.raises(GateError, match="promoted"):
        await later.copy()
    entities = later.model.entities
    outlook = await look(later.model, entities, later.stores, life=1500.0)
    assert outlook.early.keys() == outlook.demanding == {"accounts", "seats"}
    await repaired(later)
    assert await later.differing() == []
    outlook = await look(later.model, entities, later.stores, life=0.0)
    assert not outlook.early
    assert (await later.verify()).clean
    await accept(later.stores, list(outlook.acceptable.values()))
    assert await faults(later) == set()
    await later.copy()
    await change(later, "UPDATE accounts SET value = 7")
    await drain(later)
    assert await later.differing() == []
