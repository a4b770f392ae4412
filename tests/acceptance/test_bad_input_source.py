"""What `migrate` says of a source that cannot be used, and that a second, correct run ends well."""

from __future__ import annotations

import socket
import uuid
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import pytest

from tests.support.project import as_role

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.support.project import Project
    from tests.support.stores import Database

PASSWORD = "f4lse-and-secret"  # noqa: S105 - of a role made for one test


@pytest.fixture
def role(postgres_server: Database) -> Iterator[str]:
    """A role that may log in and nothing else; asked for before the database, which goes before it does."""
    name = f"clerk_{uuid.uuid4().hex}"
    postgres_server.execute(f"create role {name} login password '{PASSWORD}'")
    yield name
    postgres_server.execute(f"drop role {name}")


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    return port


@pytest.mark.parametrize("url", ["mysql://app@localhost/shop", "postgresql://app:f4lse-and-secret@h@st/shop"])
def test_a_url_that_names_no_postgresql(prepared: Project, url: str) -> None:
    done = prepared.through(DATABASE_URL=url).migrate("copy").failed(4, "the database URL cannot be used", "nothing")
    assert PASSWORD not in done.err
    prepared.here("copy").succeeded()


def test_a_wrong_password(role: str, prepared: Project) -> None:
    url = as_role(prepared.database.url, role, "wrong-and-secret")
    done = prepared.through(DATABASE_URL=url).migrate("copy").failed(4, "password is wrong", "check DATABASE_URL")
    assert "wrong-and-secret" not in done.err
    prepared.here("copy").succeeded()


def test_a_server_that_is_down(prepared: Project) -> None:
    url = f"postgresql://app:{PASSWORD}@127.0.0.1:{(port := free_port())}/shop"
    done = prepared.through(DATABASE_URL=url).migrate("copy").failed(5, f"127.0.0.1:{port}", "does not answer")
    assert PASSWORD not in done.err
    prepared.here("copy").succeeded()


def test_a_database_that_does_not_exist(prepared: Project) -> None:
    url = prepared.database.sibling("no_such_database").url
    prepared.through(DATABASE_URL=url).migrate("status").failed(4, "no_such_database", "does not exist")


def test_a_role_that_may_not_read(role: str, prepared: Project) -> None:
    everything = "select, insert, update, delete on all tables in schema migrator"
    prepared.database.execute(f"grant usage on schema migrator to {role}", f"grant {everything} to {role}")
    as_clerk = prepared.through(DATABASE_URL=as_role(prepared.database.url, role, PASSWORD))
    grant = f'GRANT SELECT ON "public"."customers" TO "{role}"'
    as_clerk.migrate("copy").failed(5, "public.customers", "lacks a privilege", grant)
    as_clerk.here("prepare").failed(5, grant)
    prepared.database.execute(f"grant select on customers, orders to {role}")
    as_clerk.here("copy").succeeded()
    as_clerk.here("verify").succeeded()


def test_a_role_that_may_not_create_the_toolkits_schema(role: str, project: Project) -> None:
    project.database.execute(f"grant select on customers, orders to {role}")
    as_clerk = project.through(DATABASE_URL=as_role(project.database.url, role, PASSWORD))
    name = urlsplit(project.database.url).path[1:]
    grant = f'GRANT CREATE ON DATABASE "{name}" TO "{role}"'
    as_clerk.migrate("prepare").failed(5, "install the schema migrator", grant)
    project.database.execute(grant)
    as_clerk.here("prepare").succeeded()


def test_a_source_that_takes_no_writes(role: str, prepared: Project) -> None:
    """A hot standby says the same in other words; it needs a second server, and is left to the tests of the edge."""
    prepared.database.execute(
        f"alter role {role} set default_transaction_read_only = on",
        f"grant usage on schema migrator to {role}",
        f"grant select on all tables in schema public, migrator to {role}",
    )
    as_clerk = prepared.through(DATABASE_URL=as_role(prepared.database.url, role, PASSWORD))
    done = as_clerk.migrate("copy").failed(5, "read-only", "default_transaction_read_only = off")
    assert as_clerk.here("prepare") == done
    as_clerk.here("status").succeeded()
    prepared.here("copy").succeeded()


@pytest.mark.parametrize(
    ("harm", "cure", "words"),
    [
        ("alter table orders rename to baskets", "alter table baskets rename to orders", "table orders does not exist"),
        (
            "alter table orders rename column total to amount",
            "alter table orders rename column amount to total",
            "column total of public.orders does not exist",
        ),
        (
            "alter table orders drop constraint orders_pkey",
            "alter table orders add primary key (customer_id, number)",
            "public.orders has no primary key",
        ),
        (
            "alter table orders alter column total type text",
            "alter table orders alter column total type numeric(8, 2) using total::numeric",
            "column total of public.orders is text, declared is NUMERIC(8, 2)",
        ),
    ],
    ids=["a missing table", "a missing column", "no primary key", "another type"],
)
def test_a_source_that_is_not_what_the_mapping_declares(prepared: Project, harm: str, cure: str, words: str) -> None:
    prepared.database.execute(harm)
    prepared.migrate("copy").failed(4, "ORDER", words, "alembic upgrade head")
    assert f"in the way: source orders: the source is not what the mapping of ORDER declares: {words}" in (
        prepared.here("status").succeeded().out
    )
    prepared.database.execute(cure)
    prepared.here("copy").succeeded()


def test_empty_tables(project: Project) -> None:
    project.prepare()
    done = project.here("copy").succeeded()
    assert "shop: 0 rows became 0 items" in done.out
    assert "target and source are equal" in project.here("verify").succeeded().out
    assert "customers is empty" in project.here("preview", "customers").succeeded().err


def test_a_source_that_was_not_prepared(project: Project) -> None:
    done = project.migrate("copy").failed(4, "schema (migrator)", "not installed", "next: migrate prepare")
    assert project.here("verify") == done
    project.here("prepare").succeeded()
    project.here("copy").succeeded()
