"""The options that commands share, as decorators: one name and one meaning wherever they occur."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any, TypeVar

import rich_click as click

from migrator.cli.invocation import Invocation
from migrator.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Callable

Function = TypeVar("Function", bound="Callable[..., Any]")
DEBUG = "--debug"


def common_options(function: Function) -> Function:
    """Give a command `-v/--verbose` and `--debug`; every command has them."""
    verbose = click.option(
        "-v", "--verbose", is_flag=True, expose_value=False, callback=_set_verbose, help="Log what is done in detail."
    )
    # Read by `migrator.cli.run`, which has to know it before the command is found.
    debug = click.option(DEBUG, is_flag=True, expose_value=False, help="Show the traceback of an unexpected failure.")
    return verbose(debug(function))


def mapping_options(function: Function) -> Function:
    """Give a command `--mappings`: the modules that it works by."""
    return click.option(
        "--mappings",
        multiple=True,
        metavar="MODULE",
        expose_value=False,
        callback=_set_setting,
        help="A Python module that defines MODEL; may be repeated.",
    )(function)


def target_options(function: Function) -> Function:
    """Give a command `--profile`, `--region` and `--endpoint-url`, as `aws` has them."""
    for name, metavar, sentence in (
        ("--endpoint-url", "URL", "Where DynamoDB answers."),
        ("--region", "REGION", "The AWS region of the tables."),
        ("--profile", "NAME", "The profile of the AWS configuration."),
    ):
        option = click.option(name, metavar=metavar, expose_value=False, callback=_set_setting, help=sentence)
        function = option(function)
    return function


def workers_option(function: Function) -> Function:
    """Give a command `--workers`: the processes that it shares its work out to."""
    return click.option(
        "--workers", type=click.IntRange(1, 128), default=1, show_default=True, help="Processes to work with."
    )(function)


def json_option(function: Function) -> Function:
    """Give a command `--json`, passed to it as `as_json`."""
    return click.option("--json", "as_json", is_flag=True, help="Print JSON, for machines.")(function)


def change_options(function: Function) -> Function:
    """Give a command that changes something `--dry-run`, `-y/--yes` and `--no-input`, passed on as parameters."""
    dry_run = click.option("--dry-run", is_flag=True, help="Show what would be changed, and change nothing.")
    yes = click.option("-y", "--yes", is_flag=True, help="Do not ask for confirmation.")
    no_input = click.option("--no-input", is_flag=True, help="Never ask; fail where a question would be asked.")
    return dry_run(yes(no_input(function)))


def move_options(function: Function) -> Function:
    """Give a command that moves entities between phases what all of these take: `--entity`, as `entities`, and more."""
    entity = click.option(
        "--entity",
        "entities",
        multiple=True,
        metavar="ENTITY",
        help="An entity to move, with all that it shares foreign keys or items with; may be repeated.",
    )
    return entity(mapping_options(target_options(change_options(json_option(common_options(function))))))


def confirm(question: str, *, yes: bool, no_input: bool) -> None:
    """Ask on stderr before something is changed; a refusal ends the command with exit code 1.

    Raises:
        UsageError: there is nobody to ask, and `--yes` was not given.
    """
    if yes:
        return
    if no_input or not sys.stdin.isatty():
        raise UsageError(
            f"Confirmation is needed, and nobody can be asked: {question}",
            safe="Nothing was changed.",
            next_step="Give --yes to confirm, or --dry-run to see what would be changed.",
        )
    click.confirm(question, abort=True, err=True)


def _set_verbose(context: click.Context, option: click.Parameter, value: bool) -> None:  # noqa: ARG001, FBT001
    from migrator.cli.logs import configure_logs  # noqa: PLC0415  (not for --help)

    configure_logs(verbose=value)


def _set_setting(context: click.Context, option: click.Parameter, value: str | tuple[str, ...] | None) -> None:
    if option.name and value:
        context.ensure_object(Invocation).settings[option.name] = value
