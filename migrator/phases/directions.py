"""A model's changes, whichever way they go: carried over where PostgreSQL is the master, back where DynamoDB is."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from dataclasses import dataclass, field, fields
from typing import TYPE_CHECKING, Final, Protocol, TypeVar

from migrator.engines import relay, reverse
from migrator.engines.together import together
from migrator.errors import GateError, SourceError
from migrator.mapping import Inverse
from migrator.postgres import phases, state
from migrator.postgres.connection import session

if TYPE_CHECKING:
    from collections.abc import Sequence

    from migrator.engines.stores import Stores
    from migrator.mapping import Entity, Model
    from migrator.postgres.connection import Connection

_WATCH_SECONDS: Final = 1.0
Outcome = TypeVar("Outcome", relay.Outcome, reverse.Outcome)


class Listeners(Protocol):
    """Makes who is told of a run: a new one for each, since each counts from nothing."""

    def over(self) -> relay.Listener:
        """Who is told of changes that are carried over."""

    def back(self) -> reverse.Listener:
        """Who is told of changes that are carried back."""


@dataclass
class Done:
    """What was carried over, and what back."""

    over: relay.Outcome = field(default_factory=relay.Outcome)
    back: reverse.Outcome = field(default_factory=reverse.Outcome)


@dataclass(frozen=True)
class _Sides:
    """The entities whose changes are carried over, and those whose are carried back."""

    over: tuple[Entity, ...]
    back: tuple[Entity, ...]


_NONE: Final = _Sides((), ())


class Directions:
    """Carries one model's changes, and goes by its phases as they move. It holds what is done.

    Args:
        model: the model.
        entities: those of it whose changes are carried.
        stores: where source and target are.
        limits: the relay's bounds.
        listeners: who is told.
        until_empty: whether to end when nothing waits any more.
        stop: ends it when what is under way is done.
    """

    def __init__(  # noqa: PLR0913 - what a run needs
        self,
        model: Model,
        entities: Sequence[Entity],
        stores: Stores,
        limits: relay.Limits,
        listeners: Listeners,
        *,
        until_empty: bool,
        stop: asyncio.Event,
    ) -> None:
        self.done = Done()
        self._model = model
        self._entities = entities
        self._stores = stores
        self._limits = limits
        self._listeners = listeners
        self._until_empty = until_empty
        self._stop = stop
        # Entities without a way back are opened by consent alone.
        self._lost = tuple(each.name for each in model.entities if Inverse(each).lost)

    async def run(self) -> Done:
        """Carries changes both ways until it is to stop, or nothing waits.

        Raises:
            GateError: no change of these entities is carried either way in its phase.
            ConfigurationError, SourceError, TargetError: as `relay` and `carry_back`.
        """
        sides = await self._first()
        while True:
            await self._carry(sides)
            now = sides if self._stop.is_set() else await self._sides_again()
            if self._stop.is_set() or (self._until_empty and now in {sides, _NONE}):
                return self.done
            if now == sides:
                await self._rest()
            sides = now

    async def _first(self) -> _Sides:
        sides = await self._sides_now()
        if sides == _NONE:
            raise await self._nothing_to_carry()
        return sides

    async def _nothing_to_carry(self) -> GateError:
        names = ", ".join(each.name for each in self._entities)
        async with session(self._stores.database_url, purpose="relay") as connection:
            at = await phases.standings(connection, self._model.name)
        if all(each.name in at and at[each.name].phase == "complete" for each in self._entities):
            return GateError(
                f"{names}: the migration is complete, and no change is carried any more",
                safe="nothing was done; applications write to the target",
                next_step="stop whatever starts `migrate relay`",
            )
        return GateError(
            f"changes of {names} are not followed in their phase, nor carried back",
            safe="nothing was done; marks gather",
            next_step="migrate switch dual-write",
        )

    async def _carry(self, sides: _Sides) -> None:
        """Carries changes these ways, until they are others."""
        ending = asyncio.Event()
        try:
            async with together() as group:
                watch = group.create_task(self._watch(sides, ending))
                runs = [group.create_task(self._carry_over(sides.over, ending))] if sides.over else []
                runs += [group.create_task(self._carry_back(sides.back, ending))] if sides.back else []
                await asyncio.wait(runs or [watch])
                watch.cancel()
        except GateError:
            # A run has found that the phase was moved a moment ago.
            if await self._sides_now() == sides:
                raise

    async def _carry_over(self, entities: tuple[Entity, ...], ending: asyncio.Event) -> None:
        outcome = await relay.relay(
            self._model,
            entities,
            self._stores,
            limits=self._limits,
            until_empty=self._until_empty,
            stop=ending,
            listener=self._listeners.over(),
        )
        self.done.over = _sum(self.done.over, outcome)

    async def _carry_back(self, entities: tuple[Entity, ...], ending: asyncio.Event) -> None:
        outcome = await reverse.carry_back(
            self._model,
            entities,
            self._stores,
            limits=reverse.Limits(self._limits.batch),
            until_drained=self._until_empty,
            stop=ending,
            listener=self._listeners.back(),
            lost=self._lost,
        )
        self.done.back = _sum(self.done.back, outcome)

    async def _watch(self, sides: _Sides, ending: asyncio.Event) -> None:
        """Ends runs when they are to stop, or the phases have moved; a source that is away is for them to tell of."""
        while not self._stop.is_set():
            with suppress(SourceError):
                async with session(self._stores.database_url, purpose="relay") as connection:
                    while not self._stop.is_set() and await self._sides(connection) == sides:
                        await self._rest()
                break
            await self._rest()
        ending.set()

    async def _rest(self) -> None:
        with suppress(TimeoutError):
            await asyncio.wait_for(self._stop.wait(), _WATCH_SECONDS)

    async def _sides_again(self) -> _Sides:
        """The same later; a source that is away is waited for as runs do."""
        while True:
            try:
                return await self._sides_now()
            except SourceError:
                if self._until_empty or self._stop.is_set():
                    raise
                await self._rest()

    async def _sides_now(self) -> _Sides:
        async with session(self._stores.database_url, purpose="relay") as connection:
            await state.require(connection)
            return await self._sides(connection)

    async def _sides(self, connection: Connection) -> _Sides:
        """Which way changes go, by the record."""
        at = await phases.standings(connection, self._model.name)
        standing = {each: at.get(each.name, phases.Standing()) for each in self._entities}
        return _Sides(
            tuple(each for each, now in standing.items() if now.is_followed),
            tuple(each for each, now in standing.items() if now.is_carried_back and each.name not in self._lost),
        )


def _sum(before: Outcome, run: Outcome) -> Outcome:
    """What two runs have done; how things stand is as the later one has left them."""
    standing = {"aside", "lag"}
    values = {
        each.name: getattr(run, each.name)
        if each.name in standing
        else getattr(before, each.name) + getattr(run, each.name)
        for each in fields(before)
    }
    return type(before)(**values)
