"""Writers outside the application, which keep it busy over HTTP and know what it has acknowledged.

Each writer has rows of its own, so that it knows the state of each at any time. Rows that others refer to are changed,
but neither deleted nor given another key.
"""

from __future__ import annotations

import asyncio
import time
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from itertools import count
from typing import TYPE_CHECKING, Any, Final
from uuid import UUID

import aiohttp
import sqlalchemy as sa

from tests.support.story_ledger import Change
from tests.support.story_rows import TABLES, key_columns, key_of, named, received, sent

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from random import Random

    from tests.support.story_ledger import Ledger, Name
    from tests.support.story_rows import Key, Values

PARENTS: Final = ("organizations", "users", "repositories", "agent_executions")
"""Tables that others refer to."""

# What each write changes, so that no two of them give the same row.
TOKENS: Final = {
    "organizations": "name",
    "users": "name",
    "organization_members": "role",
    "repositories": "full_name",
    "agent_executions": "pr_number",
    "workflows": "name",
    "tasks": "name",
    "task_dependencies": "created_at",
    "websocket_connections": "last_ping_at",
    "line_messages": "content",
    "execution_logs": "message",
}
# Columns of which item keys are made, beside the primary key: changing one moves an item.
MOVES: Final = {
    "organization_members": "org_id",
    "repositories": "user_id",
    "agent_executions": "started_at",
    "workflows": "repository_id",
    "tasks": "user_id",
    "task_dependencies": "depends_on_task_id",
    "websocket_connections": "user_id",
    "line_messages": "user_id",
    "execution_logs": "created_at",
}
PARENT: Final = {
    "user_id": "users",
    "org_id": "organizations",
    "repository_id": "repositories",
    "execution_id": "agent_executions",
}
_SHAPES: Final = {"one": 6, "several": 4, "bulk": 3, "savepoint": 2, "rolled back": 1}
_KINDS: Final = {"insert": 5, "update": 6, "move": 3, "delete": 3, "again": 3}
_RETRY_SECONDS: Final = 0.05
_ANSWER_SECONDS: Final = 60.0


class Writer:
    """One client of the application. Makes transactions over its own rows, until it is told to stop.

    Args:
        ledger: where it notes what was acknowledged.
        base: the address of the application.
        random: what it draws from.
        share: its number among the writers, and how many they are.
        rate: changed rows per second that it aims at.
    """

    def __init__(self, ledger: Ledger, base: str, random: Random, share: tuple[int, int], rate: float) -> None:
        self._ledger = ledger
        self._base = base
        self._random = random
        self._number, self._of = share
        self._rate = rate
        self._tokens = count(self._number + 1, self._of)
        self._rows = {table: sorted(ledger.table(table).items(), key=str) for table in TABLES}
        self._referred = {table: {key for key, _ in self._rows[table]} for table in PARENTS}
        self._own = {table: [key for key, _ in rows[self._number :: self._of]] for table, rows in self._rows.items()}
        self._gone: dict[str, list[Key]] = {table: [] for table in TABLES}

    async def run(self, stop: asyncio.Event) -> None:
        """Writes until it is to stop; what was not answered is resolved before it returns."""
        begun, changed = time.monotonic(), 0
        timeout = aiohttp.ClientTimeout(total=_ANSWER_SECONDS)
        async with aiohttp.ClientSession(self._base, timeout=timeout, json_serialize=sent) as client:
            while not stop.is_set():
                blocks, changes, kept = self.plan()
                await self.commit(client, blocks, changes, kept=kept)
                changed += sum(len(block["changes"]) for block in blocks)
                ahead = changed / self._rate - (time.monotonic() - begun)
                if ahead > 0:
                    with suppress(TimeoutError):
                        await asyncio.wait_for(stop.wait(), ahead)

    async def commit(
        self, client: aiohttp.ClientSession, blocks: Sequence[dict[str, Any]], changes: Sequence[Change], *, kept: bool
    ) -> None:
        """Sends a transaction, and learns what has become of it."""
        standing = changes if kept else ()
        try:
            async with client.post("/transactions", json={"blocks": blocks, "keep": kept}) as response:
                answer = await response.text()
                assert response.ok, f"{response.status}: {answer}"
        except aiohttp.ClientError:
            self._ledger.resolve(standing, await self._look(client, standing))
        else:
            self._ledger.acknowledge(changes, kept=kept)
        for change in standing:
            self._settle(change)

    async def _look(self, client: aiohttp.ClientSession, changes: Sequence[Change]) -> dict[Name, Values | None]:
        """The rows that changes touch, as they are, as soon as the application answers again."""
        seen: dict[Name, Values | None] = {name: None for change in changes for name in change.effect()}
        for table in {table for table, _ in seen}:
            keys = [named(table, key) for of, key in seen if of == table]
            while True:
                with suppress(aiohttp.ClientError):
                    async with client.post("/rows", json={"table": table, "keys": keys}) as response:
                        assert response.ok, await response.text()
                        found = [received(table, row) for row in await response.json()]
                        seen.update({(table, key_of(table, row)): row for row in found})
                        break
                await asyncio.sleep(_RETRY_SECONDS)
        return seen

    def _settle(self, change: Change) -> None:
        """Keeps book of which of its rows are there."""
        for table, key in change.effect():
            there = self._ledger.rows.get((table, key)) is not None
            right, wrong = (self._own, self._gone) if there else (self._gone, self._own)
            with suppress(ValueError):
                wrong[table].remove(key)
            if key not in right[table]:
                right[table].append(key)

    def plan(self) -> tuple[list[dict[str, Any]], list[Change], bool]:
        """A transaction as the application takes it, what of it is to stand, and whether it is to be committed."""
        (shape,) = self._random.choices(list(_SHAPES), list(_SHAPES.values()))
        sizes = {"one": [1], "several": [4], "bulk": [25], "savepoint": [1, 2, 1], "rolled back": [2]}[shape]
        taken: set[Name] = set()
        blocks, standing = [], []
        for number, size in enumerate(sizes):
            table = self._random.choice(list(TABLES)) if shape == "bulk" else None
            changes = [change for _ in range(size) if (change := self._change(taken, table)) is not None]
            savepoint = shape == "savepoint" and number == 1
            keep = not savepoint or self._random.random() < 0.5
            by = "statements" if shape == "bulk" or self._random.random() < 0.2 else "objects"
            blocks.append(
                {"changes": [_asked(change) for change in changes], "by": by, "savepoint": savepoint, "keep": keep}
            )
            standing += changes * keep
        return blocks, standing, shape != "rolled back"

    def _change(self, taken: set[Name], table: str | None) -> Change | None:
        """A change of a row that the transaction does not touch yet; None where there is no such row."""
        table = table or self._random.choice(list(TABLES))
        (kind,) = self._random.choices(list(_KINDS), list(_KINDS.values()))
        free = [key for key in (self._gone if kind == "again" else self._own)[table] if (table, key) not in taken]
        if kind in {"move", "delete"}:
            free = [key for key in free if kind == "move" or self._removable(table, key)]
        change = self._insertion(table) if kind == "insert" else None
        if free and kind != "insert":
            change = self._of_row(kind, table, self._random.choice(free))
        if change is None or self._meets(change, taken):
            return None
        taken.update(change.effect())
        return change

    def _meets(self, change: Change, taken: set[Name]) -> bool:
        """Whether another row has its key, or the transaction has touched its row already."""
        there = {name for name in change.effect() if self._ledger.rows.get(name) is not None}
        return bool(there - {(change.table, change.key)} or change.effect().keys() & taken)

    def _of_row(self, kind: str, table: str, key: Key) -> Change | None:
        """A change of a row of its own, or the same row once more where it was deleted."""
        if kind == "delete":
            return Change(table, key, None)
        current = self._ledger.rows.get((table, key))
        values = self._drawn(table) | named(table, key)
        if table == "users":
            values["github_id"] = current["github_id"] if current else self._number_of_user()
        if kind == "again":
            return Change(table, None, values)
        if kind == "move":
            values |= self._moved(table, key)
        return Change(table, key, values)

    def _insertion(self, table: str) -> Change:
        values = self._drawn(table)
        values |= {name: self._fresh(values[name]) for name in key_columns(table)}
        if table == "users":
            values["github_id"] = self._number_of_user()
        return Change(table, None, values)

    def _drawn(self, table: str) -> Values:
        """The values of some row that was there at the beginning, with one that no other write has."""
        _, values = self._random.choice(self._rows[table])
        column = TABLES[table].c[TOKENS[table]]
        token = next(self._tokens)
        written: Any = f"write {token} of {values[TOKENS[table]]}"
        if isinstance(column.type, sa.DateTime):
            written = datetime.now(UTC).replace(microsecond=token % 1_000_000)
        elif isinstance(column.type, sa.Integer):
            written = token
        return {**values, TOKENS[table]: written}

    def _moved(self, table: str, key: Key) -> Values:
        """Other values of columns that item keys are made of."""
        name = MOVES.get(table)
        if name is None:
            return {"id": self._fresh(key[0])} if self._removable(table, key) else {}
        if name in PARENT:
            other, _ = self._random.choice(self._rows[PARENT[name]])
            return {name: other[0]}
        if isinstance(TABLES[table].c[name].type, sa.DateTime):
            return {name: datetime.now(UTC) - timedelta(seconds=self._random.uniform(0, 86_400))}
        return {name: self._fresh("task")}

    def _removable(self, table: str, key: Key) -> bool:
        """Whether nothing refers to a row."""
        return table not in PARENTS or key not in self._referred[table]

    def _fresh(self, like: object) -> UUID | str:
        """A value for a key that no row has had."""
        if isinstance(like, UUID):
            return UUID(int=self._random.getrandbits(128), version=4)
        return f"{str(like).partition('-')[0]}-story-{next(self._tokens)}"

    def _number_of_user(self) -> int:
        return -next(self._tokens)


def _asked(change: Change) -> Mapping[str, Any]:
    """A change as the application takes it."""
    key = None if change.key is None else named(change.table, change.key)
    return {"table": change.table, "key": key, "values": change.values}
