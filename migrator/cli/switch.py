"""`migrate switch`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import rich_click as click

from migrator.cli.moves import Asked, make
from migrator.cli.options import change_options, common_options, json_option, mapping_options

if TYPE_CHECKING:
    from migrator.cli.invocation import Invocation


@click.command("switch")
@click.argument("phase", type=click.Choice(["dual-write"]))
@click.option("--wait", is_flag=True, help="Wait where a gate opens by itself.")
@mapping_options
@change_options
@json_option
@common_options
@click.pass_obj
def command(  # noqa: PLR0913 - its options
    invocation: Invocation, *, phase: str, wait: bool, dry_run: bool, yes: bool, no_input: bool, as_json: bool
) -> int:
    """Move on to the next phase, through its gates.

    From dual-write on, relays carry changes of the source over into the target, and copies go beside them. All entities
    move together, or none. Exit code 8 where a gate refuses.
    """
    asked = Asked(dry_run=dry_run, yes=yes, no_input=no_input, as_json=as_json)
    return make(
        invocation,
        "dual_write" if phase == "dual-write" else "prepare",
        asked,
        wait=wait,
        after="migrate relay: from now on it carries over what changes",
    )
