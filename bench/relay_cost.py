"""Client CPU per key of `relay`, from marks in PostgreSQL to conditional writes, beside what boto3 users do by hand.

Every row of the reference mix is updated, and the marks that capture makes of it are drained, into a DynamoDB that
holds the items in memory and runs in a process of its own. Each runs in a process of its own as well, and the CPU time
of that process is what counts, threads included; neither PostgreSQL nor DynamoDB is in it.

The relay is the whole engine: it claims marks, reads what the keys hold, takes a snapshot of the source, writes on
condition and deletes the marks. Its peers read the rows and make the items in a function per table; one calls boto3's
`get_item` (consistent) and `put_item` on condition for each, the other leaves it to `batch_writer`, which overwrites
what is newer. They know of no mark, and take no snapshot.

    python bench/relay_cost.py [--rows N] [--rounds N] [--only NAME]
"""

from __future__ import annotations

import argparse
import asyncio
import os
import time
from statistics import median
from typing import TYPE_CHECKING, Any

import asyncpg
import boto3
from boto3.dynamodb.conditions import Attr

from bench._apart import apart
from bench._by_hand import items_by_hand
from bench._table import table
from bench.copy_cost import REGION, TABLE, batch_writer, prepare
from bench.growth import environment
from mappings.miyabi import MODEL
from mappings.miyabi.schema import metadata
from migrator.engines.relay import Limits, Silent, relay
from migrator.engines.stores import Stores
from migrator.postgres import capture, phases
from migrator.postgres.connection import connect
from migrator.sandbox import embedded_postgres

if TYPE_CHECKING:
    from collections.abc import Callable


def ours(database_url: str, url: str) -> float:
    """`migrate relay --until-empty`."""
    run = relay(
        MODEL,
        MODEL.entities,
        Stores(database_url, region=REGION, endpoint_url=url),
        limits=Limits(),
        until_empty=True,
        stop=asyncio.Event(),
        listener=Silent(),
    )
    started = time.process_time()
    asyncio.run(run)
    return time.process_time() - started


def ours_per_key(database_url: str, url: str) -> float:
    """The same without what it takes to start and to end, as a relay does that stays."""
    return ours(database_url, url) - ours(database_url, url)


def by_hand(database_url: str, url: str) -> float:
    """asyncpg, a function per table, and boto3, one key after the other."""
    return asyncio.run(_by_hand(database_url, url))


async def _by_hand(database_url: str, url: str) -> float:
    target = boto3.resource("dynamodb", region_name=REGION, endpoint_url=url).Table(TABLE.name)
    started = time.process_time()
    async for item in items_by_hand(database_url):
        key = {"PK": item["PK"], "SK": item["SK"]}
        found: Any = target.get_item(Key=key, ConsistentRead=True)
        version = found.get("Item", {}).get("_v")
        unchanged = Attr("_v").not_exists() if version is None else Attr("_v").eq(version)
        target.put_item(Item={**item, "_v": 1 if version is None else version + 1}, ConditionExpression=unchanged)
    return time.process_time() - started


PEERS: dict[str, Callable[[str, str], float]] = {
    "relay": ours,
    "relay, without start and end": ours_per_key,
    "asyncpg and boto3 batch_writer, by hand": batch_writer,
    "boto3 get_item and put_item, by hand": by_hand,
}


async def follow(database_url: str) -> None:
    """Capture on all tables, in the phase in which changes are followed."""
    session = await connect(database_url, purpose="bench")
    for source, columns in capture.wanted([MODEL]).items():
        for statement in capture.create_statements(source, columns):
            await session.execute(statement)
    await phases.move(session, MODEL.name, [entity.name for entity in MODEL.entities], "dual_write")
    await session.close()


async def change(database_url: str) -> None:
    """Updates every row, so that each has a mark."""
    connection = await asyncpg.connect(database_url)
    await connection.execute("TRUNCATE migrator.marks")
    for each in metadata.sorted_tables:
        (name, *_) = (column.name for column in each.primary_key)
        await connection.execute(f'UPDATE "{each.name}" SET "{name}" = "{name}"')  # noqa: S608 - the schema's own
        await connection.execute(f'VACUUM ANALYZE "{each.name}"')
    await connection.execute("VACUUM ANALYZE migrator.marks")
    await connection.close()


def main() -> None:
    """Measures all in turn, several times, and prints the medians as a table."""
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--rows", type=int, default=2_000)
    options.add_argument("--rounds", type=int, default=3)
    options.add_argument("--only", choices=PEERS, help="measure this one alone")
    chosen = options.parse_args()
    settled = environment(os.environ)
    os.environ.clear()
    os.environ.update(settled)
    peers = [chosen.only] if chosen.only else list(PEERS)
    taken: dict[str, list[float]] = {peer: [] for peer in peers}
    with embedded_postgres() as server, table() as target:
        asyncio.run(prepare(server.url, chosen.rows))
        asyncio.run(follow(server.url))
        # Once without being measured: from then on, every key holds an item.
        for number in range(chosen.rounds + 1):
            for peer in peers:
                asyncio.run(change(server.url))
                took = apart(PEERS[peer], server.url, target.url)
                taken[peer] += [took] if number else []
        keys = target.report()
    show(chosen.rows, keys, taken)


def show(rows: int, keys: int, taken: dict[str, list[float]]) -> None:
    """The table; the first peer is what the others are compared with."""
    first = next(iter(taken.values()))
    print(f"client CPU per key, {rows:,} changed rows with {keys:,} keys; median and least of {len(first)}")
    print(f"{'':40}{'us/key':>10}{'ratio':>8}{'least':>8}{'ratio':>8}")
    for peer, values in taken.items():
        figures = "".join(
            f"{figure(values) / keys * 1e6:{width}.1f}{figure(values) / figure(first):8.1f}"
            for figure, width in ((median, 10), (min, 8))
        )
        print(f"{peer:40}{figures}")


if __name__ == "__main__":
    main()
