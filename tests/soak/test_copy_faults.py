"""A copy of 100,000 rows, and its verification, through a target that fails all the time."""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING

import pytest

from migrator.engines.copy import Limits
from tests.soak.conftest import HUNDRED_THOUSAND
from tests.support.fault_proxy import FaultProxy
from tests.support.faults import Cut, Delay, Late, Unprocessed, server_error, throttle

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.support.faults import Fault
    from tests.support.migration import Migration

FAULTS: list[tuple[Fault, float]] = [
    (Unprocessed(0.3), 0.10),
    (throttle(), 0.05),
    (server_error(), 0.005),
    (server_error(applied=True), 0.005),
    (Cut("before"), 0.005),
    (Cut("after"), 0.005),
    (Late(1.0), 0.01),
    (Delay(0.1), 0.05),
]


@pytest.mark.soak
@pytest.mark.parametrize("workers", [1, 2])
async def test_a_target_that_fails_all_the_time(large: Migration, tell: Callable[[str], None], workers: int) -> None:
    seed = secrets.randbits(32)
    tell(f"seed {seed}")
    with FaultProxy(large.endpoint.endpoint_url, seed=seed) as proxy:
        for fault, rate in FAULTS:
            proxy.inject(fault, rate=rate)
        behind_proxy = large.through(proxy.endpoint_url)
        outcome = await behind_proxy.copy(limits=Limits(workers=workers))
        report = await behind_proxy.verify()
    tell(f"{dict(proxy.applied)} in {sum(proxy.seen.values()):,} requests; {outcome.tally}")
    assert outcome.total.rows == HUNDRED_THOUSAND
    assert report.differences == []
    assert report.clean
    assert await large.differing() == []
