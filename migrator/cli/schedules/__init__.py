"""Files for schedulers that run `migrate verify`: one module for each scheduler, and what they have in common."""

from __future__ import annotations

from migrator.cli.schedules.cron import cron
from migrator.cli.schedules.eventbridge import eventbridge
from migrator.cli.schedules.job import File, Job
from migrator.cli.schedules.kubernetes import kubernetes
from migrator.cli.schedules.systemd import systemd
from migrator.cli.schedules.times import Times

__all__ = ["SCHEDULERS", "File", "Job", "Times"]

SCHEDULERS = {"cron": cron, "systemd": systemd, "kubernetes": kubernetes, "eventbridge": eventbridge}
"""Each scheduler with the function that writes its files for a job; the first file is the one to be printed."""
