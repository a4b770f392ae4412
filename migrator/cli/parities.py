"""Access patterns on the command line: with how many sets of values they are asked, and how they answered."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, TypeVar

import rich_click as click

from migrator.cli.output import print_table, printable
from migrator.engines.verify.patterns.asking import QUESTIONS

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from migrator.engines.verify import Parity

Function = TypeVar("Function", bound="Callable[..., Any]")
SHOWN: Final = 3


class _Count(click.ParamType[int | None]):
    """A number, `all` (None), or `none` (0)."""

    name = "count"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int | None:  # noqa: ANN401 - click's
        if value == "all":
            return None
        if value == "none":
            return 0
        try:
            return max(0, int(value))
        except ValueError:
            self.fail(f"'{value}' is neither a number nor 'all' or 'none'.", param, ctx)


def patterns_option(function: Function) -> Function:
    """Give a command `--patterns`: the sets of values that each access pattern is asked with, None for all."""
    return click.option(
        "--patterns",
        type=_Count(),
        default=str(QUESTIONS),
        show_default=True,
        metavar="N|all|none",
        help="Sets of values to ask each access pattern with.",
    )(function)


def show(parities: Sequence[Parity]) -> None:
    """Show how access patterns answered: a table of them, then what differs."""
    if not any(parity.asked for parity in parities):
        return
    print_table(
        ("access pattern", "asked", "equal", "question"),
        [(parity.pattern, parity.asked, parity.equal, parity.reason or parity.question) for parity in parities],
    )
    for parity in parities:
        for text in parity.differing[:SHOWN]:
            click.echo(f"  {parity.pattern} differs: {printable(text)}")
        if parity.differs > SHOWN:
            click.echo(f"  {parity.pattern}: {parity.differs - SHOWN:,} more; `migrate verify --json` names them")
        if parity.unsettled:
            click.echo(f"  {parity.pattern}: {parity.unsettled:,} changed for as long as they were looked at")
