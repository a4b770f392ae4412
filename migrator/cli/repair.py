"""`migrate verify --repair`: what differs is shown, the question asked, the repair made, and all verified again."""

from __future__ import annotations

import asyncio
import shlex
from contextlib import ExitStack
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import orjson
import rich_click as click

from migrator.cli import verification
from migrator.cli.options import confirm
from migrator.cli.output import printable
from migrator.cli.progress import repair_progress
from migrator.cli.report.making import Repair, verified
from migrator.engines.verify import Outlook, Repaired, Report, Suspects, Verdict, accept, look, repair

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from migrator.cli.moves import Asked
    from migrator.cli.report.document import ModelVerified
    from migrator.cli.report.forms import Forms
    from migrator.cli.verification import Comparison
    from migrator.cli.work import Work
    from migrator.engines.stores import Stores
    from migrator.reconcile import Times

SHOWN: Final = 5


@dataclass
class _Case:
    """One model: how capture stood before the latest verification, what it found, and what was repaired before it."""

    work: Work
    suspects: Suspects
    outlook: Outlook
    report: Report
    before: Report
    repaired: Repaired | None = None


def repair_all(works: Sequence[Work], compare: Comparison, times: Times, asked: Asked, forms: Forms) -> bool:
    """Verify, repair, verify again; return whether target and source are equal then.

    Raises:
        GateError: the phase does not allow it.
        UsageError: there is nobody to ask.
    """
    stores = compare.stores
    with ExitStack() as stack:
        outlooks = [_look(work, stores, times) for work in works]
        cases = [
            _examine(work, outlook, compare, stack.enter_context(Suspects()), asked)
            for work, outlook in zip(works, outlooks, strict=True)
        ]
        unsettled = [case for case in cases if len(case.suspects) or case.outlook.set_aside]
        if unsettled and not asked.dry_run:
            confirm(_question(unsettled), yes=asked.yes, no_input=asked.no_input)
            for case in unsettled:
                _repair(case, compare, times, asked)
        accepted = [] if asked.dry_run or compare.scope.narrowed else _accept(cases, stores)
        forms.give(lambda values: [_verified(case, accepted, stores, values=values) for case in cases])
        return all(case.report.clean for case in cases)


def _look(work: Work, stores: Stores, times: Times) -> Outlook:
    """How capture stands before a verification: only what has happened by now is accepted after it."""
    return asyncio.run(look(work.model, work.entities, stores, life=times.life))


def _examine(work: Work, outlook: Outlook, compare: Comparison, suspects: Suspects, asked: Asked) -> _Case:
    report = compare(work, suspects)
    if not asked.as_json:
        verification.show(work, report, steps=asked.dry_run or not len(suspects))
    return _Case(work, suspects, outlook, report, report)


def _question(cases: Sequence[_Case]) -> str:
    keys, aside = sum(len(case.suspects) for case in cases), sum(case.outlook.set_aside for case in cases)
    names = ", ".join(case.work.model.name for case in cases)
    if not keys:
        return f"Try {aside:,} changes of {names} again that were set aside?"
    return f"Bring {keys:,} keys of {names} in order{f', and try {aside:,} changes again' if aside else ''}?"


def _repair(case: _Case, compare: Comparison, times: Times, asked: Asked) -> None:
    work, stores = case.work, compare.stores
    with repair_progress(len(case.suspects)) as progress:
        repairing = repair(
            work.model,
            work.entities,
            stores,
            case.suspects,
            times=times,
            max_wcu=asked.max_wcu,
            max_rcu=compare.scope.max_rcu,
            listener=progress,
        )
        case.repaired = asyncio.run(repairing)
    if not asked.as_json:
        for line in _sentences(case.repaired):
            click.echo(f"{work.model.name}: {line}")
    case.outlook = _look(work, stores, times)
    case.report = compare(work, again=case.suspects)
    if not asked.as_json:
        verification.show(work, case.report)
    for table, key in case.repaired.alone_keys[:SHOWN]:
        text = shlex.quote(orjson.dumps(key).decode())
        command = f"aws dynamodb delete-item --table-name {shlex.quote(table)} --key {text}"
        click.echo(f"next: where nobody else needs it: {printable(command)}", err=True)


def _sentences(done: Repaired) -> Iterator[str]:
    """What a repair has done."""
    marked = ", ".join(f"{count:,} {verdict.value}" for verdict, count in _counts(done)) or "none differs any more"
    if done.tried:
        yield f"{done.tried:,} changes that were set aside tried again"
    yield (
        f"{done.examined:,} keys looked at, {marked}; {done.written:,} items and tombstones written in "
        f"{done.seconds:,.1f} s"
    )
    for reason, count in done.set_aside.items():
        yield f"{count:,} set aside: {reason}"
    if done.waiting:
        yield f"{done.waiting:,} changes left to relays: others write to the same keys"
    if done.alone:
        yield f"{done.alone:,} items left alone, since no row of the mapping can own them"


def _counts(done: Repaired) -> list[tuple[Verdict, int]]:
    """How many keys were marked, by verdict, in the order of the verdicts."""
    return [(verdict, done.marked[verdict]) for verdict in Verdict if done.marked[verdict]]


def _accept(cases: Sequence[_Case], stores: Stores) -> list[str]:
    """Accept the tables that were found equal as they are; return those on which something had happened unmarked.

    A table of several models is accepted where all of them are equal.
    """
    unequal = {seen.source for case in cases if not case.report.clean for seen in case.outlook.seen.values()}
    accepted: dict[str, None] = {}
    for case in cases:
        equal = {source: seen for source, seen in case.outlook.acceptable.items() if seen.source not in unequal}
        asyncio.run(accept(stores, list(equal.values())))
        accepted |= dict.fromkeys(source for source in equal if source in case.outlook.demanding)
        for source, seconds in case.outlook.early.items():
            click.echo(f"warning: requests with rows of {source} as they were before may still arrive", err=True)
            click.echo(f"next: wait {seconds:,.0f} seconds, then migrate verify --repair {source}", err=True)
        for source, faults in case.outlook.faults.items():
            for fault in faults:
                click.echo(f"warning: {fault.sentence}: what changes {source} is not marked", err=True)
                click.echo(f"next: {fault.next_step}, then migrate verify --repair {source}", err=True)
    if accepted:
        click.echo(f"done: every change of {', '.join(accepted)} counts as marked again", err=True)
    return list(accepted)


def _verified(case: _Case, accepted: Sequence[str], stores: Stores, *, values: bool) -> ModelVerified:
    sources = {entity.source_name for entity in case.work.entities}
    done = Repair(case.before, case.repaired, [source for source in accepted if source in sources])
    return verified(case.work, case.report, stores, values=values, repair=done)
