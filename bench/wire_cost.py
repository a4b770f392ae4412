"""Client CPU of one BatchWriteItem of 25 items, on its way out and back: this project's client beside its peers.

The server is a process of its own that answers every request with the same words, so that only the client is measured:
`time.process_time` covers its threads, and nothing of the server. Each peer starts from what its users hold: this
client from the items' JSON text, the others from Python values.

    python bench/wire_cost.py [--requests N] [--rounds N] [--in-flight N]
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import multiprocessing
import os
import time
import zlib
from concurrent.futures import ThreadPoolExecutor
from statistics import median
from typing import TYPE_CHECKING, Any

import aiohttp
import boto3
import botocore.session
import orjson
from aiodynamo.client import Client as AiodynamoClient
from aiodynamo.credentials import Key, StaticCredentials
from aiodynamo.http.aiohttp import AIOHTTP
from aiodynamo.models import BatchWriteRequest
from boto3.dynamodb.types import TypeSerializer
from botocore.config import Config
from botocore.credentials import Credentials
from yarl import URL

from migrator.dynamodb import BatchWriter, Client, Pace, Session

if TYPE_CHECKING:
    from collections.abc import Callable
    from multiprocessing.connection import Connection

    from mypy_boto3_dynamodb.type_defs import WriteRequestTypeDef

ITEMS_PER_REQUEST = 25
ITEM_BYTES = 832
ACCESS_KEY, NOT_SECRET = "AKIDEXAMPLE", "example"
REGION = "eu-west-1"
ANSWER = b'{"ConsumedCapacity":[{"CapacityUnits":25.0,"TableName":"items"}],"UnprocessedItems":{}}'
ANSWER_HEAD = (
    "HTTP/1.1 200 OK\r\nServer: Server\r\nDate: Sat, 29 Nov 2025 10:30:00 GMT\r\n"
    f"Content-Type: application/x-amz-json-1.0\r\nContent-Length: {len(ANSWER)}\r\nConnection: keep-alive\r\n"
    "x-amzn-RequestId: Q09S3I0UR7VHCNIFFP4RUVAHSNVV4KQNSO5AEMVJF66Q9ASUAAJG\r\n"
    f"x-amz-crc32: {zlib.crc32(ANSWER)}\r\n\r\n"
).encode()


class Canned(asyncio.Protocol):
    """Answers each request, however large, with `ANSWER`."""

    def __init__(self) -> None:
        self._received = bytearray()
        self._missing = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """A client has connected."""
        if isinstance(transport, asyncio.Transport):
            self._transport = transport

    def data_received(self, data: bytes) -> None:
        """Counts the body's bytes, and answers after the last."""
        if self._missing == 0:
            self._received += data
            end = self._received.find(b"\r\n\r\n")
            if end < 0:
                return
            head = self._received[:end].lower()
            length = head.partition(b"content-length:")[2].partition(b"\r\n")[0]
            self._missing = int(length) - (len(self._received) - end - 4)
            self._received.clear()
        else:
            self._missing -= len(data)
        if self._missing == 0:
            self._transport.write(ANSWER_HEAD + ANSWER)


def serve(ready: Connection) -> None:
    """The server's process: it says its port, and ends when the client's process ends it."""

    async def run() -> None:
        server = await asyncio.get_running_loop().create_server(Canned, "127.0.0.1", 0)
        ready.send(server.sockets[0].getsockname()[1])
        await server.serve_forever()

    asyncio.run(run())


def make_items(count: int) -> list[dict[str, Any]]:
    """Items of a string key pair, a few short attributes and a text that fills them up to `ITEM_BYTES` of JSON."""
    made = []
    for number in range(count):
        item: dict[str, Any] = {"PK": f"USER#{number:08}", "SK": "METADATA", "Active": True, "Count": number}
        item["Data"] = {"title": "a title", "created_at": "2025-11-29T10:30:00.5Z", "body": ""}
        item["Data"]["body"] = "x" * (ITEM_BYTES - len(wire_text(item)))
        made.append(item)
    return made


def wire_item(item: dict[str, Any]) -> dict[str, Any]:
    """The item as DynamoDB's JSON has it."""
    serialize = TypeSerializer().serialize
    return {name: serialize(value) for name, value in item.items()}


def wire_text(item: dict[str, Any]) -> bytes:
    """The same as text, which is what the compiled encoder yields."""
    return orjson.dumps(wire_item(item))


async def ours(url: str, items: list[dict[str, Any]], requests: int, in_flight: int) -> float:
    """This project's `BatchWriter`, every safeguard on."""
    session = Session(REGION, url, Credentials(ACCESS_KEY, NOT_SECRET), botocore.session.Session())
    texts = [wire_text(item) for item in items] * (requests // in_flight)
    async with Client(session, max_in_flight=in_flight) as client:
        # What a request costs is asked here, not how the pace climbs: it starts beyond what can be sent.
        writer = BatchWriter(client, "items", pace=Pace(start=1e9))
        await writer.write(texts[: len(items)])
        started = time.process_time()
        for start in range(0, len(texts), 40 * len(items)):
            await writer.write(texts[start : start + 40 * len(items)])
        return time.process_time() - started


async def aiodynamo(url: str, items: list[dict[str, Any]], requests: int, in_flight: int) -> float:
    """The aiodynamo client's `batch_write`, on aiohttp."""
    key = Key(ACCESS_KEY, NOT_SECRET)
    batches = [items[start : start + ITEMS_PER_REQUEST] for start in range(0, len(items), ITEMS_PER_REQUEST)]
    async with aiohttp.ClientSession() as http:
        client = AiodynamoClient(AIOHTTP(http), StaticCredentials(key), REGION, URL(url))

        async def work(batch: list[dict[str, Any]], times: int) -> None:
            for _ in range(times):
                await client.batch_write({"items": BatchWriteRequest(items_to_put=batch)})

        await asyncio.gather(*(work(batch, 1) for batch in batches))
        started = time.process_time()
        await asyncio.gather(*(work(batch, requests // in_flight) for batch in batches))
        return time.process_time() - started


async def boto(url: str, items: list[dict[str, Any]], requests: int, in_flight: int) -> float:
    """The boto3 client's `batch_write_item`, one request at a time per thread; items are serialised as its users do."""
    client = boto3.client(
        "dynamodb",
        endpoint_url=url,
        region_name=REGION,
        aws_access_key_id=ACCESS_KEY,
        aws_secret_access_key=NOT_SECRET,
        config=Config(max_pool_connections=in_flight),
    )
    batches = [items[start : start + ITEMS_PER_REQUEST] for start in range(0, len(items), ITEMS_PER_REQUEST)]

    def work(batch: list[dict[str, Any]], times: int) -> None:
        for _ in range(times):
            puts: list[WriteRequestTypeDef] = [{"PutRequest": {"Item": wire_item(item)}} for item in batch]
            client.batch_write_item(RequestItems={"items": puts}, ReturnConsumedCapacity="TOTAL")

    with ThreadPoolExecutor(in_flight) as threads:
        list(threads.map(work, batches, [1] * in_flight))
        started = time.process_time()
        list(threads.map(work, batches, [requests // in_flight] * in_flight))
        took = time.process_time() - started
    client.close()
    return took


PEERS: dict[str, Callable[..., Any]] = {"this client": ours, "aiodynamo": aiodynamo, "boto3 client": boto}


def main() -> None:
    """Measures every peer in turn, several times, and prints the medians as a table."""
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--requests", type=int, default=4000, help="requests of this client; the peers do fewer")
    options.add_argument("--rounds", type=int, default=5)
    options.add_argument("--in-flight", type=int, default=16)
    options.add_argument("--only", choices=PEERS, help="measure this one alone")
    chosen = options.parse_args()
    for name in [name for name in os.environ if name.startswith("AWS_") or name.lower().endswith("_proxy")]:
        del os.environ[name]
    spawn = multiprocessing.get_context("spawn")
    ready, theirs = spawn.Pipe()
    server = spawn.Process(target=serve, args=(theirs,), daemon=True)
    server.start()
    url = f"http://127.0.0.1:{ready.recv()}"
    items = make_items(ITEMS_PER_REQUEST * chosen.in_flight)
    peers = {chosen.only: PEERS[chosen.only]} if chosen.only else PEERS
    figures: dict[str, list[float]] = {name: [] for name in peers}
    for _ in range(chosen.rounds):
        for name, measure in peers.items():
            requests = chosen.requests // (1 if measure is ours else 4) // chosen.in_flight * chosen.in_flight
            gc.collect()
            seconds = asyncio.run(measure(url, items, requests, chosen.in_flight))
            figures[name].append(seconds / requests * 1e6)
    server.terminate()
    base = median(figures[next(iter(figures))])
    print(f"client CPU per BatchWriteItem of {ITEMS_PER_REQUEST} items of {ITEM_BYTES} B, median of {chosen.rounds}")
    print(f"{'':14}{'us/request':>12}{'us/item':>10}{'ratio':>8}")
    for name, values in figures.items():
        each = median(values)
        print(f"{name:14}{each:12.1f}{each / ITEMS_PER_REQUEST:10.2f}{each / base:8.1f}")


if __name__ == "__main__":
    main()
