"""`migrate copy`."""

from __future__ import annotations

import asyncio
from dataclasses import asdict
from itertools import chain
from typing import TYPE_CHECKING, Any, Final

import rich_click as click

from migrator.cli.metrics.copying import CopyMetrics, CountingCopy
from migrator.cli.metrics.exports import Exports, metrics_options
from migrator.cli.options import (
    change_options,
    common_options,
    confirm,
    json_option,
    mapping_options,
    target_options,
    workers_option,
)
from migrator.cli.output import print_json, print_table
from migrator.cli.progress import copy_progress
from migrator.cli.work import load_work, stores_of, times_of
from migrator.engines.copy import Limits, Outcome, TablePlan, copy, plan
from migrator.postgres.checkpoints import Counts
from migrator.settings import load_settings

if TYPE_CHECKING:
    from collections.abc import Sequence

    from migrator.cli.invocation import Invocation
    from migrator.cli.work import Work
    from migrator.engines.stores import Stores

NAMED: Final = 3
"""Up to so many tables are named in a question."""


@click.command("copy")
@click.argument("tables", nargs=-1, metavar="[TABLE]...")
@workers_option
@click.option("--max-wcu", type=click.IntRange(min=1), metavar="N", help="Write units per second to stay within.")
@click.option("--restart", is_flag=True, help="Forget what earlier runs have settled, and copy all rows again.")
@metrics_options
@mapping_options
@target_options
@change_options
@json_option
@common_options
@click.pass_obj
def command(  # noqa: PLR0913 - its options
    invocation: Invocation,
    *,
    tables: tuple[str, ...],
    workers: int,
    max_wcu: int | None,
    restart: bool,
    metrics: tuple[str, int] | None,
    emf: str | None,
    dry_run: bool,
    yes: bool,
    no_input: bool,
    as_json: bool,
) -> int:
    """Copy rows into items, going on where an earlier run has stopped.

    Without a TABLE, all tables of the mappings are copied. A row that has no exact items is set aside, and the rest
    goes on; `migrate status` names such rows. Exit code 1 where rows are set aside.
    """
    exports = Exports.asked(metrics, emf, as_json=as_json)
    settings = load_settings(**invocation.settings)
    works = load_work(settings, tables)
    stores = stores_of(settings)
    plans = [asyncio.run(plan(work.model, work.entities, stores)) for work in works]
    if dry_run:
        _show_plans(works, plans, restart=restart, as_json=as_json)
        return 0
    begun = [each.source for each in chain(*plans) if each.record]
    if restart and begun:
        which = ", ".join(begun) if len(begun) <= NAMED else f"{len(begun)} tables"
        confirm(f"Forget how far the copy of {which} is?", yes=yes, no_input=no_input)
    limits = Limits(workers, max_wcu, times_of(settings), settings.marks_bytes)
    outcomes = []
    counts = CopyMetrics(work.model.name for work in works)
    with exports.given(counts.registry, counts.health):
        for work, planned in zip(works, plans, strict=True):
            outcome = _run(work, stores, limits, counts, restart=restart)
            outcomes.append(outcome)
            if not as_json:
                _show(work, outcome, complete=not restart and all(each.finished for each in planned))
    if as_json:
        print_json({"models": [_as_json(work, outcome) for work, outcome in zip(works, outcomes, strict=True)]})
    return int(any(_waiting(outcome) for outcome in outcomes))


def _run(work: Work, stores: Stores, limits: Limits, counts: CopyMetrics, *, restart: bool) -> Outcome:
    with copy_progress() as progress:
        work_done = copy(
            work.model,
            work.entities,
            stores,
            mappings=work.module,
            limits=limits,
            restart=restart,
            listener=CountingCopy(work.model.name, counts, progress),
        )
        try:
            return asyncio.run(work_done)
        except KeyboardInterrupt:
            if restart:
                click.echo("note: to go on from here, leave out --restart", err=True)
            raise


def _waiting(outcome: Outcome) -> int:
    return sum(outcome.waiting.values())


def _show_plans(works: Sequence[Work], plans: Sequence[Sequence[TablePlan]], *, restart: bool, as_json: bool) -> None:
    if as_json:
        pairs = zip(works, plans, strict=True)
        print_json({"models": [{"name": work.model.name, "tables": list(map(asdict, each))} for work, each in pairs]})
        return
    print_table(
        ("table", "rows, about", "settled", "path", "would"),
        [
            (each.source, each.rows, each.settled.rows, each.path or "", _would(each, restart=restart))
            for each in chain(*plans)
        ],
    )


def _would(table: TablePlan, *, restart: bool) -> str:
    """What a copy would do with a table."""
    if table.path is not None and (restart or table.record is None):
        return "be copied" if table.record is None else "be copied anew"
    if table.path is None:
        return "be refused: its phase allows no copy"
    if table.stale:
        return "be refused: the copy on record was made under another mapping or source schema (see --restart)"
    return "be left: it is complete" if table.finished else "be continued"


def _show(work: Work, outcome: Outcome, *, complete: bool) -> None:
    name, total = work.model.name, outcome.total
    if complete:
        click.echo(f"{name}: the copy was complete already; --restart copies all rows again")
    else:
        print_table(
            ("table", "rows", "items", "past TTL", "set aside"),
            [
                (entity.source_name, counts.rows, counts.items, counts.expired, counts.set_aside)
                for entity in work.entities
                for counts in [outcome.counts.get(entity.source_name, Counts())]
            ],
        )
        rate = total.rows / outcome.seconds
        click.echo(
            f"{name}: {total.rows:,} rows became {total.items:,} items in {outcome.seconds:,.1f} s ({rate:,.0f} rows/s)"
        )
    if outcome.tally.present:
        click.echo(f"{name}: {outcome.tally.present:,} of these items were there already, and were left as they were")
    waiting = {source: count for source, count in outcome.waiting.items() if count}
    for source, count in waiting.items():
        click.echo(f"{source}: {count:,} {'row is' if count == 1 else 'rows are'} set aside", err=True)
    if waiting:
        click.echo("next: `migrate status` names them; correct them, then run `migrate copy` again", err=True)
    else:
        click.echo("next: migrate verify", err=True)


def _as_json(work: Work, outcome: Outcome) -> dict[str, Any]:
    tally = outcome.tally
    return {
        "name": work.model.name,
        "followed": outcome.followed,
        "seconds": outcome.seconds,
        "tables": [
            {
                "table": entity.source_name,
                **asdict(outcome.counts.get(entity.source_name, Counts())),
                "waiting": outcome.waiting.get(entity.source_name, 0),
            }
            for entity in work.entities
        ],
        "requests": tally.requests,
        "present": tally.present,
        "write_units": tally.consumed,
        "unprocessed": tally.unprocessed,
        "retries": tally.retries,
    }
