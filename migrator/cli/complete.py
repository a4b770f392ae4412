"""`migrate complete`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import rich_click as click

from migrator.cli.moves import Asked, make
from migrator.cli.options import move_options
from migrator.cli.ways import Completing
from migrator.cli.work import load_entities, named_of
from migrator.phases import Terms
from migrator.settings import load_settings

if TYPE_CHECKING:
    from migrator.cli.invocation import Invocation
    from migrator.postgres.phases import Phase

AFTER: Final[dict[Phase, str]] = {
    "complete": 'applications are opened with phase="complete" and need PostgreSQL no more; stop the relays',
}


@click.command("complete")
@move_options
@click.pass_obj
def command(
    invocation: Invocation,
    *,
    entities: tuple[str, ...],
    dry_run: bool,
    yes: bool,
    no_input: bool,
    as_json: bool,
) -> int:
    """End the migration: give up the way back, drop capture, sweep tombstones.

    From then on the source is not kept up to date, and stays fenced. A run that is cut off is continued by the next
    one. Exit code 8 where writes have not moved.
    """
    settings = load_settings(**invocation.settings)
    ways = [Completing(work, settings, Terms(named_of(work, entities))) for work in load_entities(settings, entities)]
    asked = Asked(dry_run=dry_run, yes=yes, no_input=no_input, as_json=as_json)
    return make(settings, ways, asked, after=AFTER)
