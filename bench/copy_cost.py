"""Client CPU per item of `copy`, from rows in PostgreSQL to requests on their way, beside what boto3 users do.

All write the reference mix, from one embedded PostgreSQL, to a sink that answers as DynamoDB does and adds up a digest
of the items: equal digests mean that all wrote the same. Each runs in a process of its own, and the CPU time of that
process is what counts, threads included; neither PostgreSQL nor the sink is in it.

The copy is the whole engine: planning, reading rows, encoding, signing, sending, checkpoints, every safeguard on. Its
peers are what one writes by hand (`_by_hand`): they read the rows, make the items and write them, and keep no
checkpoint.

    python bench/copy_cost.py [--rows N] [--rounds N]
"""

from __future__ import annotations

import argparse
import asyncio
import os
import time
from dataclasses import replace
from datetime import UTC, datetime
from statistics import median
from typing import TYPE_CHECKING, Any

import asyncpg
import boto3
from aiodynamo.client import Client as AiodynamoClient
from aiodynamo.credentials import Credentials
from aiodynamo.http.aiohttp import AIOHTTP
from aiodynamo.models import BatchWriteRequest
from aiohttp import ClientSession
from sqlalchemy.ext.asyncio import create_async_engine
from yarl import URL

from bench._apart import apart
from bench._by_hand import items_by_hand
from bench._sink import Received, Sink, sink
from mappings.miyabi import MODEL
from mappings.miyabi.sample import rows
from mappings.miyabi.schema import metadata
from migrator.engines.copy import Limits, Silent, copy
from migrator.engines.stores import Stores
from migrator.postgres import state
from migrator.postgres.connection import connect
from migrator.sandbox import embedded_postgres, scrub
from migrator.sandbox.loading import load

if TYPE_CHECKING:
    from collections.abc import Callable

SEED = 20251129
REGION = "eu-west-1"
(TABLE,) = MODEL.tables
_IN_FLIGHT = 8
_ITEMS_PER_REQUEST = 25


async def prepare(database_url: str, total: int) -> None:
    """Fills the source with the reference mix."""
    engine = create_async_engine(database_url.replace("postgresql://", "postgresql+asyncpg://"))
    async with engine.begin() as schema:
        await schema.run_sync(metadata.create_all)
    await engine.dispose()
    connection = await asyncpg.connect(database_url)
    await load(connection, rows(total, SEED, datetime.now(UTC)))
    await connection.close()
    session = await connect(database_url, purpose="bench")
    await state.install(session)
    await session.close()


def ours(database_url: str, url: str) -> float:
    """`migrate copy`, anew: all of it."""
    return _copy(Stores(database_url, region=REGION, endpoint_url=url), restart=True)


def ours_per_item(database_url: str, url: str) -> float:
    """The same, done before, without what it takes to start and to end: what grows with the number of rows."""
    stores = Stores(database_url, region=REGION, endpoint_url=url)
    _copy(stores, restart=True)
    return _copy(stores, restart=True) - _copy(stores, restart=False)


def _copy(stores: Stores, *, restart: bool) -> float:
    run = copy(
        MODEL,
        MODEL.entities,
        stores,
        mappings="mappings.miyabi",
        limits=Limits(),
        restart=restart,
        listener=Silent(),
    )
    started = time.process_time()
    asyncio.run(run)
    return time.process_time() - started


def batch_writer(database_url: str, url: str) -> float:
    """asyncpg, a function per table, and boto3's `batch_writer`."""
    return asyncio.run(_batch_writer(database_url, url))


async def _batch_writer(database_url: str, url: str) -> float:
    table = boto3.resource("dynamodb", region_name=REGION, endpoint_url=url).Table(TABLE.name)
    started = time.process_time()
    with table.batch_writer() as batch:
        async for item in items_by_hand(database_url):
            batch.put_item(Item=item)
    return time.process_time() - started


def aiodynamo(database_url: str, url: str) -> float:
    """asyncpg, a function per table, and aiodynamo's `batch_write`, several requests at a time."""
    return asyncio.run(_aiodynamo(database_url, url))


async def _aiodynamo(database_url: str, url: str) -> float:
    started = time.process_time()
    async with ClientSession() as http:
        client = AiodynamoClient(AIOHTTP(http), Credentials.auto(), REGION, URL(url))
        sending: set[asyncio.Task[None]] = set()

        async def send(batch: list[dict[str, Any]]) -> None:
            await client.batch_write({TABLE.name: BatchWriteRequest(items_to_put=batch)})

        batch: list[dict[str, Any]] = []
        async for item in items_by_hand(database_url):
            batch.append(item)
            if len(batch) == _ITEMS_PER_REQUEST:
                sending.add(asyncio.create_task(send(batch)))
                batch = []
            if len(sending) == _IN_FLIGHT:
                done, sending = await asyncio.wait(sending, return_when=asyncio.FIRST_COMPLETED)
                for each in done:
                    each.result()
        await asyncio.gather(*sending, *([send(batch)] if batch else []))
    return time.process_time() - started


PEERS: dict[str, Callable[[str, str], float]] = {
    "copy": ours,
    "copy, without start and end": ours_per_item,
    "asyncpg and aiodynamo, by hand": aiodynamo,
    "asyncpg and boto3 batch_writer, by hand": batch_writer,
}


def measure(peer: str, database_url: str, target: Sink) -> tuple[float, Received]:
    """CPU seconds of a peer in a process of its own, and what came of it."""
    return apart(PEERS[peer], database_url, target.url), target.report()


def main() -> None:
    """Measures all in turn, several times, and prints the medians as a table."""
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--rows", type=int, default=30_000)
    options.add_argument("--rounds", type=int, default=3)
    options.add_argument("--only", choices=PEERS, help="measure this one alone")
    chosen = options.parse_args()
    kept = scrub(os.environ)
    os.environ.clear()
    os.environ.update(kept, AWS_ACCESS_KEY_ID="bench", AWS_SECRET_ACCESS_KEY="bench", NO_PROXY="127.0.0.1")  # noqa: S106
    peers = [chosen.only] if chosen.only else list(PEERS)
    seconds: dict[str, list[float]] = {peer: [] for peer in peers}
    received: dict[str, set[Received]] = {peer: set() for peer in peers}
    with embedded_postgres() as server, sink() as target:
        asyncio.run(prepare(server.url, chosen.rows))
        for _ in range(chosen.rounds):
            for peer in peers:
                took, came = measure(peer, server.url, target)
                seconds[peer].append(took)
                received[peer].add(replace(came, items=came.distinct))
    show(chosen.rows, seconds, received)


def show(total: int, seconds: dict[str, list[float]], received: dict[str, set[Received]]) -> None:
    """The table; the first peer is what the others are compared with."""
    first = next(iter(seconds))
    (expected,) = received[first]
    print(f"client CPU per item, {total:,} rows as {expected.items:,} items; median and least of {len(seconds[first])}")
    print(f"{'':40}{'us/item':>10}{'ratio':>8}{'least':>8}{'ratio':>8}  same items")
    for peer, took in seconds.items():
        equal = "yes" if received[peer] == {expected} else "NO"
        figures = "".join(
            f"{figure(took) / expected.items * 1e6:{width}.1f}{figure(took) / figure(seconds[first]):8.1f}"
            for figure, width in ((median, 10), (min, 8))
        )
        print(f"{peer:40}{figures}  {equal}")


if __name__ == "__main__":
    main()
