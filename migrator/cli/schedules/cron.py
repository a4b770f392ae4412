"""A file for /etc/cron.d."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING

from migrator.cli.schedules.job import SECRETS, File

if TYPE_CHECKING:
    from collections.abc import Sequence

    from migrator.cli.schedules.job import Job


def cron(job: Job) -> Sequence[File]:
    """The crontab: at the machine's own time, under a lock, with settings from a file that only its user may read."""
    settings = f"/etc/{job.name}.env"
    command = shlex.join([".venv/bin/migrate", *job.arguments])
    line = (
        f"cd {shlex.quote(job.directory)} && set -a && . {settings} && set +a && "
        f"exec flock --nonblock --conflict-exit-code 7 {shlex.quote(f'{job.directory}/.{job.name}.lock')} {command}"
    )
    # To cron a percent sign ends the command.
    text = f"""\
# Verifies {job.times.words}, by the machine's own time. Install as /etc/cron.d/{job.name}, owned by root, mode 0644.
# {settings}, readable by {job.user} alone, sets {" and ".join(SECRETS)}, as NAME='value' lines.
# What is printed is mailed to MAILTO; flock keeps a run from beginning while the one before is under way.
SHELL=/bin/sh
PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
MAILTO={job.user}
{job.times.cron} {job.user} {line.replace("%", chr(92) + "%")}
"""
    return [File(job.name, text)]
