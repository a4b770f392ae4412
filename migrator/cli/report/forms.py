"""The forms that a verification's result is asked for in, beside the lines that a person reads at once."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import rich_click as click

from migrator.cli.output import print_json
from migrator.cli.report.file import PageFile
from migrator.cli.report.making import document
from migrator.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import Any

    from migrator.cli.report.document import ModelVerified

Function = TypeVar("Function", bound="Callable[..., Any]")


def report_options(function: Function) -> Function:
    """Give a command `--report` and `--show-values`, passed on as parameters."""
    report = click.option(
        "--report",
        type=click.Path(path_type=Path),
        metavar="FILE.html",
        help="Write a report to that file: one page, complete in itself.",
    )
    values = click.option(
        "--show-values", is_flag=True, help="Show in --report and --json what differing attributes hold."
    )
    return report(values(function))


@dataclass(frozen=True)
class Forms:
    """What was asked for: JSON on stdout, a page, and whether they hold values."""

    as_json: bool = False
    page: PageFile | None = None
    values: bool = False

    @classmethod
    def asked(cls, *, as_json: bool, report: Path | None, show_values: bool) -> Forms:
        """What the options say.

        Raises:
            UsageError: the page cannot be written, or values are to be shown nowhere.
        """
        if show_values and report is None and not as_json:
            raise UsageError(
                "--show-values is of --report and --json, and neither is given",
                safe="Nothing was done.",
                next_step="Give --report FILE.html or --json as well.",
            )
        return cls(as_json, None if report is None else PageFile.at(report), show_values)

    def give(self, models: Callable[[bool], Sequence[ModelVerified]]) -> None:
        """Print and write what was asked for; `models` is called, with whether to tell values, only where it is needed.

        Raises:
            ConfigurationError, SourceError: the source cannot be asked for its records any more.
            MigratorError: the page cannot be written any more.
        """
        if not self.as_json and self.page is None:
            return
        made = document(models(self.values), values=self.values)
        if self.as_json:
            print_json(made.model_dump(mode="json"))
        if self.page is not None:
            from migrator.cli.report.page import rendered  # noqa: PLC0415  (the templates' engine, only for a page)

            self.page.write(rendered(made))
            click.echo(f"report: {self.page.path}", err=True)
