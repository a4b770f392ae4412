"""`migrate verify --every`: it goes on whatever happens, takes turns, tells of it, and ends when it is told to."""

from __future__ import annotations

import asyncio
import json
import signal
import time
from contextlib import closing, contextmanager
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import pytest

from migrator.postgres.connection import connect
from migrator.postgres.locks import lock
from tests.acceptance.following import following
from tests.acceptance.test_verify import corrupt
from tests.support.fault_proxy import FaultProxy
from tests.support.faults import Delay
from tests.support.webhook import Webhook

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.support.project import Project
    from tests.support.started import Started

SECONDS = 60


@pytest.fixture
def copied(prepared: Project) -> Project:
    prepared.here("copy").succeeded()
    return prepared


def history(project: Project, *arguments: str) -> list[dict[str, Any]]:
    (model,) = json.loads(project.here("history", "--json", *arguments).succeeded().out)["models"]
    found: list[dict[str, Any]] = model["divergences" if "--divergences" in arguments else "verifications"]
    return found


def eventually(seen: Callable[[], bool]) -> None:
    until = time.monotonic() + SECONDS
    while not seen():
        assert time.monotonic() < until
        time.sleep(0.2)


def ended(process: Started, sent: signal.Signals) -> tuple[int, str, str]:
    process.send_signal(sent)
    out, err = process.communicate(timeout=SECONDS)
    return process.wait(), out, err


@contextmanager
def locked(project: Project) -> Iterator[None]:
    """Somebody else verifies."""

    async def hold() -> Any:  # noqa: ANN401
        connection = await connect(project.database.url, purpose="verify")
        await lock(connection, "verify:shop").__aenter__()
        return connection

    with asyncio.Runner() as runner:
        connection = runner.run(hold())
        yield
        connection.terminate()


def test_it_verifies_until_it_is_terminated(copied: Project) -> None:
    with copied.start("verify", "--every", "1s") as process:
        eventually(lambda: len(history(copied)) >= 2)
        with closing(copied.dynamodb.client()) as client:
            corrupt(client, copied.table)
        # One that has begun after all of it was done.
        begun = len(history(copied))
        eventually(lambda: [each["outcome"] for each in history(copied)[:-begun]].count("different") > 1)
        code, out, err = ended(process, signal.SIGTERM)
    assert code == 0, err
    assert "shop: target and source are equal" in out
    assert "shop: 3 differences" in out
    assert "; the next begins in " in err
    assert err.rstrip().endswith("skipped; stopped")
    assert "Traceback" not in err
    found = history(copied, "--divergences", "--open")
    assert {each["verdict"] for each in found} == {"missing", "extra", "different"}
    assert all("forged" not in json.dumps(each) for each in found)


@pytest.mark.parametrize(("sent", "expected"), [(signal.SIGINT, 130), (signal.SIGTERM, 0)])
def test_stopped_in_the_middle_it_is_on_record_as_interrupted(
    copied: Project, sent: signal.Signals, expected: int
) -> None:
    with FaultProxy(copied.dynamodb.endpoint_url) as proxy:
        proxy.inject(Delay(5), on="Scan")
        with copied.through(AWS_ENDPOINT_URL=proxy.endpoint_url).start("verify", "--every", "1h") as process:
            proxy.wait_for("Scan", 1)
            assert history(copied)[0]["outcome"] == "running"
            code, _, err = ended(process, sent)
    assert code == expected, err
    assert "Traceback" not in err
    (record,) = history(copied)
    assert record["outcome"] == "interrupted"
    assert record["finished_at"] is not None


@pytest.mark.uncovered
def test_killed_it_is_on_record_as_interrupted(copied: Project) -> None:
    with FaultProxy(copied.dynamodb.endpoint_url) as proxy:
        proxy.inject(Delay(5), on="Scan")
        with copied.through(AWS_ENDPOINT_URL=proxy.endpoint_url).start("verify") as process:
            proxy.wait_for("Scan", 1)
            ended(process, signal.SIGKILL)
    eventually(lambda: history(copied)[0]["outcome"] == "interrupted")
    copied.here("verify").succeeded()


def test_two_take_turns(copied: Project) -> None:
    with locked(copied):
        done = copied.here("verify").failed(7, "the lock verify:shop is held by the session migrator verify")
        assert "connected since" in done.err
        said = copied.directory / "said"
        with said.open("w") as file, copied.start("verify", "--every", "1s", stderr=file) as process:
            eventually(lambda: "the next begins in" in said.read_text())
            code, out, _ = ended(process, signal.SIGTERM)
    err = said.read_text()
    assert (code, out) == (0, ""), err
    assert "skipped: the lock verify:shop is held" in err
    assert "0 equal, 0 different, 0 failed, 0 skipped" not in err
    assert history(copied) == []


@pytest.mark.uncovered
def test_a_target_that_is_away_for_a_while_is_survived_and_told_of(copied: Project) -> None:
    with Webhook() as hook, FaultProxy(copied.dynamodb.endpoint_url) as proxy:
        behind = copied.through(AWS_ENDPOINT_URL=proxy.endpoint_url, MIGRATOR_WEBHOOK_URL=hook.url)
        away = behind.through(AWS_ENDPOINT_URL="http://127.0.0.1:9")
        away.here("verify").failed(6, "127.0.0.1:9")
        assert hook.events == ["failure"]
        behind.here("verify").succeeded()
        assert hook.events == ["failure", "recovery"]
        behind.here("verify").succeeded()
        with closing(copied.dynamodb.client()) as client:
            corrupt(client, copied.table)
        assert behind.here("verify", "--report", "report.html").code == 3
        # A look at the cost verifies nothing, so there is nothing to tell.
        behind.here("verify", "--dry-run").succeeded()
    assert hook.events == ["failure", "recovery", "differences"]
    assert history(copied)[0]["report"] == str(copied.directory / "report.html")
    failure, recovery, differences = hook.told
    assert failure["text"] == "migrate verify: shop: not verified: the target cannot be reached or used"
    assert (failure["exit_code"], recovery["exit_code"], differences["exit_code"]) == (6, 0, 3)
    assert differences["text"] == "migrate verify: shop: differences: 1 missing, 1 extra, 1 different"
    assert differences["models"][0]["counts"]["entities"]["CUSTOMER"] == {"rows": 20, "extra": 1, "different": 1}
    for word in ("CUSTOMER#", "forged", "127.0.0.1"):
        assert word not in json.dumps(hook.told)
    outcomes = [each["outcome"] for each in history(copied)]
    assert outcomes == ["different", "equal", "equal", "failed"]
    assert "127.0.0.1:9" in history(copied)[3]["failure"]


@pytest.mark.uncovered
def test_a_source_that_is_away_is_on_record_once_it_is_back(copied: Project) -> None:
    role = "alter database {} allow_connections {}"
    name = urlsplit(copied.database.url).path[1:]
    with Webhook() as hook:
        project = copied.through(MIGRATOR_WEBHOOK_URL=hook.url)
        with project.start("verify", "--every", "1s") as process:
            eventually(lambda: len(history(copied)) >= 1)
            other = copied.database.sibling("postgres")
            other.execute(role.format(f'"{name}"', "false"))
            try:
                eventually(lambda: hook.events.count("failure") > 1)
            finally:
                other.execute(role.format(f'"{name}"', "true"))
            eventually(lambda: "recovery" in hook.events)
            code, _, err = ended(process, signal.SIGTERM)
    assert code == 0, err
    assert "failed" in [each["outcome"] for each in history(copied)]


def test_a_webhook_that_is_away_changes_nothing_but_is_said(copied: Project) -> None:
    with closing(copied.dynamodb.client()) as client:
        corrupt(client, copied.table)
    done = copied.through(MIGRATOR_WEBHOOK_URL="https://127.0.0.1:9/hidden-word").here("verify")
    assert done.code == 3
    assert "warning: the webhook at https://127.0.0.1 was not told" in done.err
    assert "hidden-word" not in done.out + done.err
    done = copied.through(MIGRATOR_WEBHOOK_URL="http://example.org/hidden-word").here("verify")
    assert (done.code, "must begin with https://" in done.err) == (3, True)


def test_one_that_cannot_begin_is_told_of_too(project: Project) -> None:
    with Webhook() as hook:
        told = project.through(MIGRATOR_WEBHOOK_URL=hook.url)
        told.here("verify", "--every", "5m", "no_such_table").failed(2, "no_such_table: no source table of")
        told.here("verify", "--every", "5m", "--mappings", "no_such_module").failed(4, "no_such_module")
        # Where settings are wrong, the one that says who is told is read by itself.
        with_file = project.through(MIGRATOR_WEBHOOK_URL=None)
        (project.directory / "migrator.toml").write_text(f'webhook_url = "{hook.url}"\nhistory_days = 0\n')
        with_file.here("verify", "--every", "5m").failed(4, "`history_days`")
        with_file.here("verify", "--dry-run").failed(4, "`history_days`")
    assert [(each["event"], each["exit_code"], each["text"]) for each in hook.told] == [
        ("failure", 2, "migrate verify: not verified: its command line cannot be used"),
        ("failure", 4, "migrate verify: not verified: settings or credentials cannot be used"),
        ("failure", 4, "migrate verify: not verified: settings or credentials cannot be used"),
    ]


@pytest.mark.uncovered
def test_a_repair_closes_what_was_found(prepared: Project) -> None:
    project = following(prepared)
    with closing(project.dynamodb.client()) as client:
        corrupt(client, project.table)
    assert project.here("verify").code == 3
    shown = project.here("status").succeeded().out
    assert "divergences: 3 open; `migrate history --divergences --open` names them" in shown
    with project.start("verify", "--every", "1s", "--repair", "--yes") as process:
        eventually(lambda: history(project)[0]["outcome"] == "equal")
        code, _, err = ended(process, signal.SIGTERM)
    assert code == 0, err
    assert history(project, "--divergences", "--open") == []
    assert all(each["repaired_at"] for each in history(project, "--divergences"))
    assert "divergences:" not in project.here("status").succeeded().out


def test_history_shows_both(copied: Project) -> None:
    assert "shop: nothing has been verified yet" in copied.here("history").succeeded().out
    assert "verification: none yet" in copied.here("status").succeeded().out
    copied.here("verify").succeeded()
    with closing(copied.dynamodb.client()) as client:
        corrupt(client, copied.table)
    copied.here("verify", "orders")
    shown = copied.here("history", "--limit", "5").succeeded().out.splitlines()
    assert shown[0].split() == ["shop", "began", "took", "outcome", "of", "rows", "found", "read", "units"]
    assert "different  orders" in shown[1]
    assert "1 missing" in shown[1]
    assert "equal" in shown[2]
    assert "everything" in shown[2]
    assert len(copied.here("history", "--limit", "1").succeeded().out.splitlines()) == 2
    (line,) = copied.here("history", "--divergences").succeeded().out.splitlines()
    assert line.startswith(f"missing: {copied.table}, PK CUSTOMER#2 / SK ORDER#o-1 (ORDER)")
    assert "; seen 1 times from " in line
    assert line.endswith("; open")
    shown_status = copied.here("status").succeeded().out
    assert "verification: differences at " in shown_status
    assert "s ago); of a part" in shown_status


def test_a_part_is_on_record_as_one(copied: Project) -> None:
    copied.here("verify", "customers", "--after", "3", "--until", "7").succeeded()
    (keys,) = history(copied)
    assert (keys["outcome"], keys["scope"]["tables"], keys["scope"]["whole"]) == ("equal", ["customers"], False)
    assert keys["scope"]["key_range"]
    assert "customers; keys " in copied.here("history").succeeded().out


def test_words_that_mean_nothing(copied: Project) -> None:
    copied.here("verify", "--every", "0s").failed(2, "no time at all")
    copied.here("verify", "--every", "-5m").failed(2, "no duration")
    copied.here("verify", "--every", "5m", "--repair").failed(2, "cannot ask before each repair")
    copied.here("history", "--open").failed(2, "--open is said of divergences")
    copied.here("history", "--limit", "0").failed(2, "0")
    copied.database.execute("drop schema migrator cascade")
    copied.here("history").failed(4, "is not installed")
    copied.here("verify", "--every", "5m").failed(4, "is not installed")
    copied.through(DATABASE_URL="postgresql://127.0.0.1:9/x").here("history").failed(5, "127.0.0.1:9")
