"""`migrate verify`."""

from __future__ import annotations

from contextlib import ExitStack, nullcontext
from functools import partial
from typing import TYPE_CHECKING, Final

import rich_click as click

from migrator.cli.alerts import told_unbegun
from migrator.cli.duration import Duration
from migrator.cli.metrics.exports import Exports, metrics_options
from migrator.cli.metrics.verifying import VerifyMetrics
from migrator.cli.moves import Asked
from migrator.cli.options import (
    change_options,
    common_options,
    json_option,
    mapping_options,
    target_options,
    workers_option,
)
from migrator.cli.parities import patterns_option
from migrator.cli.repair import repair_all
from migrator.cli.report.forms import Forms, report_options
from migrator.cli.report.making import verified
from migrator.cli.rounds import Rounds
from migrator.cli.scope import scope_options
from migrator.cli.verification import Comparison, show, tell_cost
from migrator.cli.watch import Watch
from migrator.cli.work import load_work, stores_of, times_of
from migrator.errors import UsageError
from migrator.settings import load_settings

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import timedelta
    from pathlib import Path

    from migrator.cli.invocation import Invocation
    from migrator.cli.scope import ScopeAsked
    from migrator.cli.work import Work

DIFFERENT: Final = 3


@click.command("verify")
@click.argument("tables", nargs=-1, metavar="[TABLE]...")
@click.option("--repair", is_flag=True, help="Bring what differs in order, then verify again; asks first.")
@click.option(
    "--every",
    type=Duration(),
    help="Verify again and again, about so often, until Ctrl-C or SIGTERM; as in 5m or 1h30m.",
)
@scope_options
@workers_option
@click.option("--max-rcu", type=click.IntRange(min=1), metavar="N", help="Read units per second to stay within.")
@patterns_option
@click.option(
    "--max-wcu", type=click.IntRange(min=1), metavar="N", help="Write units per second for a repair to stay within."
)
@mapping_options
@target_options
@change_options
@report_options
@metrics_options
@json_option
@common_options
@click.pass_obj
def command(  # noqa: PLR0913 - its options
    invocation: Invocation,
    *,
    tables: tuple[str, ...],
    repair: bool,
    every: timedelta | None,
    looked_at: ScopeAsked,
    workers: int,
    max_rcu: int | None,
    patterns: int | None,
    max_wcu: int | None,
    dry_run: bool,
    yes: bool,
    no_input: bool,
    report: Path | None,
    show_values: bool,
    metrics: tuple[str, int] | None,
    emf: str | None,
    as_json: bool,
) -> int:
    """Prove that the target holds what the source asks for, and nothing else.

    Without a TABLE, all tables of the mappings are compared. Differences are named by key and attribute; values are
    told only with --show-values. Exit code 3 where there are any. Neither store's data is changed, unless with
    --repair: what differs in the target is then brought in order as relays do it, never over newer data.
    """
    with ExitStack() as stack:
        with nullcontext() if dry_run else told_unbegun():
            if every is not None and repair and not yes and not dry_run:
                raise _unasked()
            exports = Exports.asked(metrics, emf, as_json=as_json)
            forms = Forms.asked(as_json=as_json, report=report, show_values=show_values)
            settings = load_settings(**invocation.settings)
            works = load_work(settings, tables)
            stores = stores_of(settings)
            scope = looked_at.scope(
                settings, max_rcu=max_rcu, workers=workers, patterns=patterns, anew_if_other=every is not None
            )
            if dry_run and not repair:
                tell_cost(works, stores, scope, as_json=as_json)
                return 0
            # What a repair accepts in the end has to have been read by this very run.
            scope = scope if repair else looked_at.kept(scope, settings)
            counts = VerifyMetrics(work.model.name for work in works)
            compare = Comparison(stores, scope, counts)
            if repair:
                asked = Asked(dry_run=dry_run, yes=yes, no_input=no_input, as_json=as_json, max_wcu=max_wcu)
                verifying = partial(repair_all, works, compare, times_of(settings), asked, forms)
            else:
                verifying = partial(_verify_all, works, compare, forms)
            stack.enter_context(exports.given(counts.registry, counts.health))
        attempt = partial(counts.attempted, partial(Watch(works, settings, report).attempt, verifying))
        return Rounds(every).run(attempt) if every is not None else 0 if attempt() else DIFFERENT


def _unasked() -> UsageError:
    return UsageError(
        "--every with --repair cannot ask before each repair",
        safe="Nothing was done.",
        next_step="Give --yes to confirm all of them, or leave --repair out.",
    )


def _verify_all(works: Sequence[Work], compare: Comparison, forms: Forms) -> bool:
    reports = []
    for work in works:
        report = compare(work)
        reports.append(report)
        if not forms.as_json:
            show(work, report)
    found = list(zip(works, reports, strict=True))
    forms.give(lambda values: [verified(work, report, compare.stores, values=values) for work, report in found])
    return all(report.clean for report in reports)
