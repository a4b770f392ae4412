"""`migrate switch writes`: its gates, the fence, and the last changes of the source."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING

import asyncpg
import pytest

from migrator.engines.stores import Stores
from migrator.phases import Course, Terms, open_writes
from migrator.reconcile import Times
from tests.acceptance.writing import WRITES, read, stages, standing
from tests.support.project import UNFIT

if TYPE_CHECKING:
    from tests.support.project import Project

__all__ = ["read"]
WRITE = "update customers set name = 'other' where id = 1"


def closed(project: Project, *options: str) -> dict[str, list[str]]:
    """The gates that are closed, with their reasons."""
    done = project.here(*WRITES, "--dry-run", "--json", *options)
    assert done.code == 8, done
    (model,) = json.loads(done.out)["models"]
    return {gate["name"]: gate["reasons"] for gate in model["gates"] if not gate["open"]}


@pytest.mark.uncovered
def test_the_source_is_fenced_and_the_target_opened(read: Project) -> None:
    assert standing(read)["next"] == ["migrate switch writes"]
    read.database.execute(WRITE)
    done = read.here(*WRITES).succeeded()
    assert "done: shop is in phase write_target" in done.err
    assert stages(read) == {("write_target", "open")}
    with pytest.raises(asyncpg.PostgresError, match="shop is in phase write_target") as refused:
        read.database.execute(WRITE)
    assert refused.value.sqlstate == "MG001"
    # What was committed before the fence has come over.
    (customer,) = [item for item in read.items() if item["PK"]["S"] == "CUSTOMER#1" and item["SK"]["S"] == "PROFILE"]
    assert customer["Name"]["S"] == "other"
    assert "already" in read.here(*WRITES).succeeded().out
    assert standing(read)["next"] == ["migrate complete"]


def test_ttl_is_enabled_a_life_after_the_target_has_opened(read: Project) -> None:
    client = read.dynamodb.client()
    table = {"TableName": read.table}

    def status() -> str:
        return client.describe_time_to_live(**table)["TimeToLiveDescription"]["TimeToLiveStatus"]

    moved = read.here(*WRITES).succeeded()
    assert "TTL of table" in moved.err
    assert "run `migrate switch writes` again" in moved.err
    assert status() == "DISABLED"
    assert f"TTL of table {read.table} is not enabled" in read.here("status").succeeded().out
    read.here(*WRITES, "--wait").succeeded()
    assert status() in {"ENABLING", "ENABLED"}
    assert "TTL of table" not in read.here("status").succeeded().out
    client.close()


@pytest.mark.uncovered
def test_what_was_begun_is_shown_before_it_goes_on(read: Project) -> None:
    """A fence that a killed run has left: whoever goes on with it is asked, as whoever begins is."""
    read.database.execute("update migrator.phases set phase = 'write_target', stage = 'fenced', percent = 0")
    shown = read.here(*WRITES, "--dry-run").succeeded().out
    assert "to phase write_target, 2 entities" in shown
    assert "already" not in shown


def test_it_comes_after_the_reads(prepared: Project) -> None:
    assert "write_target can be entered from read_target" in closed(prepared)


def test_what_has_to_be_there(read: Project) -> None:
    read.here("switch", "reads", "--percent", "50", "-y").succeeded()
    read.database.execute("delete from migrator.rehearsals")
    found = closed(read)
    assert found == {
        "every read goes to the target": [
            "CUSTOMER is read from the target for 50 % of its keys",
            "ORDER is read from the target for 50 % of its keys",
        ],
        "the way back was rehearsed": ["it has not been rehearsed"],
    }
    read.here(*WRITES).failed(8, "cannot move to write_target", "migrate rehearse", "migrate switch reads")
    assert stages(read) == {("read_target", None)}


def test_a_stream_that_is_off(read: Project) -> None:
    client = read.dynamodb.client()
    client.update_table(TableName=read.table, StreamSpecification={"StreamEnabled": False})
    client.close()
    read.here(*WRITES).failed(6, "is not on, so its changes cannot be followed", "migrate prepare")
    assert stages(read) == {("read_target", None)}


def test_a_change_that_cannot_be_carried_over_lifts_the_fence(read: Project) -> None:
    read.database.execute(f"update orders set {UNFIT} where number = 'o-1'")  # noqa: S608 - a constant
    done = read.here(*WRITES)
    done.failed(8, "set aside", "the fence was lifted")
    assert stages(read) == {("read_target", None)}
    read.database.execute("update orders set details = null where number = 'o-1'")
    read.here("relay", "--until-empty").succeeded()
    read.here(*WRITES).succeeded()
    assert stages(read) == {("write_target", "open")}


def test_words_that_mean_nothing(read: Project) -> None:
    read.here(*WRITES, "--percent", "10").failed(2, "--percent is said of reads")
    read.here("switch", "reads", "-y", "--without-way-back", "ORDER").failed(2, "--without-way-back is said of writes")
    read.here(*WRITES, "--entity", "NOBODY").failed(2, "NOBODY: no entity of shop")
    read.here("complete", "-y").failed(8, "cannot move to complete", "migrate switch writes")
    assert stages(read) == {("read_target", None)}


def test_ended_at_the_moment_in_which_the_target_opens_it_stays_open(
    read: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An application may write to it already: the fence is not lifted any more, whatever ends the command."""
    for name, value in read.dynamodb.environment().items():
        monkeypatch.setenv(name, value)

    def told(sentence: str) -> None:
        if sentence.startswith("the target is open"):
            raise asyncio.CancelledError

    times = Times(request=1, page=1, signature=0.2, skew=0)
    course = Course(read.model, "shop", Stores(read.database.url), times, 0.2, Terms(), told)
    with pytest.raises(asyncio.CancelledError):
        asyncio.run(open_writes(course, wait=False))
    assert stages(read) == {("write_target", "open")}
    with pytest.raises(asyncpg.PostgresError, match="is fenced"):
        read.database.execute(WRITE)


@pytest.mark.uncovered
def test_entities_that_there_are_not_are_refused_wherever_they_are_named(read: Project) -> None:
    read.here(*WRITES, "--without-way-back", "NOBODY").failed(2, "NOBODY: no entity of shop")
    (read.directory / "other.py").write_text(
        "import sqlalchemy as sa\n"
        "from migrator.mapping import Entity, Item, Model, S, Table\n"
        "metadata = sa.MetaData()\n"
        'notes = sa.Table("notes", metadata, sa.Column("id", sa.Text, primary_key=True))\n'
        'TABLE = Table("notes", partition_key=S("PK"))\n'
        'NOTE = Entity("NOTE", source=notes, table=TABLE, items=[Item("NOTE#{id}")])\n'
        'MODEL = Model("notes", [NOTE])\n'
    )
    (read.directory / "migrator.toml").write_text('mappings = ["shop", "other"]\n')
    done = read.here(*WRITES, "--dry-run", "--entity", "ORDER", "--without-way-back", "NOTE")
    assert "notes" not in done.out, "of the other model nothing was asked for"
