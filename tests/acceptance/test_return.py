"""`migrate rollback` out of `write_target`, and `migrate complete`: what was written in the target is in the source."""

from __future__ import annotations

import signal
from typing import TYPE_CHECKING, Any

import asyncpg
import pytest

from tests.acceptance.writing import WRITES, client, read, stages, standing, written

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

    from tests.support.project import Project

__all__ = ["client", "read", "written"]
BACK = ("rollback", "-y")
NAME = "update customers set name = 'later' where id = 1"


def customer(number: int, name: str, version: int = 10**18) -> dict[str, Any]:
    """The item of a customer, as an application writes it."""
    return {
        "PK": {"S": f"CUSTOMER#{number}"},
        "SK": {"S": "PROFILE"},
        "Kind": {"S": "CUSTOMER"},
        "Name": {"S": name},
        "Customer": {"S": f"CUSTOMER#{number}"},
        "token": {"S": "secret"},
        "_v": {"N": str(version)},
    }


def buried(number: int) -> dict[str, Any]:
    """A tombstone of a customer."""
    whole = customer(number, "")
    return {"PK": whole["PK"], "SK": whole["SK"], "_v": whole["_v"], "_del": {"N": "1700000000"}}


def names(project: Project) -> dict[int, str | None]:
    """The customers in the source."""
    return dict(project.database.fetch("select id, name from customers"))


@pytest.mark.uncovered
def test_what_was_written_in_the_target_returns(written: Project, client: DynamoDBClient) -> None:
    before = names(written)
    for item in (customer(1, "changed"), customer(77, "new"), buried(2)):
        client.put_item(TableName=written.table, Item=item)
    done = written.here(*BACK).succeeded()
    assert "done: shop is in phase dual_write\nnext: applications read the source again" in done.err
    assert stages(written) == {("dual_write", None)}
    assert names(written) == {**{key: name for key, name in before.items() if key != 2}, 1: "changed", 77: "new"}
    assert not [item for item in written.items() if "_del" in item]
    # Nothing of it is a change to carry over, and what is changed from here on is.
    assert written.database.fetch("select count(*) from migrator.marks") == [(0,)]
    written.database.execute(NAME)
    written.here("relay", "--until-empty").succeeded()
    written.here("verify").succeeded()


def test_before_the_target_is_open_the_fence_is_lifted(written: Project) -> None:
    written.database.execute("update migrator.phases set stage = 'fenced'")
    assert standing(written)["next"] == ["migrate switch writes", "migrate rollback"]
    assert "done: shop is in phase read_target, 100 % of reads" in written.here(*BACK).succeeded().err
    written.database.execute(NAME)
    written.here("relay", "--until-empty").succeeded()


@pytest.mark.uncovered
def test_no_phase_is_skipped(written: Project) -> None:
    written.here("rollback", "--to", "prepare", "-y").failed(8, "CUSTOMER is in write_target", "migrate rollback")
    assert stages(written) == {("write_target", "open")}


def test_what_the_source_does_not_take_keeps_it_from_returning(written: Project, client: DynamoDBClient) -> None:
    written.database.execute("alter table customers add constraint short check (length(name) < 20)")
    client.put_item(TableName=written.table, Item=customer(1, "much too long for the source"))
    written.here(*BACK).failed(8, "does not hold what the target holds", "nothing is lost", "migrate switch writes")
    assert stages(written) == {("write_target", "returning")}
    found = standing(written)
    assert found["next"] == ["migrate rollback"]
    assert found["carried_back"]["refused"] == 1
    assert "the source refuses a change of CUSTOMER: " in found["in_the_way"][0]
    assert "carried back: 1 changes refused; the streams were read " in written.here("status").succeeded().out
    # The way back of the way back: applications write again, and put it right.
    assert "opening the target again" in written.here(*WRITES).succeeded().err
    assert stages(written) == {("write_target", "open")}
    client.put_item(TableName=written.table, Item=customer(1, "shorter", 10**18 + 1))
    written.here(*BACK).succeeded()
    assert names(written)[1] == "shorter"


@pytest.mark.parametrize(
    "step", ["applications write to neither", "carrying back what", "comparing both stores"], ids=lambda each: each[:8]
)
def test_killed_in_the_middle_it_goes_on(written: Project, client: DynamoDBClient, step: str) -> None:
    client.put_item(TableName=written.table, Item=customer(1, "changed"))
    killed(written, step, *BACK)
    assert stages(written) <= {("write_target", "open"), ("write_target", "returning")}
    written.here(*BACK).succeeded()
    assert names(written)[1] == "changed"


@pytest.mark.uncovered
def test_killed_in_the_middle_of_the_switch_it_goes_on(read: Project) -> None:
    read.database.execute(NAME)
    killed(read, "carrying over the last", *WRITES)
    assert stages(read) == {("write_target", "fenced")}
    read.here(*WRITES).succeeded()
    assert stages(read) == {("write_target", "open")}
    assert read.database.fetch("select count(*) from migrator.marks") == [(0,)]


def test_the_end(written: Project, client: DynamoDBClient) -> None:
    client.put_item(TableName=written.table, Item=buried(2))
    killed(written, "dropping capture", "complete", "-y")
    written.here("complete", "-y").succeeded()
    found = standing(written)
    assert (found["phase"], found["next"]) == ("complete", [])
    assert not [item for item in written.items() if "_del" in item]
    with pytest.raises(asyncpg.PostgresError, match="shop is in phase complete"):
        written.database.execute(NAME)
    for command in (BACK, WRITES, ("switch", "dual-write", "-y")):
        assert written.here(*command).code == 8
    assert stages(written) == {("complete", None)}


def killed(project: Project, step: str, *command: str) -> None:
    """Run a command until it says this, and kill it there."""
    with project.start(*command) as process:
        for line in process.stderr:
            if step in line:
                break
        else:
            pytest.fail(f"it never said {step!r}")
        process.send_signal(signal.SIGKILL)
        process.communicate(timeout=60)
