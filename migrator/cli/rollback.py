"""`migrate rollback`."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final

import rich_click as click

from migrator.cli.moves import Asked, make
from migrator.cli.options import move_options
from migrator.cli.ways import Recorded, Returning
from migrator.cli.work import load_entities, named_of, stores_of
from migrator.phases import Terms, phase_before
from migrator.settings import load_settings

if TYPE_CHECKING:
    from migrator.cli.invocation import Invocation
    from migrator.cli.ways import Way
    from migrator.postgres.phases import Phase

PHASES: Final[dict[str, Phase]] = {"prepare": "prepare", "dual-write": "dual_write"}
AFTER: Final[dict[Phase, str]] = {
    "prepare": "relays write nothing more; `migrate switch dual-write` goes on",
    "dual_write": "applications read the source again; `migrate switch reads` goes on, `migrate rollback` further back",
    "read_target": "applications write to the source; `migrate switch writes` goes on, `migrate rollback` further back",
}


@click.command("rollback")
@click.option("--to", type=click.Choice(list(PHASES)), help="The phase to go back to; the one before if not given.")
@move_options
@click.pass_obj
def command(  # noqa: PLR0913 - its options
    invocation: Invocation,
    *,
    to: str | None,
    entities: tuple[str, ...],
    dry_run: bool,
    yes: bool,
    no_input: bool,
    as_json: bool,
) -> int:
    """Move back to the phase before.

    Where reads have moved for some entities only, those go back, and the others stay. From dual-write back to prepare,
    relays stop writing at once; changes are marked as before. Where writes have moved, no application writes until what
    was written in the target is carried back and both stores were compared. With --to, a second run moves nothing.
    Exit code 8 where the move is not legal.
    """
    settings = load_settings(**invocation.settings)
    works = load_entities(settings, entities)
    url = stores_of(settings).database_url
    ways: list[Way] = []
    for work in works:
        named = named_of(work, entities)
        terms = Terms(named, back=True)
        before = asyncio.run(phase_before(work.model, url, named))
        # Out of `write_target` the way leads to `dual_write`, and to `prepare` only from there.
        if before == "read_target" and to != "prepare":
            ways.append(Returning(work, settings, terms))
        else:
            ways.append(Recorded(work, settings, PHASES[to] if to else before, terms))
    asked = Asked(dry_run=dry_run, yes=yes, no_input=no_input, as_json=as_json)
    return make(settings, ways, asked, after=AFTER)
