"""`migrate switch reads`: the gates before it, its percentages, entities that move together, and the way back."""

from __future__ import annotations

import json
import signal
import time
from typing import TYPE_CHECKING, Any

import pytest

from tests.acceptance.following import following, holding
from tests.support.project import UNFIT

if TYPE_CHECKING:
    from tests.support.project import Project

READS = ("switch", "reads", "-y")
FORWARD = 'sa.Column("customer_id", sa.BigInteger, primary_key=True)'
TIED = 'sa.Column("customer_id", sa.BigInteger, sa.ForeignKey("customers.id"), primary_key=True)'


@pytest.fixture
def proven(prepared: Project) -> Project:
    """A shop whose changes are followed, and whose target is proven."""
    project = following(prepared)
    project.here("verify").succeeded()
    return project


def standing(project: Project) -> dict[str, Any]:
    (model,) = json.loads(project.here("status", "--json").succeeded().out)["models"]
    found: dict[str, Any] = model
    return found


def percents(project: Project) -> dict[str, tuple[str, int, int]]:
    """Phase, percentage and epoch, by entity."""
    return {
        name: (group["phase"], group["percent"], group["epoch"])
        for group in standing(project)["groups"]
        for name in group["entities"]
    }


def closed(project: Project, *options: str) -> dict[str, list[str]]:
    """The gates that are closed, with their reasons."""
    done = project.here(*READS, "--dry-run", "--json", *options)
    assert done.code == 8, done
    (model,) = json.loads(done.out)["models"]
    assert not model["moved"]
    return {gate["name"]: gate["reasons"] for gate in model["gates"] if not gate["open"]}


@pytest.mark.uncovered
def test_there_in_steps_and_back(proven: Project) -> None:
    assert standing(proven)["next"] == ["migrate switch reads"]
    assert proven.here(*READS, "--dry-run").succeeded().out.count("  open    ") == 10
    done = proven.here(*READS, "--percent", "10").succeeded()
    assert "shop: to phase read_target, 10 % of reads, 2 entities" in done.out
    assert "done: shop is in phase read_target, 10 % of reads" in done.err
    at = percents(proven)
    assert {place[:2] for place in at.values()} == {("read_target", 10)}
    assert "already" in proven.here(*READS, "--percent", "10").succeeded().out
    assert percents(proven) == at
    proven.here(*READS, "--percent", "50").succeeded()
    shown = proven.here("status").succeeded().out
    assert "shop: phase read_target\n" in shown
    assert "phase: ORDER: read_target, 50 % of reads for " in shown
    assert "next: migrate switch reads\n" in shown
    proven.here(*READS).succeeded()
    assert percents(proven) == {name: ("read_target", 100, epoch + 2) for name, (_, _, epoch) in at.items()}
    back = proven.here("rollback", "-y").succeeded()
    assert "done: shop is in phase dual_write\nnext: applications read the source again" in back.err
    assert set(standing(proven)["phases"].values()) == {"dual_write"}
    assert "already" in proven.here("rollback", "--to", "dual-write", "-y").succeeded().out
    proven.here(*READS, "--percent", "1").succeeded()
    proven.here("rollback", "--to", "prepare", "-y").failed(8, "ORDER is in read_target", "migrate rollback")


@pytest.mark.uncovered
def test_changes_are_followed_while_reads_move(proven: Project) -> None:
    proven.here(*READS).succeeded()
    proven.database.execute("update customers set name = 'other' where id = 1")
    proven.here("copy").failed(8, "is in phase read_target")
    proven.here("relay", "--until-empty").succeeded()
    proven.here("verify").succeeded()


def test_entities_of_their_own_may_move_alone(proven: Project) -> None:
    proven.here(*READS, "--entity", "ORDER", "--percent", "20").succeeded()
    assert {name: place[:2] for name, place in percents(proven).items()} == {
        "CUSTOMER": ("dual_write", 0),
        "ORDER": ("read_target", 20),
    }
    found = standing(proven)
    assert found["phase"] == "dual_write, read_target"
    assert found["next"] == [
        "migrate switch reads --entity CUSTOMER",
        "migrate switch reads --entity ORDER",
    ]
    proven.here("rollback", "-y", "--entity", "CUSTOMER").failed(8, "move between dual_write and prepare together")
    proven.here("rollback", "-y").succeeded()
    assert set(standing(proven)["phases"].values()) == {"dual_write"}


def test_what_shares_foreign_keys_moves_together(prepared: Project) -> None:
    prepared.database.execute("alter table orders add foreign key (customer_id) references customers")
    prepared.edit(FORWARD, TIED)
    project = following(prepared)
    project.here("verify").succeeded()
    done = project.here(*READS, "--entity", "ORDER").succeeded()
    assert "CUSTOMER: moved together with what was named" in done.out
    assert {place[:2] for place in percents(project).values()} == {("read_target", 100)}
    project.here("rollback", "-y", "--entity", "CUSTOMER").succeeded()
    assert set(standing(project)["phases"].values()) == {"dual_write"}


def test_each_gate_names_what_is_wrong(proven: Project) -> None:
    proven.database.execute(
        "update customers set name = 'again' where id < 5",
        f"update orders set {UNFIT} where number = 'o-1'",  # noqa: S608 - a constant
    )
    assert closed(proven.through(MIGRATOR_GATE_MARKS="3", MIGRATOR_GATE_LAG_SECONDS="0.001")) == {
        "at most 3 changes wait, and none is set aside": ["5 changes wait"],
        "no change waits for more than 0 s": ["the oldest change waits for 0 s"],
    }
    proven.here("relay", "--until-empty")
    assert closed(proven) == {"at most 1,000 changes wait, and none is set aside": ["1 changes are set aside"]}
    proven.here(*READS).failed(8, "shop cannot move to read_target", "1 changes are set aside", "migrate status")
    assert [move["open"] for move in standing(proven)["moves"]] == [False]
    assert "not yet: migrate switch reads: 1 changes are set aside" in proven.here("status").succeeded().out


def test_a_verification_has_to_be_there_clean_fresh_and_of_this_mapping(prepared: Project) -> None:
    project = following(prepared)
    assert closed(project)["a verification of everything is clean, fresh and of this mapping"] == [
        "nothing has been verified as a whole yet"
    ]
    project.here("verify").succeeded()
    assert "hours" not in project.here(*READS, "--dry-run").succeeded().out
    time.sleep(1.1)
    (late,) = closed(project, "--max-age", "1s").values()
    assert late[0].startswith("the last verification of everything is 0:00:0")
    client = project.dynamodb.client()
    client.delete_item(TableName=project.table, Key={"PK": {"S": "CUSTOMER#1"}, "SK": {"S": "PROFILE"}})
    client.close()
    assert project.here("verify").code == 3
    project.here(*READS).failed(8, "found differences", "migrate verify --repair")
    project.here("verify", "--repair", "-y").succeeded()
    project.here(*READS, "--dry-run").succeeded()
    project.edit('Attribute("token"', 'Attribute("secret"')
    project.here(*READS).failed(8, "was made under another mapping", "migrate copy --restart customers")


def test_access_patterns_have_to_be_asked_and_to_answer_alike(prepared: Project) -> None:
    prepared.edit(
        'Model("shop", [CUSTOMER, ORDER])', 'Model("shop", [CUSTOMER, ORDER], [Get("one", "a customer", CUSTOMER)])'
    )
    prepared.edit("Expiry, Index", "Expiry, Get, Index")
    project = following(prepared)
    project.here("verify", "--patterns", "none").succeeded()
    name = "each access pattern answers as the source does"
    (reason,) = closed(project).pop(name)
    assert reason.endswith("did not ask one")
    project.here("verify", "--patterns", "all").succeeded()
    project.here(*READS, "--dry-run").succeeded()
    project.database.execute(
        """update migrator.verifications set counts = jsonb_set(counts, '{patterns,one,equal}', '0')"""
    )
    (reason,) = closed(project).pop(name)
    assert reason.startswith("one answered otherwise than the source")


@pytest.mark.uncovered
def test_a_promotion_that_is_not_settled(proven: Project) -> None:
    proven.database.execute("update migrator.captures set timeline = 0 where source = 'public.orders'")
    found = closed(proven)
    assert list(found) == ["no promotion of the source is unsettled"]
    assert "the source was promoted since orders was in order" in found.popitem()[1][0]


@pytest.mark.uncovered
def test_capture_that_is_disabled(proven: Project) -> None:
    proven.database.execute("alter table orders disable trigger migrator_capture")
    assert "every change is marked" in closed(proven)


def test_a_copy_that_is_not_complete(proven: Project) -> None:
    proven.database.execute("delete from migrator.copies where source = 'public.orders'")
    name = "every table is copied under this mapping, and was followed from the copy's start"
    assert closed(proven) == {name: ["orders is not copied"]}


def test_a_record_of_another_mapping_or_another_migration(proven: Project) -> None:
    proven.here(*READS, "--percent", "10").succeeded()
    proven.edit('Attribute("token"', 'Attribute("secret"')
    proven.here(*READS).failed(8, "CUSTOMER moved to read_target under another mapping", "migrate rollback")
    assert "CUSTOMER: moved to read_target under another mapping" in standing(proven)["in_the_way"][0]
    proven.here("rollback", "-y").succeeded()
    proven.edit('Attribute("secret"', 'Attribute("token"')
    proven.database.execute(
        "insert into migrator.phases (model, entity, phase) values ('shop', 'VOUCHER', 'dual_write')"
    )
    proven.here(*READS).failed(8, "VOUCHER is on record in dual_write, and the model shop has no such entity")


def test_words_that_mean_nothing(proven: Project) -> None:
    proven.here(*READS, "--percent", "0").failed(2, "0 % of reads", "migrate rollback")
    proven.here(*READS, "--percent", "101").failed(2, "--percent")
    proven.here(*READS, "--entity", "VOUCHER").failed(2, "VOUCHER: no entity of shop", "CUSTOMER, ORDER")
    proven.here("rollback", "-y", "--entity", "VOUCHER").failed(2, "VOUCHER: no entity of shop")
    proven.here("switch", "dual-write", "-y", "--percent", "5").failed(2, "are said of reads")
    assert set(standing(proven)["phases"].values()) == {"dual_write"}


def test_out_of_order(prepared: Project) -> None:
    prepared.here(*READS).failed(8, "CUSTOMER is in prepare", "migrate switch dual-write")


@pytest.mark.uncovered
def test_two_operators_at_once(proven: Project) -> None:
    with (
        holding(proven, "lock table migrator.phases in access share mode") as ask,
        proven.start(*READS, "--percent", "10") as process,
    ):
        while not ask("select count(*) from pg_locks where mode = 'AccessExclusiveLock' and not granted"):
            assert process.poll() is None
            time.sleep(0.02)
        # PostgreSQL lets no reader of the phases pass one that waits to hold them; so the record is not read here.
        held = ask("select count(*) from pg_locks where locktype = 'advisory' and granted")
        process.send_signal(signal.SIGKILL)
        process.communicate(timeout=60)
    assert held == 1
    assert set(standing(proven)["phases"].values()) == {"dual_write"}
    proven.here(*READS, "--percent", "10").succeeded()
    lock = "select pg_advisory_lock(hashtextextended('migrator:copy:shop', 0))"
    with holding(proven, lock):
        proven.here(*READS, "--percent", "30").failed(7, "the lock copy:shop is held", "wait until it is done")
        proven.here("rollback", "-y").failed(7, "the lock copy:shop is held")
        assert closed(proven).keys() == {"no copy and no other move runs"}
        assert "already" in proven.here(*READS, "--percent", "10").succeeded().out
    assert {place[:2] for place in percents(proven).values()} == {("read_target", 10)}
