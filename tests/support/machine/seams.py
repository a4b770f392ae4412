"""The named points at which processes pause and die: seams of the product, wrapped from outside."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from functools import partial, wraps
from pkgutil import resolve_name
from typing import TYPE_CHECKING, Any, Final

from migrator.dynamodb.retry import Backoff
from tests.support.machine.network import WRITES, transport
from tests.support.machine.process import CURRENT, reach

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable

    import pytest

    from tests.support.machine.network import Network

_AFTER: Final = {
    "target read": "migrator.dynamodb.versions:held",
    "snapshot taken": "migrator.reconcile.desired:Snapshots.take",
    "marks settled, not committed": "migrator.postgres.pending:Claim.settle",
    "copy begun": "migrator.postgres.checkpoints:CopyLog.begin",
    "sending noted": "migrator.postgres.checkpoints:CopyLog.sending",
    "page read": "migrator.postgres.rows:RowSource.page",
    "page settled": "migrator.postgres.checkpoints:CopyLog.settle",
    "old tombstones read": "migrator.postgres.tombstones:older_than",
}
_BEFORE: Final = {
    "marks to be settled": "migrator.postgres.pending:Claim.settle",
    "tombstones to be recorded": "migrator.postgres.tombstones:record",
    "tombstones to be forgotten": "migrator.postgres.tombstones:forget",
    "page to be settled": "migrator.postgres.checkpoints:CopyLog.settle",
    "copy to be finished": "migrator.postgres.checkpoints:CopyLog.finish",
}
_CLAIMS: Final = {
    "marks claimed": "migrator.postgres.pending:claimed",
    "row marks claimed": "migrator.postgres.row_marks:claimed",
}
POINTS: Final = (
    *_CLAIMS,
    *_AFTER,
    *_BEFORE,
    *(f"{operation} {what}" for operation in sorted(WRITES) for what in ("sending", "unanswered")),
)
"""Every point at which a process may die, by its name."""
AT_REST: Final = "relay at rest"
_FASTER: Final = {
    # One task at a time within a process, so that what comes next is told by the machine and not by chance.
    "migrator.engines.relay.job._HANDS": 1,
    "migrator.engines.copy.crew._HANDS": 1,
    # Pages of two rows.
    "migrator.engines.copy.table._FIRST_ROWS": 2,
    "migrator.engines.copy.table.PAGE_ROWS": 2,
    # Pauses that only spread the load.
    "migrator.reconcile.reconciler._PAUSE_SECONDS": 0.0002,
    "migrator.dynamodb.client.Backoff": partial(Backoff, base=0.001, cap=0.001),
    "migrator.postgres.locks._PATIENCE": "50ms",
}
_MOST_RESTS: Final = 100


def install(patch: pytest.MonkeyPatch, network: Network) -> None:
    """Puts the points into the product, and takes out of it what only costs time."""
    patch.setattr("migrator.dynamodb.client.HttpTransport", transport(network))
    for wrap, names in ((_claiming, _CLAIMS), (_after, _AFTER), (_before, _BEFORE)):
        for point, name in names.items():
            patch.setattr(name.replace(":", "."), wrap(point, resolve_name(name)))
    for name, value in _FASTER.items():
        patch.setattr(name, value)
    # PostgreSQL's clock is put forward, this machine's is not.
    patch.setattr("migrator.engines.verify.clocks.TOLERATED_SECONDS", float("inf"))
    # Purges are a process of their own here.
    patch.setattr("migrator.engines.relay.job.purge", _nothing_purged)
    patch.setattr("migrator.engines.relay.job._Relay._rest", _rest)


def _after(point: str, seam: Callable[..., Awaitable[Any]]) -> Callable[..., Awaitable[Any]]:
    @wraps(seam)
    async def wrapped(*args: Any, **kwargs: Any) -> Any:  # noqa: ANN401 - whatever the seam takes and gives
        result = await seam(*args, **kwargs)
        await reach(point)
        return result

    return wrapped


def _before(point: str, seam: Callable[..., Awaitable[Any]]) -> Callable[..., Awaitable[Any]]:
    @wraps(seam)
    async def wrapped(*args: Any, **kwargs: Any) -> Any:  # noqa: ANN401 - whatever the seam takes and gives
        await reach(point)
        return await seam(*args, **kwargs)

    return wrapped


def _claiming(point: str, seam: Callable[..., Any]) -> Callable[..., Any]:
    @asynccontextmanager
    @wraps(seam)
    async def wrapped(*args: Any, **kwargs: Any) -> AsyncIterator[Any]:  # noqa: ANN401 - whatever the seam takes
        async with seam(*args, **kwargs) as claimed:
            if getattr(claimed, "claim", claimed).marks:
                await reach(point)
            yield claimed

    return wrapped


async def _nothing_purged(*_: object, **__: object) -> int:
    return 0


async def _rest(_relay: object, _seconds: float) -> None:
    """A relay that finds nothing to do. Let on without stops, it ends, unless it is to go on until no mark waits."""
    process = CURRENT.get()
    assert process is not None
    await reach(AT_REST)
    if process.free:
        process.rested += 1
        process.stop.set()
        assert process.rested < _MOST_RESTS, "marks do not drain"
        await asyncio.sleep(0.001)
