"""What `migrate` says of a target that cannot be used, and that a second, correct run ends well."""

from __future__ import annotations

import socket
from contextlib import closing
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import orjson
import pytest

from migrator.mapping import N
from tests.support.fault_proxy import FaultProxy
from tests.support.faults import Answer, Refuse
from tests.support.target import create

if TYPE_CHECKING:
    from collections.abc import Iterator

    from aiohttp import web

    from tests.support.faults import Exchange
    from tests.support.project import Project
    from tests.support.stores import DynamoDBStore


@dataclass(frozen=True)
class Creating:
    """Report the table, or an index of it, as it is while DynamoDB creates it."""

    index: bool = False

    def fits(self, operation: str) -> bool:
        return operation == "DescribeTable"

    async def apply(self, exchange: Exchange) -> web.StreamResponse:
        answer = await exchange.forward(exchange.body)
        document = orjson.loads(answer.body)
        if self.index:
            document["Table"]["GlobalSecondaryIndexes"][0]["IndexStatus"] = "CREATING"
        else:
            document["Table"]["TableStatus"] = "CREATING"
        return exchange.answer(Answer.of_dynamodb(answer.status, document))


@pytest.fixture
def proxy(dynamodb: DynamoDBStore) -> Iterator[FaultProxy]:
    with FaultProxy(dynamodb.endpoint_url) as started:
        yield started


@pytest.mark.parametrize("code", ["ExpiredTokenException", "UnrecognizedClientException"])
def test_credentials_that_are_refused(prepared: Project, proxy: FaultProxy, code: str) -> None:
    behind = prepared.through(AWS_ENDPOINT_URL=proxy.endpoint_url, AWS_SESSION_TOKEN="t0ken-and-secret")  # noqa: S106
    with proxy.failing(Refuse(code)):
        done = behind.migrate("copy").failed(4, code, proxy.endpoint_url, "renew the credentials")
    assert "t0ken-and-secret" not in done.err
    behind.here("copy").succeeded()


@pytest.mark.uncovered
def test_credentials_that_expire_in_the_middle(prepared: Project, proxy: FaultProxy) -> None:
    behind = prepared.through(AWS_ENDPOINT_URL=proxy.endpoint_url)
    rule = proxy.inject(Refuse("ExpiredTokenException"), on="BatchWriteItem", skip=2)
    behind.migrate("copy").failed(4, "BatchWriteItem", prepared.table, "ExpiredTokenException")
    assert rule.applied
    proxy.remove(rule)
    behind.here("copy").succeeded()
    behind.here("verify").succeeded()


def test_no_credentials(prepared: Project) -> None:
    bare = prepared.through(AWS_ACCESS_KEY_ID=None, AWS_SECRET_ACCESS_KEY=None)
    bare.migrate("copy").failed(4, "no AWS credentials were found", "AWS_PROFILE")
    prepared.here("copy").succeeded()


def test_no_region_and_an_unknown_profile(prepared: Project) -> None:
    nowhere = prepared.through(AWS_REGION=None, AWS_DEFAULT_REGION=None)
    nowhere.here("status").failed(4, "no AWS region is set", "--region")
    prepared.here("status", "--profile", "nobody").failed(4, "nobody", "aws configure list-profiles")


def test_a_region_that_does_not_have_the_table(prepared: Project) -> None:
    wrong = prepared.migrate("copy", "--region", "eu-west-3")
    wrong.failed(6, prepared.table, "does not exist", "eu-west-3", prepared.dynamodb.endpoint_url, "region")
    prepared.here("copy").succeeded()


def test_a_table_that_does_not_exist(prepared: Project) -> None:
    with closing(prepared.dynamodb.client()) as client:
        client.delete_table(TableName=prepared.table)
    done = prepared.migrate("copy").failed(6, f"table {prepared.table} does not exist", "run `migrate prepare`")
    assert prepared.here("verify") == done
    prepared.here("prepare").succeeded()
    prepared.here("copy").succeeded()


@pytest.mark.uncovered
def test_a_table_that_is_being_created(prepared: Project, proxy: FaultProxy) -> None:
    behind = prepared.through(AWS_ENDPOINT_URL=proxy.endpoint_url)
    with proxy.failing(Creating()):
        behind.migrate("copy").failed(6, f"table {prepared.table} is being created", "run `migrate prepare`")
        assert f"table {prepared.table}: CREATING" in behind.here("status").succeeded().out
    rule = proxy.inject(Creating(), times=3)
    behind.here("prepare").succeeded()
    assert rule.applied == 3
    behind.here("copy").succeeded()


def test_an_index_that_is_being_created(prepared: Project, proxy: FaultProxy) -> None:
    behind = prepared.through(AWS_ENDPOINT_URL=proxy.endpoint_url)
    with proxy.failing(Creating(index=True)):
        refused = f"of table {prepared.table} cannot be used: its status is CREATING"
        behind.migrate("copy").failed(6, refused, "run `migrate prepare`")
    rule = proxy.inject(Creating(index=True), times=3)
    behind.here("prepare").succeeded()
    assert rule.applied == 3
    behind.here("copy").succeeded()


def test_a_table_with_other_keys(project: Project) -> None:
    (table,) = project.model.tables
    create(project.dynamodb, replace(table, sort_key=N("Number")))
    before = "exists in DynamoDB in region"
    project.migrate("prepare").failed(6, before, "Number (N)", "SK (S)", "nothing was changed")
    assert "in the way" in project.here("status").succeeded().out
    with closing(project.dynamodb.client()) as client:
        client.delete_table(TableName=project.table)
    project.here("prepare").succeeded()
    project.here("copy").succeeded()


def test_an_action_that_is_not_allowed(project: Project, proxy: FaultProxy) -> None:
    behind = project.through(AWS_ENDPOINT_URL=proxy.endpoint_url)
    with proxy.failing(Refuse("AccessDeniedException"), on="CreateTable"):
        behind.migrate("prepare").failed(6, "CreateTable", project.table, "allow dynamodb:CreateTable")
    behind.here("prepare").succeeded()
    behind.here("copy").succeeded()


def test_a_target_that_is_down(prepared: Project) -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        nowhere = f"http://127.0.0.1:{probe.getsockname()[1]}"
    prepared.migrate("copy", "--endpoint-url", nowhere).failed(6, prepared.table, nowhere, "check that the endpoint")
    prepared.here("copy").succeeded()
