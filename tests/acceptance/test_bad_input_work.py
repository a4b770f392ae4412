"""What `migrate` says of words, mappings and moments at which it cannot do its work, and that the next run does it."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.support.fault_proxy import FaultProxy
from tests.support.faults import Stall
from tests.support.project import Done

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.support.project import Project
    from tests.support.started import Started
    from tests.support.stores import DynamoDBStore

SECONDS = 30
SMALL_FILES = ("sh", "-c", 'ulimit -f 200; exec "$@"', "sh")
"""Runs a command that can write no file of more than 200 blocks, of 512 or 1,024 bytes."""


@pytest.fixture
def proxy(dynamodb: DynamoDBStore) -> Iterator[FaultProxy]:
    with FaultProxy(dynamodb.endpoint_url) as started:
        yield started


@contextmanager
def stalled(project: Project, proxy: FaultProxy, operation: str, *command: str) -> Iterator[Started]:
    """A command that waits for an answer to its second request of an operation."""
    behind = project.through(AWS_ENDPOINT_URL=proxy.endpoint_url)
    rule = proxy.inject(Stall(), on=operation, skip=1)
    with behind.start(*command) as process:
        try:
            proxy.wait_for(operation, proxy.seen[operation] + 2)
            yield process
        finally:
            proxy.remove(rule)
            proxy.release()
            process.kill()


def interrupt(process: Started) -> None:
    """Ctrl-C, as a terminal passes it on: to the command and to all of its workers."""
    process.send_signal(signal.SIGINT)
    _, shown = process.communicate(timeout=SECONDS)
    assert process.returncode == 130, shown
    assert "error: interrupted." in shown
    assert "next: The same command goes on from there." in shown
    assert "Traceback" not in shown


@pytest.mark.uncovered
@pytest.mark.parametrize("workers", ["1", "2"])
def test_ctrl_c_in_a_copy(prepared: Project, proxy: FaultProxy, workers: str) -> None:
    with stalled(prepared, proxy, "BatchWriteItem", "copy", "--workers", workers) as process:
        children = _children(process.pid)
        interrupt(process)
    assert len(children) >= (2 if workers == "2" else 0)
    assert [pid for pid in children if _runs(pid)] == []
    assert "begun" in prepared.here("status").succeeded().out
    prepared.here("copy").succeeded()
    prepared.here("verify").succeeded()


def _children(pid: int) -> list[int]:
    """The processes that this one has started, and those that they have."""
    tasks = Path(f"/proc/{pid}/task")
    if not tasks.is_dir():
        pytest.skip("this system does not tell which processes a process has started")
    found = [int(child) for task in tasks.iterdir() for child in (task / "children").read_text().split()]
    return found + [each for child in found for each in _children(child)]


def _runs(pid: int) -> bool:
    """Whether a process still runs after a moment; one that ended may be waiting for its parent to hear of it."""
    give_up = time.monotonic() + SECONDS
    while time.monotonic() < give_up:
        try:
            state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
        except OSError:
            return False
        if state == "Z":
            return False
        time.sleep(0.05)
    return True


@pytest.mark.uncovered
@pytest.mark.parametrize("workers", ["1", "2"])
def test_ctrl_c_in_a_verification(prepared: Project, proxy: FaultProxy, tmp_path: Path, workers: str) -> None:
    prepared.here("copy").succeeded()
    spill = tmp_path / "spill"
    spill.mkdir()
    with stalled(prepared.through(TMPDIR=str(spill)), proxy, "Scan", "verify", "--workers", workers) as process:
        children = _children(process.pid)
        interrupt(process)
    assert len(children) >= (2 if workers == "2" else 0)
    assert [pid for pid in children if _runs(pid)] == []
    assert list(spill.iterdir()) == []
    prepared.here("verify").succeeded()


@pytest.mark.uncovered
def test_a_copy_while_another_one_runs(prepared: Project, proxy: FaultProxy) -> None:
    with stalled(prepared, proxy, "BatchWriteItem", "copy") as first:
        words = ("the lock copy:shop is held by the session migrator copy (pid ", "the other run goes on", "wait until")
        prepared.migrate("copy").failed(7, *words)
        first_is_running = first.poll() is None
        interrupt(first)
    assert first_is_running
    prepared.here("copy").succeeded()
    prepared.here("verify").succeeded()


def test_a_mapping_that_has_changed_since_a_partial_copy(prepared: Project, proxy: FaultProxy) -> None:
    with stalled(prepared, proxy, "BatchWriteItem", "copy") as process:
        interrupt(process)
    prepared.edit('Attribute("total", orders.c.total)', 'Attribute("amount", orders.c.total)')
    prepared.migrate("copy").failed(7, "public.orders was made under another mapping", "migrate copy --restart orders")
    assert "next: migrate copy --restart orders" in prepared.here("status").succeeded().out
    prepared.here("copy", "--restart", "orders", "--yes").succeeded()
    prepared.here("copy").succeeded()
    prepared.here("verify").succeeded()


@pytest.mark.uncovered
def test_a_source_schema_that_has_changed_since_a_partial_copy(prepared: Project) -> None:
    prepared.here("copy", "orders").succeeded()
    prepared.database.execute("alter table orders alter column total type numeric(12, 4)")
    done = prepared.migrate("copy")
    done.failed(7, "public.orders was made under another source schema", "migrate copy --restart orders")
    prepared.here("copy", "--restart", "-y").succeeded()
    prepared.here("verify").succeeded()


@pytest.mark.uncovered
def test_a_disk_that_is_full(project: Project) -> None:
    project.database.execute("insert into customers select i, repeat('long ', 60) || i from generate_series(1, 2000) i")
    project.edit('"CUSTOMER#{id}"', '"CUSTOMER#{id}#{name}"')
    project.edit('sa.Column("name", sa.Text)', 'sa.Column("name", sa.Text, nullable=False)')
    project.prepare()
    spill = project.directory / "spill"
    spill.mkdir()
    # The file in which the coverage of a process is kept would not fit either.
    cramped = project.through(MIGRATOR_WORK_DIR=str(spill), COVERAGE_PROCESS_CONFIG=None, COVERAGE_PROCESS_START=None)
    ended = subprocess.run(
        [*SMALL_FILES, sys.executable, "-m", "migrator", "verify", "customers"],
        cwd=cramped.directory,
        env=cramped.environment,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=SECONDS,
        check=False,
    )
    done = Done(ended.returncode, ended.stdout, ended.stderr)
    done.failed(1, f"cannot write its temporary files in {spill}", "File too large", "set MIGRATOR_WORK_DIR and TMPDIR")
    project.here("copy").succeeded()
    project.here("verify").succeeded()


def test_a_mapping_module_that_does_not_import(prepared: Project) -> None:
    prepared.edit("import sqlalchemy as sa\n", "import sqlalchemy as sa\nimport no_such_package\n")
    done = prepared.migrate("copy")
    done.failed(4, "The mapping module shop does not import: ModuleNotFoundError", "shop.py:4")
    for command in (("preview", "customers"), ("prepare",), ("verify",), ("status",)):
        assert prepared.here(*command) == done
    prepared.edit("import no_such_package\n", "")
    prepared.here("copy").succeeded()


def test_a_mapping_that_lint_refuses(prepared: Project) -> None:
    prepared.edit('"ORDER#{number}"', '"ORDER"')
    done = prepared.migrate("copy")
    done.failed(
        4, "the mapping of model shop cannot be used", "  ORDER: Item 0: two rows can have the key", "migrate lint"
    )
    prepared.edit('"ORDER"), Item', '"ORDER#{number}"), Item')
    prepared.here("copy").succeeded()


def test_a_table_that_no_mapping_knows(prepared: Project) -> None:
    words = ("baskets: no source table of shop", "Nothing was done", "The tables are customers, orders.")
    prepared.migrate("copy", "customers", "baskets").failed(2, *words)
    for command in (("verify", "baskets"), ("preview", "baskets")):
        prepared.here(*command).failed(2, *words)


@pytest.mark.parametrize(
    "arguments",
    [
        ("copy", "--max-wcu", "0"),
        ("copy", "--workers", "0"),
        ("verify", "--max-rcu", "-5"),
        ("verify", "--max-rcu", "nan"),
        ("preview", "customers", "--limit", "0"),
    ],
    ids=" ".join,
)
def test_a_limit_of_nothing(project: Project, arguments: tuple[str, ...]) -> None:
    project.here(*arguments).failed(2, f"Invalid value for '{arguments[-2]}'", f"migrate {arguments[0]} --help")


@pytest.mark.parametrize("command", ["copy", "verify"])
@pytest.mark.parametrize("workers", ["0", "-1", "129", "1000000", "two"])
def test_a_number_of_workers_beyond_sense(project: Project, command: str, workers: str) -> None:
    reason = "'two' is not a valid integer range" if workers == "two" else f"{workers} is not in the range 1<=x<=128"
    project.here(command, "--workers", workers).failed(2, f"Invalid value for '--workers': {reason}")
