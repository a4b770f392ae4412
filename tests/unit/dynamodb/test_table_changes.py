from __future__ import annotations

from dataclasses import replace
from typing import Any

import botocore.session
import pytest
from botocore.validate import validate_parameters

from migrator.dynamodb.changes import Change, State, differences
from migrator.dynamodb.definition import create_request
from migrator.dynamodb.errors import Place
from migrator.errors import TargetError
from migrator.mapping import Index, N, Provisioned, S, Table

PLACE = Place("eu-west-1", "https://dynamodb.eu-west-1.amazonaws.com")
ORDERS = Table(
    "orders",
    S("PK"),
    S("SK"),
    indexes=(Index("ByStatus", S("Status"), N("At")), Index("ByOwner", S("Owner"), S("SK"), projection=("b", "a"))),
    ttl="TTL",
    tags={"Name": "orders", "Environment": "test"},
)


NOTHING = State(described=None, recovers=False, tags={}, ttl_status="DISABLED")


def described(table: Table, **differing: Any) -> dict[str, Any]:  # noqa: ANN401 - DescribeTable's own members
    """What DescribeTable answers of a table that was made as declared."""
    made = create_request(table)
    found: dict[str, Any] = {
        "TableName": table.name,
        "TableArn": f"arn:aws:dynamodb:eu-west-1:1:table/{table.name}",
        "KeySchema": made["KeySchema"],
        "AttributeDefinitions": made["AttributeDefinitions"],
        "ProvisionedThroughput": made.get("ProvisionedThroughput", {"ReadCapacityUnits": 0, "WriteCapacityUnits": 0}),
        "GlobalSecondaryIndexes": made.get("GlobalSecondaryIndexes", []),
        "StreamSpecification": made.get("StreamSpecification", {"StreamEnabled": False}),
        "SSEDescription": {"Status": "ENABLED"},
    }
    if made["BillingMode"] == "PAY_PER_REQUEST":
        found["BillingModeSummary"] = {"BillingMode": "PAY_PER_REQUEST"}
    return found | differing


def state(table: Table, *, recovers: bool | None = True, ttl: str = "DISABLED", **differing: Any) -> State:  # noqa: ANN401
    return State(described=described(table, **differing), recovers=recovers, tags=table.tags, ttl_status=ttl)


def assert_valid(change: Change) -> None:
    """The call's parameters are such as the API's own model takes."""
    assert change.method is not None
    model = botocore.session.Session().get_service_model("dynamodb")
    operation = "".join(part.capitalize() for part in change.method.split("_"))
    parameters = model.operation_model(operation).input_shape
    assert parameters is not None
    validate_parameters(dict(change.request), parameters)


@pytest.mark.parametrize(
    "table",
    [
        ORDERS,
        replace(ORDERS, billing=Provisioned(5, 7), stream=None, encryption=False, tags={}),
        Table("plain", S("id")),
    ],
)
def test_a_table_that_does_not_exist_is_created_and_then_it_is_as_declared(table: Table) -> None:
    changes = differences(table, NOTHING, PLACE)
    assert [change.method for change in changes] == ["create_table", "update_continuous_backups"]
    for change in changes:
        assert_valid(change)
    assert differences(table, state(table), PLACE) == []


def test_an_attribute_of_several_keys_is_defined_once() -> None:
    names = [one["AttributeName"] for one in create_request(ORDERS)["AttributeDefinitions"]]
    assert sorted(names) == ["At", "Owner", "PK", "SK", "Status"]


def test_indexes_of_a_provisioned_table_have_throughput_of_their_own() -> None:
    made = create_request(replace(ORDERS, billing=Provisioned(5, 7)))
    throughput = {"ReadCapacityUnits": 5, "WriteCapacityUnits": 7}
    assert made["ProvisionedThroughput"] == throughput
    assert [index["ProvisionedThroughput"] for index in made["GlobalSecondaryIndexes"]] == [throughput] * 2


def test_an_index_is_added_with_the_throughput_that_the_table_has() -> None:
    actual = replace(ORDERS, indexes=(), billing=Provisioned(3, 4))
    changes = differences(ORDERS, state(actual), PLACE)
    added = [change for change in changes if change.method == "update_table"]
    assert [change.sentence.split(" (")[0] for change in added] == ["add index ByStatus", "add index ByOwner"]
    for change in added:
        assert_valid(change)
        (update,) = change.request["GlobalSecondaryIndexUpdates"]
        assert update["Create"]["ProvisionedThroughput"] == {"ReadCapacityUnits": 3, "WriteCapacityUnits": 4}
    assert {one["AttributeName"] for one in added[0].request["AttributeDefinitions"]} == {"Status", "At"}


@pytest.mark.parametrize(
    ("actual", "what"),
    [
        (replace(ORDERS, partition_key=S("Id")), r"table orders .*key Id \(S\).*declares .*key PK \(S\)"),
        (replace(ORDERS, sort_key=None), r"table orders .*key PK \(S\); .*sort key SK \(S\)"),
        (replace(ORDERS, indexes=(Index("ByStatus", S("Status"), S("At")),)), r"index ByStatus .*At \(S\).*At \(N\)"),
        (replace(ORDERS, indexes=(Index("ByOwner", S("Owner"), S("SK")),)), "index ByOwner .*ALL.*INCLUDE a, b"),
    ],
)
def test_other_keys_are_refused_with_both_named(actual: Table, what: str) -> None:
    with pytest.raises(TargetError, match=what) as found:
        differences(ORDERS, state(actual), PLACE)
    assert found.value.safe == "nothing was changed"


def test_the_order_of_included_attributes_is_no_difference() -> None:
    actual = replace(ORDERS, indexes=(ORDERS.indexes[0], replace(ORDERS.indexes[1], projection=("a", "b"))))
    assert differences(ORDERS, state(actual), PLACE) == []


def test_a_stream_of_another_view_is_turned_off_before_the_declared_one_is_turned_on() -> None:
    changes = differences(ORDERS, state(replace(ORDERS, stream="KEYS_ONLY")), PLACE)
    assert [change.sentence for change in changes] == [
        "turn off the stream of KEYS_ONLY of table orders",
        "turn on a stream of NEW_AND_OLD_IMAGES of table orders",
    ]
    for change in changes:
        assert_valid(change)


def test_recovery_encryption_and_tags_are_turned_on_and_set() -> None:
    found = replace(state(ORDERS, recovers=False, SSEDescription={}), tags={"Name": "other", "Owner": "them"})
    changes = differences(ORDERS, found, PLACE)
    assert [change.method for change in changes] == ["update_table", "update_continuous_backups", "tag_resource"]
    for change in changes:
        assert_valid(change)
    assert {tag["Key"] for tag in changes[-1].request["Tags"]} == {"Name", "Environment"}


def test_nothing_is_taken_away_that_is_not_declared() -> None:
    bare = replace(ORDERS, indexes=(), stream=None, encryption=False, point_in_time_recovery=False, tags={})
    assert differences(bare, state(ORDERS), PLACE) == []


def test_what_is_for_the_operator_to_decide_is_told_and_not_done() -> None:
    found = state(replace(ORDERS, billing=Provisioned(1, 2)), recovers=None, ttl="ENABLED")
    changes = differences(ORDERS, found, PLACE)
    assert [change.method for change in changes] == [None, None, None]
    assert "does not offer" in changes[0].sentence
    assert "1 read and 2 write" in changes[1].sentence
    assert "TTL of table orders is enabled already" in changes[2].sentence
