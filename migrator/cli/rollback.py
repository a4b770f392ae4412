"""`migrate rollback`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import rich_click as click

from migrator.cli.moves import Asked, make
from migrator.cli.options import change_options, common_options, json_option, mapping_options

if TYPE_CHECKING:
    from migrator.cli.invocation import Invocation


@click.command("rollback")
@mapping_options
@change_options
@json_option
@common_options
@click.pass_obj
def command(invocation: Invocation, *, dry_run: bool, yes: bool, no_input: bool, as_json: bool) -> int:
    """Move back to the phase before.

    From dual-write back to prepare, relays stop writing at once; changes are marked as before. All entities move
    together, or none. Exit code 8 where a gate refuses.
    """
    asked = Asked(dry_run=dry_run, yes=yes, no_input=no_input, as_json=as_json)
    return make(
        invocation, "prepare", asked, wait=False, after="relays write nothing more; `migrate switch dual-write` goes on"
    )
