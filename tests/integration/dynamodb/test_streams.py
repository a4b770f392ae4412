from __future__ import annotations

from contextlib import ExitStack
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from migrator.dynamodb import control, streams
from migrator.dynamodb.admin import apply, plan
from migrator.dynamodb.shards import Position
from migrator.dynamodb.streams import StreamReader, arn_of
from migrator.errors import TargetError
from migrator.mapping import B, S, Table
from tests.support.fault_proxy import FaultProxy
from tests.support.faults import Refuse
from tests.support.target import session_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from mypy_boto3_dynamodb import DynamoDBClient

    from tests.support.stores import DynamoDBStore

    Reader = Callable[..., StreamReader]


@pytest.fixture
def table(any_dynamodb: DynamoDBStore) -> Table:
    return Table(any_dynamodb.table_name("orders"), S("PK"), B("SK"), stream="KEYS_ONLY")


@pytest.fixture
def client(any_dynamodb: DynamoDBStore, table: Table) -> Iterator[DynamoDBClient]:
    client = control.connect(session_of(any_dynamodb))
    plain = replace(table, point_in_time_recovery=False, encryption=False, tags={})
    apply(client, plain, plan(client, plain))
    yield client
    client.close()


@pytest.fixture
def proxy(any_dynamodb: DynamoDBStore) -> Iterator[FaultProxy]:
    with FaultProxy(any_dynamodb.endpoint_url) as running:
        yield running


@pytest.fixture
def reader(any_dynamodb: DynamoDBStore, client: DynamoDBClient, table: Table, proxy: FaultProxy) -> Iterator[Reader]:
    """Makes readers of the table's stream, through the proxy."""
    with ExitStack() as stack:

        def make(positions: Mapping[str, Position] | None = None, *, arn: str | None = None) -> StreamReader:
            session = replace(session_of(any_dynamodb), endpoint_url=proxy.endpoint_url)
            streams = control.connect_streams(session)
            stack.callback(streams.close)
            return StreamReader(streams, table.name, arn or arn_of(client, table.name), positions or {})

        yield make


def put(client: DynamoDBClient, table: Table, name: str) -> None:
    client.put_item(TableName=table.name, Item={"PK": {"S": name}, "SK": {"B": b"\xff"}, "Name": {"S": name}})


def remove(client: DynamoDBClient, table: Table, name: str) -> None:
    client.delete_item(TableName=table.name, Key={"PK": {"S": name}, "SK": {"B": b"\xff"}})


def names(reader: StreamReader) -> list[str]:
    """The keys that the next readings name."""
    return [change.key["PK"]["S"] for reading in reader.read() for change in reading.changes]


def test_a_stream_names_the_keys_of_every_change_in_order(client: DynamoDBClient, table: Table, reader: Reader) -> None:
    put(client, table, "a")
    put(client, table, "b")
    remove(client, table, "a")
    reading = reader()
    (page,) = reading.read()
    assert [change.key for change in page.changes] == [{"PK": {"S": name}, "SK": {"B": "/w=="}} for name in "aba"]
    assert not any(change.by_ttl for change in page.changes)
    assert page.lag < 60
    put(client, table, "c")
    assert names(reading) == ["c"]
    (page,) = reading.read()
    assert (page.changes, page.lag) == ((), 0)


def test_a_reader_goes_on_from_the_position_that_another_has_left(
    client: DynamoDBClient, table: Table, reader: Reader
) -> None:
    put(client, table, "a")
    (page,) = reader().read()
    kept = {page.shard: Position.parse(str(page.position))}
    put(client, table, "b")
    assert names(reader(kept)) == ["b"]
    assert names(reader()) == ["a", "b"]


@pytest.mark.uncovered
def test_shards_are_asked_for_now_and_then_alone(
    client: DynamoDBClient, table: Table, reader: Reader, proxy: FaultProxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(streams, "_DESCRIBED_SECONDS", float("inf"))
    reading = reader()
    for name in "abc":
        put(client, table, name)
        assert names(reading) == [name]
    assert proxy.seen["DescribeStream"] == 1


def test_an_iterator_that_has_expired_is_made_anew(
    client: DynamoDBClient, table: Table, reader: Reader, proxy: FaultProxy
) -> None:
    reading = reader()
    put(client, table, "a")
    assert names(reading) == ["a"]
    put(client, table, "b")
    proxy.inject(Refuse("ExpiredIteratorException"), on="GetRecords", times=1)
    assert names(reading) == ["b"]


def test_records_that_were_trimmed_before_they_were_read_are_told(
    client: DynamoDBClient, table: Table, reader: Reader, proxy: FaultProxy
) -> None:
    put(client, table, "a")
    (page,) = reader().read()
    proxy.inject(Refuse("TrimmedDataAccessException"), on="GetShardIterator", times=1)
    with pytest.raises(TargetError, match="changes have gone unread"):
        reader({page.shard: page.position}).read()


def test_a_shard_that_was_found_empty_and_left_for_a_day_is_refused(reader: Reader) -> None:
    (page,) = reader().read()
    assert page.changes == ()
    old = replace(page.position, read_at=page.position.read_at - 24 * 3600)
    with pytest.raises(TargetError, match="24 hours"):
        reader({page.shard: old}).read()


# dynoxide forgets a stream that is turned off; DynamoDB keeps it for a day.
@pytest.mark.parametrize("any_dynamodb", ["ministack"], indirect=True)
def test_a_shard_is_read_to_its_end_and_not_again(client: DynamoDBClient, table: Table, reader: Reader) -> None:
    put(client, table, "a")
    reading = reader()
    client.update_table(TableName=table.name, StreamSpecification={"StreamEnabled": False})
    (page,) = reading.read()
    assert [change.key["PK"]["S"] for change in page.changes] == ["a"]
    assert page.position.ended
    assert reading.read() == []


def test_a_stream_that_is_gone_is_told(client: DynamoDBClient, table: Table, reader: Reader) -> None:
    other = arn_of(client, table.name).replace(table.name, f"{table.name}-dropped")
    with pytest.raises(TargetError, match="is not there any more"):
        reader(arn=other).read()


def test_a_stream_that_is_off_is_told(client: DynamoDBClient, table: Table) -> None:
    client.update_table(TableName=table.name, StreamSpecification={"StreamEnabled": False})
    with pytest.raises(TargetError, match="is not on"):
        arn_of(client, table.name)
