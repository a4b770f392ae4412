"""A user's project in a directory of its own: a mapping module and settings, with `migrate` run there as a process."""

from __future__ import annotations

import asyncio
import io
import os
import runpy
import sys
from contextlib import chdir, closing, redirect_stderr, redirect_stdout
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any
from unittest.mock import patch
from urllib.parse import quote, urlsplit, urlunsplit

from migrator.cli import run
from migrator.dynamodb import admin, control
from migrator.postgres import state
from migrator.postgres.connection import connect
from tests.support.preloaded import Command
from tests.support.published import see_that_it_is_as_published
from tests.support.started import Started
from tests.support.target import session_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from migrator.mapping import Model
    from tests.support.stores import Database, DynamoDBStore

ROOT = Path(__file__).parents[2]
SECONDS = 60

SHOP = '''"""A shop: customers and their orders."""

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import JSONB

from migrator.mapping import Attribute, Entity, Expiry, Index, Item, Model, S, Table

metadata = sa.MetaData()
customers = sa.Table(
    "customers",
    metadata,
    sa.Column("id", sa.BigInteger, primary_key=True),
    sa.Column("name", sa.Text),
    sa.Column("token", sa.Text),
)
orders = sa.Table(
    "orders",
    metadata,
    sa.Column("customer_id", sa.BigInteger, primary_key=True),
    sa.Column("number", sa.Text, primary_key=True),
    sa.Column("total", sa.Numeric(8, 2), nullable=False),
    sa.Column("details", JSONB(none_as_null=True)),
    sa.Column("expires", sa.BigInteger),
)
TABLE = Table(
    "{table}",
    partition_key=S("PK"),
    sort_key=S("SK"),
    indexes=(Index("ByName", S("Name"), S("Customer")),),
    ttl="ExpiresAt",
    discriminator="Kind",
    tags={{"Team": "shop"}},
)
CUSTOMER = Entity(
    "CUSTOMER",
    source=customers,
    table=TABLE,
    items=[Item("CUSTOMER#{{id}}", "PROFILE", indexes={{"ByName": ("{{name}}", "CUSTOMER#{{id:unordered}}")}})],
    attributes=[Attribute("token", customers.c.token, encrypted=True)],
)
ORDER = Entity(
    "ORDER",
    source=orders,
    table=TABLE,
    items=[Item("CUSTOMER#{{customer_id}}", "ORDER#{{number}}"), Item("ORDERS#{{customer_id}}#{{number}}", "LOOKUP")],
    attributes=[Attribute("total", orders.c.total), Attribute("details", orders.c.details)],
    ttl=Expiry(orders.c.expires),
)
MODEL = Model("shop", [CUSTOMER, ORDER])
'''
TABLES = """
create table customers (id bigint primary key, name text, token text);
create table orders (
    customer_id bigint,
    number text,
    total numeric(8, 2) not null,
    details jsonb,
    expires bigint,
    primary key (customer_id, number)
)
"""
ROWS = """
insert into customers
select i, case when i % 3 > 0 then 'name ' || i end, 'secret ' || i from generate_series(1, {customers}) i;
insert into orders
select 1 + i % 7, 'o-' || i, i / 100.0, jsonb_build_object('line', i) from generate_series(1, {orders}) i
"""
UNFIT = """details = '{"digits": 123456789012345678901234567890123456789}'"""
"""A document that DynamoDB cannot hold, with its number of 39 digits, as SQL assigns it to an order."""


@dataclass(frozen=True)
class Done:
    """How a command ended, and what it printed."""

    code: int
    out: str
    err: str

    def succeeded(self) -> Done:
        assert self.code == 0, self
        return self

    def failed(self, code: int, *words: str) -> Done:
        """See that it ended with this code and with one message, which holds these words and says what to do next."""
        assert self.code == code, self
        assert self.err.count("error: ") == 1, self
        assert "\nnext: " in self.err, self
        assert "Traceback" not in self.out + self.err, self
        for word in words:
            assert word in self.err, (word, self)
        return self


@dataclass(frozen=True)
class Project:
    """The project. `environment` is all that a command is told of the stores; `through` changes it."""

    directory: Path
    database: Database
    dynamodb: DynamoDBStore
    environment: Mapping[str, str] = field(repr=False)

    @classmethod
    def new(cls, directory: Path, database: Database, dynamodb: DynamoDBStore) -> Project:
        """Write a project into a directory."""
        (directory / "migrator.toml").write_text('mappings = "shop"\n')
        (directory / "shop.py").write_text(SHOP.format(table=dynamodb.table_name("shop")))
        environment = {**os.environ, **database.environment(), **dynamodb.environment(), "PYTHONPATH": str(ROOT)}
        return cls(directory, database, dynamodb, environment)

    def through(self, **changed: str | None) -> Project:
        """The same project with other variables; None takes one away."""
        environment = {**self.environment, **{name: value for name, value in changed.items() if value is not None}}
        for name, value in changed.items():
            if value is None:
                environment.pop(name, None)
        return Project(self.directory, self.database, self.dynamodb, environment)

    @property
    def model(self) -> Model:
        model: Model = runpy.run_path(str(self.directory / "shop.py"))["MODEL"]
        return model

    @property
    def table(self) -> str:
        return self.dynamodb.table_name("shop")

    def edit(self, old: str, new: str) -> None:
        """Change the mapping."""
        path = self.directory / "shop.py"
        text = path.read_text()
        assert old in text, old
        path.write_text(text.replace(old, new))

    def prepare(self) -> None:
        """What `migrate prepare` does, without a process."""
        install(self.database)
        self.prepare_target()

    def prepare_target(self) -> None:
        """As much of it as is done in the target."""
        (table,) = self.model.tables
        with closing(control.connect(session_of(self.dynamodb))) as client:
            admin.apply(client, table, admin.plan(client, table))

    def start(self, *arguments: str, **streams: Any) -> Started:  # noqa: ANN401 - standard streams, as `Started` has them
        """Start `migrate` in a process group of its own, as a shell does."""
        return Started(["migrator", *arguments], self.directory, self.environment, **streams)

    def migrate(self, *arguments: str, stdin: str | None = None) -> Done:
        """Run `migrate` to its end, in a process of its own."""
        ended = Command(["migrator", *arguments], self.directory, self.environment, SECONDS, stdin or "").run()
        see_that_it_is_as_published(arguments, ended.code, ended.out)
        return Done(ended.code, ended.out, ended.err)

    def here(self, *arguments: str) -> Done:
        """Run `migrate` in this process: quicker, and as good where nothing of the process itself is at stake."""
        out, err, path = io.StringIO(), io.StringIO(), sys.path[:]
        with (
            patch.dict(os.environ, self.environment, clear=True),
            chdir(self.directory),
            redirect_stdout(out),
            redirect_stderr(err),
        ):
            code = run(arguments)
        sys.path[:] = path
        for module in self.directory.glob("*.py"):
            sys.modules.pop(module.stem, None)
        see_that_it_is_as_published(arguments, code, out.getvalue())
        return Done(code, out.getvalue(), err.getvalue())

    def items(self) -> list[dict[str, Any]]:
        """Every item of the table."""
        client = self.dynamodb.client()
        pages = client.get_paginator("scan").paginate(TableName=self.table, ConsistentRead=True)
        found = [dict(item) for page in pages for item in page["Items"]]
        client.close()
        return found


def install(database: Database) -> None:
    """Install the toolkit's own schema."""
    asyncio.run(_install(database.url))


async def _install(url: str) -> None:
    connection = await connect(url, purpose="test")
    await state.install(connection)
    await connection.close()


def as_role(url: str, role: str, password: str) -> str:
    """The URL of the same database for another role."""
    parts = urlsplit(url)
    host = parts.netloc.rpartition("@")[2]
    return urlunsplit(parts._replace(netloc=f"{quote(role)}:{quote(password)}@{host}"))
