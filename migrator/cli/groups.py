"""The groups of entities that move together: where each is, which moves may be made next, and what they wait for."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final

from migrator.cli.duration import duration_text
from migrator.mapping import entity_fingerprint
from migrator.phases import groups, planned
from migrator.postgres.phases import Standing

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from migrator.mapping import Entity, Model
    from migrator.phases import Plan, Terms
    from migrator.postgres.connection import Connection
    from migrator.postgres.phases import Phase

ALL_READS: Final = 100
_NEXT: Final[dict[Phase, tuple[Phase, str]]] = {
    "prepare": ("dual_write", "migrate switch dual-write"),
    "dual_write": ("read_target", "migrate switch reads"),
    "read_target": ("read_target", "migrate switch reads"),
    "write_target": ("complete", "migrate complete"),
}
_LAST: Final[tuple[Phase, str]] = ("write_target", "migrate switch writes")
"""What comes when all reads have moved."""


@dataclass(frozen=True)
class Group:
    """Entities that move together, where they are by the record, and which of them came there by another mapping."""

    entities: tuple[str, ...]
    at: Standing
    strangers: tuple[str, ...] = ()

    @property
    def words(self) -> str:
        """Where the group is, in a line."""
        reads = f", {self.at.percent} % of reads" if self.at.phase == "read_target" else ""
        reads = f", {self.at.stage}" if self.at.stage else reads
        ago = "" if self.at.seconds is None else f" for {duration_text(timedelta(seconds=self.at.seconds))}"
        return f"{', '.join(self.entities)}: {self.at.phase}{reads}{ago}"

    def in_the_way(self) -> Iterator[str]:
        """What is wrong with the record."""
        if self.strangers:
            yield (
                f"{', '.join(self.strangers)}: moved to {self.at.phase} under another mapping; give that one, or go "
                "back with `migrate rollback`"
            )

    def as_json(self) -> dict[str, Any]:
        """The group for machines."""
        at = self.at
        return {
            "entities": self.entities,
            "phase": at.phase,
            "percent": at.percent,
            "stage": at.stage,
            "epoch": at.epoch,
            "changed_at": at.changed_at,
            "other_mapping": self.strangers,
        }


@dataclass(frozen=True)
class Next:
    """A move that may be made next: its command, and the gates that it would pass."""

    command: str
    plan: Plan

    def as_json(self) -> dict[str, Any]:
        """The move for machines."""
        return {
            "command": self.command,
            "entities": self.plan.entities,
            "open": not self.plan.closed,
            "closed": [
                {"gate": gate.name, "reasons": gate.reasons, "next": gate.next_steps} for gate in self.plan.closed
            ],
        }


def groups_of(model: Model, standings: Mapping[str, Standing]) -> list[Group]:
    """The groups of a model, where they are."""
    return [_group(group, standings) for group in groups(model)]


def _group(entities: Sequence[Entity], standings: Mapping[str, Standing]) -> Group:
    at = [standings.get(entity.name, Standing()) for entity in entities]
    strangers = tuple(
        entity.name
        for entity, each in zip(entities, at, strict=True)
        if each.phase == "read_target" and each.fingerprint not in {None, entity_fingerprint(entity)}
    )
    # What moves together is in one place.
    return Group(tuple(entity.name for entity in entities), at[0], strangers)


async def next_moves(
    connection: Connection, model: Model, known: Sequence[Group], *, life: float, terms: Terms
) -> list[Next]:
    """The moves forward that the groups have before them, as they stand. Nothing is changed.

    Raises:
        SourceError: PostgreSQL cannot be reached.
    """
    places: dict[tuple[Phase, int], list[str]] = defaultdict(list)
    for group in known:
        if group.at.phase in _NEXT:
            places[group.at.phase, group.at.percent].append(group.entities[0])
    found = []
    for (phase, percent), names in places.items():
        to, command = _LAST if percent == ALL_READS else _NEXT[phase]
        named = () if len(names) == len(known) else tuple(names)
        plan = await planned(connection, model, to, life=life, terms=replace(terms, entities=named))
        found.append(Next(" ".join([command, *(f"--entity {name}" for name in named)]), plan))
    return found
