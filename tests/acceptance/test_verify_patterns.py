"""Access patterns as `migrate verify` asks and shows them."""

from __future__ import annotations

import json
from contextlib import closing
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.support.project import Project

PATTERNS = """MODEL = Model(
    "shop",
    [CUSTOMER, ORDER],
    [
        Get("customer", "a customer", CUSTOMER),
        Query("by-name", "customers of a name", CUSTOMER, index="ByName"),
        Query("orders", "a customer's orders", ORDER),
    ],
)"""


@pytest.fixture
def asked(prepared: Project) -> Project:
    prepared.edit('MODEL = Model("shop", [CUSTOMER, ORDER])', PATTERNS)
    prepared.edit("Expiry, Index, Item, Model, S, Table", "Expiry, Get, Index, Item, Model, Query, S, Table")
    prepared.here("copy").succeeded()
    return prepared


def test_patterns_are_asked_and_shown(asked: Project) -> None:
    done = asked.here("verify").succeeded()
    lines = [line.split() for line in done.out.splitlines()]
    assert ["access", "pattern", "asked", "equal", "question"] in lines
    # 20 customers, 14 with a name, seven with orders; and up to two sets of values more that no row was drawn for.
    for least, pattern, words in (
        (20, "customer", ["a", "customer"]),
        (14, "by-name", ["customers", "of", "a", "name"]),
        (7, "orders", ["a", "customer's", "orders"]),
    ):
        assert any([pattern, str(n), str(n), *words] in lines for n in range(least, least + 3)), pattern
    assert "access pattern" not in asked.here("verify", "--patterns", "none").succeeded().out
    everything = json.loads(asked.here("verify", "--patterns", "all", "--json").succeeded().out)
    counts = {each["pattern"]: (each["asked"], each["equal"]) for each in everything["models"][0]["patterns"]}
    with closing(asked.dynamodb.client()) as client:
        names = client.scan(TableName=asked.table, IndexName="ByName", Select="COUNT")["Count"]
    assert counts["by-name"] in [(names + n, names + n) for n in range(3)]
    assert counts["orders"] in [(7 + n, 7 + n) for n in range(3)]
    asked.here("verify", "--patterns", "some").failed(2, "neither a number nor 'all' or 'none'")


def test_an_answer_that_differs_is_named_and_3(asked: Project) -> None:
    with closing(asked.dynamodb.client()) as client:
        client.delete_item(TableName=asked.table, Key={"PK": {"S": "CUSTOMER#2"}, "SK": {"S": "ORDER#o-1"}})
    done = asked.here("verify", "orders")
    assert done.code == 3
    assert "orders differs: customer_id=2: missing (customer_id=2, number=o-1)" in done.out
    (model,) = json.loads(asked.here("verify", "orders", "--json").out)["models"]
    (pattern,) = model["patterns"]
    assert pattern["differing"] == ["customer_id=2: missing (customer_id=2, number=o-1)"]
    assert pattern["asked"] - pattern["equal"] == 1
