"""The example application, served over ASGI, from the first phase to the last, and without PostgreSQL."""

from __future__ import annotations

import asyncio
import sys
from contextlib import asynccontextmanager
from functools import partial
from importlib import import_module
from typing import TYPE_CHECKING

import httpx
import pytest

from migrator.app import Router
from tests.integration.app.reading import LIMITS, move

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator
    from types import ModuleType

    from migrator.postgres.phases import Phase, Stage
    from tests.integration.app.application import Application

MODULE = "examples.fastapi_app.main"


@pytest.fixture
def example(app: Application, monkeypatch: pytest.MonkeyPatch) -> Iterator[ModuleType]:
    """The example's module, on the test's own table, with patience in proportion to a test's."""
    monkeypatch.setattr("mappings.miyabi.MODEL", app.migration.model)
    monkeypatch.setattr("migrator.app.Router", partial(Router, limits=LIMITS))
    module = import_module(MODULE)
    yield module
    module.writer.detach()
    sys.modules.pop(MODULE, None)


@asynccontextmanager
async def served(example: ModuleType) -> AsyncIterator[httpx.AsyncClient]:
    """A client of the application, from its start to its end."""
    transport = httpx.ASGITransport(example.app)
    async with (
        example.app.router.lifespan_context(example.app),
        httpx.AsyncClient(transport=transport, base_url="http://example") as client,
    ):
        yield client


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


async def life(app: Application, example: ModuleType) -> None:
    """What a client sees while the migration goes through its phases."""
    moves: tuple[tuple[Phase, Stage | None], ...] = (
        ("read_target", None),
        ("write_target", "fenced"),
        ("write_target", "open"),
        ("complete", None),
    )
    async with served(example) as client:
        for phase, stage in moves:
            if phase != "complete":
                await asyncio.to_thread(app.drain)
            await asyncio.to_thread(move, app, phase, 100, stage)
            await example.router.masters.alook()
            written = await client.put("/organizations/org-1", json={"name": f"{phase} {stage}"})
            if stage == "fenced":
                assert (written.status_code, written.headers["retry-after"]) == (503, "1")
                continue
            assert written.is_success
            assert (await client.get("/organizations/org-1")).json()["name"] == f"{phase} {stage}"
            assert (await client.put("/organizations/org-2", json={"name": "short-lived"})).is_success
            assert (await client.delete("/organizations/org-2")).is_success
            assert (await client.get("/organizations/org-2")).status_code == httpx.codes.NOT_FOUND


async def without_postgresql(example: ModuleType) -> None:
    async with served(example) as client:
        assert (await client.get("/organizations/org-1")).json()["name"] == "complete None"
        assert (await client.put("/organizations/org-1", json={"name": "alone"})).is_success
        assert (await client.get("/organizations/org-1")).json()["name"] == "alone"
        assert (await client.get("/mirror")).status_code == httpx.codes.NOT_FOUND


def test_it_goes_on_through_all_phases_and_without_postgresql(
    app: Application, example: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    asyncio.run(life(app, example))
    del sys.modules[MODULE]
    monkeypatch.delenv("DATABASE_URL")
    asyncio.run(without_postgresql(import_module(MODULE)))
