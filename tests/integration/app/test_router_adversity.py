"""Reads while a store fails, is slow, or is not there: the caller has PostgreSQL's answer, and no exception."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from migrator.app.errors import UnavailableError
from migrator.errors import MigratorError
from tests.integration.app.application import until
from tests.integration.app.reading import LIMITS, ORGANIZATION, Reader, move
from tests.support.faults import Cut, Delay, Stall, server_error, throttle

if TYPE_CHECKING:
    from tests.integration.app.application import Application
    from tests.support.fault_proxy import FaultProxy

ROOT = Path(__file__).parents[3]
HASTY = replace(LIMITS, deadline=0.3, failures=3)
# A busy machine is no reason to ask PostgreSQL: each time, the fault is.
PATIENT = replace(LIMITS, lease=6.0, rest=2.0, failures=3)
SAMPLING = replace(LIMITS, sample=1.0)
FORKING = """
import os, sys, warnings
from migrator.app import ReadLimits, Router
from tests.support import renamed

router = Router(renamed.MODEL, sys.argv[1], limits=ReadLimits(deadline=20.0, lease=3.0))

def read():
    return router.read("organization", {"id": "org-1"}, postgres=lambda: "postgres", dynamodb=lambda: "dynamodb")

assert read() == "dynamodb"
warnings.simplefilter("ignore", DeprecationWarning)
child = os.fork()
if child == 0:
    assert router.counts == {}
    assert not router._lease.was_told, "its lease is its own"
    assert read() == "dynamodb", "which is waited for"
    sys.exit(0)
assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
assert read() == "dynamodb"
print("done")
"""


def reading_threads() -> list[str]:
    names = [thread.name for thread in threading.enumerate()]
    return [name for name in names if name.startswith(("migrator watch", "migrator reads"))]


def test_a_target_that_fails_is_nobodys_failure(app: Application, proxy: FaultProxy) -> None:
    app.commit("org-1", name="Acme")
    app.drain()
    move(app, "read_target", 100)
    with Reader.on(app, limits=PATIENT, endpoint_url=proxy.endpoint_url) as reader:
        assert reader.name("org-1") == ("dynamodb", "Acme")
        for fault in (throttle(), server_error(), Cut("before")):
            with proxy.failing(fault):
                assert reader.name("org-1") == ("postgres", "Acme")
        assert reader.causes() == {"failed": 3}
        asked = sum(proxy.seen.values())
        assert asyncio.run(reader.aname("org-1")) == ("postgres", "Acme")
        assert reader.causes() == {"failed": 3, "resting": 1}
        assert sum(proxy.seen.values()) == asked, "DynamoDB rests"
        until(lambda: reader.name("org-1") == ("dynamodb", "Acme"))


@pytest.mark.uncovered
def test_a_target_that_is_slow_is_not_waited_for(app: Application, proxy: FaultProxy) -> None:
    app.commit("org-1", name="Acme")
    app.drain()
    move(app, "read_target", 100)
    with Reader.on(app, limits=replace(HASTY, at_once=2, failures=9), endpoint_url=proxy.endpoint_url) as reader:
        with proxy.failing(Stall()):
            assert asyncio.run(reader.aname("org-1")) == ("postgres", "Acme")
            for _ in range(3):
                assert reader.name("org-1") == ("postgres", "Acme")
            assert reader.causes() == {"slow": 3, "busy": 1}
            proxy.release()
        until(lambda: reader.name("org-1") == ("dynamodb", "Acme"))


def test_a_cancelled_read_does_not_keep_dynamodb_from_being_tried(app: Application) -> None:
    move(app, "read_target", 100)

    async def fails() -> str:
        raise OSError

    async def hangs() -> str:
        await asyncio.sleep(60)
        return "never"

    async def answers(store: str) -> str:
        return store

    async def run(reader: Reader) -> None:
        ask, asked = reader.router.aread, {"id": "org-1"}
        assert await ask(ORGANIZATION, asked, postgres=lambda: answers("postgres"), dynamodb=fails) == "postgres"
        await asyncio.sleep(0.3)
        trial = asyncio.ensure_future(ask(ORGANIZATION, asked, postgres=lambda: answers("postgres"), dynamodb=hangs))
        await asyncio.sleep(0.05)
        trial.cancel()
        with pytest.raises(asyncio.CancelledError):
            await trial
        found = await ask(
            ORGANIZATION, asked, postgres=lambda: answers("postgres"), dynamodb=lambda: answers("dynamodb")
        )
        assert found == "dynamodb"

    with Reader.on(app, limits=replace(LIMITS, failures=1, rest=0.2)) as reader:
        asyncio.run(run(reader))


def test_a_phase_record_that_cannot_be_read(app: Application) -> None:
    app.commit("org-1", name="Acme")
    app.drain()
    move(app, "read_target", 100)
    with Reader.on(app) as reader:
        assert reader.name("org-1") == ("dynamodb", "Acme")
        app.migration.database.execute("ALTER TABLE migrator.phases RENAME COLUMN model TO away")
        until(lambda: not reader.router._lease.holds)  # noqa: SLF001 - as soon as it is not known any more
        with pytest.raises(UnavailableError, match="not known which store is the master of miyabi"):
            reader.name("org-1")
        with pytest.raises(UnavailableError):
            asyncio.run(reader.aname("org-1"))
        assert set(reader.causes()) == {"lease"}
        app.migration.database.execute("ALTER TABLE migrator.phases RENAME COLUMN away TO model")
        assert reader.name("org-1") == ("postgres", "Acme"), "it is asked, and then confirmed"
        assert reader.name("org-1") == ("dynamodb", "Acme")


def test_what_postgresql_raises_is_the_callers(app: Application) -> None:
    def fails() -> str:
        raise KeyError("org-1")

    with Reader.on(app) as reader, pytest.raises(KeyError):
        reader.router.read(ORGANIZATION, {"id": "org-1"}, postgres=fails, dynamodb=fails)


def test_many_threads_read_while_dynamodb_fails_now_and_then(app: Application, proxy: FaultProxy) -> None:
    keys = [f"org-{number}" for number in range(20)]
    app.commit(*keys, name="Acme")
    app.drain()
    move(app, "read_target", 50)
    for fault in (throttle(), server_error(), Cut("after"), Delay(0.4)):
        proxy.inject(fault, rate=0.05)
    limits = replace(HASTY, sample=0.2, at_once=4)
    with Reader.on(app, limits=limits, endpoint_url=proxy.endpoint_url) as reader:
        with ThreadPoolExecutor(8) as pool:
            told = list(pool.map(reader.name, keys * 10))
        assert {name for _, name in told} == {"Acme"}
        assert {store for store, _ in told} == {"postgres", "dynamodb"}
        counts = reader.router.counts[ORGANIZATION]
        assert counts.dynamodb + sum(counts.postgres.values()) == len(told)


def sampled(reader: Reader) -> dict[str, int]:
    return {str(verdict): count for verdict, count in reader.router.counts[ORGANIZATION].sampled.items()}


def test_sampled_reads_find_what_differs(app: Application, caplog: pytest.LogCaptureFixture) -> None:
    app.commit("org-1", "org-2", name="Acme")
    app.drain()
    with Reader.on(app, limits=SAMPLING) as reader:
        assert reader.name("org-1") == ("postgres", "Acme"), "they are compared before the reads move, too"
        until(lambda: sampled(reader) == {"equal": 1})
        move(app, "read_target", 100)
        key = reader.router.question(ORGANIZATION, {"id": "org-2"}).pattern.request(id="org-2")
        reader.client.update_item(
            **key,
            UpdateExpression="SET #d.#n = :n",
            ExpressionAttributeNames={"#d": "Data", "#n": "name"},
            ExpressionAttributeValues={":n": {"S": "Other"}},
        )
        reader.name("org-2")
        until(lambda: sampled(reader) == {"equal": 1, "different": 1})
        assert "access pattern organization: the stores' answers differ (different in name)" in caplog.text
        assert "org-2" not in caplog.text
        reader.client.delete_item(**key)
        reader.name("org-2")
        until(lambda: sampled(reader) == {"equal": 1, "different": 2})
        reader.name("org-none")
        until(lambda: sampled(reader) == {"equal": 2, "different": 2})


def test_a_sampled_read_is_never_the_callers_affair(app: Application, proxy: FaultProxy) -> None:
    app.commit("org-1", name="Acme")
    app.drain()
    with Reader.on(app, limits=replace(SAMPLING, queue=2), endpoint_url=proxy.endpoint_url) as reader:
        with proxy.failing(Stall()):
            for _ in range(30):
                assert reader.name("org-1") == ("postgres", "Acme")
            assert sampled(reader)["skipped"] > 0
            proxy.release()
        until(lambda: sum(sampled(reader).values()) == 30)
        before = sampled(reader).get("failed", 0)
        with proxy.failing(server_error()):
            reader.name("org-1")
            until(lambda: sampled(reader).get("failed", 0) == before + 1)
        reader.name("org-1")
        until(lambda: sum(sampled(reader).values()) == 32)


def test_a_router_ends_with_all_that_it_has(app: Application) -> None:
    move(app, "read_target", 100)
    with Reader.on(app) as reader:
        assert reading_threads() == ["migrator watch"]
        reader.router.close()
        assert reading_threads() == []
        assert reader.name("org-1")[0] == "postgres"
        assert reader.causes() == {"closed": 1}
        with reader.router:
            until(lambda: reader.name("org-1")[0] == "dynamodb")
    assert reading_threads() == []


def test_a_target_that_cannot_be_opened(app: Application, monkeypatch: pytest.MonkeyPatch) -> None:
    app.commit("org-1", name="Acme")
    with Reader.on(app, limits=SAMPLING) as reader:
        monkeypatch.delenv("AWS_ACCESS_KEY_ID")
        monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
        assert reader.name("org-1") == ("postgres", "Acme")
        until(lambda: sampled(reader) == {"failed": 1})
        with pytest.raises(MigratorError, match="credentials"):
            reader.router.target.ask(lambda _: asyncio.sleep(0)).result(20)


def test_a_forked_child_reads_by_a_lease_of_its_own(app: Application) -> None:
    move(app, "read_target", 100)
    done = subprocess.run(
        [sys.executable, "-c", FORKING, app.migration.database.url],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "done\n", ""), done
