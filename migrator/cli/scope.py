"""What `migrate verify` is asked to look at, and where it keeps how far it is."""

from __future__ import annotations

import csv
import re
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from functools import wraps
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Literal, TypeVar

import rich_click as click

from migrator.cli.duration import Duration
from migrator.engines.verify import Scope

if TYPE_CHECKING:
    from collections.abc import Callable

    from migrator.postgres.rows import Key
    from migrator.settings import Settings

Function = TypeVar("Function", bound="Callable[..., Any]")
_WORK_DIR: Final = Path(".migrator/verify")
_DURATION: Final = re.compile(r"\d+[dhms]([\ddhms]*)")


class _Since(click.ParamType["datetime | timedelta | Literal['last']"]):
    """A time, a duration before now, or `last`."""

    name = "TIME|DURATION|last"

    def convert(
        self, value: object, param: click.Parameter | None, ctx: click.Context | None
    ) -> datetime | timedelta | Literal["last"]:
        """What was written; a time without an offset is UTC."""
        text = str(value)
        if text == "last":
            return "last"
        if _DURATION.fullmatch(text):
            return Duration().convert(text, param, ctx)
        try:
            moment = datetime.fromisoformat(text)
        except ValueError:
            self.fail(
                f"{text!r} is no time such as 2025-11-29T10:30, no duration such as 2h, and not `last`", param, ctx
            )
        return moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)


class _RowKey(click.ParamType["Key"]):
    """A primary key as PostgreSQL writes it; several columns as in CSV."""

    name = "KEY"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> Key:
        """What was written, taken apart at its commas."""
        if isinstance(value, tuple):
            return value
        try:
            return tuple(next(csv.reader([str(value)], strict=True)))
        except (csv.Error, StopIteration):
            self.fail(f"{value!r} is no key: write its columns with commas, as in CSV", param, ctx)


@dataclass(frozen=True)
class ScopeAsked:
    """What the options say of the scope."""

    sample: float | None
    since: datetime | timedelta | Literal["last"] | None
    since_column: str
    after: Key | None
    until: Key | None
    work_dir: Path | None
    restart: bool

    def scope(self, settings: Settings, **how: Any) -> Scope:  # noqa: ANN401 - as `Scope` has them
        """The scope; `how` is what other options say of it."""
        return Scope(
            sample=self.sample,
            since=self.since,
            since_column=self.since_column,
            after=self.after,
            until=self.until,
            restart=self.restart,
            read_dollars=settings.read_dollars_per_million,
            **how,
        )

    def kept(self, scope: Scope, settings: Settings) -> Scope:
        """The scope, with where it is kept how far its reading is; where that cannot be, it is said."""
        given = self.work_dir or settings.work_dir
        if given is not None:
            return replace(scope, work_dir=given)
        try:
            _WORK_DIR.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            click.echo(
                f"warning: {_WORK_DIR} cannot be made ({error.strerror or error}): a verification that is killed has "
                "to be begun anew, unless --work-dir names another directory",
                err=True,
            )
            return scope
        return replace(scope, work_dir=_WORK_DIR)


_OPTIONS: Final = (
    click.option(
        "--sample",
        type=click.FloatRange(0, 100, min_open=True),
        metavar="PERCENT",
        help="Look only at so many percent of the rows and items.",
    ),
    click.option("--since", type=_Since(), help="Look only at rows that were changed since then."),
    click.option(
        "--since-column",
        default="updated_at",
        show_default=True,
        metavar="COLUMN",
        help="The column that says when a row was changed.",
    ),
    click.option("--after", type=_RowKey(), help="Look only at rows of one table whose keys are after this one."),
    click.option("--until", type=_RowKey(), help="Look only at rows of one table whose keys are up to this one."),
    click.option(
        "--work-dir",
        type=click.Path(file_okay=False, path_type=Path),
        metavar="DIRECTORY",
        help="Where to keep how far it is, so that it goes on after a kill.",
    ),
    click.option("--restart", is_flag=True, help="Forget a verification that was not finished; begin anew."),
)


def scope_options(function: Function) -> Function:
    """Give a command the options of a scope, passed to it together, as `looked_at`."""

    @wraps(function)
    def gathered(*arguments: Any, **options: Any) -> Any:  # noqa: ANN401 - the command's own
        asked = {name: options.pop(name) for name in ScopeAsked.__dataclass_fields__}
        return function(*arguments, looked_at=ScopeAsked(**asked), **options)

    decorated: Any = gathered
    for option in reversed(_OPTIONS):
        decorated = option(decorated)
    scoped: Function = decorated
    return scoped
