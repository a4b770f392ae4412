"""`migrate verify --repair`: what it asks and says, where it refuses, and what is left when it is killed."""

from __future__ import annotations

import json
import signal
from contextlib import closing
from typing import TYPE_CHECKING, Any

import pytest

from tests.acceptance.following import captured, following
from tests.acceptance.test_verify import corrupt
from tests.support.fault_proxy import FaultProxy
from tests.support.faults import Delay
from tests.support.project import UNFIT
from tests.support.terminal import at_terminal

if TYPE_CHECKING:
    from tests.support.project import Project

SECONDS = 60


@pytest.fixture
def followed(prepared: Project) -> Project:
    """A copy is made, and changes are carried over from here on."""
    return following(prepared)


@pytest.fixture
def corrupted(followed: Project) -> Project:
    """One item is changed, one is gone, and one is of a row that never was."""
    with closing(followed.dynamodb.client()) as client:
        corrupt(client, followed.table)
    return followed


def status(project: Project) -> dict[str, Any]:
    (model,) = json.loads(project.here("status", "--json").succeeded().out)["models"]
    found: dict[str, Any] = model
    return found


def alive(project: Project) -> int:
    return sum("_del" not in item for item in project.items())


@pytest.mark.uncovered
def test_what_differs_is_shown_repaired_and_verified_again(corrupted: Project) -> None:
    done = corrupted.migrate("verify", "--repair", "--yes").succeeded()
    assert "shop: 3 differences: 1 missing, 1 extra, 1 different" in done.out
    assert f"different: {corrupted.table}, PK CUSTOMER#1 / SK PROFILE (CUSTOMER): Name (index key), token" in done.out
    assert "shop: 3 keys looked at, 1 missing, 1 extra, 1 different; 4 items and tombstones written in" in done.out
    assert done.out.rstrip().endswith("shop: target and source are equal")
    for value in ("forged", "stray value", "name 1", "secret 1"):
        assert value not in done.out + done.err
    assert alive(corrupted) == 220
    assert status(corrupted)["marks"]["waiting"] == 0
    again = corrupted.here("verify", "--repair", "--no-input").succeeded()
    assert "keys looked at" not in again.out


def test_it_asks_first(corrupted: Project) -> None:
    code, shown = at_terminal(corrupted, "n", "verify", "--repair")
    assert code == 1
    assert "Bring 3 keys of shop in order? [y/N]" in shown
    assert "declined" in shown
    corrupted.here("verify", "--repair").failed(2, "nobody can be asked: Bring 3 keys of shop in order?", "Give --yes")
    corrupted.here("verify", "--repair", "--no-input").failed(2, "Nothing was changed")
    assert corrupted.here("verify", "--repair", "--dry-run").code == 3
    assert corrupted.here("verify").code == 3
    assert status(corrupted)["marks"]["waiting"] == 0
    code, shown = at_terminal(corrupted, "y", "verify", "--repair")
    assert (code, "target and source are equal" in shown) == (0, True)


@pytest.mark.uncovered
def test_only_the_tables_that_are_named(corrupted: Project) -> None:
    done = corrupted.here("verify", "--repair", "orders", "-y").succeeded()
    assert "shop: 1 keys looked at, 1 missing; 2 items" in done.out
    done = corrupted.here("verify")
    assert "shop: 2 differences: 1 extra, 1 different" in done.out
    assert "next: `migrate verify --repair customers` brings what differs in order" in done.err


def test_a_part_that_was_repaired_is_in_order_in_the_ledger(corrupted: Project) -> None:
    assert corrupted.here("verify").code == 3
    corrupted.here("verify", "--repair", "customers", "--after", "0", "--until", "50", "-y").succeeded()
    left = corrupted.here("history", "--divergences", "--open").succeeded().out
    assert "CUSTOMER#1 / SK PROFILE" not in left
    assert "ORDER#o-1" in left
    assert "CUSTOMER#99" in left


@pytest.mark.uncovered
def test_json_says_what_was_repaired(corrupted: Project) -> None:
    done = corrupted.here("verify", "--repair", "-y", "--json").succeeded()
    (model,) = json.loads(done.out)["models"]
    assert (model["clean"], model["differences"], model["accepted"]) == (True, [], [])
    repaired = model["repair"]
    assert repaired.pop("seconds") > 0
    assert repaired == {
        "found": {"missing": 1, "extra": 1, "different": 1, "unverifiable": 0, "unjudged": 0},
        "examined": 3,
        "repaired": {"missing": 1, "extra": 1, "different": 1},
        "settled": 3,
        "tried": 0,
        "written": 4,
        "set_aside": {},
        "waiting": 0,
        "left_alone": 0,
        "left_alone_keys": [],
    }


def test_a_table_that_was_truncated_is_followed_again(followed: Project) -> None:
    followed.database.execute("truncate orders", "insert into orders values (1, 'o-new', 1, null, null)")
    assert followed.here("relay", "--until-empty").code == 1
    shown = followed.here("status").succeeded().out
    assert "orders was truncated: run: migrate verify --repair orders;" in shown
    # A part that is equal says nothing of the rest.
    part = followed.here("verify", "--repair", "orders", "--after", "1000,o-1", "--yes").succeeded()
    assert "target and source are equal, as far as was looked at" in part.out
    assert "counts as marked again" not in part.err
    done = followed.here("verify", "--repair", "orders", "--yes").succeeded()
    assert "shop: 200 keys looked at, 200 extra" in done.out
    assert "done: every change of orders counts as marked again" in done.err
    standing = status(followed)
    assert standing["marks"]["waiting"] == standing["marks"]["set_aside"] == 0
    assert "truncated" not in followed.here("status").succeeded().out
    assert alive(followed) == 22
    followed.here("rollback", "-y").succeeded()
    followed.here("switch", "dual-write", "--wait", "-y").succeeded()


def test_capture_that_does_not_stand_is_not_accepted(followed: Project) -> None:
    followed.database.execute(
        "alter table orders disable trigger migrator_capture", "delete from orders where customer_id = 2"
    )
    done = followed.here("verify", "--repair", "-y").succeeded()
    assert "warning: the trigger migrator_capture of public.orders is disabled" in done.err
    assert "then migrate verify --repair orders" in done.err
    assert "done: every change" not in done.err
    followed.database.execute("alter table orders enable always trigger migrator_capture")
    assert "was changed since, and may have been off for a while" in followed.here("status").succeeded().out
    # Nothing differs, and that is what counts.
    done = followed.here("verify", "--repair", "orders", "--no-input").succeeded()
    assert "done: every change of orders counts as marked again" in done.err
    assert "may have been off" not in followed.here("status").succeeded().out


def test_items_that_no_row_can_own_are_left_alone(followed: Project) -> None:
    key = {"PK": {"S": "INVOICE#it's"}, "SK": {"S": "1"}}
    with closing(followed.dynamodb.client()) as client:
        client.put_item(TableName=followed.table, Item={**key, "v": {"S": "of somebody else"}})
    followed.database.execute(f"update orders set {UNFIT} where number = 'o-7'")  # noqa: S608 - no input's
    done = followed.here("verify", "--repair", "-y")
    assert done.code == 3
    assert "shop: 1 items left alone, since no row of the mapping can own them" in done.out
    command = f"aws dynamodb delete-item --table-name {followed.table} --key "
    assert command + """'{"PK":{"S":"INVOICE#it'"'"'s"},"SK":{"S":"1"}}'""" in done.err
    assert "items that no row of the mapping can own are never touched" in done.err
    assert "correct the rows that cannot be verified" in done.err
    assert "verify --repair" not in done.err
    assert any(item["PK"]["S"] == "INVOICE#it's" for item in followed.items())


def test_before_dual_write_it_is_refused(prepared: Project) -> None:
    project = captured(prepared)
    project.here("copy").succeeded()
    with closing(project.dynamodb.client()) as client:
        corrupt(client, project.table)
    project.here("verify", "--repair", "--yes").failed(
        8,
        "CUSTOMER, ORDER cannot be repaired in phase prepare",
        "`migrate copy --restart customers orders` writes missing and different items",
        "`migrate switch dual-write`, then run this again",
    )
    assert project.here("verify").code == 3
    assert status(project)["marks"]["waiting"] == 0


@pytest.mark.uncovered
def test_killed_it_leaves_what_a_relay_settles(followed: Project) -> None:
    with closing(followed.dynamodb.client()) as client:
        for item in followed.items()[:60]:
            client.delete_item(TableName=followed.table, Key={"PK": item["PK"], "SK": item["SK"]})
    with FaultProxy(followed.dynamodb.endpoint_url) as proxy:
        proxy.inject(Delay(0.3), on="PutItem")
        behind = followed.through(AWS_ENDPOINT_URL=proxy.endpoint_url)
        with behind.start("verify", "--repair", "-y") as process:
            proxy.wait_for("PutItem", 1)
            process.kill()
            process.communicate(timeout=SECONDS)
    assert status(followed)["marks"]["waiting"] > 0
    followed.here("relay", "--until-empty").succeeded()
    followed.here("verify").succeeded()


def test_interrupted_it_says_so_and_goes_on(followed: Project) -> None:
    with closing(followed.dynamodb.client()) as client:
        for item in followed.items()[:60]:
            client.delete_item(TableName=followed.table, Key={"PK": item["PK"], "SK": item["SK"]})
    with FaultProxy(followed.dynamodb.endpoint_url) as proxy:
        proxy.inject(Delay(1), on="PutItem")
        behind = followed.through(AWS_ENDPOINT_URL=proxy.endpoint_url)
        with behind.start("verify", "--repair", "-y") as process:
            proxy.wait_for("PutItem", 1)
            process.send_signal(signal.SIGINT)
            _, err = process.communicate(timeout=SECONDS)
    assert process.returncode == 130
    assert "error: interrupted." in err
    assert "Traceback" not in err
    followed.here("verify", "--repair", "-y").succeeded()
    followed.here("relay", "--until-empty").succeeded()
    followed.here("verify").succeeded()


def test_words_that_mean_nothing_and_stores_that_are_away(followed: Project) -> None:
    followed.here("verify", "--repair", "baskets", "-y").failed(2, "baskets: no source table of shop")
    away = followed.through(AWS_ENDPOINT_URL="http://127.0.0.1:9")
    away.migrate("verify", "--repair", "-y").failed(6, "127.0.0.1:9")
    followed.database.execute("alter table orders drop column expires")
    followed.here("verify", "--repair", "-y").failed(4, "column expires of public.orders does not exist")
