"""Start, end and fork: no thread and no session stays, and each process has its own."""

from __future__ import annotations

import subprocess
import sys
import threading
from pathlib import Path
from typing import TYPE_CHECKING

from tests.integration.app.application import Application, until
from tests.support.faults import Stall

if TYPE_CHECKING:
    from tests.support.fault_proxy import FaultProxy

ROOT = Path(__file__).parents[3]
FORKING = """
import os, sys, warnings
from sqlalchemy import create_engine
from sqlalchemy.orm import sessionmaker
from migrator.app import DualWriter
from tests.support import orm, renamed

url = sys.argv[1]
engine = create_engine(url.replace("postgresql://", "postgresql+psycopg://", 1))
sessions = sessionmaker(engine)
writer = DualWriter(renamed.MODEL, url, mode="inline", deadline=30.0)
writer.attach(sessions)

def commit(key):
    with sessions.begin() as session:
        session.add(orm.organization(key))

commit("org-parent")
warnings.simplefilter("ignore", DeprecationWarning)
child = os.fork()
if child == 0:
    engine.dispose(close=False)
    assert writer.counts.touched == 0
    commit("org-child")
    assert writer.counts.mirrored == 1, writer.counts
    sys.exit(0)
assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
commit("org-parent-again")
assert writer.counts.mirrored == 2, writer.counts
print("done")
"""


def mirroring_threads() -> list[str]:
    return [thread.name for thread in threading.enumerate() if thread.name == "migrator mirror"]


def test_nothing_starts_before_it_is_needed_and_nothing_stays(app: Application) -> None:
    writer = app.writer(mode="inline", deadline=20.0)
    writer.attach(app.sessions)
    with app.sessions.begin() as session:
        session.connection()
    assert mirroring_threads() == []
    app.commit("org-1")
    assert mirroring_threads() != []
    assert app.mirrors() > 0
    writer.close()
    assert mirroring_threads() == []
    assert app.mirrors() == 0
    app.commit("org-2")
    assert writer.counts.left == {"closed": 1}
    assert mirroring_threads() == []
    with writer:
        app.commit("org-3")
        assert writer.counts.mirrored == 2
    writer.close()
    writer.detach()
    app.commit("org-4")
    assert writer.counts.touched == 3
    assert app.waiting() == 2


def test_a_target_that_hangs_does_not_hold_up_the_end(app: Application, proxy: FaultProxy) -> None:
    writer = app.writer(endpoint_url=proxy.endpoint_url)
    writer.attach(app.sessions)
    with writer, proxy.failing(Stall()):
        app.commit("org-1")
        until(lambda: sum(proxy.seen.values()) > 0)
        writer.close(timeout=0.1)
        assert mirroring_threads() == []
        proxy.release()
    until(lambda: app.mirrors() == 0)
    writer.detach()
    assert app.waiting() == 1


def test_a_forked_child_starts_anew_and_does_its_parent_no_harm(app: Application) -> None:
    done = subprocess.run(
        [sys.executable, "-c", FORKING, app.migration.database.url],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "done\n", ""), done
    assert app.waiting() == 0
    assert app.differing() == []
