"""A move as it stands: who would go where, and the gates in between."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from migrator.errors import UsageError
from migrator.phases import complete, dual_write, read_target, write_target
from migrator.phases.gate import Gate
from migrator.phases.groups import members
from migrator.postgres import phases

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from migrator.mapping import Entity, Model
    from migrator.phases.terms import Terms
    from migrator.postgres.connection import Connection
    from migrator.postgres.phases import Phase, Standing

FORWARD: Final[Mapping[Phase, Phase]] = {
    "dual_write": "prepare",
    "read_target": "dual_write",
    "write_target": "read_target",
    "complete": "write_target",
}
"""The legal moves forward: by the phase to move to, the one to come from."""
BACK: Final[Mapping[Phase, Phase]] = {"dual_write": "read_target", "prepare": "dual_write"}
"""The legal moves back, the one from the latest phase first."""
_ONWARD: Final[Mapping[Phase, str]] = {
    "prepare": "migrate switch dual-write",
    "dual_write": "migrate switch reads",
    "read_target": "migrate switch writes",
}
TOGETHER: Final[frozenset[Phase]] = frozenset({"prepare", "dual_write"})
"""The phases between which all entities of a model move together: relays follow all of it, or nothing."""


@dataclass(frozen=True, slots=True)
class Plan:
    """A move: the phase to move to, the entities that are not there yet, and the gates they have to pass.

    `percent` is that of reads from the target; `along` are those of `entities` that were not named, and move because
    others do.
    """

    to: Phase
    entities: tuple[str, ...]
    gates: tuple[Gate, ...] = ()
    percent: int = 0
    along: tuple[str, ...] = ()

    @property
    def closed(self) -> list[Gate]:
        """The gates that refuse it."""
        return [gate for gate in self.gates if not gate.is_open]


def check(to: Phase, terms: Terms) -> None:
    """Refuse terms that mean nothing.

    Raises:
        UsageError: the percentage is out of range, or no move leads there.
    """
    if to not in (BACK if terms.back else FORWARD):
        raise UsageError(
            f"no move leads to {to}",
            safe="Nothing was moved.",
            next_step=f"The phases that can be moved to are {', '.join(dict.fromkeys([*FORWARD, *BACK]))}.",
        )
    if to == "read_target" and not 1 <= terms.percent <= 100:  # noqa: PLR2004 - of a hundred
        raise UsageError(
            f"{terms.percent} % of reads: it has to be from 1 to 100",
            safe="Nothing was moved.",
            next_step="To read nothing from the target any more, run `migrate rollback`.",
        )


async def planned(connection: Connection, model: Model, to: Phase, *, life: float, terms: Terms) -> Plan:
    """The move as it stands. Nothing is changed: a session that only reads will do.

    Raises:
        UsageError: a name is no entity of the model.
        SourceError: PostgreSQL cannot be reached.
    """
    standings = await phases.standings(connection, model.name)
    chosen = members(model, terms.entities)
    percent = terms.percent if to == "read_target" else 0
    there = (to, percent, "open" if to == "write_target" else None)
    at = {each: _of(standings, each) for each in chosen}
    leaving = [each for each, now in at.items() if (now.phase, now.percent, now.stage) != there]
    if not terms.entities:
        # Nothing leads out of `complete`: where others have a way before them, it is theirs that is meant.
        leaving = [each for each in leaving if at[each].phase != "complete"] or leaving
        leaving = _furthest(leaving, standings, to) if terms.back else leaving
    if not leaving:
        return Plan(to, (), percent=percent)
    gates = [_legal(leaving, standings, to, terms), *([] if terms.back else [_known(model, standings)])]
    if not terms.back and gates[0].is_open:
        entering = [each for each in leaving if _of(standings, each).phase != to]
        gates += await _gates(connection, model, to, entering, standings, life=life, terms=terms)
        staying = [each for each in leaving if each not in entering]
        gates += [read_target.same_mapping(staying, standings)] if staying else []
    along = tuple(each.name for each in leaving if terms.entities and each.name not in terms.entities)
    return Plan(to, tuple(each.name for each in leaving), tuple(gates), percent, along)


async def _gates(  # noqa: PLR0913 - what gates look at
    connection: Connection,
    model: Model,
    to: Phase,
    entering: Sequence[Entity],
    standings: Mapping[str, Standing],
    *,
    life: float,
    terms: Terms,
) -> list[Gate]:
    if not entering:
        return []
    match to:
        case "dual_write":
            return await dual_write.gates(connection, model, entering, life=life)
        case "read_target":
            return await read_target.gates(connection, model, entering, standings, terms)
        case "write_target":
            return await write_target.gates(connection, model, entering, standings, terms)
    return [complete.opened(entering, standings)]


def _legal(leaving: Sequence[Entity], standings: Mapping[str, Standing], to: Phase, terms: Terms) -> Gate:
    """Whether these entities may move there at all."""
    source = (BACK if terms.back else FORWARD)[to]
    may = {source, to} if to in {"read_target", "write_target"} else {source}
    elsewhere = {each.name: _of(standings, each).phase for each in leaving if _of(standings, each).phase not in may}
    reasons = [
        f"{name} is in {phase}{', which nothing leads out of' if phase == 'complete' else ''}"
        for name, phase in elsewhere.items()
    ]
    steps = list(dict.fromkeys(_towards(phase, source) for phase in elsewhere.values()))
    if terms.entities and {to, source} == TOGETHER:
        reasons.append(f"all entities move between {source} and {to} together, and some were named")
        steps.append("name none")
    return Gate(f"{to} can be entered from {source}", tuple(reasons), tuple(steps))


def _towards(phase: Phase, wanted: Phase) -> str:
    """What leads from a phase to the one that a move has to come from, or near it."""
    if phases.PHASES.index(phase) < phases.PHASES.index(wanted):
        return _ONWARD[phase]
    return "migrate rollback" if phase in {*BACK.values(), "write_target"} else "migrate status"


def _known(model: Model, standings: Mapping[str, Standing]) -> Gate:
    """Whether the phases on record are this migration's: an entity that the model has not is another's."""
    others = [
        f"{name} is on record in {at.phase}, and the model {model.name} has no such entity"
        for name, at in standings.items()
        if at.phase != "prepare" and model.entity(name) is None
    ]
    step = f"use the mapping that {model.name} was moved with, or go back with it by `migrate rollback`"
    return Gate("the phases on record are this migration's", tuple(others), (step,) if others else ())


def _furthest(leaving: list[Entity], standings: Mapping[str, Standing], to: Phase) -> list[Entity]:
    """Those that stand beyond a phase; what has not come so far stays where it is."""
    order = phases.PHASES
    return [each for each in leaving if order.index(_of(standings, each).phase) > order.index(to)]


def _of(standings: Mapping[str, Standing], entity: Entity) -> Standing:
    return standings.get(entity.name, phases.Standing())
