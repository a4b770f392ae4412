"""The mirror: rows in, their marks found, reconciled and settled, as a relay does with all marks."""

from __future__ import annotations

import asyncio
import logging
from collections import Counter, defaultdict
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from migrator.app.row_name import RowName
from migrator.dynamodb.client import Client
from migrator.dynamodb.session import open_session
from migrator.errors import UsageError
from migrator.postgres import capture, catalog, phases, row_marks, state
from migrator.postgres.connection import pool
from migrator.postgres.errors import errors_explained
from migrator.postgres.identifiers import TableName
from migrator.reconcile import Lookup, Reconciler

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence

    import sqlalchemy as sa

    from migrator.app.counts import Reason
    from migrator.app.limits import Limits
    from migrator.mapping import Model
    from migrator.postgres.capture import Capture
    from migrator.postgres.connection import Connection, Pool
    from migrator.postgres.row_marks import MarkSearch
    from migrator.postgres.rows import Key

_LOG: Final = logging.getLogger("migrator.app")
_UNMARKED: Final = frozenset({"missing", "disabled", "replaced", "unprivileged", "unfit", "renamed"})
"""Faults of capture with which a change has no mark, or one that lacks what the mapping needs."""
_SESSIONS_PER_HAND: Final = 2


@dataclass(frozen=True)
class Place:
    """Where source and target are; what is None comes from the environment, as libpq and the AWS SDK read it."""

    database_url: str | None = field(default=None, repr=False)
    region: str | None = None
    profile: str | None = None
    endpoint_url: str | None = None


@dataclass
class Carried:
    """What became of rows: marks settled and set aside, rows left to the relay, and whether a table has changed.

    `confirmed` are rows of which it is known that the target has them as they are, or newer.
    """

    mirrored: int = 0
    set_aside: int = 0
    left: Counter[Reason] = field(default_factory=Counter)
    changed: bool = False
    confirmed: frozenset[RowName] = frozenset()

    def add(self, other: Carried) -> Carried:
        """This with another's figures added."""
        return Carried(
            self.mirrored + other.mirrored,
            self.set_aside + other.set_aside,
            self.left + other.left,
            self.changed or other.changed,
            self.confirmed | other.confirmed,
        )


@asynccontextmanager
async def opened(model: Model, place: Place, limits: Limits) -> AsyncIterator[Mirror]:
    """Opens the stores, looks at the tables, and yields a mirror of them.

    Raises:
        ConfigurationError, SourceError, TargetError: a store cannot be used or reached, or is not prepared.
    """
    session = await asyncio.to_thread(
        open_session, profile=place.profile, region=place.region, endpoint_url=place.endpoint_url
    )
    async with AsyncExitStack() as stack:
        client = Client(session, patience=limits.attempt, request_timeout=limits.attempt)
        await stack.enter_async_context(client)
        size = _SESSIONS_PER_HAND * limits.hands + 1
        sessions = await stack.enter_async_context(pool(place.database_url, purpose="mirror", size=size))
        mirror = Mirror(model, sessions, client, limits)
        await mirror.inspect()
        await mirror.renew()
        yield mirror


class Mirror:
    """Carries rows over. Holds what is known of their tables and phases, for a while.

    Args:
        model: the model.
        sessions: sessions on the primary.
        client: the target.
        limits: the bounds.
    """

    def __init__(self, model: Model, sessions: Pool, client: Client, limits: Limits) -> None:
        self.followed: frozenset[str] = frozenset()
        """The source tables (`Entity.source_name`) whose changes are carried over in their entities' phases."""
        self._model = model
        self._sessions = sessions
        self._client = client
        self._limits = limits
        self._searches: dict[str, MarkSearch] = {}
        self._names: dict[str, str] = {}
        self._reconciler = Reconciler(model, {}, client, times=limits.times)
        self._refused: dict[str, str] = {}

    async def renew(self) -> None:
        """Reads the phases.

        Raises:
            SourceError: PostgreSQL cannot be reached.
        """
        with errors_explained("connect to the source"):
            async with self._sessions.acquire() as connection:
                standings = await phases.standings(connection, self._model.name)
        unfollowed = {
            entity.source_name
            for entity in self._model.entities
            if not standings.get(entity.name, phases.Standing()).is_followed
        }
        self.followed = frozenset(entity.source_name for entity in self._model.entities) - unfollowed

    async def inspect(self) -> None:
        """Looks at the tables and the capture on them.

        A table that is not as the mapping declares it, or whose changes are not marked, is refused, and told of once:
        without marks, nothing would heal what the mirror misses.

        Raises:
            ConfigurationError: `prepare` has not been run.
            SourceError: PostgreSQL cannot be reached.
        """
        refused: dict[str, str] = {}
        searches: dict[str, MarkSearch] = {}
        lookups: dict[str, Lookup] = {}
        with errors_explained("connect to the source"):
            async with self._sessions.acquire() as connection:
                await state.require(connection)
                captures = await capture.standing(connection, capture.wanted([self._model]))
                for entity in self._model.entities:
                    table = TableName(entity.source.name, entity.source.schema)
                    problem = await _problem(connection, entity.source, captures[table])
                    if problem is not None:
                        refused[entity.source_name] = problem
                        continue
                    live = await catalog.require(connection, table)
                    lookups[entity.name] = Lookup(entity, live)
                    searches[entity.source_name] = await row_marks.search(connection, live)
        for source in refused.keys() & searches.keys():
            del searches[source]
        usable = {name: lookup for name, lookup in lookups.items() if lookup.entity.source_name in searches}
        self._reconciler = Reconciler(self._model, usable, self._client, times=self._limits.times)
        self._searches = searches
        self._names = {each.source: name for name, each in searches.items()}
        before, self._refused = self._refused, refused
        for source in refused.keys() - before.keys():
            _LOG.warning("rows of %s are left to the relay, their marks stay: %s", source, refused[source])
        for source in before.keys() - refused.keys():
            _LOG.info("rows of %s are mirrored again", source)

    async def carry(self, rows: Sequence[RowName]) -> Carried:
        """Reconciles what the marks of these rows touch, and settles them.

        Raises:
            ConfigurationError, SourceError, TargetError: a store failed. What is not settled keeps its mark.
        """
        wanted: dict[MarkSearch, list[Key]] = defaultdict(list)
        left: Counter[Reason] = Counter()
        for row in rows:
            found = self._searches.get(row.source)
            if found is None:
                left["refused"] += 1
            else:
                wanted[found].append(row.key)
        carried = Carried(left=left)
        if wanted:
            carried = carried.add(await self._carry(wanted))
        if carried.changed:
            await self.inspect()
        return carried

    async def _carry(self, wanted: dict[MarkSearch, list[Key]]) -> Carried:
        try:
            return await self._claimed(wanted)
        except UsageError:
            pass
        # One key among them cannot be read: all others are carried.
        apart = [(each, key) for each, keys in wanted.items() for key in keys]
        if len(apart) == 1:
            return Carried(left=Counter({"unreadable": 1}))
        carried = Carried()
        for half in (apart[: len(apart) // 2], apart[len(apart) // 2 :]):
            some: dict[MarkSearch, list[Key]] = defaultdict(list)
            for each, key in half:
                some[each].append(key)
            carried = carried.add(await self._carry(some))
        return carried

    async def _claimed(self, wanted: dict[MarkSearch, list[Key]]) -> Carried:
        with errors_explained("connect to the source"):
            async with (
                self._sessions.acquire() as holding,
                row_marks.claimed(holding, wanted, self._limits.window) as rows,
            ):
                missing = sum(len(keys) - len(rows.found[each.source]) for each, keys in wanted.items())
                left: Counter[Reason] = Counter({"not_found": missing})
                if not rows.claim.marks:
                    return Carried(left=left)
                async with self._sessions.acquire() as reading:
                    settled = await self._reconciler.reconcile(reading, rows.claim.marks)
                await rows.claim.settle(settled.done, settled.reasons)
        for reason in set(settled.reasons.values()):
            _LOG.warning("marks are set aside: %s", reason)
        changed = sum(mark.source in settled.changed for mark in rows.claim.marks)
        left += Counter({"refused": changed, "contended": len(settled.left) - changed})
        open_ = {mark.source for mark in rows.claim.marks if mark.id not in set(settled.done)}
        confirmed = frozenset(
            RowName(self._names[each.source], keys[number])
            for each, keys in wanted.items()
            if each.source not in open_
            for number in rows.found[each.source]
        )
        return Carried(len(settled.done), len(settled.reasons), left, bool(settled.changed), confirmed)


async def _problem(connection: Connection, source: sa.Table, standing: Capture) -> str | None:
    """Why the rows of a table are not to be mirrored, and what to do."""
    differences = await catalog.compare(connection, source)
    if differences:
        return f"{'; '.join(differences)}. Run `alembic upgrade head`, or correct the mapping and run `migrate lint`."
    fault = next((fault for fault in standing.faults if fault.kind in _UNMARKED), None)
    return None if fault is None else f"{fault.sentence}; {fault.next_step}"
