"""A table of two key attributes and an index, on each DynamoDB that can be had."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from migrator.mapping import Index, S, Table
from tests.support.fault_proxy import FaultProxy
from tests.support.target import Target, create

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.support.stores import DynamoDBStore


def orders(name: str) -> Table:
    return Table(name, S("PK"), S("SK"), indexes=(Index("ByStatus", S("Status"), S("SK")),))


@pytest.fixture
def target(any_dynamodb: DynamoDBStore) -> Target:
    return create(any_dynamodb, orders(any_dynamodb.table_name("orders")))


@pytest.fixture
def proxy(target: Target) -> Iterator[FaultProxy]:
    """A fault proxy in front of the target."""
    with FaultProxy(target.session.endpoint_url, seed=1) as running:
        yield running


@pytest.fixture
def behind_proxy(target: Target, proxy: FaultProxy) -> Target:
    """The same table, reached through the fault proxy."""
    return replace(target, session=replace(target.session, endpoint_url=proxy.endpoint_url))
