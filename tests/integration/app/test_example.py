"""The example application, served over ASGI, with its three lines of adapter."""

from __future__ import annotations

import asyncio
import sys
from contextlib import asynccontextmanager
from importlib import import_module
from typing import TYPE_CHECKING

import httpx
import pytest

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator
    from types import ModuleType

    from tests.integration.app.application import Application

MODULE = "examples.fastapi_app.main"


@pytest.fixture
def example(app: Application, monkeypatch: pytest.MonkeyPatch) -> Iterator[ModuleType]:
    """The example's module, on the test's own table."""
    monkeypatch.setattr("mappings.miyabi.MODEL", app.migration.model)
    module = import_module(MODULE)
    yield module
    module.writer.detach()
    del sys.modules[MODULE]


@asynccontextmanager
async def served(example: ModuleType) -> AsyncIterator[httpx.AsyncClient]:
    """A client of the application, from its start to its end."""
    transport = httpx.ASGITransport(example.app)
    async with (
        example.app.router.lifespan_context(example.app),
        httpx.AsyncClient(transport=transport, base_url="http://example") as client,
    ):
        yield client
    await example.engine.dispose()


async def requests(example: ModuleType) -> None:
    async with served(example) as client:
        for number in range(5):
            assert (await client.put(f"/organizations/org-{number}", json={"name": "first"})).is_success
        assert (await client.put("/organizations/org-1", json={"name": "second"})).json()["name"] == "second"
        assert (await client.delete("/organizations/org-2")).is_success
        assert (await client.get("/organizations/org-2")).status_code == httpx.codes.NOT_FOUND
        assert (await client.put("/mirror", json={"on": False})).json() == {"mode": "off"}
        assert (await client.put("/organizations/org-off", json={"name": "left to the relay"})).is_success
        assert (await client.get("/mirror")).json()["touched"] == 7


async def again(example: ModuleType) -> None:
    async with served(example) as client:
        await client.put("/mirror", json={"on": True})
        await client.put("/organizations/org-again", json={"name": "again"})


def test_requests_are_mirrored_and_the_switch_stops_that(app: Application, example: ModuleType) -> None:
    asyncio.run(requests(example))
    # What was queued was carried over when the application ended.
    assert set(example.writer.counts.left) <= {"not_found"}
    assert app.waiting() == 1
    app.drain()
    assert app.differing() == []
    # And it starts again.
    asyncio.run(again(example))
    assert app.waiting() == 0
    assert app.differing() == []
