"""`migrate relay`: changes reach the target, whoever comes and goes meanwhile; what cannot is named."""

from __future__ import annotations

import json
import signal
import socket
import urllib.request
from typing import TYPE_CHECKING, Any

import pytest

from tests.acceptance.following import captured, following
from tests.support.fault_proxy import FaultProxy
from tests.support.faults import Delay, Late, throttle
from tests.support.project import UNFIT

if TYPE_CHECKING:
    from tests.support.project import Project
    from tests.support.started import Started

CHANGES = (
    "update customers set name = 'changed ' || id",
    "delete from orders where customer_id = 2",
    "insert into orders values (999, 'o-999', 1, null, null)",
    "update orders set number = 'moved-' || number where customer_id = 3",
)
SECONDS = 60


@pytest.fixture
def followed(prepared: Project) -> Project:
    """A copy is made, and changes are carried over from here on."""
    return following(prepared)


def marks(project: Project) -> dict[str, Any]:
    (model,) = json.loads(project.here("status", "--json").succeeded().out)["models"]
    found: dict[str, Any] = model["marks"]
    return found


def drained(project: Project) -> dict[str, Any]:
    (model,) = json.loads(project.here("relay", "--until-empty", "--json").succeeded().out)["models"]
    found: dict[str, Any] = model
    return found


def shown_until(process: Started, words: str) -> str:
    """What a command shows on stderr, up to a line with these words."""
    shown = ""
    for line in process.stderr:
        shown += line
        if words in line:
            return shown
    raise AssertionError(shown)


def test_what_changes_is_carried_over(followed: Project) -> None:
    followed.database.execute(*CHANGES)
    waiting = marks(followed)
    assert waiting["waiting"] > 40
    assert waiting["bytes"] > 0
    shown = followed.here("status").succeeded().out
    assert f"changes: {waiting['waiting']} wait, the oldest for " in shown
    assert "next: migrate relay" in shown
    done = drained(followed)
    assert (done["settled"], done["set_aside"]) == (waiting["waiting"], 0)
    assert marks(followed)["waiting"] == 0
    assert "changes: none waits" in followed.here("status").succeeded().out
    followed.here("verify").succeeded()
    assert drained(followed)["settled"] == 0


@pytest.mark.uncovered
def test_changes_of_one_table(followed: Project) -> None:
    followed.database.execute(*CHANGES)
    followed.here("relay", "customers", "--until-empty", "--batch", "7").succeeded()
    followed.here("verify", "customers").succeeded()
    assert marks(followed)["waiting"] > 0


def test_before_the_phase_is_moved(prepared: Project) -> None:
    captured(prepared).migrate("relay").failed(8, "changes of CUSTOMER, ORDER are not followed", "migrate switch dual-")


@pytest.mark.uncovered
@pytest.mark.parametrize(("sent", "code"), [(signal.SIGTERM, 0), (signal.SIGINT, 130)])
def test_stopped_it_settles_what_is_under_way(followed: Project, sent: signal.Signals, code: int) -> None:
    followed.database.execute(*CHANGES)
    before = marks(followed)["waiting"]
    with FaultProxy(followed.dynamodb.endpoint_url) as proxy:
        proxy.inject(Delay(0.3), on="PutItem")
        behind = followed.through(AWS_ENDPOINT_URL=proxy.endpoint_url)
        with behind.start("relay", "--batch", "5", "--json") as process:
            proxy.wait_for("PutItem", 1)
            process.send_signal(sent)
            out, err = process.communicate(timeout=SECONDS)
    assert process.returncode == code, err
    settled = json.loads(out)["models"][0]["settled"]
    assert 0 < settled < before
    assert marks(followed)["waiting"] == before - settled
    assert ("error: interrupted." in err) == (sent == signal.SIGINT)
    drained(followed)
    followed.here("verify").succeeded()


@pytest.mark.uncovered
def test_killed_it_loses_nothing(followed: Project) -> None:
    followed.database.execute(*CHANGES)
    with FaultProxy(followed.dynamodb.endpoint_url) as proxy:
        behind = followed.through(AWS_ENDPOINT_URL=proxy.endpoint_url)
        proxy.inject(Late(0.2), on="PutItem", rate=0.2)
        for count in (3, 20, 9):
            seen = proxy.seen["PutItem"]
            with behind.start("relay", "--batch", "9") as process:
                proxy.wait_for("PutItem", seen + count)
                process.kill()
                process.communicate(timeout=SECONDS)
        drained(followed)
    followed.here("verify").succeeded()


@pytest.mark.uncovered
def test_stores_that_go_away_are_waited_for(followed: Project) -> None:
    with FaultProxy(followed.dynamodb.endpoint_url) as proxy:
        behind = followed.through(AWS_ENDPOINT_URL=proxy.endpoint_url, MIGRATOR_REQUEST_SECONDS="0.5")
        with behind.start("relay") as process:
            with proxy.failing(throttle(), on="PutItem"):
                followed.database.execute(CHANGES[0])
                shown_until(process, "trying again in")
            shown_until(process, "waiting 0,")
            followed.database.execute(
                "select pg_terminate_backend(pid) from pg_stat_activity where application_name = 'migrator relay'",
                *CHANGES[1:],
            )
            shown_until(process, "waiting 0,")
            process.send_signal(signal.SIGTERM)
            process.communicate(timeout=SECONDS)
    assert process.returncode == 0
    drained(followed)
    followed.here("verify").succeeded()


def test_a_target_that_is_away_from_the_start_is_named(followed: Project) -> None:
    away = followed.through(AWS_ENDPOINT_URL="http://127.0.0.1:9")
    away.migrate("relay").failed(6, "127.0.0.1:9")


@pytest.mark.uncovered
def test_what_cannot_be_carried_over_is_set_aside_until_it_is_corrected(followed: Project) -> None:
    followed.database.execute(f"update orders set {UNFIT} where number = 'o-7'", *CHANGES)  # noqa: S608 - no input's
    done = followed.here("relay", "--until-empty")
    assert done.code == 1
    assert "warning: set aside: public.orders: column details: 39 significant digits" in done.err
    assert "shop: 1 change is set aside" in done.err
    status = followed.here("status").succeeded().out
    assert "set aside: orders (customer_id 1, number o-7): column details: 39 significant digits" in status
    assert "in the way: orders: rows set aside: 1; correct them, then run `migrate relay`" in status
    assert "1234567890123456789" not in status + done.out + done.err
    followed.database.execute("update orders set details = null where number = 'o-7'")
    drained(followed)
    assert marks(followed)["set_aside"] == 0
    followed.here("verify").succeeded()


@pytest.mark.uncovered
def test_a_row_that_a_copy_has_set_aside_is_carried_over_when_it_is_corrected(prepared: Project) -> None:
    prepared.database.execute(f"update orders set {UNFIT} where number = 'o-7'")  # noqa: S608 - no input's
    project = captured(prepared)
    assert project.here("copy").code == 1
    project.here("switch", "dual-write", "--wait", "-y").succeeded()
    project.database.execute("update orders set details = null where number = 'o-7'")
    drained(project)
    assert marks(project)["set_aside"] == 0
    project.here("verify").succeeded()


@pytest.mark.uncovered
def test_a_table_that_is_truncated_waits_for_more_than_a_relay(followed: Project) -> None:
    followed.database.execute("truncate orders", CHANGES[0])
    done = followed.here("relay", "--until-empty")
    assert done.code == 1
    assert "TRUNCATE leaves no keys" in done.err
    shown = followed.here("status").succeeded().out
    assert "set aside: orders, truncate: TRUNCATE leaves no keys" in shown
    followed.here("verify", "customers").succeeded()


@pytest.mark.uncovered
def test_a_source_that_is_no_longer_what_the_mapping_declares(followed: Project) -> None:
    followed.database.execute(*CHANGES, "alter table orders drop column expires")
    waiting = marks(followed)["waiting"]
    followed.migrate("relay", "--until-empty").failed(
        4, "the mapping of ORDER declares: column expires of public.orders does not exist", "alembic upgrade head"
    )
    followed.here("relay", "customers", "--until-empty").succeeded()
    followed.here("verify", "customers").succeeded()
    assert marks(followed)["waiting"] == waiting - 20
    followed.database.execute("alter table orders add column expires bigint")
    drained(followed)
    followed.here("verify").succeeded()


@pytest.mark.uncovered
def test_metrics_say_how_far_it_is(followed: Project) -> None:
    with followed.start("relay", "--metrics", "0") as process:
        said = shown_until(process, "metrics: ")
        address = said.rpartition("metrics: ")[2].strip()
        assert address.startswith("http://127.0.0.1:")
        shown_until(process, "waiting 0,")
        followed.database.execute(*CHANGES)
        shown_until(process, "waiting 0,")
        with urllib.request.urlopen(address.replace("/metrics", "/readyz")) as answer:  # noqa: S310 - loopback
            assert answer.read() == b"ready\n"
        with urllib.request.urlopen(address) as answer:  # noqa: S310 - loopback
            lines = dict(line.rsplit(" ", 1) for line in answer.read().decode().splitlines() if line[0] != "#")
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=SECONDS)
    assert process.returncode == 0
    assert float(lines['migrator_relay_settled_total{model="shop"}']) > 0
    assert float(lines['migrator_relay_items_written_total{model="shop"}']) > 0
    assert 'migrator_relay_failures_total{model="shop"}' in lines
    assert lines['migrator_relay_waiting{model="shop"}'] == "0.0"
    assert lines['migrator_relay_lag_seconds{model="shop"}'] == "0.0"


def test_metrics_need_a_port_that_is_free(followed: Project) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        followed.here("relay", "--metrics", str(port)).failed(2, f"metrics cannot be served at 127.0.0.1:{port}")
    followed.here("relay", "--metrics", "here").failed(2, "neither a port nor a host and a port")


def test_words_that_mean_nothing(followed: Project) -> None:
    followed.here("relay", "baskets").failed(2, "baskets: no source table of shop", "The tables are customers, orders.")
    followed.here("relay", "--batch", "0").failed(2, "Invalid value for '--batch'", "migrate relay --help")
