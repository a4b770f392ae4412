"""`migrate relay` while DynamoDB is written: changes are carried back, and phases are gone by as they move."""

from __future__ import annotations

import asyncio
import json
import re
import signal
from typing import TYPE_CHECKING, Any

import asyncpg
import pytest

from migrator.mapping import forward
from tests.acceptance.following import following
from tests.support.fault_proxy import FaultProxy
from tests.support.faults import Aged

if TYPE_CHECKING:
    from tests.support.project import Project

OPEN = "update migrator.phases set phase = 'write_target', stage = 'open', epoch = epoch + 1"
RETURNED = "update migrator.phases set phase = 'dual_write', stage = null, epoch = epoch + 1"


@pytest.fixture
def followed(prepared: Project) -> Project:
    """A copy is made and followed; the target has a stream, as any has."""
    return following(prepared)


def put(project: Project, *customers: tuple[int, str]) -> None:
    """Write customers to DynamoDB."""
    entity = project.model.entity("CUSTOMER")
    assert entity is not None
    client = project.dynamodb.client()
    for number, name in customers:
        (item,) = forward(entity, {"id": number, "name": name, "token": None})
        written: Any = {**item, "_v": {"N": "99"}}
        client.put_item(TableName=project.table, Item=written)
    client.close()


def value(project: Project, query: str) -> Any:  # noqa: ANN401 - of any type
    async def ask() -> Any:  # noqa: ANN401 - as above
        connection = await asyncpg.connect(project.database.url)
        try:
            return await connection.fetchval(query)
        finally:
            await connection.close()

    return asyncio.run(ask())


def until(project: Project, query: str, expected: object) -> None:
    """Return when a query of the source gives a value."""
    while value(project, query) != expected:
        pass


def carried(project: Project) -> dict[str, Any]:
    (model,) = json.loads(project.here("relay", "--until-empty", "--json").succeeded().out)["models"]
    found: dict[str, Any] = model["carried_back"]
    return found


@pytest.mark.uncovered
def test_what_is_written_in_dynamodb_is_carried_back(followed: Project) -> None:
    assert carried(followed)["seconds"] == 0
    followed.database.execute(OPEN)
    put(followed, (1, "Ann"), (900, "Bob"))
    shown = followed.here("relay", "--until-empty").succeeded().out
    assert ": 2 rows written, 0 deleted" in shown
    assert value(followed, "select array_agg(name order by id) from customers where id in (1, 900)") == ["Ann", "Bob"]
    assert value(followed, "select count(*) from migrator.marks") == 0
    assert carried(followed)["applied"] == 0


def test_what_the_source_refuses_is_told(followed: Project) -> None:
    followed.database.execute(OPEN, "alter table customers add constraint no_bob check (name <> 'Bob')")
    put(followed, (900, "Bob"))
    done = followed.here("relay", "--until-empty")
    assert done.code == 1
    assert "warning: refused: CUSTOMER: PostgreSQL does not take it back (CheckViolation of no_bob)" in done.err
    assert "shop: the source refuses 1 change\n" in done.err
    put(followed, (900, "Ann"))
    assert carried(followed)["refused"] == 0


@pytest.mark.uncovered
def test_an_hour_late_is_an_alarm(followed: Project) -> None:
    followed.database.execute(OPEN)
    put(followed, (900, "Bob"))
    with FaultProxy(followed.dynamodb.endpoint_url) as proxy:
        late = followed.through(AWS_ENDPOINT_URL=proxy.endpoint_url)
        proxy.inject(Aged(2 * 3600.0))
        done = late.here("relay", "--until-empty").succeeded()
    assert done.err.count("warning: the source follows the target more than 1 h late") == 1
    shown = followed.here("status").succeeded().out
    assert re.search(r"the streams were read \d+ s ago\n", shown), "all of it is carried back"
    for late_or_unread in (
        "update migrator.stream_positions set lag = 4000",
        "update migrator.stream_positions set lag = 0, read_at = read_at - interval '4000 s'",
    ):
        followed.database.execute(late_or_unread)
        (model,) = json.loads(followed.here("status", "--json").succeeded().out)["models"]
        assert any("more than 1 h late" in sentence for sentence in model["in_the_way"])
    carried(followed)
    assert "h late" not in followed.here("status").succeeded().out


def test_a_write_past_the_fence_is_told(followed: Project) -> None:
    followed.database.execute(OPEN, "update customers set name = 'Eve' where id = 1")
    put(followed, (900, "Bob"))
    followed.here("relay", "--until-empty").failed(8, "written to public.customers past the fence")


def test_a_stream_that_is_off_is_told(followed: Project) -> None:
    followed.database.execute(OPEN)
    carried(followed)
    client = followed.dynamodb.client()
    client.update_table(TableName=followed.table, StreamSpecification={"StreamEnabled": False})
    client.close()
    followed.here("relay").failed(6, "is not on", "migrate prepare", "nothing is lost", "next: `migrate rollback`")
    for why in ("is not on", "is another one than was read"):
        (model,) = json.loads(followed.here("status", "--json").succeeded().out)["models"]
        assert any(why in sentence and "migrate rollback" in sentence for sentence in model["in_the_way"]), model
        assert "migrate rollback" in model["next"]
        followed.here("prepare", "-y").succeeded()
    followed.here("relay").failed(6, "is another one than was read", "nothing is lost", "next: `migrate rollback`")


@pytest.mark.uncovered
def test_a_relay_goes_by_the_phases_as_they_move(followed: Project) -> None:
    with followed.start("relay", "--json") as process:
        followed.database.execute("update customers set name = 'Ann' where id = 1")
        until(followed, "select count(*) from migrator.marks", 0)
        followed.database.execute(OPEN)
        put(followed, (900, "Bob"))
        until(followed, "select name from customers where id = 900", "Bob")
        followed.database.execute(RETURNED, "update customers set name = 'Cem' where id = 900")
        until(followed, "select count(*) from migrator.marks", 0)
        process.send_signal(signal.SIGTERM)
        out, _ = process.communicate()
    assert process.returncode == 0
    (model,) = json.loads(out)["models"]
    assert (model["settled"], model["carried_back"]["applied"]) == (2, 1)


@pytest.mark.uncovered
def test_killed_it_loses_nothing(followed: Project) -> None:
    followed.database.execute(OPEN)
    put(followed, *((number, f"name {number}") for number in range(901, 931)))
    with FaultProxy(followed.dynamodb.endpoint_url) as proxy:
        behind = followed.through(AWS_ENDPOINT_URL=proxy.endpoint_url)
        for count in (1, 4):
            seen = proxy.seen["BatchGetItem"]
            with behind.start("relay", "--batch", "3") as process:
                proxy.wait_for("BatchGetItem", seen + count)
                process.kill()
                process.communicate()
    carried(followed)
    assert value(followed, "select count(*) from customers where name = 'name ' || id and id > 900") == 30
