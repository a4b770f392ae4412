"""`migrate demo`, small: from nothing to the end of a migration, with an application that writes all the time."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
SECONDS = 300
COURSE = (
    r"turbo: all tables with all speed",
    r"the application has committed [\d,]+ writes, each with a mark",
    r"the copy is done: [\d,]+ changes wait, the oldest for [\d.]+ seconds",
    r"done: miyabi is in phase dual_write",
    r"miyabi: [\d,]+ changes settled",
    r"writes committed, [\d,]+ of them mirrored at once",
    r"the application has stopped: ",
    r"miyabi: target and source are equal",
    r"changed  .*: Data\.logLevel",
    r"3 differences",
    r"All three, by name",
    r"miyabi is in phase read_target, 10 % of reads",
    r"every row came back",
    r"miyabi is in phase write_target",
    r"organization demo-1 is written",
    r"miyabi is in phase dual_write",
    r"PostgreSQL has the organization that was written in DynamoDB: Written in DynamoDB",
    r"miyabi is in phase complete",
    r"300 rows were moved under a live writer and proven equal",
)


def test_the_demo_shows_a_migration_under_a_live_writer() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "migrator", "demo", "--rows", "300"],
        cwd=ROOT,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=SECONDS,
        check=False,
    )
    assert done.returncode == 0, done.stdout
    assert re.search(".*".join(COURSE), done.stdout, re.DOTALL), done.stdout
