"""`migrate switch` and `migrate rollback`: moves that pass their gates, or say which one is closed and what to run."""

from __future__ import annotations

import json
import signal
import time
from typing import TYPE_CHECKING, Any

import pytest

from migrator.postgres.capture import create_statements
from migrator.postgres.identifiers import TableName
from tests.acceptance.following import captured, following, holding
from tests.support.fault_proxy import FaultProxy
from tests.support.faults import Stall
from tests.support.terminal import at_terminal

if TYPE_CHECKING:
    from tests.support.project import Project

MOVE = ("switch", "dual-write", "-y")
GATES = 6


def gates(project: Project, code: int) -> dict[str, bool]:
    """The gates of the move to dual_write, by name, and whether each is open."""
    done = project.here(*MOVE, "--dry-run", "--json")
    assert done.code == code, done
    (model,) = json.loads(done.out)["models"]
    assert not model["moved"]
    return {gate["name"]: gate["open"] for gate in model["gates"]}


def standing(project: Project) -> dict[str, Any]:
    (model,) = json.loads(project.here("status", "--json").succeeded().out)["models"]
    found: dict[str, Any] = model
    return found


@pytest.mark.uncovered
def test_there_and_back_and_there(prepared: Project) -> None:
    project = captured(prepared)
    project.here("copy").succeeded()
    assert standing(project)["next"] == ["migrate switch dual-write", "migrate verify"]
    done = project.here(*MOVE, "--wait").succeeded()
    assert "shop: to phase dual_write, 2 entities" in done.out
    assert "done: shop is in phase dual_write" in done.err
    assert "next: migrate relay" in done.err
    assert standing(project)["phase"] == "dual_write"
    again = project.here(*MOVE).succeeded()
    assert again.out == "shop: is in phase dual_write already\n"
    assert "done" not in again.err
    assert "shop: phase dual_write\n" in project.here("status").succeeded().out
    project.here("rollback", "-y").succeeded()
    assert standing(project)["phase"] == "prepare"
    assert project.here("rollback", "-y").succeeded().out == "shop: is in phase prepare already\n"
    project.here(*MOVE, "--wait").succeeded()
    assert set(standing(project)["phases"].values()) == {"dual_write"}


@pytest.mark.uncovered
def test_a_model_without_a_copy_may_move_too(prepared: Project) -> None:
    project = captured(prepared)
    assert len(gates(project, 0)) == GATES
    project.here(*MOVE).succeeded()
    assert "live: all tables beside the relay" in project.here("copy").succeeded().err


def test_a_source_that_is_not_prepared(project: Project) -> None:
    project.here(*MOVE).failed(4, "is not installed", "migrate prepare")


def test_capture_that_is_missing(prepared: Project) -> None:
    prepared.database.execute(*create_statements(TableName("orders")))
    done = prepared.migrate(*MOVE)
    done.failed(
        8,
        "error: shop cannot move to dual_write:",
        "capture is not installed on customers",
        "safe: nothing was moved",
        "op.create_capture('customers'",
    )
    assert gates(prepared, 8)["every change is marked"] is False
    assert standing(prepared)["phase"] == "prepare"


@pytest.mark.uncovered
def test_a_copy_that_began_before_capture(prepared: Project) -> None:
    prepared.here("copy").succeeded()
    project = captured(prepared)
    project.here(*MOVE).failed(8, "the copy of public.orders began before capture stood", "migrate copy --restart")
    project.here("copy", "--restart", "-y", "customers", "orders").succeeded()
    project.here(*MOVE, "--wait").succeeded()


def test_a_copy_of_another_mapping(prepared: Project) -> None:
    project = captured(prepared)
    project.here("copy").succeeded()
    project.edit('Attribute("token"', 'Attribute("secret"')
    project.here(*MOVE).failed(
        8, "the copy of public.customers was made under another mapping", "migrate copy --restart customers"
    )


@pytest.mark.uncovered
def test_requests_of_a_copy_that_may_still_arrive(prepared: Project) -> None:
    quick = captured(prepared)
    project = quick.through(MIGRATOR_SIGNATURE_SECONDS="600")
    project.here("copy").succeeded()
    done = project.here(*MOVE, "--dry-run")
    assert done.code == 8
    assert "  closed  no request of a copy can arrive any more\n" in done.out
    project.here(*MOVE).failed(8, "and a request lives 601", "seconds, or give --wait")
    waited = quick.through(MIGRATOR_SIGNATURE_SECONDS="8").here(*MOVE, "--wait").succeeded()
    assert "until no request of a copy can arrive any more" in waited.err


@pytest.mark.uncovered
def test_a_killed_copy_counts_as_one_that_ended(prepared: Project) -> None:
    quick = captured(prepared)
    project = quick.through(MIGRATOR_SIGNATURE_SECONDS="600")
    with FaultProxy(project.dynamodb.endpoint_url) as proxy:
        proxy.inject(Stall(), on="BatchWriteItem", skip=1)
        patient = project.through(AWS_ENDPOINT_URL=proxy.endpoint_url, MIGRATOR_PAGE_SECONDS="60")
        with patient.start("copy") as process:
            proxy.wait_for("BatchWriteItem", 2)
            running = project.here(*MOVE, "--dry-run")
            project.here(*MOVE).failed(7, "the lock copy:shop is held by the session migrator copy", "wait until")
            process.kill()
            process.communicate(timeout=60)
        proxy.release()
    assert running.code == 8
    assert "  closed  no copy and no other move runs\n" in running.out
    project.here(*MOVE).failed(8, "may have sent its last request")
    quick.here("copy").succeeded()
    quick.here(*MOVE, "--wait").succeeded()
    quick.here("verify").succeeded()


def test_a_copy_that_runs_beside_others_keeps_the_phase_from_moving_back(prepared: Project) -> None:
    project = captured(prepared)
    project.here(*MOVE).succeeded()
    with FaultProxy(project.dynamodb.endpoint_url) as proxy:
        proxy.inject(Stall(), on="BatchExecuteStatement")
        patient = project.through(AWS_ENDPOINT_URL=proxy.endpoint_url, MIGRATOR_PAGE_SECONDS="60")
        with patient.start("copy") as process:
            proxy.wait_for("BatchExecuteStatement", 1)
            again = project.here(*MOVE)
            project.here("rollback", "-y").failed(7, "the lock copy:shop is held by the session migrator copy")
            process.kill()
            process.communicate(timeout=60)
        proxy.release()
    assert again.succeeded().out == "shop: is in phase dual_write already\n"
    project.here("rollback", "-y").succeeded()


def test_a_turbo_copy_waits_for_what_relays_may_have_sent(prepared: Project) -> None:
    project = following(prepared).through(MIGRATOR_SIGNATURE_SECONDS="600")
    project.here("rollback", "-y").succeeded()
    project.here("copy", "--restart", "-y").failed(8, "requests of relays", "Run the command again in")
    quick = project.through(MIGRATOR_SIGNATURE_SECONDS="0", MIGRATOR_PAGE_SECONDS="0.5", MIGRATOR_REQUEST_SECONDS="0.5")
    time.sleep(0.6)
    assert "turbo: all tables" in quick.here("copy", "--restart", "-y").succeeded().err


def test_the_last_phase_is_not_left(prepared: Project) -> None:
    project = following(prepared)
    project.database.execute("update migrator.phases set phase = 'complete'")
    project.here(*MOVE).failed(8, "CUSTOMER is in complete", "nothing was moved", "migrate status")
    project.here("rollback", "-y").failed(8, "ORDER is in complete")
    project.here("copy").failed(8, "customers cannot be copied: CUSTOMER is in phase complete")
    assert "be refused: its phase allows no copy" in project.here("copy", "--dry-run").succeeded().out


def test_it_is_asked_for(prepared: Project) -> None:
    project = captured(prepared)
    project.here("switch", "dual-write").failed(2, "Move shop to dual_write?", "Give --yes")
    assert at_terminal(project, "n", "switch", "dual-write")[0] == 1
    assert at_terminal(project, "y", "switch", "dual-write")[0] == 0
    project.here("rollback", "--no-input").failed(2, "Move shop to prepare?")
    project.here("switch", "backwards").failed(2, "Invalid value for", "migrate switch --help")


@pytest.mark.uncovered
@pytest.mark.parametrize("command", [MOVE, ("rollback", "-y")], ids=" ".join)
def test_killed_in_the_middle_it_has_moved_everything_or_nothing(prepared: Project, command: tuple[str, ...]) -> None:
    """The move waits for a snapshot that is under way; there it is killed."""
    project = captured(prepared)
    if command != MOVE:
        project.here(*MOVE).succeeded()
    before = standing(project)["phases"]
    with holding(project, "lock table migrator.phases in access share mode") as ask, project.start(*command) as process:
        while not ask("select count(*) from pg_locks where mode = 'AccessExclusiveLock' and not granted"):
            assert process.poll() is None
            time.sleep(0.02)
        process.send_signal(signal.SIGKILL)
        process.communicate(timeout=60)
    assert process.returncode == -signal.SIGKILL
    assert standing(project)["phases"] == before
    project.here(*command).succeeded()
    assert standing(project)["phases"] != before


def test_two_models_of_one_table_are_refused_since_a_mark_is_settled_for_one(prepared: Project) -> None:
    source = (prepared.directory / "shop.py").read_text()
    (prepared.directory / "again.py").write_text(source.replace('Model("shop"', 'Model("again"'))
    (prepared.directory / "migrator.toml").write_text('mappings = ["shop", "again"]\n')
    for command in (("switch", "dual-write", "--yes"), ("relay", "--until-empty")):
        prepared.here(*command).failed(4, "the models shop and again both map the table", "Map the table in one model")
