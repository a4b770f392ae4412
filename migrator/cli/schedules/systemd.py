"""A service and a timer for systemd."""

from __future__ import annotations

from typing import TYPE_CHECKING

from migrator.cli.schedules.job import SECRETS, File

if TYPE_CHECKING:
    from collections.abc import Sequence

    from migrator.cli.schedules.job import Job


def systemd(job: Job) -> Sequence[File]:
    """The timer and the service: one that is still active is not started again."""
    settings = f"/etc/{job.name}.env"
    command = " ".join(_quoted(each) for each in (f"{job.directory}/.venv/bin/migrate", *job.arguments))
    service = f"""\
# Install as /etc/systemd/system/{job.name}.service, beside {job.name}.timer, then run:
#   systemctl daemon-reload && systemctl enable --now {job.name}.timer
# {settings}, owned by root, mode 0600, sets {" and ".join(SECRETS)}, as NAME=value lines.
# Differences fail the unit with status 3: OnFailure= tells whom you like.
[Unit]
Description=Verify that DynamoDB holds what PostgreSQL asks for ({_specifiers(job.name)})
Wants=network-online.target
After=network-online.target

[Service]
Type=oneshot
User={job.user}
WorkingDirectory={_specifiers(job.directory)}
EnvironmentFile={settings}
ExecStart={command}
TimeoutStartSec=infinity
Nice=10
NoNewPrivileges=yes
PrivateTmp=yes
ProtectSystem=full
"""
    timer = f"""\
# Install as /etc/systemd/system/{job.name}.timer.
[Unit]
Description=Verify {job.times.words} ({_specifiers(job.name)})

[Timer]
OnCalendar={job.times.calendar}
RandomizedDelaySec={int(job.times.jitter.total_seconds())}
Persistent=true

[Install]
WantedBy=timers.target
"""
    return [File(f"{job.name}.timer", timer), File(f"{job.name}.service", service)]


def _specifiers(text: str) -> str:
    """Text in which systemd finds no specifier of its own."""
    return text.replace("%", "%%")


def _quoted(argument: str) -> str:
    """An argument as systemd reads it: in quotes, where escapes, specifiers and variables are still looked for."""
    escaped = argument.replace("\\", "\\\\").replace('"', '\\"').replace("$", "$$")
    return f'"{_specifiers(escaped)}"' if set(argument) & set(" \t\"'\\;$%") or not argument else argument
