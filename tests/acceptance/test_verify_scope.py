"""`migrate verify` of a part, and what it says of the rest and of its cost."""

from __future__ import annotations

import json
from contextlib import closing
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.support.project import Project


@pytest.fixture
def copied(prepared: Project) -> Project:
    prepared.here("copy").succeeded()
    return prepared


def test_the_cost_is_told_before_and_after(copied: Project) -> None:
    told = copied.here("verify", "--dry-run", "--max-rcu", "10").succeeded()
    assert told.out.startswith("reading takes about ")
    assert "on demand; at 10 a second that takes" in told.out
    (model,) = json.loads(copied.here("verify", "--dry-run", "--json").succeeded().out)["costs"]
    assert model["name"] == "shop"
    assert model["foreseen_units"] > 0
    # Nothing was verified.
    assert "verification: none" in copied.here("status").succeeded().out
    done = copied.here("verify").succeeded()
    assert "reading takes about " in done.err
    assert "read units, $" in done.out
    assert not list((copied.directory / ".migrator" / "verify").glob("*/plan"))


def test_a_range_of_keys_of_several_columns(copied: Project) -> None:
    with closing(copied.dynamodb.client()) as client:
        client.delete_item(TableName=copied.table, Key={"PK": {"S": "CUSTOMER#2"}, "SK": {"S": "ORDER#o-1"}})
    done = copied.here("verify", "orders", "--after", "1,o-99", "--until", "2,o-1")
    assert done.code == 3
    assert "1 differences: 1 missing" in done.out
    assert "not verified: Items that no row asks for, and rows whose keys are outside the range." in done.out
    done = copied.here("verify", "orders", "--after", "3", "--until", "4").failed(
        2, "cannot be read as (customer_id bigint, number text)"
    )
    # A verification of a part does not count as one of everything.
    assert "migrate verify" in copied.here("status").succeeded().out


def test_scopes_that_mean_nothing_say_what_is_possible(copied: Project) -> None:
    copied.here("verify", "--after", "1").failed(2, "a range of keys is of one table", "customers, orders")
    copied.here("verify", "--since", "1h").failed(
        2, "has no column updated_at that says when a row was changed", "Leave the table or --since out"
    )
    copied.here("verify", "--since", "last").failed(2, "there is no verification of shop to follow")
    copied.here("verify", "--sample", "5", "--since", "1h").failed(2, "each say which rows to look at", "Give one")


def test_a_sample_says_what_it_is_worth(copied: Project) -> None:
    done = copied.here("verify", "--sample", "1").succeeded()
    assert "target and source are equal" in done.out
    assert "of about 120 rows were looked at" in done.out or "No row was drawn" in done.out
