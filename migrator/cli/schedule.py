"""`migrate schedule`."""

from __future__ import annotations

import re
import shlex
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Final
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import rich_click as click

from migrator.cli.duration import Duration
from migrator.cli.group import load_command
from migrator.cli.invocation import Invocation
from migrator.cli.options import common_options, mapping_options
from migrator.cli.schedules import SCHEDULERS, File, Job, Times
from migrator.cli.work import load_work
from migrator.errors import ConfigurationError, UsageError
from migrator.settings import load_settings

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import time

    from migrator.settings import Settings

NAME: Final = re.compile(r"[a-z]([a-z0-9-]{0,50}[a-z0-9])?")
USER: Final = re.compile(r"[a-z_][a-z0-9_-]{0,31}")
PATH: Final = re.compile(r"/[^\s:'\"\\$`]*")
IMAGE: Final = re.compile(r"[a-z0-9][\w.:/@-]*", re.ASCII)
NOT_ITS_OWN: Final = {
    "cron": ("--image", "--namespace", "--service-account", "--timezone"),
    "systemd": ("--image", "--namespace", "--service-account"),
    "kubernetes": ("--directory", "--user"),
    "eventbridge": ("--directory", "--user", "--namespace", "--service-account"),
}
"""The options that a scheduler has no use for: given, they are a mistake."""


class Clock(click.ParamType["time"]):
    """A time of the day."""

    name = "HH:MM"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> time:
        """The time that was written."""
        try:
            return datetime.strptime(str(value), "%H:%M").time()  # noqa: DTZ007 - of no day, so of no zone
        except ValueError:
            self.fail(f"{value!r} is no time of the day such as 03:30", param, ctx)


@click.command("schedule")
@click.argument("scheduler", type=click.Choice(list(SCHEDULERS)))
@click.option("--every", type=Duration(), help="How often: 5m, 1h, 1d; an hour if neither this nor --at is given.")
@click.option("--at", type=Clock(), help="Daily, at this time.")
@click.option("--timezone", metavar="ZONE", help="The zone that --at is of, as in Europe/Zurich; UTC if not given.")
@click.option("--verify", "options", default="", metavar="OPTIONS", help="Options and tables for `migrate verify`.")
@click.option("--name", default="migrate-verify", show_default=True, help="What files and resources are called.")
@click.option("--directory", help="The project's directory on the machine; /srv/NAME if not given.")
@click.option("--user", help="Who runs it on the machine; migrator if not given.")
@click.option("--image", help="The container image.")
@click.option("--namespace", help="The namespace in Kubernetes; default if not given.")
@click.option("--service-account", metavar="NAME", help="The service account in Kubernetes; the name if not given.")
@click.option("--output", type=click.Path(path_type=Path), metavar="DIRECTORY", help="Write the files there.")
@click.option("--region", metavar="REGION", help="The AWS region of the tables.")
@mapping_options
@common_options
@click.pass_obj
def command(  # noqa: PLR0913 - its options
    invocation: Invocation,
    *,
    scheduler: str,
    every: timedelta | None,
    at: time | None,
    timezone: str | None,
    options: str,
    name: str,
    output: Path | None,
    region: str | None,
    directory: str | None,
    user: str | None,
    image: str | None,
    namespace: str | None,
    service_account: str | None,
) -> None:
    """Print ready files for a scheduler that verifies regularly.

    Secrets are referred to, never printed, and no store is asked. Runs do not overlap.
    """
    given = {
        "--directory": directory,
        "--user": user,
        "--image": image,
        "--namespace": namespace,
        "--service-account": service_account,
        "--timezone": timezone,
    }
    useless = [each for each in NOT_ITS_OWN[scheduler] if given[each] is not None]
    if image is None and "--image" not in NOT_ITS_OWN[scheduler]:
        raise UsageError(
            f"{scheduler} runs a container image, and none is named",
            safe="Nothing was written.",
            next_step="Give --image.",
        )
    if useless or (every is not None and at is not None):
        wrong = f"{useless[0]} means nothing to {scheduler}" if useless else "--every excludes --at"
        raise UsageError(wrong, safe="Nothing was written.", next_step="migrate schedule --help")
    settings = load_settings(**invocation.settings, region=region)
    verify = _verify_options(options)
    job = Job(
        times=Times(every or timedelta(hours=1), at, _zone(timezone)),
        name=_matching(NAME, "--name", name),
        arguments=["verify", *_settings_options(settings), "--no-input", *verify],
        tables=[table for work in load_work(settings) for table in work.model.tables],
        repairs="--repair" in verify,
        directory=_matching(PATH, "--directory", directory or f"/srv/{name}"),
        user=_matching(USER, "--user", user or "migrator"),
        image="" if image is None else _matching(IMAGE, "--image", image),
        namespace=_matching(NAME, "--namespace", namespace or "default"),
        account=_matching(NAME, "--service-account", service_account or name),
    )
    files = SCHEDULERS[scheduler](job)
    if output is not None:
        _write(output, files)
    else:
        _print(files, commented=scheduler != "eventbridge")


def _zone(name: str | None) -> str:
    try:
        return ZoneInfo(name or "UTC").key
    except (ZoneInfoNotFoundError, ValueError):
        raise UsageError(
            f"{name} is no time zone", safe="Nothing was written.", next_step="Give one such as Europe/Zurich or UTC."
        ) from None


def _matching(form: re.Pattern[str], option: str, value: str) -> str:
    """A value that needs no quoting wherever it stands.

    Raises:
        UsageError: it would.
    """
    if form.fullmatch(value) is None:
        raise UsageError(
            f"{option} {value!r} cannot be used in a schedule",
            safe="Nothing was written.",
            next_step=f"It has to match {form.pattern}",
        )
    return value


def _settings_options(settings: Settings) -> list[str]:
    """What the job is told of the settings on its command line: nothing that is secret."""
    words = [word for module in settings.mappings for word in ("--mappings", module)]
    return [*words, "--region", settings.region] if settings.region else words


def _verify_options(text: str) -> list[str]:
    """The options for `migrate verify`, each of which it would take.

    Raises:
        UsageError: it would not, or they would wait for somebody, or go on for ever.
    """
    try:
        words = shlex.split(text)
    except ValueError as error:
        raise UsageError(f"--verify cannot be read: {error}", next_step="Close every quotation mark.") from None
    context = load_command("verify").make_context("migrate verify", list(words), obj=Invocation())
    if context.params["every"] is not None:
        raise UsageError("--every is the scheduler's affair", next_step="Leave it out of --verify.")
    if context.params["repair"] and not context.params["yes"]:
        raise UsageError("a scheduler cannot ask before a repair", next_step="Give --verify '--repair --yes'.")
    return words


def _print(files: Sequence[File], *, commented: bool) -> None:
    """Print them one after another, each under its name; JSON knows no comments, and only the first is printed."""
    if not commented:
        click.echo(files[0].text, nl=False)
        return
    for file in files:
        if len(files) > 1:
            click.echo(f"# {file.name}")
        click.echo(file.text, nl=file is not files[-1])


def _write(directory: Path, files: Sequence[File]) -> None:
    """Write them into a directory, where none of them may be yet.

    Raises:
        ConfigurationError: they cannot be written.
    """
    try:
        directory.mkdir(parents=True, exist_ok=True)
        for file in files:
            with (directory / file.name).open("x", encoding="utf-8") as opened:
                opened.write(file.text)
            click.echo(f"written: {directory / file.name}", err=True)
    except OSError as error:
        raise ConfigurationError(
            f"{error.filename} cannot be written: {error.strerror}",
            safe="What was there is left as it is.",
            next_step="Give another --output, or move away what is there.",
        ) from error
