"""Fixtures for the stores. One PostgreSQL and one DynamoDB emulator serve a whole session, or a whole xdist worker."""

from __future__ import annotations

import os
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING

import coverage
import pytest

from migrator.sandbox import DynamoDBEndpoint, scrub

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterator

    from tests.support.stores import Database, DynamoDBStore

# Before anything else is imported that could read it: no test may reach a store that it was not given.
_kept = scrub(os.environ)
os.environ.clear()
os.environ.update(_kept)
os.environ.update(AWS_EC2_METADATA_DISABLED="true", AWS_CONFIG_FILE=os.devnull, AWS_SHARED_CREDENTIALS_FILE=os.devnull)

# Coverage is of what tests do in their own process. Commands that they start run the same code, twice as long under it.
if "PYTEST_XDIST_WORKER" in os.environ:
    os.environ.pop("COVERAGE_PROCESS_CONFIG", None)

from tests.support.fault_proxy import FaultProxy  # noqa: E402 - the environment has to be clean first
from tests.support.stores import Choice, new_database, new_tables  # noqa: E402 - the environment has to be clean first

try:
    CHOICE = Choice.of(os.environ)
except ValueError as error:
    raise pytest.UsageError(str(error)) from error


FIRST = "gw0"
"""The name that pytest-xdist gives the first of its workers."""


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Generator[None, object, object]:
    """Import the tests, and all that they import, without coverage in all workers but the first: it does the same."""
    with measured(yes=os.environ.get("PYTEST_XDIST_WORKER", FIRST) == FIRST):
        return (yield)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item: pytest.Item) -> Generator[None, object, object]:
    """Run tests that are long for what they compute, and that cover nothing which others do not, without coverage.

    So are the fixtures that are set up for them.
    """
    with measured(yes=item.get_closest_marker("uncovered") is None):
        return (yield)


@contextmanager
def measured(*, yes: bool) -> Iterator[None]:
    """Have coverage go on, or pause, until the block ends."""
    measuring = None if yes else coverage.Coverage.current()
    if measuring is None:
        yield
        return
    measuring.stop()
    try:
        yield
    finally:
        measuring.start()


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[Database]:
    """The PostgreSQL server, as the database to connect to for creating others."""
    with CHOICE.postgres() as server:
        yield server


@pytest.fixture
def database(postgres_server: Database) -> Iterator[Database]:
    """An empty database of the test's own."""
    with new_database(postgres_server) as fresh:
        yield fresh


@pytest.fixture(scope="session")
def dynamodb_emulator() -> Iterator[Callable[[str], DynamoDBEndpoint]]:
    """A function that returns the endpoint of an emulator by its name, which it starts at the first call."""
    started: dict[str, DynamoDBEndpoint] = {}
    with ExitStack() as stack:

        def endpoint(name: str) -> DynamoDBEndpoint:
            if name not in started:
                started[name] = stack.enter_context(CHOICE.emulator(name))
            return started[name]

        yield endpoint


@pytest.fixture
def dynamodb(dynamodb_emulator: Callable[[str], DynamoDBEndpoint]) -> Iterator[DynamoDBStore]:
    """The default DynamoDB, with table names of the test's own."""
    with new_tables(dynamodb_emulator(CHOICE.emulators[0])) as store:
        yield store


@pytest.fixture
def fastest_dynamodb(dynamodb_emulator: Callable[[str], DynamoDBEndpoint]) -> Iterator[DynamoDBStore]:
    """The DynamoDB that answers fastest, for tests that ask much of it and nothing in which they differ."""
    with new_tables(dynamodb_emulator(CHOICE.emulators[-1])) as store:
        yield store


@pytest.fixture(params=CHOICE.emulators)
def any_dynamodb(
    request: pytest.FixtureRequest, dynamodb_emulator: Callable[[str], DynamoDBEndpoint]
) -> Iterator[DynamoDBStore]:
    """Each DynamoDB that can be had, one after the other, with table names of the test's own."""
    with new_tables(dynamodb_emulator(request.param)) as store:
        yield store


@pytest.fixture
def fault_proxy(dynamodb: DynamoDBStore) -> Iterator[FaultProxy]:
    """A proxy in front of `dynamodb` that passes everything until a test injects faults."""
    with FaultProxy(dynamodb.endpoint_url) as proxy:
        yield proxy
