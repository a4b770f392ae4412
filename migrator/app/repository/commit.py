"""Changes of several rows in DynamoDB: made in one transaction, each on condition of the version that was read."""

from __future__ import annotations

import asyncio
import random
import time
from collections import defaultdict
from typing import TYPE_CHECKING, Final
from uuid import uuid4

import orjson

from migrator.app.errors import ConflictError
from migrator.dynamodb import versions
from migrator.dynamodb.errors import ConditionFailedError, TransactionCanceledError
from migrator.dynamodb.items import batch_get
from migrator.dynamodb.versions import Held, Put
from migrator.errors import TargetError, UsageError
from migrator.reconcile.item_key import ItemKey

if TYPE_CHECKING:
    from collections.abc import Sequence

    from migrator.app.repository.change import Change, Found, Wanted
    from migrator.dynamodb.client import Client
    from migrator.mapping import Table, WireItem

_ROUNDS: Final = 8
_PAUSE_SECONDS: Final = 0.02


async def commit(client: Client, changes: Sequence[Change], *, until: float) -> None:
    """Makes changes, or none of them.

    What their keys hold is read, compared with what was read before, and written on condition that it still is that.

    Args:
        client: the target.
        changes: the changes, each of another row.
        until: a moment of the monotonic clock after which nothing is sent.

    Raises:
        NotFoundError, ConflictError: a row is not as it was read. Nothing was written.
        UsageError: they take more items than a transaction holds.
        Unencodable: an item cannot hold a value.
        TargetError, AnswerError: DynamoDB has refused, or not answered in time; the changes may have been made.
    """
    tables = {change.items.entity.table.name: change.items.entity.table for change in changes}
    unclear: list[Put] = []
    for attempt in range(_ROUNDS):
        if attempt:
            await asyncio.sleep(_PAUSE_SECONDS * 2**attempt * random.random())  # noqa: S311 - spreads writers
        found = await _found(client, tables, changes)
        if _holds(found, unclear):
            # It was put, and only the answer was lost.
            return
        if unclear:
            raise TargetError("an answer was lost; what the rows are now was written after it, or instead")
        wanted: Wanted = {}
        for change in changes:
            wanted |= change.wanted(found)
        puts = _puts(tables, wanted, found)
        try:
            await _send(client, puts, until)
        except (ConditionFailedError, TransactionCanceledError) as error:
            if isinstance(error, TransactionCanceledError) and error.is_final:
                raise
            unclear = puts if error.attempt.unclear else []
        else:
            return
    raise ConflictError(
        f"{', '.join(dict.fromkeys(change.name for change in changes))}: others write the same rows all the time",
        safe="nothing was written",
        next_step="try again",
    )


async def _found(client: Client, tables: dict[str, Table], changes: Sequence[Change]) -> Found:
    """What the keys of the changed rows hold."""
    found: dict[ItemKey, WireItem] = {}
    asked: set[ItemKey] = set()
    while True:
        keys = {key for change in changes for key in change.keys(found)} - asked
        if not keys:
            return found
        by_table: dict[str, list[WireItem]] = defaultdict(list)
        for key in keys:
            by_table[key.table].append(key.wire(tables[key.table]))
        for name, some in by_table.items():
            found |= {ItemKey.of(tables[name], item): item for item in await batch_get(client, name, some)}
        asked |= keys


def _puts(tables: dict[str, Table], wanted: Wanted, found: Found) -> list[Put]:
    """What is to be put, in the same order each time."""
    if len(wanted) > versions.TRANSACTION_ITEMS:
        raise UsageError(
            f"these changes take {len(wanted)} items; a transaction of DynamoDB holds {versions.TRANSACTION_ITEMS}",
            safe="nothing was written",
            next_step="write fewer rows together",
        )
    held = {key: Held.by(found[key]) if key in found else None for key in sorted(wanted)}
    version = versions.next_version(max((int(each.version) for each in held.values() if each), default=0))
    now = int(time.time())
    puts = []
    for key, was in held.items():
        table, item = tables[key.table], wanted[key]
        text = (
            versions.tombstone(key.wire(table), version, now)
            if item is None
            else versions.versioned(orjson.dumps(item), version)
        )
        puts.append(Put(table.name, text, table.partition_key.name, was))
    return puts


async def _send(client: Client, puts: Sequence[Put], until: float) -> None:
    """Puts all, or none.

    Raises:
        ConditionFailedError, TransactionCanceledError: a key does not hold any more what was read.
    """
    table = puts[0].table_name
    # The loop's clock is the monotonic one.
    if len(puts) > 1:
        named = versions.transaction(puts, str(uuid4()))
        await client.call("TransactWriteItems", named, table=table, deadline=until)
    else:
        await client.call("PutItem", puts[0].text(), table=table, deadline=until)


def _holds(found: Found, sent: Sequence[Put]) -> bool:
    """Whether what was sent is there: its version is nobody else's."""
    versions_found = {(key.table, Held.by(item).version) for key, item in found.items()}
    return any((put.table_name, orjson.loads(put.item)[versions.VERSION]["N"]) in versions_found for put in sent)
