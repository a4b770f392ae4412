"""`migrate rehearse`."""

from __future__ import annotations

import asyncio
from dataclasses import asdict
from typing import TYPE_CHECKING, Any, Final

import rich_click as click

from migrator.cli.options import common_options, json_option, mapping_options, target_options
from migrator.cli.output import print_json, print_table, printable
from migrator.cli.work import load_work, stores_of
from migrator.engines.rehearsal import Rehearsed, rehearse
from migrator.settings import load_settings

if TYPE_CHECKING:
    from collections.abc import Sequence

    from migrator.cli.invocation import Invocation
    from migrator.engines.rehearsal import Failure

FAILED: Final = 3
SHOWN: Final = 20


@click.command("rehearse")
@click.option(
    "--sample",
    type=click.IntRange(1, 100_000),
    default=100,
    show_default=True,
    metavar="N",
    help="Rows of each entity, drawn at random.",
)
@mapping_options
@target_options
@json_option
@common_options
@click.pass_obj
def command(invocation: Invocation, *, sample: int, as_json: bool) -> int:
    """Prove the way back on a sample of rows: to their items, and from these back into their tables.

    Rows are written to temporary stand-ins of the tables, which are undone: nothing is changed, but that it was done is
    recorded. Exit code 3 where a row does not come back.
    """
    settings = load_settings(**invocation.settings)
    works, stores = load_work(settings), stores_of(settings)
    found = {work.model.name: asyncio.run(rehearse(work.model, stores, sample=sample)) for work in works}
    if as_json:
        print_json({"models": [{"name": name, "entities": _dicts(each)} for name, each in found.items()]})
    else:
        for name, each in found.items():
            _show(name, each)
    return FAILED if any(rehearsed.failures for each in found.values() for rehearsed in each) else 0


def _dicts(found: Sequence[Rehearsed]) -> list[dict[str, Any]]:
    return [
        {"entity": each.entity.name, **each.counts(), "failures": [asdict(failure) for failure in each.failures]}
        for each in found
    ]


def _show(model: str, found: Sequence[Rehearsed]) -> None:
    print_table(
        (model, "rows", "came back", "past TTL", "changing", "failed"),
        [(each.entity.name, each.rows, each.proven, each.expired, each.moving, len(each.failures)) for each in found],
    )
    failed = [(each.entity, failure) for each in found for failure in each.failures]
    for entity, failure in failed[:SHOWN]:
        click.echo(f"  {printable(_sentence(entity.source_name, failure))}")
    if len(failed) > SHOWN:
        click.echo(f"  and {len(failed) - SHOWN:,} more; `migrate rehearse --json` lists them all")
    for each in found:
        if each.dropped:
            click.echo(f"{each.entity.name} comes back without {', '.join(each.dropped)}, which its mapping drops")
    if failed:
        click.echo(
            "next: see that `migrate relay` runs and nothing is set aside (`migrate status`); where `migrate verify` "
            "finds these rows equal, correct their mapping's inverse",
            err=True,
        )
    else:
        click.echo(f"{model}: every row came back that could be looked at")


def _sentence(table: str, failure: Failure) -> str:
    key = ", ".join(f"{name} {value}" for name, value in failure.key.items())
    columns = f": {', '.join(failure.columns)}" if failure.columns else ""
    return f"{table}, {key}{columns}: {failure.reason}"
