"""The product with one rule of the protocol left out: what the machine must find."""

from __future__ import annotations

from contextlib import asynccontextmanager
from dataclasses import replace
from importlib import import_module
from typing import TYPE_CHECKING, Any, Final

import orjson

from migrator.dynamodb import versions
from migrator.dynamodb.batches import BatchWriter
from migrator.dynamodb.items import batch_get, delete_item, put_item
from migrator.phases.gate import Gate
from migrator.postgres import pending, phases, tombstones
from migrator.reconcile.touched import Touched

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    import pytest

    from migrator.dynamodb.client import Client
    from migrator.mapping import WireItem
    from migrator.postgres.connection import Connection


class _Settled:
    """A claim of marks that are gone already."""

    def __init__(self, marks: Any) -> None:  # noqa: ANN401 - those of a claim
        self.marks = marks

    async def settle(self, *_: object) -> None: ...


def _marks_deleted_first(patch: pytest.MonkeyPatch) -> None:
    original = pending.claimed

    @asynccontextmanager
    async def claimed(*args: Any) -> AsyncIterator[Any]:  # noqa: ANN401 - the original's
        async with original(*args) as claim:
            await claim.settle([mark.id for mark in claim.marks], {})
        yield _Settled(claim.marks)

    patch.setattr(pending, "claimed", claimed)


def _write_skipped_on_equality(patch: pytest.MonkeyPatch) -> None:
    original = versions.put_where

    async def put(client: Client, table_name: str, item: bytes, **kwargs: Any) -> bool:  # noqa: ANN401 - the original's
        wanted = orjson.loads(item)
        found = await batch_get(client, table_name, [_key(wanted)])
        if wanted.keys() == {"PK", "SK", "_v", "_del"}:
            is_equal = all("_del" in each for each in found)
        else:
            is_equal = any(_values(each) == _values(wanted) for each in found)
        return is_equal or await original(client, table_name, item, **kwargs)

    patch.setattr(versions, "put_where", put)


def _source_before_target(patch: pytest.MonkeyPatch) -> None:
    original = versions.put_where

    async def put(client: Client, table_name: str, item: bytes, **kwargs: Any) -> bool:  # noqa: ANN401 - the original's
        key = _key(orjson.loads(item))
        held = [each for _, each in await versions.held(client, table_name, [key], list(key))]
        return await original(client, table_name, item, **{**kwargs, "was": held[0] if held else None})

    patch.setattr(versions, "put_where", put)


def _key(item: WireItem) -> WireItem:
    return {name: item[name] for name in ("PK", "SK")}


def _values(item: WireItem) -> WireItem:
    return {name: value for name, value in item.items() if name != "_v"}


def _unconditional_write(patch: pytest.MonkeyPatch) -> None:
    async def put(client: Client, table_name: str, item: bytes, **_: object) -> bool:
        await put_item(client, table_name, item)
        return True

    patch.setattr(versions, "put_where", put)


def _failed_condition_taken_for_success(patch: pytest.MonkeyPatch) -> None:
    original = versions.put_where

    async def put(*args: Any, **kwargs: Any) -> bool:  # noqa: ANN401 - the original's
        await original(*args, **kwargs)
        return True

    patch.setattr(versions, "put_where", put)


def _no_tombstones(patch: pytest.MonkeyPatch) -> None:
    original = versions.put_where

    async def put(client: Client, table_name: str, item: bytes, **kwargs: Any) -> bool:  # noqa: ANN401 - the original's
        wanted = orjson.loads(item)
        if "_del" not in wanted:
            return await original(client, table_name, item, **kwargs)
        await delete_item(client, table_name, _key(wanted))
        return True

    async def record(*_: object) -> None: ...

    patch.setattr(versions, "put_where", put)
    patch.setattr(tombstones, "record", record)


def _accepted_while_a_copy_is_on_its_way(patch: pytest.MonkeyPatch) -> None:
    async def sources_since_sent(*_: object) -> dict[str, float]:
        return {}

    patch.setattr(phases, "sources_since_sent", sources_since_sent)


def _old_key_not_marked(patch: pytest.MonkeyPatch) -> None:
    def take_old(self: Touched, mark: int, *_: object) -> None:
        self.old_keys[mark] |= set()

    patch.setattr(Touched, "_take_old", take_old)


def _version_used_again(patch: pytest.MonkeyPatch) -> None:
    original = phases.moment

    async def moment(connection: Connection, model: str) -> phases.Moment:
        return replace(await original(connection, model), version=1)

    patch.setattr(phases, "moment", moment)


def _purge_without_waiting(patch: pytest.MonkeyPatch) -> None:
    original = tombstones.older_than

    async def older_than(connection: Connection, target: str, _seconds: float, *, limit: int) -> dict[str, str]:
        return await original(connection, target, 0.0, limit=limit)

    patch.setattr(tombstones, "older_than", older_than)


def _no_wait_after_turbo_copy(patch: pytest.MonkeyPatch) -> None:
    original = phases.move

    async def move(connection: Connection, model: str, entities: Any, phase: phases.Phase, **_: object) -> bool:  # noqa: ANN401 - the original's
        return await original(connection, model, entities, phase)

    async def quiet(*_: object) -> Gate:
        return Gate("no request of a copy can arrive any more")

    patch.setattr(phases, "move", move)
    patch.setattr("migrator.phases.dual_write.quiet", quiet)


def _turbo_copy_at_once_on_the_way_back(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(import_module("migrator.engines.copy.job"), "check_quiet", lambda *_: None)


def _live_copy_overwrites(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(import_module("migrator.engines.copy.crew"), "InsertWriter", BatchWriter)


VARIANTS: Final[dict[str, Callable[[pytest.MonkeyPatch], None]]] = {
    "marks deleted first": _marks_deleted_first,
    "write skipped on equality": _write_skipped_on_equality,
    "source read before target": _source_before_target,
    "unconditional write": _unconditional_write,
    "failed condition taken for success": _failed_condition_taken_for_success,
    "no tombstones": _no_tombstones,
    "accepted while a copy is on its way": _accepted_while_a_copy_is_on_its_way,
    "old key not marked": _old_key_not_marked,
    "version used again": _version_used_again,
    "purge without waiting": _purge_without_waiting,
    "relay does not wait after turbo copy": _no_wait_after_turbo_copy,
    "turbo copy at once on the way back": _turbo_copy_at_once_on_the_way_back,
    "live copy overwrites": _live_copy_overwrites,
}
"""By the names that the model checker has for them, as far as it knows them."""
