"""What an application opens and closes, whichever way it does so."""

from __future__ import annotations

from abc import ABC, abstractmethod
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    from collections.abc import AsyncIterator


class Lifespan(ABC):
    """Opened and closed by hand, by a `with` or `async with` block, or with an application of Starlette or FastAPI."""

    @abstractmethod
    def open(self) -> None:
        """Begins."""

    @abstractmethod
    def close(self) -> None:
        """Ends, until `open`."""

    @abstractmethod
    async def aclose(self) -> None:
        """As `close`, without holding up the event loop."""

    def __enter__(self) -> Self:
        self.open()
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    async def __aenter__(self) -> Self:
        self.open()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.aclose()

    @asynccontextmanager
    async def lifespan(self, _app: object) -> AsyncIterator[None]:
        """A lifespan for Starlette and FastAPI: `FastAPI(lifespan=writer.lifespan)`."""
        async with self:
            yield
