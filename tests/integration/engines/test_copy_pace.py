"""Copy into tables that are slower than the source, in real time."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from migrator.dynamodb.errors import GaveUpError
from migrator.engines import copy
from migrator.reconcile import Times
from tests.support.metered_dynamodb import MeteredDynamoDB, MeteredTable

if TYPE_CHECKING:
    from tests.support.migration import Migration

READINGS = 100


@pytest.fixture
async def readings(narrow: Migration) -> Migration:
    """The narrow model, with rows in its table."""
    async with narrow.session() as session:
        await session.execute(
            "INSERT INTO readings SELECT n, 'value ' || n FROM generate_series(1, $1::int) AS n", READINGS
        )
        await session.execute("ANALYZE readings")
    return narrow


@pytest.mark.uncovered
async def test_what_a_small_table_does_not_take_in_time_is_read_again(readings: Migration) -> None:
    table = MeteredTable(readings.table.name, write_units=25.0)
    with MeteredDynamoDB(table) as target:
        limits = copy.Limits(times=Times(page=1.5))
        outcome = await readings.through(target.endpoint_url).copy(limits=limits)
    assert outcome.total.rows == len(table.items) == READINGS
    # More was taken than there is: the pages that were not written in time were written again, in smaller ones.
    assert table.metered.taken > READINGS


async def test_a_row_that_cannot_be_written_in_time_ends_the_copy(readings: Migration) -> None:
    table = MeteredTable(readings.table.name, write_units=0.5)
    with MeteredDynamoDB(table) as target, pytest.raises(GaveUpError) as caught:
        await readings.through(target.endpoint_url).copy(limits=copy.Limits(times=Times(page=0.2)))
    assert caught.value.safe is not None
