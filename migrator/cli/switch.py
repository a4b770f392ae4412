"""`migrate switch`."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Final

import rich_click as click

from migrator.cli.duration import Duration
from migrator.cli.groups import ALL_READS
from migrator.cli.moves import Asked, make, waiting
from migrator.cli.options import move_options
from migrator.cli.ways import Opening, Recorded
from migrator.cli.work import load_entities, named_of, terms_of
from migrator.errors import UsageError
from migrator.settings import load_settings

if TYPE_CHECKING:
    from datetime import timedelta

    from migrator.cli.invocation import Invocation
    from migrator.cli.ways import Way
    from migrator.postgres.phases import Phase

PHASES: Final[dict[str, Phase]] = {"dual-write": "dual_write", "reads": "read_target", "writes": "write_target"}
AFTER: Final[dict[Phase, str]] = {
    "dual_write": "migrate relay: from now on it carries over what changes",
    "read_target": "relays have to run as before; `migrate switch reads --percent N` changes how many keys are read "
    "from the target, `migrate rollback` goes back",
    "write_target": "relays have to run as before: they carry the changes back; `migrate rollback` returns, "
    "`migrate complete` ends the way back",
}


@click.command("switch")
@click.argument("phase", type=click.Choice(list(PHASES)))
@click.option(
    "--percent", type=click.IntRange(0, 100), metavar="N", help="With reads: of how many keys; 100 if not given."
)
@click.option("--max-age", type=Duration(), help="How old the verification may be that proves the target.")
@click.option(
    "--without-way-back",
    "one_way",
    multiple=True,
    metavar="ENTITY",
    help="With writes: an entity whose rows cannot be made of its items again, and need not be.",
)
@click.option("--wait", is_flag=True, help="Wait where a gate opens by itself; with writes, until TTL is enabled.")
@move_options
@click.pass_obj
def command(  # noqa: PLR0913 - its options
    invocation: Invocation,
    *,
    phase: str,
    percent: int | None,
    entities: tuple[str, ...],
    max_age: timedelta | None,
    one_way: tuple[str, ...],
    wait: bool,
    dry_run: bool,
    yes: bool,
    no_input: bool,
    as_json: bool,
) -> int:
    """Move on to the next phase, through its gates.

    From dual-write on, relays carry changes of the source over into the target, and copies go beside them. With reads,
    applications read the target for so many percent of the keys; the first such move passes gates, a change of the
    percentage needs none. With writes, the source is fenced, its last changes are carried over, and applications write
    to the target. Exit code 8 where a gate refuses.
    """
    to = PHASES[phase]
    _check(to, percent, entities, max_age, one_way)
    settings = load_settings(**invocation.settings)
    terms = replace(terms_of(settings), percent=ALL_READS if percent is None else percent, one_way=one_way)
    if max_age is not None:
        terms = replace(terms, max_age=max_age)
    asked = Asked(dry_run=dry_run, yes=yes, no_input=no_input, as_json=as_json)
    ways: list[Way] = []
    for work in load_entities(settings, entities, mentioned=one_way):
        own = replace(terms, entities=named_of(work, entities), one_way=named_of(work, one_way))
        if to == "write_target":
            ways.append(Opening(work, settings, own, wait))
        else:
            ways.append(Recorded(work, settings, to, own, waiting if wait else None))
    return make(settings, ways, asked, after=AFTER)


def _check(
    to: Phase,
    percent: int | None,
    entities: tuple[str, ...],
    max_age: timedelta | None,
    one_way: tuple[str, ...],
) -> None:
    """Refuse options that mean nothing for a phase."""
    if to == "dual_write" and (percent is not None or max_age is not None or entities):
        raise UsageError(
            "--percent, --entity and --max-age are said of reads",
            safe="Nothing was moved.",
            next_step="To move all entities on, run `migrate switch dual-write`.",
        )
    if to == "write_target" and percent is not None:
        raise UsageError(
            "--percent is said of reads: all keys of an entity are written in one store",
            safe="Nothing was moved.",
            next_step="To move some entities only, name them: `migrate switch writes --entity NAME`.",
        )
    if to != "write_target" and one_way:
        raise UsageError(
            "--without-way-back is said of writes",
            safe="Nothing was moved.",
            next_step="The way back from reads needs nothing of the items.",
        )
