"""One run of the command line: whatever happens in it ends as a message on stderr and as an exit code."""

from __future__ import annotations

import os
import sys
import tempfile
import traceback
from typing import TYPE_CHECKING

import rich_click as click
from click.exceptions import Exit, NoArgsIsHelpError

from migrator.cli.group import migrate
from migrator.cli.invocation import Invocation
from migrator.cli.options import DEBUG
from migrator.errors import MigratorError

if TYPE_CHECKING:
    from collections.abc import Sequence

FAILED = 1
INTERRUPTED = 130


def run(arguments: Sequence[str]) -> int:
    """Run one command and return its exit code; a command returns one, or None for 0."""
    show = DEBUG in arguments
    try:
        code = _invoke(arguments)
        sys.stdout.flush()
    except MigratorError as error:
        code = _report_error(error)
    except ExceptionGroup as group:
        code = _report_group(group, show=show)
    except click.ClickException as error:
        code = _report_usage(error)
    except (click.Abort, KeyboardInterrupt) as error:
        code = _report_stop(error)
    except BrokenPipeError:
        code = _close_stdout()
    # What nothing foresaw ends here: its reader is owed a sentence, and the traceback in a form that can be sent on.
    except Exception as error:  # noqa: BLE001
        code = _report_unexpected(error, show=show)
    return code


def _invoke(arguments: Sequence[str]) -> int:
    try:
        with migrate.make_context("migrate", list(arguments), obj=Invocation()) as context:
            code: int | None = migrate.invoke(context)
            return code or 0
    except Exit as leave:
        return leave.exit_code


def _report(what: str, *, safe: str | None = None, next_step: str | None = None) -> None:
    for label, colour, sentence in (("error", "red", what), ("safe", "green", safe), ("next", "cyan", next_step)):
        if sentence:
            label_shown = click.style(f"{label}:", fg=colour, bold=True)
            click.echo(f"{label_shown} {sentence}", err=True, color=False if os.environ.get("NO_COLOR") else None)


def _report_error(error: MigratorError) -> int:
    _report(error.what, safe=error.safe, next_step=error.next_step)
    return error.exit_code


def _report_group(group: ExceptionGroup[Exception], *, show: bool) -> int:
    """Report the first of several tasks that failed, as a rule all for the same reason."""
    expected, unexpected = group.split(MigratorError)
    if expected is None or unexpected is not None:
        return _report_unexpected(unexpected or group, show=show)
    return _report_error(_first(expected))


def _first(group: BaseExceptionGroup[MigratorError]) -> MigratorError:
    error = group.exceptions[0]
    return _first(error) if isinstance(error, BaseExceptionGroup) else error


def _report_usage(error: click.ClickException) -> int:
    if isinstance(error, NoArgsIsHelpError):
        click.echo(error.format_message(), err=True)
    else:
        context = error.ctx if isinstance(error, click.UsageError) else None
        _report(error.format_message(), next_step=f"{context.command_path} --help" if context else None)
    return error.exit_code


def _report_stop(error: click.Abort | KeyboardInterrupt) -> int:
    # click turns Ctrl-C at a prompt into the exception that a refusal raises.
    if isinstance(error, KeyboardInterrupt) or isinstance(error.__context__, KeyboardInterrupt):
        _report("interrupted.", safe="What was settled stays.", next_step="The same command goes on from there.")
        return INTERRUPTED
    _report("declined.", safe="Nothing was changed.")
    return FAILED


def _close_stdout() -> int:
    """Point stdout nowhere: its reader has gone, and the interpreter would complain when it flushes at exit."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, sys.stdout.fileno())
    os.close(nowhere)
    return FAILED


def _report_unexpected(error: Exception, *, show: bool) -> int:
    lines = "".join(traceback.format_exception(error))
    what = f"migrate failed in a way that it does not know: {type(error).__name__}."
    if show:
        click.echo(lines, err=True, nl=False)
        _report(what)
        return FAILED
    try:
        with tempfile.NamedTemporaryFile("w", prefix="migrate-", suffix=".txt", delete=False, encoding="utf-8") as file:
            file.write(lines)
    except OSError:
        _report(what, next_step="Run it again with --debug to see the traceback.")
    else:
        _report(what, next_step=f"The traceback is in {file.name}; --debug shows it. Please report it.")
    return FAILED
