"""`migrate rehearse`: rows led forward and back, without anything changed."""

from __future__ import annotations

import json
import uuid
from typing import TYPE_CHECKING, Any

import pytest

from tests.acceptance.following import following
from tests.support.project import as_role

if TYPE_CHECKING:
    from tests.support.project import Project

EVERYTHING = """
select md5(string_agg(line, ' ' order by line)) from (
    select 'c ' || customers::text as line from customers union all select 'o ' || orders::text from orders
    union all select 'm ' || marks::text from migrator.marks
) as lines
"""


def ask(project: Project, query: str) -> Any:  # noqa: ANN401 - whatever is asked for
    ((value,),) = project.database.fetch(query)
    return value


@pytest.fixture
def followed(prepared: Project) -> Project:
    return following(prepared)


def entities(project: Project, code: int, *options: str) -> dict[str, Any]:
    done = project.here("rehearse", "--json", *options)
    assert done.code == code, done
    (model,) = json.loads(done.out)["models"]
    return {each["entity"]: each for each in model["entities"]}


@pytest.mark.uncovered
def test_a_sample_comes_back_and_nothing_is_changed(followed: Project) -> None:
    before = ask(followed, EVERYTHING), sorted(map(str, followed.items()))
    done = followed.here("rehearse", "--sample", "30").succeeded()
    assert "shop: every row came back" in done.out
    assert (ask(followed, EVERYTHING), sorted(map(str, followed.items()))) == before
    found = entities(followed, 0)
    assert (found["CUSTOMER"]["proven"], found["ORDER"]["proven"]) == (20, 100)
    (model,) = json.loads(followed.here("status", "--json").succeeded().out)["models"]
    assert model["rehearsal"]["proven"]
    assert model["rehearsal"]["sample"] == 100
    assert "rehearsal: every row came back at " in followed.here("status").succeeded().out


def test_an_item_that_is_missing_and_one_that_differs(followed: Project) -> None:
    client = followed.dynamodb.client()
    client.delete_item(TableName=followed.table, Key={"PK": {"S": "CUSTOMER#3"}, "SK": {"S": "PROFILE"}})
    client.update_item(
        TableName=followed.table,
        Key={"PK": {"S": "CUSTOMER#2"}, "SK": {"S": "ORDER#o-1"}},
        UpdateExpression="SET #total = :total",
        ExpressionAttributeNames={"#total": "total"},
        ExpressionAttributeValues={":total": {"N": "999"}},
    )
    client.close()
    done = followed.here("rehearse")
    assert done.code == 3
    assert "customers, id 3: 1 of its 1 items are missing" in done.out
    assert "orders, customer_id 2, number o-1: total: its items give other values" in done.out
    assert "999" not in done.out
    assert "rehearsal: rows did not come back at " in followed.here("status").succeeded().out


def test_what_the_table_would_not_take_back(followed: Project) -> None:
    followed.database.execute("alter table customers add column since date not null default '2020-01-01'")
    followed.here("rehearse").succeeded()
    followed.database.execute("alter table customers alter column since drop default")
    found = entities(followed, 3)
    assert found["CUSTOMER"]["failed"] == 20
    assert found["CUSTOMER"]["failures"][0]["reason"] == "PostgreSQL does not take it back (NotNullViolation of since)"
    assert found["ORDER"]["failed"] == 0


def test_rows_past_their_ttl_are_left_out(followed: Project) -> None:
    followed.database.execute("update orders set expires = 1 where number = 'o-7'")
    assert (entities(followed, 0)["ORDER"]["expired"], entities(followed, 0)["ORDER"]["proven"]) == (1, 99)


def test_an_entity_that_comes_back_in_part_is_named(prepared: Project) -> None:
    prepared.edit('Attribute("total", orders.c.total), ', "")
    prepared.edit(
        "    ttl=Expiry(orders.c.expires),", "    ttl=Expiry(orders.c.expires),\n    dropped=[orders.c.total],"
    )
    project = following(prepared)
    assert "ORDER comes back without total, which its mapping drops" in project.here("rehearse").out
    project.database.execute("alter table orders alter column total drop not null")
    assert project.here("rehearse").code == 0
    project.database.execute("alter table orders alter column total set not null")
    found = entities(project, 3)["ORDER"]
    assert found["dropped"] == ["total"]
    assert found["failures"][0]["reason"] == "PostgreSQL does not take it back (NotNullViolation of total)"


def test_it_takes_items_that_are_followed(prepared: Project) -> None:
    prepared.here("rehearse").failed(8, "CUSTOMER is in prepare", "nothing was read or recorded")
    prepared.here("rehearse", "--sample", "0").failed(2, "--sample")


def test_a_role_that_may_make_no_temporary_tables(followed: Project) -> None:
    name, password = f"reader_{uuid.uuid4().hex[:8]}", uuid.uuid4().hex
    database = ask(followed, "select current_database()")
    followed.database.execute(
        f"revoke temporary on database {database} from public",
        f"create role {name} login password '{password}'",
        f"grant usage on schema migrator to {name}",
        f"grant all on all tables in schema migrator to {name}",
        f"grant all on all sequences in schema migrator to {name}",
        f"grant select on all tables in schema public to {name}",
    )
    try:
        role = followed.through(DATABASE_URL=as_role(followed.database.url, name, password))
        grant = f'GRANT TEMPORARY ON DATABASE "{database}" TO "{name}"'
        role.here("rehearse").failed(5, "lacks a privilege", grant)
        followed.database.execute(grant)
        role.here("rehearse").succeeded()
    finally:
        followed.database.execute(f"drop owned by {name}", f"drop role {name}")


@pytest.mark.uncovered
def test_it_is_what_comes_next_when_all_reads_have_moved(followed: Project) -> None:
    followed.here("verify").succeeded()
    followed.here("switch", "reads", "-y").succeeded()
    (model,) = json.loads(followed.here("status", "--json").succeeded().out)["models"]
    assert model["next"] == ["migrate rehearse"]
    followed.here("rehearse").succeeded()
    (model,) = json.loads(followed.here("status", "--json").succeeded().out)["models"]
    assert model["next"] == ["migrate switch writes"]


@pytest.mark.uncovered
def test_a_row_whose_change_waits_has_not_failed(followed: Project) -> None:
    followed.database.execute("update customers set name = 'other' where id <= 3")
    found = entities(followed, 0)
    assert (found["CUSTOMER"]["proven"], found["CUSTOMER"]["moving"], found["CUSTOMER"]["failures"]) == (17, 3, [])
    followed.here("relay", "--until-empty").succeeded()
    assert entities(followed, 0)["CUSTOMER"]["proven"] == 20
