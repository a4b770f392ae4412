"""A move between phases as a command makes it: the gates shown, the question asked, the move made."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import rich_click as click

from migrator.cli.options import confirm
from migrator.cli.output import print_json
from migrator.cli.ways import Returning
from migrator.cli.work import check_marks
from migrator.errors import GateError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from migrator.cli.ways import Way
    from migrator.cli.work import Work
    from migrator.phases import Plan
    from migrator.postgres.phases import Phase
    from migrator.settings import Settings

REFUSED: Final = GateError.exit_code


@dataclass(frozen=True)
class Asked:
    """What the options say; `max_wcu` is a repair's."""

    dry_run: bool
    yes: bool
    no_input: bool
    as_json: bool
    max_wcu: int | None = None


def make(settings: Settings, ways: Sequence[Way], asked: Asked, *, after: Mapping[Phase, str]) -> int:
    """Make these moves, or show what stands in the way; return the exit code.

    `after`: by phase, what may be done when a move is made.

    Raises:
        GateError: a gate refuses; models before this one, if there are several, have moved.
    """
    plans = [asyncio.run(each.look()) for each in ways]
    if any(plan.to == "dual_write" and not isinstance(each, Returning) for each, plan in zip(ways, plans, strict=True)):
        check_marks(settings)
    for each, plan in zip(ways, plans, strict=True):
        if not asked.as_json:
            _show(each.work, plan)
    if asked.dry_run:
        if asked.as_json:
            print_json({"models": _as_json(ways, plans, moved=False)})
        return REFUSED if any(plan.closed for plan in plans) else 0
    questions = [
        f"{_who(each.work, plan)} to {_where(plan)}" for each, plan in zip(ways, plans, strict=True) if plan.entities
    ]
    if questions:
        confirm(f"Move {', '.join(questions)}?", yes=asked.yes, no_input=asked.no_input)
    made = [asyncio.run(each.go()) for each in ways]
    if asked.as_json:
        print_json({"models": _as_json(ways, made, moved=True)})
    for each, plan in zip(ways, made, strict=True):
        if plan.entities:
            click.echo(f"done: {_who(each.work, plan)} is in phase {_where(plan)}", err=True)
            click.echo(f"next: {after[plan.to]}", err=True)
    return 0


def _who(work: Work, plan: Plan) -> str:
    """The model; where not all of it moves, the entities too."""
    if len(plan.entities) == len(work.model.entities):
        return work.model.name
    return f"{work.model.name} ({', '.join(plan.entities)})"


def _where(plan: Plan) -> str:
    return f"{plan.to}, {plan.percent} % of reads" if plan.percent else plan.to


def waiting(seconds: float) -> None:
    """Tell that a gate is waited for."""
    click.echo(f"waiting {seconds:,.0f} s until no request of a copy can arrive any more", err=True)


def _show(work: Work, plan: Plan) -> None:
    name = work.model.name
    if not plan.entities:
        click.echo(f"{name}: is in phase {_where(plan)} already")
        return
    click.echo(f"{name}: to phase {_where(plan)}, {len(plan.entities)} entities")
    if plan.along:
        click.echo(
            f"  {', '.join(plan.along)}: moved together with what was named, for foreign keys or items they share"
        )
    for gate in plan.gates:
        click.echo(f"  {'open  ' if gate.is_open else 'closed'}  {gate.name}")
        for reason in gate.reasons:
            click.echo(f"          {reason}")
        for step in gate.next_steps:
            click.echo(f"          next: {step}")


def _as_json(ways: Sequence[Way], plans: Sequence[Plan], *, moved: bool) -> list[dict[str, Any]]:
    return [
        {
            "name": each.work.model.name,
            "to": plan.to,
            "percent": plan.percent,
            "entities": plan.entities,
            "along": plan.along,
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
        for each, plan in zip(ways, plans, strict=True)
    ]
