"""A move between phases as a command makes it: the gates shown, the question asked, the move made."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import rich_click as click

from migrator.cli.options import confirm
from migrator.cli.output import print_json
from migrator.cli.work import check_marks, load_work, stores_of, times_of
from migrator.errors import GateError
from migrator.phases import examine, move
from migrator.settings import load_settings

if TYPE_CHECKING:
    from collections.abc import Sequence

    from migrator.cli.invocation import Invocation
    from migrator.cli.work import Work
    from migrator.phases import Plan
    from migrator.postgres.phases import Phase

REFUSED: Final = GateError.exit_code


@dataclass(frozen=True)
class Asked:
    """What the options say; `max_wcu` is a repair's."""

    dry_run: bool
    yes: bool
    no_input: bool
    as_json: bool
    max_wcu: int | None = None


def make(invocation: Invocation, to: Phase, asked: Asked, *, wait: bool, after: str) -> int:
    """Move the models of the settings to a phase, or show what stands in the way; return the exit code.

    `wait`: wait for gates that open by themselves; `after`: what may be done when the move is made.

    Raises:
        GateError: a gate refuses; models before this one, if there are several, have moved.
    """
    settings = load_settings(**invocation.settings)
    if to == "dual_write":
        check_marks(settings)
    works = load_work(settings)
    url, life = stores_of(settings).database_url, times_of(settings).life
    plans = [asyncio.run(examine(work.model, url, to, life=life)) for work in works]
    for work, plan in zip(works, plans, strict=True):
        if not asked.as_json:
            _show(work, plan)
    if asked.dry_run:
        if asked.as_json:
            print_json({"models": _as_json(works, plans, moved=False)})
        return REFUSED if any(plan.closed for plan in plans) else 0
    leaving = [work.model.name for work, plan in zip(works, plans, strict=True) if plan.entities]
    if leaving:
        confirm(f"Move {', '.join(leaving)} to {to}?", yes=asked.yes, no_input=asked.no_input)
    waiting = _waiting if wait else None
    made = [asyncio.run(move(work.model, url, to, life=life, waiting=waiting)) for work in works]
    if asked.as_json:
        print_json({"models": _as_json(works, made, moved=True)})
    for work, plan in zip(works, made, strict=True):
        if plan.entities:
            click.echo(f"done: {work.model.name} is in phase {to}", err=True)
            click.echo(f"next: {after}", err=True)
    return 0


def _waiting(seconds: float) -> None:
    click.echo(f"waiting {seconds:,.0f} s until no request of a copy can arrive any more", err=True)


def _show(work: Work, plan: Plan) -> None:
    if not plan.entities:
        click.echo(f"{work.model.name}: is in phase {plan.to} already")
        return
    click.echo(f"{work.model.name}: to phase {plan.to}, {len(plan.entities)} entities")
    for gate in plan.gates:
        click.echo(f"  {'open  ' if gate.is_open else 'closed'}  {gate.name}")
        for reason in gate.reasons:
            click.echo(f"          {reason}")
        for step in gate.next_steps:
            click.echo(f"          next: {step}")


def _as_json(works: Sequence[Work], plans: Sequence[Plan], *, moved: bool) -> list[dict[str, Any]]:
    return [
        {
            "name": work.model.name,
            "to": plan.to,
            "entities": plan.entities,
            "moved": moved,
            "gates": [
                {
                    "name": gate.name,
                    "open": gate.is_open,
                    "reasons": gate.reasons,
                    "next": gate.next_steps,
                    "wait_seconds": gate.wait,
                }
                for gate in plan.gates
            ],
        }
        for work, plan in zip(works, plans, strict=True)
    ]
