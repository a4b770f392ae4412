"""What commands do and say when applications write to the target, and when the migration is complete."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from tests.acceptance.test_return import customer
from tests.acceptance.writing import WRITES, client, read, stages, standing, written

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

    from tests.support.project import Project

__all__ = ["client", "read", "written"]


def test_what_is_not_carried_back_is_told_with_what_carries_it(written: Project, client: DynamoDBClient) -> None:
    client.put_item(TableName=written.table, Item=customer(100, "new"))
    found = written.here("verify")
    assert found.code == 3, found
    assert "extra: " in found.out
    assert "migrate relay" in found.err
    assert "delete" not in found.err, "it is a customer"
    written.here("verify", "--repair", "-y").failed(8, "write_target", "migrate relay")
    written.here("relay", "--until-empty").succeeded()
    written.here("verify").succeeded()


@pytest.mark.uncovered
def test_what_a_relay_carries_back_meanwhile_is_no_difference(written: Project, client: DynamoDBClient) -> None:
    with written.start("relay") as relay:
        try:
            for number in range(100, 110):
                client.put_item(TableName=written.table, Item=customer(number, "new"))
            written.here("verify").succeeded()
        finally:
            relay.terminate()


def test_at_the_end_nothing_is_asked_for_any_more(written: Project, client: DynamoDBClient) -> None:
    description = {"TableName": written.table}
    client.put_item(TableName=written.table, Item=customer(99, "new"))
    assert written.here("verify").code == 3
    written.here("complete", "-y").succeeded()
    assert client.describe_time_to_live(**description)["TimeToLiveDescription"]["TimeToLiveStatus"] == "ENABLED"
    client.put_item(TableName=written.table, Item=customer(100, "new"))
    written.here("verify").failed(8, "cannot be verified any more")
    written.here("relay", "--until-empty").failed(8, "the migration is complete")
    written.here("rollback", "-y").failed(8, "which nothing leads out of")
    shown = written.here("status").succeeded().out
    assert "next: nothing: the migration is complete" in shown
    assert "note:" not in shown
    assert standing(written)["in_the_way"] == []
    assert standing(written)["open_divergences"] == 0
    prepared = written.here("prepare", "--yes").succeeded()
    assert "note:" not in prepared.err
    assert "next: migrate status" in prepared.err


def test_what_is_complete_does_not_keep_others_from_moving(read: Project) -> None:
    """Entities that move by themselves: one is at its end, the other is proven and moves on."""
    read.here(*WRITES, "--entity", "CUSTOMER").succeeded()
    read.here("complete", "-y", "--entity", "CUSTOMER").succeeded()
    verified = read.here("verify", "--json").succeeded()
    (model,) = json.loads(verified.out)["models"]
    assert model["scope"]["not_verified"] == ["CUSTOMER is complete: its source is not kept up to date."]
    assert "to phase write_target, 1 entities" in read.here("switch", "writes", "--dry-run").succeeded().out
    order = next(each for each in read.items() if each["SK"]["S"].startswith("ORDER#"))
    client = read.dynamodb.client()
    client.delete_item(TableName=read.table, Key={"PK": order["PK"], "SK": order["SK"]})
    client.close()
    read.here("verify", "--repair", "-y").succeeded()
    assert order["SK"] in [each["SK"] for each in read.items()]
    read.here("rollback", "-y").succeeded()
    assert stages(read) == {("complete", None), ("dual_write", None)}
    assert "verification: equal" in read.here("status").succeeded().out
