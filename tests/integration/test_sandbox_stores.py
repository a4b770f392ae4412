"""What the fixtures hand to tests, and which stores the environment may choose."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import asyncpg
import pytest

from migrator.sandbox import DynamoDBEndpoint, scrub
from tests.support.stores import Choice, Database, new_database, new_tables

if TYPE_CHECKING:
    from mypy_boto3_dynamodb.type_defs import CreateTableInputTypeDef

    from tests.support.stores import DynamoDBStore


def table(name: str) -> CreateTableInputTypeDef:
    return {
        "TableName": name,
        "KeySchema": [{"AttributeName": "PK", "KeyType": "HASH"}],
        "AttributeDefinitions": [{"AttributeName": "PK", "AttributeType": "S"}],
        "BillingMode": "PAY_PER_REQUEST",
    }


async def test_a_test_has_an_empty_database_of_its_own(database: Database, postgres_server: Database) -> None:
    assert database.url != postgres_server.url
    connection = await asyncpg.connect(database.url)
    assert await connection.fetchval("select count(*) from pg_class where relnamespace = 'public'::regnamespace") == 0
    await connection.close()


def test_a_database_is_dropped_with_what_is_connected_to_it(postgres_server: Database) -> None:
    with new_database(postgres_server) as database:
        database.execute("create table t (id int)")
    with pytest.raises(asyncpg.InvalidCatalogNameError):
        database.execute("select 1")


def test_tables_of_a_test_are_deleted_after_it(dynamodb: DynamoDBStore) -> None:
    client = dynamodb.client()
    client.create_table(**table(dynamodb.table_name("kept")))
    with new_tables(DynamoDBEndpoint(dynamodb.endpoint_url)) as other:
        client.create_table(**table(other.table_name("gone")))
        assert other.table_name("gone") in client.list_tables()["TableNames"]
    assert client.list_tables()["TableNames"] == [dynamodb.table_name("kept")]


def test_every_emulator_stores_an_item(any_dynamodb: DynamoDBStore) -> None:
    client, name = any_dynamodb.client(), any_dynamodb.table_name()
    client.create_table(**table(name))
    client.put_item(TableName=name, Item={"PK": {"S": "a"}, "N": {"N": "1"}})
    assert client.get_item(TableName=name, Key={"PK": {"S": "a"}})["Item"] == {"PK": {"S": "a"}, "N": {"N": "1"}}


def test_nothing_ambient_reaches_the_tests() -> None:
    ambient = set(os.environ) - set(scrub(os.environ))
    assert ambient == {"AWS_EC2_METADATA_DISABLED", "AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE"}


def test_scrub_drops_what_points_at_stores_and_keeps_the_rest() -> None:
    dropped = {"AWS_PROFILE": "p", "PGHOST": "h", "DATABASE_URL": "u", "MIGRATOR_MAPPINGS": "m"}
    kept = {"PATH": "/bin", "MIGRATOR_TEST_STORES": "containers", "HOME": "/"}
    assert scrub({**dropped, **kept}) == kept


@pytest.mark.parametrize(
    "url",
    [
        "http://127.0.0.1:8000",
        "http://localhost:8000",
        "http://[::1]:8000",
        "postgresql://postgres@/x?host=/run/postgresql",
        "postgresql:///x",
    ],
)
def test_a_given_store_on_this_machine_is_used(url: str) -> None:
    assert Choice.of({"MIGRATOR_TEST_DATABASE_URL": url}).database_url == url


@pytest.mark.parametrize(
    "url",
    [
        "https://dynamodb.eu-central-1.amazonaws.com",
        "http://10.0.0.1:8000",
        "postgresql://u@db.example/x",
        "postgresql://u@127.0.0.1/x?host=db.example",
        "postgresql://u:p%40@/x?hostaddr=10.0.0.1",
        "postgresql://u@127.0.0.1:5432,db.example:5432/x",
    ],
)
@pytest.mark.parametrize("variable", ["MIGRATOR_TEST_DATABASE_URL", "MIGRATOR_TEST_DYNAMODB_ENDPOINT"])
def test_a_given_store_elsewhere_is_refused_unless_allowed(variable: str, url: str) -> None:
    with pytest.raises(ValueError, match=variable):
        Choice.of({variable: url})
    assert Choice.of({variable: url, "MIGRATOR_TEST_ALLOW_REMOTE": "1"}) is not None


def test_a_given_store_must_be_a_url() -> None:
    with pytest.raises(ValueError, match="must be a URL"):
        Choice.of({"MIGRATOR_TEST_DATABASE_URL": "host=db.example dbname=x"})


def test_a_given_endpoint_is_the_only_one_and_has_its_credentials() -> None:
    choice = Choice.of(
        {
            "MIGRATOR_TEST_DYNAMODB_ENDPOINT": "http://127.0.0.1:8000",
            "MIGRATOR_TEST_AWS_REGION": "eu-central-1",
            "MIGRATOR_TEST_AWS_ACCESS_KEY_ID": "id",
            "MIGRATOR_TEST_AWS_SECRET_ACCESS_KEY": "secret",
        }
    )
    assert choice.emulators == ("given",)
    assert choice.dynamodb == DynamoDBEndpoint("http://127.0.0.1:8000", "eu-central-1", "id", "secret")
    assert "secret" not in repr(choice)


def test_containers_replace_both_emulators() -> None:
    assert Choice.of({"MIGRATOR_TEST_STORES": "containers"}).emulators == ("dynamodb-local",)
    with pytest.raises(ValueError, match="docker"):
        Choice.of({"MIGRATOR_TEST_STORES": "docker"})
