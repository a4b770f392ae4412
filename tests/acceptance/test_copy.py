"""`migrate copy`: rows become items, once, whatever comes between, and what it tells of that."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from migrator.postgres.capture import create_statements, drop_statements
from migrator.postgres.identifiers import TableName
from tests.support.fault_proxy import FaultProxy
from tests.support.faults import Delay, Unprocessed, throttle
from tests.support.project import UNFIT
from tests.support.terminal import at_terminal

if TYPE_CHECKING:
    from tests.support.project import Project

STOCK = """
import sqlalchemy as sa

from migrator.mapping import Entity, Item, Model, S, Table

stock = sa.Table("stock", sa.MetaData(), sa.Column("id", sa.BigInteger, primary_key=True))
TABLE = Table("{table}", partition_key=S("PK"))
MODEL = Model("stock", [Entity("STOCK", source=stock, table=TABLE, items=[Item("STOCK#{{id}}")])])
"""
ITEMS = 20 + 2 * 100


@pytest.mark.parametrize("workers", ["1", "2"])
def test_every_row_becomes_its_items(prepared: Project, workers: str) -> None:
    done = prepared.migrate("copy", "--workers", workers).succeeded()
    assert f"shop: 120 rows became {ITEMS} items in " in done.out
    assert "changes made since the copy began are not followed: capture does not stand on any table" in done.err
    assert "next: migrate verify" in done.err
    assert len(prepared.items()) == ITEMS
    assert "target and source are equal" in prepared.here("verify").succeeded().out


@pytest.mark.uncovered
def test_a_complete_copy_is_left_as_it_is(prepared: Project) -> None:
    prepared.here("copy").succeeded()
    prepared.database.execute("update customers set name = 'changed since'")
    done = prepared.here("copy").succeeded()
    assert "the copy was complete already; --restart copies all rows again" in done.out
    assert "changed since" not in json.dumps(prepared.items())
    prepared.here("copy", "--restart", "customers", "--yes").succeeded()
    assert json.dumps(prepared.items()).count("changed since") == 20


def test_only_the_tables_that_are_named(prepared: Project) -> None:
    document = json.loads(prepared.here("copy", "customers", "--json").succeeded().out)
    (model,) = document["models"]
    assert model["name"] == "shop"
    assert model["tables"] == [
        {"table": "customers", "rows": 20, "items": 20, "expired": 0, "set_aside": 0, "waiting": 0}
    ]
    assert model["followed"] is False
    assert model["write_units"] >= 20
    assert {item["Kind"]["S"] for item in prepared.items()} == {"CUSTOMER"}


def test_a_dry_run_says_what_would_be_done_and_does_nothing(prepared: Project) -> None:
    prepared.here("copy", "customers").succeeded()
    lines = prepared.here("copy", "--dry-run").succeeded().out.splitlines()
    assert [line.split() for line in lines[1:]] == [
        ["customers", "20", "20", "turbo", "be", "left:", "it", "is", "complete"],
        ["orders", "100", "0", "turbo", "be", "copied"],
    ]
    customers, orders = json.loads(prepared.here("copy", "--dry-run", "--json").out)["models"][0]["tables"]
    assert customers["record"]["finished_at"]
    assert orders["record"] is None
    assert "be copied anew" in prepared.here("copy", "--dry-run", "--restart").succeeded().out
    prepared.edit('Attribute("token"', 'Attribute("secret"')
    assert "be refused" in prepared.here("copy", "--dry-run").succeeded().out
    assert len(prepared.items()) == 20


def test_a_row_that_has_no_exact_items_is_set_aside_until_it_is_corrected(prepared: Project) -> None:
    prepared.database.execute(f"update orders set {UNFIT} where number = 'o-7'")  # noqa: S608 - no input's
    done = prepared.here("copy")
    assert done.code == 1
    assert f"became {ITEMS - 2} items" in done.out
    assert "orders: 1 row is set aside" in done.err
    assert "next: `migrate status` names them" in done.err
    status = prepared.here("status").succeeded().out
    assert "set aside: orders (customer_id 1, number o-7): column details: 39 significant digits" in status
    assert "in the way: orders: rows set aside: 1" in status
    assert "12345678901234567890" not in status + done.out + done.err
    again = prepared.here("copy")
    assert (again.code, "complete already" in again.out) == (1, True)
    prepared.database.execute("update orders set details = null where number = 'o-7'")
    prepared.here("copy").succeeded()
    assert len(prepared.items()) == ITEMS
    assert "set aside: " not in prepared.here("status").succeeded().out
    prepared.here("verify").succeeded()


def test_rows_past_their_ttl_are_left_out(prepared: Project) -> None:
    prepared.database.execute("update orders set expires = case when customer_id = 1 then 1000 else 9999999999 end")
    document = json.loads(prepared.here("copy", "orders", "--json").succeeded().out)
    (table,) = document["models"][0]["tables"]
    assert (table["expired"], table["items"]) == (14, 2 * 86)
    prepared.here("verify", "orders").succeeded()


def test_starting_anew_is_asked_for(prepared: Project) -> None:
    assert "Forget" not in prepared.here("copy", "--restart", "--no-input").succeeded().err
    prepared.here("copy", "--restart").failed(2, "Forget how far the copy of customers, orders is?", "Give --yes")
    assert at_terminal(prepared, "n", "copy", "--restart")[0] == 1
    code, shown = at_terminal(prepared, "y", "copy", "--restart")
    assert code == 0
    assert f"became {ITEMS} items" in shown


def test_a_terminal_shows_how_far_it_is(prepared: Project) -> None:
    with FaultProxy(prepared.dynamodb.endpoint_url) as proxy:
        proxy.inject(Delay(0.3), on="BatchWriteItem")
        code, shown = at_terminal(prepared.through(AWS_ENDPOINT_URL=proxy.endpoint_url), "", "copy")
    assert code == 0
    assert "orders" in shown
    assert "100/100" in shown


def test_what_is_copied_is_counted(prepared: Project) -> None:
    done = prepared.here("copy", "--metrics", "0", "--emf", "metrics.jsonl", "--json").succeeded()
    assert "metrics: http://127.0.0.1:" in done.err
    told = [json.loads(line) for line in (prepared.directory / "metrics.jsonl").read_text().splitlines()]
    assert {line["table"]: line["migrator_copy_items_total"] for line in told} == {"customers": 20, "orders": 200}
    assert json.loads(done.out)["models"][0]["name"] == "shop"
    prepared.here("copy", "--emf", "absent/metrics.jsonl").failed(
        2, "metrics cannot be written to absent/metrics.jsonl"
    )
    prepared.here("copy", "--emf", "-", "--json").failed(2, "would both write to stdout")
    lines = prepared.here("copy", "--restart", "-y", "--emf", "-").succeeded().out.splitlines()
    assert any(line.startswith('{"_aws":') for line in lines)


def test_a_target_at_its_limit_is_written_all_the_same(prepared: Project) -> None:
    with FaultProxy(prepared.dynamodb.endpoint_url) as proxy:
        proxy.inject(throttle(), on="BatchWriteItem", times=2)
        proxy.inject(Unprocessed(), on="BatchWriteItem", times=3)
        behind = prepared.through(AWS_ENDPOINT_URL=proxy.endpoint_url)
        (model,) = json.loads(behind.here("copy", "--json", "--max-wcu", "2000").succeeded().out)["models"]
    assert model["retries"]["throttled"] >= 2
    assert model["unprocessed"] >= 1
    assert len(prepared.items()) == ITEMS


def test_several_models(prepared: Project) -> None:
    prepared.database.execute("create table stock (id bigint primary key)", "insert into stock values (1), (2)")
    (prepared.directory / "stock.py").write_text(STOCK.format(table=prepared.dynamodb.table_name("stock")))
    (prepared.directory / "migrator.toml").write_text('mappings = ["shop", "stock"]\n')
    assert prepared.here("prepare").succeeded().out.count("create table") == 1
    done = prepared.here("copy", "orders", "stock").succeeded()
    assert "shop: 100 rows became 200 items" in done.out
    assert "stock: 2 rows became 2 items" in done.out
    documents = json.loads(prepared.here("verify", "--json", "orders", "stock").succeeded().out)["models"]
    assert [(model["name"], model["rows"]) for model in documents] == [
        ("shop", {"orders": 100}),
        ("stock", {"stock": 2}),
    ]
    prepared.here("copy", "stock", "shelves").failed(
        2, "shelves: no source table of shop or stock", "customers, orders, stock"
    )
    assert prepared.here("status").succeeded().out.count(": phase prepare\n") == 2


def followed(project: Project) -> dict[str, bool]:
    """Which tables' changes are followed, as `status` says."""
    (model,) = json.loads(project.here("status", "--json").succeeded().out)["models"]
    return {source["table"]: source["followed"] for source in model["sources"]}


def capture(project: Project) -> None:
    for table in ("customers", "orders"):
        project.database.execute(*create_statements(TableName(table)))


@pytest.mark.uncovered
def test_captured_tables_are_followed(prepared: Project) -> None:
    capture(prepared)
    done = prepared.here("copy", "--json").succeeded()
    assert json.loads(done.out)["models"][0]["followed"] is True
    shown = prepared.here("status").succeeded().out
    assert "not followed" not in done.err + shown
    assert followed(prepared) == {"customers": True, "orders": True}
    assert "capture" not in prepared.here("prepare").succeeded().err


@pytest.mark.uncovered
def test_a_table_is_followed_as_long_as_its_capture_stands(prepared: Project) -> None:
    capture(prepared)
    prepared.here("copy", "customers").succeeded()
    prepared.database.execute("alter table orders disable trigger migrator_capture")
    done = prepared.here("copy", "--json").succeeded()
    assert json.loads(done.out)["models"][0]["followed"] is False
    assert "are not followed: capture does not stand on public.orders" in done.err
    assert followed(prepared) == {"customers": True, "orders": False}
    shown = prepared.here("status").succeeded().out
    assert "note: the trigger migrator_capture of public.orders is disabled, or not enabled ALWAYS: put op.cr" in shown
    # Whatever was written meanwhile, nobody has marked; nor is it followed where capture is installed anew.
    prepared.database.execute("alter table orders enable always trigger migrator_capture")
    assert followed(prepared) == {"customers": True, "orders": False}
    prepared.database.execute(*drop_statements(TableName("customers")), *create_statements(TableName("customers")))
    assert followed(prepared) == {"customers": False, "orders": False}
    prepared.here("copy", "--restart", "--yes", "customers").succeeded()
    assert followed(prepared) == {"customers": True, "orders": False}
