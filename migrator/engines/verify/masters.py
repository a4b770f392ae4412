"""Whose word counts for entities that are verified: PostgreSQL's, or that of applications that write to DynamoDB."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from migrator.errors import GateError
from migrator.postgres import phases

if TYPE_CHECKING:
    from collections.abc import Sequence

    from migrator.mapping import Entity, Model
    from migrator.postgres.connection import Connection


@dataclass(frozen=True)
class Masters:
    """Where the entities of a verification are.

    Attributes:
        entities: those that can be verified: the source is kept up to date with the target, or the target with it.
        followed: whether PostgreSQL's changes are carried over, of all of them that it is the master of.
        carried_back: the names of those that applications write in the target.
        ended: the names of the model's entities that are complete: nobody keeps their source up to date.
    """

    entities: tuple[Entity, ...]
    followed: bool
    carried_back: frozenset[str]
    ended: frozenset[str]

    def not_verified(self, entities: Sequence[Entity]) -> list[str]:
        """What is not said of the entities that were asked for, a sentence each."""
        ended = (each.name for each in entities if each.name in self.ended)
        return [f"{name} is complete: its source is not kept up to date." for name in ended]


async def masters_of(connection: Connection, model: Model, entities: Sequence[Entity]) -> Masters:
    """Looks where entities are, of which some are to be verified.

    Raises:
        GateError: they are complete, all of them.
        SourceError: PostgreSQL cannot be reached.
    """
    known = await phases.known(connection, model.name)
    at = {each.name: known.get(each.name, phases.Standing()) for each in model.entities}
    ended = frozenset(name for name, each in at.items() if each.phase == "complete")
    left = tuple(each for each in entities if each.name not in ended)
    if not left:
        raise GateError(
            f"{', '.join(each.name for each in entities)} cannot be verified any more: the migration is complete",
            safe="nothing was read; the target is what counts, and the source is not kept up to date",
            next_step="stop whatever runs `migrate verify` on a schedule",
        )
    back = frozenset(each.name for each in left if at[each.name].stage == "open")
    over = [at[each.name] for each in left if each.name not in back]
    return Masters(left, bool(over) and all(each.is_followed for each in over), back, ended)
