"""Client CPU per item of `verify`, each side by itself, beside boto3's `Table.scan`, which only reads.

The source is the reference mix in an embedded PostgreSQL; the target a server that answers a Scan with its items, in
pages of 1 MB. Each measurement runs in a process of its own, and the CPU time of that process is what counts, threads
included. At the end the two sides are joined: what was measured must have found them equal.

    python bench/verify_cost.py [--rows N] [--rounds N]
"""

from __future__ import annotations

import argparse
import asyncio
import os
import random
import time
from contextlib import ExitStack
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

import boto3
import orjson
from botocore.config import Config

from bench._apart import apart
from bench._scans import scans
from bench.copy_cost import REGION, SEED, TABLE, prepare
from mappings.miyabi import MODEL
from migrator.dynamodb import Client
from migrator.dynamodb.pacing import Pace
from migrator.engines.collector import seldom_collected
from migrator.engines.stores import Stores
from migrator.engines.verify.findings import Report
from migrator.engines.verify.reading.passes import SourcePass, TargetPass
from migrator.engines.verify.reading.spill import Spill, Spiller
from migrator.engines.verify.reading.tasks import Segment
from migrator.mapping import forward
from migrator.mapping.word import number
from migrator.postgres import catalog
from migrator.postgres.connection import connect, pool
from migrator.postgres.identifiers import TableName
from migrator.postgres.rows import RowSource
from migrator.sandbox import embedded_postgres, scrub

if TYPE_CHECKING:
    from collections.abc import Callable

_SEGMENTS = 4
_SESSIONS = 3


def normalised(value: dict[str, Any]) -> dict[str, Any]:
    """A typed value as DynamoDB gives it back, which respells numbers."""
    ((kind, content),) = value.items()
    match kind:
        case "N":
            return {kind: number(content)}
        case "M":
            return {kind: {name: normalised(member) for name, member in content.items()}}
        case "L":
            return {kind: [normalised(member) for member in content]}
    return value


async def stored_items(database_url: str) -> list[bytes]:
    """Every row's items as JSON text, in the order of a hash, as a Scan gives them."""
    session = await connect(database_url, purpose="bench")
    items: list[bytes] = []
    for entity in MODEL.entities:
        live = await catalog.require(session, TableName(entity.source.name, entity.source.schema))
        page = await RowSource(live, entity.projection).page(session, None, None, 10_000_000)
        names = [projected.name for projected in entity.projection]
        for record in page.records:
            made = forward(entity, dict(zip(names, record, strict=False)))
            items += (orjson.dumps({name: normalised(value) for name, value in item.items()}) for item in made)
    await session.close()
    random.Random(SEED).shuffle(items)  # noqa: S311 - no secret
    return items


def target_side(database_url: str, url: str) -> float:
    """The scan, decoded and spilled."""
    return asyncio.run(_target_side(Stores(database_url, region=REGION, endpoint_url=url)))


async def _target_side(stores: Stores) -> float:
    with Spill(1_000_000) as spill, seldom_collected():
        return await _scanned(stores, spill)


async def _scanned(stores: Stores, spill: Spill) -> float:
    """Scans the target; returns CPU seconds from when the client is open."""
    async with Client(stores.target()) as client:
        started = time.process_time()
        spiller, pace = Spiller(spill.partitions), Pace(start=1e9)
        scanning = TargetPass(TABLE, MODEL.entities, Report(), spiller, int(time.time()))
        whole = [Segment(TABLE.name, number, _SEGMENTS) for number in range(_SEGMENTS)]
        await asyncio.gather(*(scanning.segment(client, pace, each, _nothing) for each in whole))
        spiller.flush()
        return time.process_time() - started


def _nothing(_: object) -> None:
    """Nothing is kept of how far a pass is."""


def source_side(database_url: str, url: str) -> float:
    """All rows, read and spilled."""
    del url
    return asyncio.run(_source_side(database_url))


async def _source_side(database_url: str) -> float:
    with Spill(1_000_000) as spill, seldom_collected():
        return await _read(database_url, spill, Report())


async def _read(database_url: str, spill: Spill, report: Report) -> float:
    """Reads the source; returns CPU seconds from when the sessions are open."""
    async with pool(database_url, purpose="bench", size=_SESSIONS) as sessions:
        async with sessions.acquire() as session:
            lives = [await catalog.require(session, TableName(e.source.name, e.source.schema)) for e in MODEL.entities]
        started = time.process_time()
        spiller = Spiller(spill.partitions)
        passes = (
            SourcePass(entity, RowSource(live, entity.projection), report, spiller, int(time.time()))
            for entity, live in zip(MODEL.entities, lives, strict=True)
        )
        await asyncio.gather(*(each.range(sessions, None, None, _nothing) for each in passes))
        spiller.flush()
        return time.process_time() - started


def boto3_scan(database_url: str, url: str) -> float:
    """boto3's `Table.scan`, page after page, its items thrown away."""
    del database_url
    resource = boto3.resource(
        "dynamodb", region_name=REGION, endpoint_url=url, config=Config(retries={"max_attempts": 0})
    )
    table = resource.Table(TABLE.name)
    started = time.process_time()
    page = table.scan()
    while "LastEvaluatedKey" in page:
        page = table.scan(ExclusiveStartKey=page["LastEvaluatedKey"])
    return time.process_time() - started


SIDES: dict[str, Callable[[str, str], float]] = {
    "verify, target side": target_side,
    "verify, source side": source_side,
    "boto3 Table.scan, reading only": boto3_scan,
}


async def mismatches(database_url: str, url: str) -> int:
    """How many keys the two sides do not hold alike."""
    with Spill(1_000_000) as spill:
        report = Report()
        await _scanned(Stores(database_url, region=REGION, endpoint_url=url), spill)
        await _read(database_url, spill, report)
        return len(report.differences) + sum(1 for _ in spill.mismatches())


def main() -> None:
    """Measures all in turn, several times, and prints the medians as a table."""
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--rows", type=int, default=40_000)
    options.add_argument("--rounds", type=int, default=3)
    options.add_argument("--only", choices=SIDES, help="measure this one alone")
    chosen = options.parse_args()
    kept = scrub(os.environ)
    os.environ.clear()
    os.environ.update(kept, AWS_ACCESS_KEY_ID="bench", AWS_SECRET_ACCESS_KEY="bench", NO_PROXY="127.0.0.1")  # noqa: S106
    sides = [chosen.only] if chosen.only else list(SIDES)
    seconds: dict[str, list[float]] = {side: [] for side in sides}
    with ExitStack() as stack:
        server = stack.enter_context(embedded_postgres())
        asyncio.run(prepare(server.url, chosen.rows))
        items = asyncio.run(stored_items(server.url))
        file = Path(stack.enter_context(TemporaryDirectory()), "items")
        file.write_bytes(b"".join(b"%b\n" % item for item in items))
        url = stack.enter_context(scans(file))
        for _ in range(chosen.rounds):
            for side in sides:
                seconds[side].append(apart(SIDES[side], server.url, url))
        unlike = asyncio.run(mismatches(server.url, url))
    show(chosen.rows, len(items), seconds, unlike)


def show(total: int, items: int, seconds: dict[str, list[float]], unlike: int) -> None:
    """The table; the last one is what the others are compared with."""
    base = median(list(seconds.values())[-1])
    rounds = len(next(iter(seconds.values())))
    print(f"client CPU per item, {total:,} rows as {items:,} items; median and least of {rounds}")
    print(f"{'':34}{'us/item':>10}{'least':>8}{'ratio':>8}")
    for side, took in seconds.items():
        each = median(took)
        print(f"{side:34}{each / items * 1e6:10.1f}{min(took) / items * 1e6:8.1f}{base / each:8.1f}")
    print(f"keys on which the sides differ: {unlike}")


if __name__ == "__main__":
    main()
