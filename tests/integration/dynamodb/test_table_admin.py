from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from migrator.dynamodb.admin import TimeToLive, apply, describe_ttl, plan
from migrator.dynamodb.control import connect
from migrator.dynamodb.errors import AccessDeniedError, TableBusyError, TableMissingError
from migrator.errors import TargetError
from migrator.mapping import Index, N, S, Table
from tests.support.fault_proxy import FaultProxy
from tests.support.faults import Answer, Exchange, Refuse
from tests.support.target import session_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from aiohttp import web
    from mypy_boto3_dynamodb import DynamoDBClient

    from tests.support.stores import DynamoDBStore


@pytest.fixture
def control(any_dynamodb: DynamoDBStore) -> Iterator[DynamoDBClient]:
    client = connect(session_of(any_dynamodb))
    yield client
    client.close()


@pytest.fixture
def proxy(any_dynamodb: DynamoDBStore) -> Iterator[FaultProxy]:
    with FaultProxy(any_dynamodb.endpoint_url) as running:
        yield running


@pytest.fixture
def behind_proxy(any_dynamodb: DynamoDBStore, proxy: FaultProxy) -> Iterator[DynamoDBClient]:
    client = connect(replace(session_of(any_dynamodb), endpoint_url=proxy.endpoint_url))
    yield client
    client.close()


@pytest.fixture
def declared(any_dynamodb: DynamoDBStore) -> Table:
    return Table(
        any_dynamodb.table_name("orders"),
        S("PK"),
        S("SK"),
        indexes=(Index("ByStatus", S("Status"), N("At")),),
        ttl="TTL",
        tags={"Name": "orders"},
    )


def bring(control: DynamoDBClient, table: Table, wait_seconds: float = 20.0) -> list[str]:
    """Apply the plan for a table; returns the sentences of what was done."""
    made: list[str] = []
    apply(
        control,
        table,
        plan(control, table),
        made=lambda change: made.append(change.sentence),
        wait_seconds=wait_seconds,
    )
    return made


def test_a_table_is_created_as_declared_and_a_second_run_changes_nothing(
    control: DynamoDBClient, declared: Table
) -> None:
    assert plan(control, declared)[0].sentence.startswith(f"create table {declared.name} (partition key PK (S), ")
    assert bring(control, declared)
    found = control.describe_table(TableName=declared.name)["Table"]
    assert found["StreamSpecification"] == {"StreamEnabled": True, "StreamViewType": "NEW_AND_OLD_IMAGES"}
    assert found["SSEDescription"]["Status"] == "ENABLED"
    assert found["BillingModeSummary"]["BillingMode"] == "PAY_PER_REQUEST"
    assert [index["IndexName"] for index in found["GlobalSecondaryIndexes"]] == ["ByStatus"]
    assert control.list_tags_of_resource(ResourceArn=found["TableArn"])["Tags"] == [{"Key": "Name", "Value": "orders"}]
    assert bring(control, declared) == []
    assert all(change.method is None for change in plan(control, declared))


def test_a_plan_changes_nothing(control: DynamoDBClient, declared: Table) -> None:
    assert plan(control, declared)
    with pytest.raises(TableMissingError):
        describe_ttl(control, declared.name)


def test_ttl_is_declared_and_not_enabled(control: DynamoDBClient, declared: Table) -> None:
    bring(control, declared)
    assert describe_ttl(control, declared.name) == TimeToLive("DISABLED", None)
    control.update_time_to_live(
        TableName=declared.name, TimeToLiveSpecification={"Enabled": True, "AttributeName": "TTL"}
    )
    assert describe_ttl(control, declared.name) == TimeToLive("ENABLED", "TTL")
    (told,) = [change for change in plan(control, declared) if "TTL" in change.sentence]
    assert told.method is None


def test_recovery_is_turned_on_where_it_is_offered(dynamodb: DynamoDBStore) -> None:
    table = Table(dynamodb.table_name("recovered"), S("id"))
    client = connect(session_of(dynamodb))
    assert bring(client, table)[-1] == f"turn on point-in-time recovery of table {table.name}"
    described = client.describe_continuous_backups(TableName=table.name)["ContinuousBackupsDescription"]
    assert described["PointInTimeRecoveryDescription"]["PointInTimeRecoveryStatus"] == "ENABLED"
    client.close()


def test_what_is_missing_is_added_one_after_the_other(control: DynamoDBClient, declared: Table) -> None:
    bring(control, replace(declared, indexes=(), tags={"Name": "other", "Owner": "them"}))
    grown = replace(
        declared,
        indexes=(*declared.indexes, Index("ByOwner", S("Owner"), projection=("a", "b"))),
        stream="KEYS_ONLY",
    )
    assert [sentence.split(" (")[0] for sentence in bring(control, grown)] == [
        f"add index {name}" for name in ("ByStatus", "ByOwner")
    ] + [
        f"turn off the stream of NEW_AND_OLD_IMAGES of table {declared.name}",
        f"turn on a stream of KEYS_ONLY of table {declared.name}",
        f"set tags Name of table {declared.name}",
    ]
    assert bring(control, grown) == []
    arn = control.describe_table(TableName=declared.name)["Table"]["TableArn"]
    tags = {tag["Key"]: tag["Value"] for tag in control.list_tags_of_resource(ResourceArn=arn)["Tags"]}
    assert tags == {"Name": "orders", "Owner": "them"}


@pytest.mark.parametrize("other", ["keys", "type", "index"])
def test_a_table_with_other_keys_is_refused_and_left(control: DynamoDBClient, declared: Table, other: str) -> None:
    bring(control, declared)
    before = control.describe_table(TableName=declared.name)["Table"]
    changed = {
        "keys": replace(declared, sort_key=None),
        "type": replace(declared, sort_key=N("SK")),
        "index": replace(declared, indexes=(Index("ByStatus", S("Status"), S("At")), Index("ByOwner", S("Owner")))),
    }[other]
    with pytest.raises(TargetError, match="the mapping declares") as found:
        plan(control, changed)
    assert found.value.safe == "nothing was changed"
    assert control.describe_table(TableName=declared.name)["Table"] == before


@pytest.mark.parametrize("action", ["DescribeTable", "CreateTable"])
def test_a_missing_privilege_is_named(
    behind_proxy: DynamoDBClient, proxy: FaultProxy, declared: Table, action: str
) -> None:
    proxy.inject(Refuse("AccessDeniedException"), on=action)
    with pytest.raises(AccessDeniedError) as found:
        bring(behind_proxy, declared)
    assert f"dynamodb:{action}" in (found.value.next_step or "")


def test_a_table_that_is_busy_is_asked_again(behind_proxy: DynamoDBClient, proxy: FaultProxy, declared: Table) -> None:
    bring(behind_proxy, replace(declared, indexes=()))
    rule = proxy.inject(Refuse("ResourceInUseException"), on="UpdateTable", times=2)
    assert len(bring(behind_proxy, declared)) == 1
    assert rule.applied == 2


def test_a_table_that_somebody_else_creates_meanwhile_is_not_taken_over(
    behind_proxy: DynamoDBClient, proxy: FaultProxy, declared: Table
) -> None:
    proxy.inject(Refuse("ResourceInUseException", applied=True), on="CreateTable", times=1)
    with pytest.raises(TableBusyError):
        bring(behind_proxy, declared)
    bring(behind_proxy, declared)


class Creating:
    """Answers that the table and its indexes are not active yet."""

    def fits(self, operation: str) -> bool:
        return operation == "DescribeTable"

    async def apply(self, exchange: Exchange) -> web.StreamResponse:
        real = await exchange.forward(exchange.body)
        return exchange.answer(Answer(real.status, {}, real.body.replace(b"ACTIVE", b"CREATING")))


def test_a_table_that_is_being_created_is_waited_for(
    behind_proxy: DynamoDBClient, proxy: FaultProxy, declared: Table
) -> None:
    bring(behind_proxy, declared)
    rule = proxy.inject(Creating(), times=3)
    assert bring(behind_proxy, declared) == []
    assert rule.applied == 3
    proxy.inject(Creating())
    with pytest.raises(TargetError, match="the table is CREATING, index ByStatus is CREATING") as found:
        bring(behind_proxy, declared, wait_seconds=0.2)
    assert "migrate prepare" in (found.value.next_step or "")
