"""Which store is an entity's master, by its phase: where it is written, and the only one to be asked once it moved."""

from __future__ import annotations

import asyncio
import math
import time
from typing import TYPE_CHECKING, Literal, TypeAlias

from migrator.app.errors import FencedError, PausedError, UnavailableError
from migrator.errors import ConfigurationError, UsageError
from migrator.mapping import entity_fingerprint

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping
    from concurrent.futures import Future

    from migrator.app.lease import Lease
    from migrator.app.limits import ReadLimits
    from migrator.app.watch import Watch
    from migrator.mapping import Model
    from migrator.postgres.phases import Standing

Store: TypeAlias = Literal["postgres", "dynamodb"]


def is_moved(standing: Standing) -> bool:
    """Whether DynamoDB is the master: PostgreSQL lacks what was written since."""
    return standing.phase == "complete" or standing.is_carried_back


def store_of(at: Mapping[str, Standing], fingerprints: Mapping[str, str]) -> Store:
    """The store that entities are written in, which are here.

    Args:
        at: where they are, by name.
        fingerprints: those of the application's mapping, by the entity's name.

    Raises:
        PausedError: their writes are moving.
        UsageError: some are written in one store, some in the other.
        ConfigurationError: their writes have moved under another mapping.
    """
    for name, standing in at.items():
        if standing.stage in {"fenced", "returning"}:
            raise PausedError(
                f"{name} is not written at this moment: its writes are moving ({standing.phase}, {standing.stage})",
                safe="nothing was written",
                next_step="try again in a moment",
            )
        if standing.stage == "open" and standing.fingerprint not in {None, fingerprints[name]}:
            raise ConfigurationError(
                f"the writes of {name} have moved under another mapping than the application has",
                safe="nothing was written",
                next_step="give it the mapping that they moved under",
            )
    stores: dict[Store, list[str]] = {"postgres": [], "dynamodb": []}
    for name, standing in at.items():
        stores["dynamodb" if is_moved(standing) else "postgres"].append(name)
    if all(stores.values()):
        raise UsageError(
            f"{', '.join(stores['postgres'])} is written in PostgreSQL, {', '.join(stores['dynamodb'])} in DynamoDB",
            safe="nothing was written",
            next_step="write them apart",
        )
    return "dynamodb" if stores["dynamodb"] else "postgres"


class Masters:
    """The masters of a model's entities, as far as the lease tells, and the phase record where it does not.

    Args:
        model: the model.
        lease: what is known of the phases.
        limits: how long the phase record is waited for.
        running: what renews the lease, where it runs or may be started; None: it may not.
    """

    def __init__(self, model: Model, lease: Lease, limits: ReadLimits, running: Callable[[], Watch | None]) -> None:
        self._model = model
        self._fingerprints = {entity.name: entity_fingerprint(entity) for entity in model.entities}
        self._lease = lease
        self._limits = limits
        self._running = running

    def is_moved(self, entity: str) -> bool:
        """Whether DynamoDB is the master, by what was last known: nobody else can answer then."""
        return is_moved(self._lease.standing(entity))

    def is_sure(self, entity: str) -> bool:
        """Whether an answer of PostgreSQL's counts without asking: it is the master for as long as the lease holds."""
        # First whether it holds: what is read after that is as new, or newer.
        return self._lease.holds and self._lease.standing(entity).phase not in {"write_target", "complete"}

    def refuse_moved(self, entity: str) -> None:
        """Has PostgreSQL not asked, nor written, for an entity whose master is known to be DynamoDB.

        Raises:
            FencedError: it is.
        """
        standing = self._lease.standing(entity)
        if is_moved(standing):
            raise FencedError(
                f"{entity} is in phase {standing.phase}: PostgreSQL lacks what was written in DynamoDB",
                safe="nothing was written",
                next_step="read without a session, and write in a block of the repository's `writing()`",
            )

    def of(self, entities: Collection[str]) -> tuple[Store, float]:
        """The store that these entities are written in, and the moment of the monotonic clock until when it is.

        Raises:
            PausedError: their writes are moving.
            UnavailableError: it is not known, and the phase record cannot be read in time, or the router is closed.
            UsageError: they are not all written in the same one.
            ConfigurationError: they have moved under another mapping.
        """
        if self._lease.until(entities) <= time.monotonic():
            self.look()
        return self._of(entities)

    async def aof(self, entities: Collection[str]) -> tuple[Store, float]:
        """As `of`, for an event loop."""
        if self._lease.until(entities) <= time.monotonic():
            await self.alook()
        return self._of(entities)

    def _of(self, entities: Collection[str]) -> tuple[Store, float]:
        # First until when: what is read after that is as new, or newer.
        until = self._lease.until(entities)
        if until < math.inf and self._running() is None:
            raise _closed()
        return store_of({name: self._lease.standing(name) for name in entities}, self._fingerprints), until

    def look_soon(self) -> None:
        """Has the phase record read anew: somebody was told that it is another. It does not wait."""
        watch = self._running()
        if watch is not None:
            watch.look()

    def look(self) -> None:
        """Reads the phase record anew, and returns when that is done.

        Raises:
            UnavailableError: it cannot be read, not within the seconds of a lease, or the router is closed.
        """
        told = self._told()
        try:
            if not told.result(self._limits.lease):
                raise self._unknown()
        except TimeoutError as error:
            raise self._unknown() from error
        finally:
            told.cancel()

    async def alook(self) -> None:
        """As `look`, for an event loop."""
        told = self._told()
        try:
            if not await asyncio.wait_for(asyncio.wrap_future(told), self._limits.lease):
                raise self._unknown()
        except TimeoutError as error:
            raise self._unknown() from error

    def _told(self) -> Future[bool]:
        """What is resolved when the phase record was read anew, or could not be."""
        if self._running() is None:
            raise _closed()
        told = self._lease.told_after(time.monotonic())
        self.look_soon()
        return told

    def _unknown(self) -> UnavailableError:
        return UnavailableError(
            f"it is not known which store is the master of {self._model.name}: the phase record cannot be read",
            safe="nothing was written",
            next_step="see that PostgreSQL can be reached, and try again",
        )


def _closed() -> UnavailableError:
    return UnavailableError("the router is closed", safe="nothing was written", next_step="open it")
