"""Holding a copy back while more changes wait than may: what the target takes is then left to relays and mirrors."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from migrator.postgres import pending
from migrator.postgres.errors import errors_explained

if TYPE_CHECKING:
    from collections.abc import Callable

    from migrator.postgres.connection import Pool

MARKS_BYTES: Final = 10 * 2**30
_LOOK_SECONDS: Final = 2.0
_RELEASED: Final = 0.8
"""Of the bound: under it the copy goes on."""


@dataclass(frozen=True, slots=True)
class Held:
    """A process holds its copies back: waiting changes take so many bytes, of so many that they may."""

    bytes: int
    most: int

    @property
    def sentence(self) -> str:
        """What the operator should know."""
        return (
            f"the copy is held back: waiting changes take about {self.bytes / 1e6:,.1f} MB of the source's disk, over "
            f"the bound of {self.most / 1e6:,.1f} MB (marks_bytes); see that `migrate relay` runs and keeps up"
        )


class Brake:
    """Says whether pages may be begun. `most`: bytes that waiting changes may take."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._free = asyncio.Event()
        self._free.set()

    @property
    def is_on(self) -> bool:
        """Whether nothing may be begun."""
        return not self._free.is_set()

    async def released(self) -> None:
        """Waits until pages may be begun."""
        await self._free.wait()

    async def watch(self, sessions: Pool, held: Callable[[Held], None]) -> None:
        """Looks now and then how much waits, until it is cancelled; `held` is told when the brake goes on.

        Raises:
            SourceError: PostgreSQL cannot be reached.
        """
        while True:
            with errors_explained("connect to the source"):
                async with sessions.acquire() as connection:
                    waiting = await pending.waiting_bytes(connection)
            if waiting > self._most and not self.is_on:
                self._free.clear()
                held(Held(waiting, self._most))
            elif waiting < _RELEASED * self._most:
                self._free.set()
            await asyncio.sleep(_LOOK_SECONDS)
