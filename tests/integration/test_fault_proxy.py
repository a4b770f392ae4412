"""The fault proxy in front of a real emulator: what the client sees, and what the store gets."""

from __future__ import annotations

import zlib
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError, ConnectionClosedError, HTTPClientError, ReadTimeoutError

from tests.support.fault_proxy import FaultProxy
from tests.support.faults import Cut, Delay, Garble, Late, Refuse, Stall, Unprocessed, server_error, throttle

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mypy_boto3_dynamodb import DynamoDBClient
    from mypy_boto3_dynamodb.type_defs import WriteRequestTypeDef

    from tests.support.stores import DynamoDBStore

pytestmark = pytest.mark.usefixtures("table")


@pytest.fixture
def table(dynamodb: DynamoDBStore) -> str:
    name = dynamodb.table_name()
    dynamodb.client().create_table(
        TableName=name,
        KeySchema=[{"AttributeName": "PK", "KeyType": "HASH"}],
        AttributeDefinitions=[{"AttributeName": "PK", "AttributeType": "S"}],
        BillingMode="PAY_PER_REQUEST",
    )
    return name


@pytest.fixture
def client(fault_proxy: FaultProxy, dynamodb: DynamoDBStore) -> Iterator[DynamoDBClient]:
    """A client that goes through the proxy and does not try again."""
    with unretried(replace(dynamodb, endpoint_url=fault_proxy.endpoint_url)) as client:
        yield client


@contextmanager
def unretried(store: DynamoDBStore, read_timeout: float = 30.0) -> Iterator[DynamoDBClient]:
    client = boto3.client(
        "dynamodb",
        endpoint_url=store.endpoint_url,
        region_name=store.region,
        aws_access_key_id=store.access_key_id,
        aws_secret_access_key=store.secret_access_key,
        config=Config(retries={"total_max_attempts": 1}, read_timeout=read_timeout),
    )
    yield client
    client.close()


def put(client: DynamoDBClient, table: str, key: str = "a") -> None:
    client.put_item(TableName=table, Item={"PK": {"S": key}})


def puts(count: int) -> list[WriteRequestTypeDef]:
    return [{"PutRequest": {"Item": {"PK": {"S": f"{number}"}}}} for number in range(count)]


def stored(dynamodb: DynamoDBStore, table: str) -> set[str]:
    return {item["PK"]["S"] for item in dynamodb.client().scan(TableName=table)["Items"]}


def test_without_a_rule_everything_passes_and_is_counted(
    fault_proxy: FaultProxy, client: DynamoDBClient, dynamodb: DynamoDBStore, table: str
) -> None:
    put(client, table)
    assert client.get_item(TableName=table, Key={"PK": {"S": "a"}})["Item"] == {"PK": {"S": "a"}}
    assert stored(dynamodb, table) == {"a"}
    assert fault_proxy.seen == {"PutItem": 1, "GetItem": 1}
    assert fault_proxy.applied == {}


@pytest.mark.parametrize("code", ["ProvisionedThroughputExceededException", "ThrottlingException"])
def test_a_throttled_request_takes_no_effect(
    fault_proxy: FaultProxy, client: DynamoDBClient, dynamodb: DynamoDBStore, table: str, code: str
) -> None:
    fault_proxy.inject(throttle(code), on="PutItem", times=1)
    with pytest.raises(ClientError) as caught:
        put(client, table)
    assert caught.value.response["Error"]["Code"] == code
    assert caught.value.response["ResponseMetadata"]["HTTPStatusCode"] == 400
    assert stored(dynamodb, table) == set()
    put(client, table)
    assert stored(dynamodb, table) == {"a"}
    assert fault_proxy.applied == {"Refuse": 1}


@pytest.mark.parametrize(("applied", "kept"), [(False, set()), (True, {"a"})])
def test_a_server_error_leaves_open_whether_the_request_took_effect(
    fault_proxy: FaultProxy,
    client: DynamoDBClient,
    dynamodb: DynamoDBStore,
    table: str,
    *,
    applied: bool,
    kept: set[str],
) -> None:
    fault_proxy.inject(server_error(applied=applied))
    with pytest.raises(ClientError) as caught:
        put(client, table)
    assert caught.value.response["ResponseMetadata"]["HTTPStatusCode"] == 500
    assert stored(dynamodb, table) == kept


def test_any_other_code_can_be_answered(fault_proxy: FaultProxy, client: DynamoDBClient, table: str) -> None:
    fault_proxy.inject(Refuse("ExpiredTokenException"))
    with pytest.raises(ClientError, match="ExpiredTokenException"):
        put(client, table)


def test_unprocessed_puts_are_not_written_and_the_others_are(
    fault_proxy: FaultProxy, client: DynamoDBClient, dynamodb: DynamoDBStore, table: str
) -> None:
    fault_proxy.inject(Unprocessed(0.4))
    answer = client.batch_write_item(RequestItems={table: puts(25)})
    unprocessed = {request["PutRequest"]["Item"]["PK"]["S"] for request in answer["UnprocessedItems"][table]}
    assert len(unprocessed) == 10
    assert stored(dynamodb, table) == {f"{number}" for number in range(25)} - unprocessed


def test_a_batch_of_which_nothing_is_processed_is_throttled(
    fault_proxy: FaultProxy, client: DynamoDBClient, dynamodb: DynamoDBStore, table: str
) -> None:
    fault_proxy.inject(Unprocessed(1.0))
    with pytest.raises(ClientError, match="ProvisionedThroughputExceededException"):
        client.batch_write_item(RequestItems={table: puts(1)})
    assert len(client.batch_write_item(RequestItems={table: puts(2)})["UnprocessedItems"][table]) == 1
    assert len(stored(dynamodb, table)) == 1


def test_unprocessed_keys_are_reported_as_they_were_asked_for(
    fault_proxy: FaultProxy, client: DynamoDBClient, table: str
) -> None:
    client.batch_write_item(RequestItems={table: puts(4)})
    fault_proxy.inject(Unprocessed(0.5))
    keys = [{"PK": {"S": f"{number}"}} for number in range(4)]
    answer = client.batch_get_item(RequestItems={table: {"Keys": keys, "ConsistentRead": True}})
    unprocessed = answer["UnprocessedKeys"][table]
    assert unprocessed["ConsistentRead"] is True
    found = answer["Responses"][table]
    assert len(found) == len(unprocessed["Keys"]) == 2
    assert sorted(key["PK"]["S"] for key in [*found, *unprocessed["Keys"]]) == ["0", "1", "2", "3"]


@pytest.mark.parametrize(("fault", "kept"), [(Cut("before"), set()), (Cut("after"), {"a"}), (Cut("midway"), {"a"})])
def test_a_cut_connection_leaves_open_whether_the_request_took_effect(
    fault_proxy: FaultProxy, client: DynamoDBClient, dynamodb: DynamoDBStore, table: str, fault: Cut, kept: set[str]
) -> None:
    fault_proxy.inject(fault, times=1)
    with pytest.raises((ConnectionClosedError, HTTPClientError)):
        put(client, table)
    assert stored(dynamodb, table) == kept
    put(client, table, "b")
    assert stored(dynamodb, table) == {*kept, "b"}


def test_a_late_request_is_delivered_when_it_is_released(
    fault_proxy: FaultProxy, client: DynamoDBClient, dynamodb: DynamoDBStore, table: str
) -> None:
    fault_proxy.inject(Late(), times=1)
    with pytest.raises((ConnectionClosedError, HTTPClientError)):
        put(client, table, "late")
    put(client, table, "early")
    assert stored(dynamodb, table) == {"early"}
    fault_proxy.release()
    assert stored(dynamodb, table) == {"early", "late"}


def test_a_late_request_is_delivered_after_its_time(
    fault_proxy: FaultProxy, client: DynamoDBClient, dynamodb: DynamoDBStore, table: str
) -> None:
    fault_proxy.inject(Late(0.01))
    with pytest.raises((ConnectionClosedError, HTTPClientError)):
        put(client, table)
    fault_proxy.release()
    assert stored(dynamodb, table) == {"a"}


def test_a_delayed_request_is_answered(
    fault_proxy: FaultProxy, client: DynamoDBClient, dynamodb: DynamoDBStore, table: str
) -> None:
    fault_proxy.inject(Delay(0.01))
    put(client, table)
    assert stored(dynamodb, table) == {"a"}
    assert fault_proxy.applied == {"Delay": 1}


def test_a_garbled_answer_is_no_json(
    fault_proxy: FaultProxy, client: DynamoDBClient, dynamodb: DynamoDBStore, table: str
) -> None:
    bodies: list[bytes] = []
    client.meta.events.register(
        "before-parse.dynamodb", lambda response_dict, **_: bodies.append(response_dict["body"])
    )
    fault_proxy.inject(Garble(503, b"<html>try later</html>"))
    with pytest.raises(ClientError, match="503"):
        put(client, table)
    assert bodies == [b"<html>try later</html>"]
    assert stored(dynamodb, table) == set()


def test_a_stalled_request_is_never_answered(fault_proxy: FaultProxy, dynamodb: DynamoDBStore, table: str) -> None:
    fault_proxy.inject(Stall())
    with (
        unretried(replace(dynamodb, endpoint_url=fault_proxy.endpoint_url), read_timeout=0.2) as client,
        pytest.raises(ReadTimeoutError),
    ):
        put(client, table)
    assert stored(dynamodb, table) == set()


def test_the_target_can_be_down_for_a_while(
    fault_proxy: FaultProxy, client: DynamoDBClient, dynamodb: DynamoDBStore, table: str
) -> None:
    unused = fault_proxy.inject(throttle())
    with fault_proxy.failing(Cut("before")) as down:
        for _ in range(3):
            with pytest.raises((ConnectionClosedError, HTTPClientError)):
                put(client, table)
    fault_proxy.remove(unused)
    put(client, table)
    assert (down.applied, unused.applied) == (3, 0)
    fault_proxy.wait_for("PutItem", 4)
    with pytest.raises(TimeoutError, match="4 of 5 PutItem requests"):
        fault_proxy.wait_for("PutItem", 5, timeout=0.01)
    assert stored(dynamodb, table) == {"a"}


def test_an_endpoint_that_is_gone_looks_like_a_cut_connection(dynamodb: DynamoDBStore, table: str) -> None:
    with (
        FaultProxy("http://127.0.0.1:1") as proxy,
        unretried(replace(dynamodb, endpoint_url=proxy.endpoint_url)) as client,
        pytest.raises((ConnectionClosedError, HTTPClientError)),
    ):
        put(client, table)


def test_a_changed_answer_carries_its_own_checksum(fault_proxy: FaultProxy, client: DynamoDBClient, table: str) -> None:
    fault_proxy.inject(Unprocessed())
    checked: list[bool] = []

    def check(response_dict: dict[str, object], **_: object) -> None:
        headers, body = response_dict["headers"], response_dict["body"]
        assert isinstance(body, bytes)
        checked.append(headers["x-amz-crc32"] == str(zlib.crc32(body)))  # type: ignore[index]

    client.meta.events.register("before-parse.dynamodb", check)
    client.batch_write_item(RequestItems={table: puts(4)})
    assert checked == [True]
