"""`migrate switch`."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Final

import rich_click as click

from migrator.cli.duration import Duration
from migrator.cli.groups import ALL_READS
from migrator.cli.moves import Asked, Move, make
from migrator.cli.options import change_options, common_options, entity_option, json_option, mapping_options
from migrator.cli.work import load_entities, named_of, terms_of
from migrator.errors import UsageError
from migrator.settings import load_settings

if TYPE_CHECKING:
    from datetime import timedelta

    from migrator.cli.invocation import Invocation
    from migrator.postgres.phases import Phase

PHASES: Final[dict[str, Phase]] = {"dual-write": "dual_write", "reads": "read_target"}
AFTER: Final[dict[Phase, str]] = {
    "dual_write": "migrate relay: from now on it carries over what changes",
    "read_target": "relays have to run as before; `migrate switch reads --percent N` changes how many keys are read "
    "from the target, `migrate rollback` goes back",
}


@click.command("switch")
@click.argument("phase", type=click.Choice(list(PHASES)))
@click.option(
    "--percent", type=click.IntRange(0, 100), metavar="N", help="With reads: of how many keys; 100 if not given."
)
@entity_option
@click.option("--max-age", type=Duration(), help="With reads: how old the verification may be that proves the target.")
@click.option("--wait", is_flag=True, help="Wait where a gate opens by itself.")
@mapping_options
@change_options
@json_option
@common_options
@click.pass_obj
def command(  # noqa: PLR0913 - its options
    invocation: Invocation,
    *,
    phase: str,
    percent: int | None,
    entities: tuple[str, ...],
    max_age: timedelta | None,
    wait: bool,
    dry_run: bool,
    yes: bool,
    no_input: bool,
    as_json: bool,
) -> int:
    """Move on to the next phase, through its gates.

    From dual-write on, relays carry changes of the source over into the target, and copies go beside them. With reads,
    applications read the target for so many percent of the keys; the first such move passes gates, a change of the
    percentage needs none. Exit code 8 where a gate refuses.
    """
    to = PHASES[phase]
    if to != "read_target" and (percent is not None or max_age is not None or entities):
        raise UsageError(
            "--percent, --entity and --max-age are said of reads",
            safe="Nothing was moved.",
            next_step="To move all entities on, run `migrate switch dual-write`.",
        )
    settings = load_settings(**invocation.settings)
    terms = replace(terms_of(settings), percent=ALL_READS if percent is None else percent)
    if max_age is not None:
        terms = replace(terms, max_age=max_age)
    asked = Asked(dry_run=dry_run, yes=yes, no_input=no_input, as_json=as_json)
    moves = [
        Move(work, to, replace(terms, entities=named_of(work, entities))) for work in load_entities(settings, entities)
    ]
    return make(settings, moves, asked, wait=wait, after=AFTER)
