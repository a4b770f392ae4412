"""`migrate verify`: what it finds, how it tells it, and how it ends."""

from __future__ import annotations

import json
from contextlib import closing
from typing import TYPE_CHECKING

import pytest

from tests.support.project import UNFIT
from tests.support.terminal import at_terminal

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

    from tests.support.project import Project


@pytest.fixture
def copied(prepared: Project) -> Project:
    prepared.here("copy").succeeded()
    return prepared


def corrupt(client: DynamoDBClient, table: str) -> None:
    """Change one item, delete another and add a stray one."""
    client.update_item(
        TableName=table,
        Key={"PK": {"S": "CUSTOMER#1"}, "SK": {"S": "PROFILE"}},
        UpdateExpression="SET #name = :name, #secret = :secret",
        ExpressionAttributeNames={"#name": "Name", "#secret": "token"},
        ExpressionAttributeValues={":name": {"S": "forged name"}, ":secret": {"S": "forged token"}},
    )
    client.delete_item(TableName=table, Key={"PK": {"S": "CUSTOMER#2"}, "SK": {"S": "ORDER#o-1"}})
    client.put_item(
        TableName=table, Item={"PK": {"S": "CUSTOMER#99"}, "SK": {"S": "PROFILE"}, "v": {"S": "stray value"}}
    )


def test_equal_stores_are_0(copied: Project) -> None:
    done = copied.migrate("verify").succeeded()
    assert "shop: 220 items expected, 220 scanned, 0 rows past their TTL" in done.out
    assert "shop: target and source are equal" in done.out
    code, shown = at_terminal(copied, "", "verify", "--max-rcu", "500", "--workers", "2")
    assert (code, "target and source are equal" in shown) == (0, True)


@pytest.mark.uncovered
def test_differences_are_named_and_3(copied: Project) -> None:
    with closing(copied.dynamodb.client()) as client:
        corrupt(client, copied.table)
    done = copied.migrate("verify")
    assert done.code == 3
    assert "shop: 3 differences: 1 missing, 1 extra, 1 different" in done.out
    lines = {line.strip() for line in done.out.splitlines() if line.startswith("  ")}
    assert f"different: {copied.table}, PK CUSTOMER#1 / SK PROFILE (CUSTOMER): Name (index key), token" in lines
    assert f"missing: {copied.table}, PK CUSTOMER#2 / SK ORDER#o-1 (ORDER)" in lines
    assert f"extra: {copied.table}, PK CUSTOMER#99 / SK PROFILE (CUSTOMER)" in lines
    assert "`migrate copy --restart customers orders` writes missing and different items" in done.err
    assert "delete extra items" in done.err
    for value in ("forged", "stray value", "name 1", "secret 1"):
        assert value not in done.out + done.err
    copied.here("copy", "--restart", "-y").succeeded()
    assert copied.here("verify").code == 3
    with closing(copied.dynamodb.client()) as client:
        client.delete_item(TableName=copied.table, Key={"PK": {"S": "CUSTOMER#99"}, "SK": {"S": "PROFILE"}})
    copied.here("verify").succeeded()


@pytest.mark.uncovered
def test_json_holds_every_difference(copied: Project) -> None:
    with closing(copied.dynamodb.client()) as client:
        corrupt(client, copied.table)
    done = copied.here("verify", "--json")
    assert done.code == 3
    (model,) = json.loads(done.out)["models"]
    assert model["clean"] is False
    assert model["rows"] == {"customers": 20, "orders": 100}
    assert model["fingerprint"] == copied.model.fingerprint
    by_verdict = {difference["verdict"]: difference for difference in model["differences"]}
    assert by_verdict["different"] == {
        "verdict": "different",
        "table": copied.table,
        "key": {"PK": "CUSTOMER#1", "SK": "PROFILE"},
        "entity": "CUSTOMER",
        "row_key": ["1"],
        "attributes": ["Name", "token"],
        "index_keys": ["Name"],
        "ttl": False,
        "reason": None,
        "cause": by_verdict["different"]["cause"],
        "values": None,
    }
    assert by_verdict["missing"]["row_key"] == ["2", "o-1"]
    assert by_verdict["extra"]["key"] == {"PK": "CUSTOMER#99", "SK": "PROFILE"}
    assert "forged" not in done.out


def test_a_row_that_has_no_exact_items_cannot_be_verified(copied: Project) -> None:
    copied.database.execute(f"update orders set {UNFIT} where number = 'o-7'")  # noqa: S608 - no input's
    done = copied.here("verify")
    assert done.code == 3
    assert (
        f"unverifiable: {copied.table}, customer_id 1 / number o-7 (ORDER): column details: 39 significant digits"
    ) in done.out
    assert "correct the rows that cannot be verified, or their mapping" in done.err
    assert "12345678901234567890" not in done.out + done.err


@pytest.mark.uncovered
def test_only_the_tables_that_are_named(copied: Project) -> None:
    with closing(copied.dynamodb.client()) as client:
        corrupt(client, copied.table)
    done = copied.here("verify", "orders", "--json")
    assert done.code == 3
    (model,) = json.loads(done.out)["models"]
    assert [difference["verdict"] for difference in model["differences"]] == ["missing"]


@pytest.mark.uncovered
def test_of_many_differences_the_first_are_shown(prepared: Project) -> None:
    done = prepared.here("verify")
    assert done.code == 3
    assert "shop: 220 differences: 220 missing" in done.out
    assert len([line for line in done.out.splitlines() if line.startswith("  missing: ")]) == 20
    assert "  and 200 more; `migrate verify --json` lists them all" in done.out
    assert len(json.loads(prepared.here("verify", "--json").out)["models"][0]["differences"]) == 220
