"""Access patterns as a witness: each of the application's questions, asked of both stores, under live writes as well.

The sets of values to ask with are drawn from the source, others in each verification, and some are made up that rows
may not have. DynamoDB is read page by page, small pages first, and before the source: what has changed meanwhile is
marked by then. A row on which the answers differ is looked at again until they agree on it, or until both stores hold
the same of it as before while no mark of it waits: only that is a difference.
"""

from __future__ import annotations

import asyncio
import hashlib
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from migrator.dynamodb import answers as dynamodb
from migrator.dynamodb.pacing import Pace
from migrator.engines.together import together
from migrator.engines.verify.findings import NOT_ASKED_FOR, Parity
from migrator.engines.verify.judging.expected import Snapshots
from migrator.errors import UsageError
from migrator.mapping import kind as kinds
from migrator.mapping import living
from migrator.mapping.forward import key_text
from migrator.mapping.parity import Answer, Comparison
from migrator.postgres import answers
from migrator.postgres.errors import errors_explained

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping, Sequence

    from migrator.dynamodb.client import Client
    from migrator.engines.verify.findings import Report
    from migrator.mapping import Pattern, Row, RowValue, WireItem
    from migrator.mapping.kind import Kind
    from migrator.mapping.parity import Disagreement, Identity
    from migrator.postgres.connection import Connection, Pool
    from migrator.reconcile import Lookup

QUESTIONS: Final = 20
"""Sets of values that each pattern is asked with, unless told otherwise."""
LONGEST_ANSWER: Final = 200
"""Items of an answer that are compared where questions are sampled, and where all are asked, 50 times as many."""
LISTED: Final = 100
"""Sets of values that are named where the answers differ."""
_AT_ONCE: Final = 50
_FIRST_PAGE: Final = 3
_LARGEST_PAGE: Final = 300
_SOURCE_PAGE: Final = 500
_KNOWN: Final = 1_000_000
PAUSES: Final = (0.3, 0.7, 1.5, 1.5, 1.5, 1.5, 1.5)
"""Seconds between looks at answers that differ."""
# An index follows its table after a moment, as a rule; an item of the table itself is read as it is.
_STEADY: Final = 1
_STEADY_IN_INDEX: Final = 3


@dataclass(frozen=True)
class Asking:
    """How access patterns are asked.

    Attributes:
        questions: sets of values for each pattern; None for all that rows have, 0 for none.
        now: the time in Unix seconds, by PostgreSQL's clock.
        seed: decides which sets of values are drawn.
        followed: whether changes are carried over to the target, so that one whose mark waits is no difference.
        max_rcu: read units per second; None for no limit.
    """

    questions: int | None
    now: int
    seed: str
    followed: bool
    max_rcu: float | None = None


@dataclass(frozen=True)
class _Standing:
    """A disagreement, whether a change of it was on its way, and how often it was found again though none was."""

    disagreement: Disagreement
    is_moving: bool
    times: int

    def again(self, other: Disagreement) -> int:
        """How often it was found again, by now that the same is found of the row; 0 where it is not the same."""
        same = other.evidence == self.disagreement.evidence and not self.is_moving
        return self.times + 1 if same else 0


@dataclass
class _Question:
    """A pattern with values, and the disagreements that stand since it was first asked."""

    row: Row
    text: str
    standing: dict[Identity, _Standing] = field(default_factory=dict)


async def ask_all(
    patterns: Sequence[Pattern],
    lookups: Mapping[str, Lookup],
    client: Client,
    pool: Pool,
    asking: Asking,
    report: Report,
) -> None:
    """Asks the patterns of these entities (by name, with their rows), and puts into the report how they answered.

    Raises:
        SourceError, TargetError: a store cannot be reached or used.
    """
    inquiry = Inquiry(lookups, client, pool, asking)
    for pattern in patterns:
        if pattern.entity.name in lookups:
            report.parities.append(await inquiry.ask(pattern))
    report.read_units += inquiry.read_units


class Inquiry:
    """Asks both stores. `read_units` is what that has consumed of the target.

    Args:
        lookups: the rows of each entity, by its name.
        client: the target.
        pool: sessions on the source.
        asking: how to ask.
    """

    def __init__(self, lookups: Mapping[str, Lookup], client: Client, pool: Pool, asking: Asking) -> None:
        self.read_units = 0.0
        self._lookups = lookups
        self._client = client
        self._pool = pool
        self._asking = asking
        self._pace = Pace(asking.max_rcu)
        self._most = LONGEST_ANSWER if asking.questions is not None else 50 * LONGEST_ANSWER

    async def ask(self, pattern: Pattern) -> Parity:
        """One pattern, with all its sets of values.

        Raises:
            SourceError, TargetError: a store cannot be reached or used.
        """
        parity = Parity(pattern.id, pattern.question)
        if self._asking.questions == 0:
            parity.reason = NOT_ASKED_FOR
            return parity
        comparison = Comparison(pattern)
        async for questions in self._questions(pattern):
            await self._settle(pattern, comparison, questions, parity)
        if not parity.asked:
            parity.reason = "no row has values to ask with"
        return parity

    async def _questions(self, pattern: Pattern) -> AsyncIterator[list[_Question]]:
        """Sets of values, some at a time: those that rows have, and then some that they may not have."""
        made_up: dict[str, Row] = {}
        async for rows in self._rows(pattern):
            made_up = made_up or {_text(pattern, other): other for row in rows[:2] for other in _others(pattern, row)}
            for start in range(0, len(rows), _AT_ONCE):
                questions = [_Question(row, _text(pattern, row)) for row in rows[start : start + _AT_ONCE]]
                for question in questions:
                    # Some row has these values after all.
                    made_up.pop(question.text, None)
                yield questions
        yield [_Question(row, text) for text, row in made_up.items()]

    async def _rows(self, pattern: Pattern) -> AsyncIterator[list[Row]]:
        """A row for each set of values; where all are asked for, and there are very many, some come again."""
        lookup, names = self._lookups[pattern.entity.name], pattern.parameters
        if self._asking.questions is not None:
            async with self._snapshot(pattern) as connection:
                keys = await answers.drawn(connection, lookup.live, names, self._asking.questions, self._asking.seed)
                drawn = await self._by_keys(connection, pattern, keys)
            yield drawn
            return
        known: set[str] = set()
        after = None
        while True:
            async with self._snapshot(pattern) as connection:
                page = await lookup.source.page(connection, after, None, _SOURCE_PAGE)
            rows = [_row(pattern, record) for record in page.records]
            fresh = {_text(pattern, row): row for row in rows if all(row[name] is not None for name in names)}
            yield [row for text, row in fresh.items() if text not in known]
            known = fresh.keys() | (known if len(known) < _KNOWN else set())
            if page.last is None:
                return
            after = page.last

    async def _settle(
        self, pattern: Pattern, comparison: Comparison, questions: list[_Question], parity: Parity
    ) -> None:
        """Asks until each question has its answer, and counts them."""
        open_, steady = questions, _STEADY if dynamodb.is_consistent(pattern) else _STEADY_IN_INDEX
        for pause in (0.0, *PAUSES):
            await asyncio.sleep(pause)
            async with together() as group:
                asked = [group.create_task(self._look(pattern, comparison, question)) for question in open_]
            still = [question for question, task in zip(open_, asked, strict=True) if task.result()]
            if not pause:
                parity.asked += sum(task.result() is not None for task in asked)
                parity.equal += sum(task.result() is False for task in asked)
            else:
                parity.equal += len(open_) - len(still)
            open_ = []
            for question in still:
                if all(each.times >= steady for each in question.standing.values()):
                    _differs(parity, comparison, question, steady)
                else:
                    open_.append(question)
            if not open_:
                return
        for question in open_:
            if not _differs(parity, comparison, question, steady):
                parity.unsettled += 1

    async def _look(self, pattern: Pattern, comparison: Comparison, question: _Question) -> bool | None:
        """Asks once; returns whether there is a disagreement that was there the last time, or None: it has no key."""
        try:
            items = await self._by_key(pattern, question.row)
        except UsageError:
            # No item can have such a key; what rows there are with it, the rows' own pass names.
            return None
        async with self._snapshot(pattern) as connection:
            rows = await self._by_sql(connection, pattern, question.row)
        found = comparison.disagreements(items, rows)
        before, first = question.standing, not question.standing
        weighed = await self._weighed(pattern, comparison, found) if found else {}
        question.standing = {
            one: _Standing(each, is_moving, before[one].again(each) if one in before else 0)
            for one, (each, is_moving) in weighed.items()
            if first or one in before
        }
        return bool(question.standing)

    async def _by_key(self, pattern: Pattern, row: Row) -> Answer[WireItem]:
        """DynamoDB's answer, without tombstones and what is past its TTL."""
        items: list[WireItem] = []
        limit, last = _FIRST_PAGE, None
        while len(items) <= self._most:
            page = await dynamodb.page(self._client, pattern, row, limit=limit, start_key=last, pace=self._pace)
            self.read_units += page.consumed
            items += dynamodb.alive(pattern.entity, page.items, self._asking.now)
            last = page.last_key
            if last is None:
                return Answer(items, whole=True)
            limit = min(_FIRST_PAGE * limit, _LARGEST_PAGE)
        return Answer(items[: self._most], whole=False)

    async def _by_sql(self, connection: Connection, pattern: Pattern, row: Row) -> Answer[Row]:
        """PostgreSQL's answer, without rows past their TTL."""
        statement = pattern.statement_for(row).where(*living(pattern.entity, self._asking.now))
        live = self._lookups[pattern.entity.name].live
        keys = await answers.keys(connection, live, statement, self._most + 1)
        rows = await self._by_keys(connection, pattern, keys[: self._most])
        return Answer(rows, whole=len(keys) <= self._most)

    async def _by_keys(self, connection: Connection, pattern: Pattern, keys: Sequence[tuple[str, ...]]) -> list[Row]:
        records = await self._lookups[pattern.entity.name].source.by_keys(connection, keys)
        return [_row(pattern, record) for record in records if record is not None]

    async def _weighed(
        self, pattern: Pattern, comparison: Comparison, found: Mapping[Identity, Disagreement]
    ) -> dict[Identity, tuple[Disagreement, bool]]:
        """Disagreements, each with whether a change is on its way; none of a row past its TTL: anything is right there.

        It is seen after the answers were read: what no mark waits for by now is in the target when that is read again.
        """
        asked = [(one, key) for one, each in found.items() for key in comparison.keys(each)]
        table = pattern.entity.table
        lookups = {name: lookup for name, lookup in self._lookups.items() if lookup.entity.table.name == table.name}
        said = await Snapshots(table, lookups, self._pool, self._asking.now).take([key for _, key in asked])
        free = {one for (one, _), each in zip(asked, said, strict=True) if each.free}
        waiting = {one for (one, _), each in zip(asked, said, strict=True) if each.waiting and self._asking.followed}
        return {one: (each, one in waiting) for one, each in found.items() if one not in free}

    @asynccontextmanager
    async def _snapshot(self, pattern: Pattern) -> AsyncIterator[Connection]:
        """One snapshot of the source."""
        with errors_explained(f"ask {pattern.entity.source_name}"):
            async with self._pool.acquire() as connection, connection.transaction(isolation="repeatable_read"):
                yield connection


def _row(pattern: Pattern, record: Sequence[Any]) -> Row:
    names = (projected.name for projected in pattern.entity.projection)
    return dict(zip(names, record, strict=False))


def _text(pattern: Pattern, row: Row) -> str:
    """A set of values as it is reported."""
    return ", ".join(f"{name}={key_text(row[name])}" for name in pattern.parameters) or "no parameters"


def _others(pattern: Pattern, row: Row) -> list[Row]:
    """Sets of values like a row's of which no row need be: one for each value that can be changed a little."""
    changed = {name: _another(pattern.entity.plan.kinds[name], row[name]) for name in pattern.parameters}
    return [{**row, name: value} for name, value in changed.items() if value is not None]


def _another(kind: Kind, value: RowValue) -> RowValue:
    match kind:
        case kinds.Uuid():
            return value[:-12] + hashlib.blake2b(value.encode(), digest_size=6).hexdigest()
        case kinds.Text() if value:
            return value[:-1] + ("y" if value.endswith("x") else "x")
        case kinds.Integer():
            return value - 1 if value > 0 else value + 1
    return None


def _differs(parity: Parity, comparison: Comparison, question: _Question, steady: int) -> bool:
    """Takes up a question whose answers differ, as far as its disagreements have stayed what they were."""
    sure = [(one, each.disagreement) for one, each in question.standing.items() if each.times >= steady]
    if sure and len(parity.differing) < LISTED:
        (identity, first), more = sure[0], len(sure) - 1
        others = f" and {more:,} more" if more else ""
        parity.differing.append(f"{question.text}: {first.what} ({comparison.named(identity)}){others}")
    return bool(sure)
