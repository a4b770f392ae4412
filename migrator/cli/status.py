"""`migrate status`."""

from __future__ import annotations

import time
from dataclasses import asdict
from typing import TYPE_CHECKING, Any, Final

import rich_click as click

from migrator.cli.duration import duration_text
from migrator.cli.options import common_options, json_option, mapping_options, target_options
from migrator.cli.output import print_json, print_table, printable
from migrator.cli.standing import Source, Standing, Target, capture_remarks, standing_of
from migrator.cli.work import load_work, stores_of
from migrator.postgres import state
from migrator.settings import load_settings

if TYPE_CHECKING:
    from migrator.cli.invocation import Invocation
    from migrator.postgres.pending import Backlog
    from migrator.postgres.rehearsals import Rehearsal
    from migrator.postgres.streams import Backlog as Carried
    from migrator.postgres.verifications import Verification

SECONDS_BETWEEN: Final = 2.0
OUTCOMES: Final = {
    "equal": "found target and source equal",
    "different": "found differences",
    "failed": "failed",
    "interrupted": "was interrupted",
    "running": "is under way",
}


@click.command("status")
@click.option("--watch", is_flag=True, help="Show it again every two seconds, until Ctrl-C.")
@mapping_options
@target_options
@json_option
@common_options
@click.pass_obj
def command(invocation: Invocation, *, watch: bool, as_json: bool) -> None:
    """Show where the migration stands: phase, progress, verification, next steps.

    Also what stands in the way: rows that were set aside, a source or a target that is not as declared. Nothing is
    changed; a replica of the source will do.
    """
    settings = load_settings(**invocation.settings)
    works = load_work(settings)
    stores = stores_of(settings)
    while True:
        standings = [standing_of(work, stores, settings) for work in works]
        if as_json:
            print_json({"models": [_as_json(standing) for standing in standings]})
        else:
            if watch:
                click.clear()
            for standing in standings:
                _show(standing)
        if not watch:
            return
        time.sleep(SECONDS_BETWEEN)


def _show(standing: Standing) -> None:
    click.echo(f"{standing.model}: phase {standing.phase}")
    if standing.version < state.LATEST:
        installed = f"of version {standing.version}" if standing.version else "not installed"
        click.echo(f"toolkit's schema: {installed}, this release needs version {state.LATEST}")
    for target in standing.targets:
        click.echo(f"table {target.name}: {_target_words(target)}")
    for group in standing.groups:
        if group.at.percent or group.at.stage or standing.phase != group.at.phase:
            click.echo(f"phase: {group.words}")
    click.echo()
    print_table(
        ("source", "rows, about", "settled", "items", "past TTL", "set aside", "copy", "changes"),
        [_line(source) for source in standing.sources],
    )
    click.echo()
    _show_aside(standing)
    for remark in capture_remarks(standing.captures):
        click.echo(f"note: {printable(remark)}")
    if standing.backlog is not None:
        click.echo(f"changes: {_backlog_words(standing.backlog)}")
    if standing.carried is not None:
        click.echo(f"carried back: {_carried_words(standing.carried)}")
    click.echo(f"verification: {_verification_words(standing)}")
    if standing.rehearsal is not None:
        click.echo(f"rehearsal: {_rehearsal_words(standing, standing.rehearsal)}")
    if standing.divergences:
        click.echo(f"divergences: {standing.divergences:,} open; `migrate history --divergences --open` names them")
    _show_steps(standing)


def _show_steps(standing: Standing) -> None:
    for sentence in standing.in_the_way():
        click.echo(f"in the way: {printable(sentence)}")
    for sentence in standing.not_yet():
        click.echo(f"not yet: {printable(sentence)}")
    steps = list(standing.next_steps())
    for step in steps:
        click.echo(f"next: {step}")
    if not steps and not list(standing.in_the_way()):
        proof = "; `migrate verify` proves it again at any time"
        click.echo(f"next: nothing{': the migration is complete' if standing.complete else proof}")


def _target_words(target: Target) -> str:
    if target.status is None:
        return "does not exist"
    return "; ".join([target.status, *(f"not as declared: {change}" for change in target.changes)])


def _line(source: Source) -> tuple[str | int, ...]:
    if source.plan is None:
        return source.name, "?", "", "", "", "", "not as the mapping declares", ""
    plan, counts = source.plan, source.plan.settled
    if plan.stale:
        copied = "of another mapping or source schema"
    elif plan.record is None:
        copied = "not begun"
    else:
        copied = "complete" if plan.finished else "begun"
    followed = "ended" if source.ended else "followed" if source.followed else "not followed"
    return source.name, plan.rows, counts.rows, counts.items, counts.expired, source.set_aside, copied, followed


def _show_aside(standing: Standing) -> None:
    for source in standing.sources:
        for mark in source.aside:
            key = ", ".join(f"{name} {text}" for name, text in (mark.row_key or {}).items())
            which = f"{source.name} ({key})" if key else f"{source.name}, {mark.operation}"
            click.echo(printable(f"set aside: {which}: {mark.reason}"))
        if source.set_aside > len(source.aside):
            click.echo(f"set aside: {source.name}: {source.set_aside - len(source.aside):,} more")


def _backlog_words(backlog: Backlog) -> str:
    if not backlog.waiting + backlog.set_aside:
        return "none waits"
    words = [f"{backlog.waiting:,} wait"]
    if backlog.waiting:
        words.append(f"the oldest for {backlog.lag:,.0f} s")
    return ", ".join([*words, f"{backlog.set_aside:,} set aside", f"{backlog.bytes / 1_000_000:,.1f} MB on disk"])


def _carried_words(carried: Carried) -> str:
    refused = f"{carried.refused:,} changes refused" if carried.refused else "nothing refused"
    if carried.seconds is None:
        return f"{refused}; a stream has never been read: see that `migrate relay` runs"
    late = f" and {carried.lag:,.0f} s late" if carried.lag else ""
    return f"{refused}; the streams were read {carried.seconds:,.0f} s ago{late}"


def _verification_words(standing: Standing) -> str:
    done, attempt = standing.verification, standing.attempt
    words = ["none yet"] if done is None else [f"{'equal' if done.clean else 'differences'} at {_when(standing, done)}"]
    if done is not None and not done.whole:
        words.append("of a part")
    if standing.outdated:
        words.append(f"outdated ({standing.outdated})")
    if standing.unverified:
        words.append(f"without {', '.join(standing.unverified)}")
    if attempt is not None and attempt != done:
        words.append(f"the last one, at {_when(standing, attempt)}, {OUTCOMES[attempt.outcome]}")
    return "; ".join(words)


def _rehearsal_words(standing: Standing, done: Rehearsal) -> str:
    words = "every row came back" if done.proven else "rows did not come back"
    if done.mapping_fingerprint != standing.fingerprint:
        words += ", under another mapping"
    return f"{words} at {_when(standing, done)}"


def _when(standing: Standing, done: Verification | Rehearsal) -> str:
    """When it began, and how long ago that was."""
    ago = "" if standing.at is None else f" ({duration_text(standing.at - done.started_at)} ago)"
    return f"{done.started_at:%Y-%m-%d %H:%M:%S %Z}{ago}"


def _as_json(standing: Standing) -> dict[str, Any]:
    return {
        "name": standing.model,
        "phase": standing.phase,
        "phases": standing.phases,
        "groups": [group.as_json() for group in standing.groups],
        "fingerprint": standing.fingerprint,
        "schema_version": standing.version,
        "sources": [_source_as_json(source) for source in standing.sources],
        "tables": [
            {"table": target.name, "status": target.status, "changes": target.changes, "problem": target.problem}
            for target in standing.targets
        ],
        "marks": standing.backlog and asdict(standing.backlog),
        "carried_back": standing.carried and asdict(standing.carried),
        "verification": _verification_as_json(standing, standing.verification),
        "rehearsal": standing.rehearsal and asdict(standing.rehearsal),
        "last_attempt": standing.attempt
        and {
            "started_at": standing.attempt.started_at,
            "outcome": standing.attempt.outcome,
            "failure": standing.attempt.failure,
        },
        "open_divergences": standing.divergences,
        "in_the_way": list(standing.in_the_way()),
        "ttl_due": standing.ttl_due,
        "moves": [move.as_json() for move in standing.moves],
        "next": list(standing.next_steps()),
    }


def _source_as_json(source: Source) -> dict[str, Any]:
    plan = source.plan
    record = None if plan is None else plan.record
    return {
        "table": source.name,
        "problem": source.problem,
        "rows": None if plan is None else plan.rows,
        "settled": None if plan is None else plan.settled,
        "started_at": record and record.started_at,
        "finished_at": record and record.finished_at,
        "stale": plan is not None and plan.stale,
        "captured": source.capture is not None and source.capture.stands,
        "followed": source.followed,
        "capture_faults": [asdict(fault) for fault in (source.capture.faults if source.capture else ())],
        "set_aside": source.set_aside,
        "reasons": [{"key": mark.row_key, "reason": mark.reason} for mark in source.aside],
    }


def _verification_as_json(standing: Standing, done: Verification | None) -> dict[str, Any] | None:
    if done is None:
        return None
    return {
        "started_at": done.started_at,
        "finished_at": done.finished_at,
        "age_seconds": None if standing.at is None else (standing.at - done.started_at).total_seconds(),
        "clean": done.clean,
        "whole": done.whole,
        "counts": done.counts,
        "outdated": standing.outdated,
        "without": standing.unverified,
    }
