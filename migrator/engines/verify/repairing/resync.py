"""What a repair asks of the phase, and what a clean verification says of capture: that nothing of before is missing."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from migrator.engines.verify.masters import masters_of
from migrator.errors import GateError
from migrator.postgres import capture, catalog, pending, phases, state, timelines
from migrator.postgres.connection import connect
from migrator.postgres.identifiers import TableName

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from migrator.engines.stores import Stores
    from migrator.mapping import Entity, Model
    from migrator.postgres.capture import Fault, Seen
    from migrator.postgres.connection import Connection


@dataclass(frozen=True)
class Outlook:
    """How capture stands on tables that are about to be verified.

    Attributes:
        seen: by table, what can be accepted when the verification that begins now is clean.
        demanding: those of these tables on which something had happened that no mark names a key of.
        faults: by table, what has to be mended before it can be accepted.
        early: by demanding table, the seconds for which requests may arrive of rows as they were before, from a copy
            or from a primary that is gone, though the verification may find both sides equal. Until then it cannot be
            accepted.
        set_aside: how many marks a repair tries again.
    """

    seen: Mapping[str, Seen] = field(default_factory=dict)
    demanding: frozenset[str] = frozenset()
    faults: Mapping[str, Sequence[Fault]] = field(default_factory=dict)
    early: Mapping[str, float] = field(default_factory=dict)
    set_aside: int = 0

    @property
    def acceptable(self) -> dict[str, Seen]:
        """By table, what a clean verification lets be accepted by now."""
        return {source: each for source, each in self.seen.items() if source not in self.early}


async def look(model: Model, entities: Sequence[Entity], stores: Stores, *, life: float) -> Outlook:
    """See that these entities may be repaired, and how capture stands on their tables, before a verification begins.

    Args:
        model: the model.
        entities: those of its entities that are to be verified.
        stores: the source; the target is not asked.
        life: how many seconds a request lives (`Times.life`).

    Raises:
        GateError: the phase does not allow a repair. Nothing was done.
        ConfigurationError: `prepare` has not been run.
        SourceError: PostgreSQL cannot be reached.
    """
    connection = await connect(stores.database_url, purpose="verify")
    try:
        await state.require(connection)
        entities = (await masters_of(connection, model, entities)).entities
        await require_followed(connection, model, entities)
        whole = whole_tables(model, entities)
        wanted = capture.wanted([model])
        names = {entity.source_name: TableName(entity.source.name, entity.source.schema) for entity in whole}
        standing = await capture.standing(connection, {name: wanted[name] for name in names.values()})
        seen: dict[str, Seen] = {}
        faults: dict[str, Sequence[Fault]] = {}
        demanding = set()
        for source, name in names.items():
            if standing[name].in_the_way:
                faults[source] = standing[name].in_the_way
                continue
            found = await capture.look(connection, str((await catalog.require(connection, name)).table))
            if found is not None:
                seen[source] = found
                demanding |= {source} if standing[name].faults or found.unnamed else set()
        # After the looks: what a copy noted before one of them is seen here.
        sent = await phases.sources_since_sent(connection, model.name)
        since = {source: sent.get(seen[source].source, life) for source in demanding}
        # And from when a promotion was noticed, what the primary before it has let others send.
        promoted = await timelines.promotion(connection, [each.source for each in seen.values()])
        if promoted is not None:
            behind = [source for source in demanding if seen[source].source in promoted.sources]
            since |= {source: min(since[source], promoted.seconds) for source in behind}
        early = {source: life - seconds for source, seconds in since.items() if seconds < life}
        aside = await pending.to_try_again(connection, [each.source for each in seen.values()])
        return Outlook(seen, frozenset(demanding), faults, early, aside)
    finally:
        await connection.close()


async def accept(stores: Stores, seen: Sequence[Seen]) -> None:
    """Record that the target holds all that these tables held when `look` was called, as a verification has found.

    Raises:
        SourceError: PostgreSQL cannot be reached.
    """
    connection = await connect(stores.database_url, purpose="verify")
    try:
        for each in seen:
            await capture.accept(connection, each)
    finally:
        await connection.close()


async def require_followed(connection: Connection, model: Model, entities: Sequence[Entity]) -> None:
    """See that the items of these entities are written as PostgreSQL says, and by nothing but reconcile and live copy.

    Raises:
        GateError: they are not.
        SourceError: PostgreSQL cannot be reached.
    """
    standings = await phases.known(connection, model.name)
    at = {entity.name: standings.get(entity.name, phases.Standing()) for entity in entities}
    refused = {name: standing.phase for name, standing in at.items() if not standing.is_followed}
    if not refused:
        return
    copied = [entity.source_name for entity in entities if refused.get(entity.name) == "prepare"]
    raise GateError(
        f"{', '.join(refused)} cannot be repaired in phase {', '.join(dict.fromkeys(refused.values()))}",
        safe="Changes are marked as before, and nothing is written.",
        next_step=f"`migrate copy --restart {' '.join(copied)}` writes missing and different items; to have extra ones "
        "removed as well, `migrate switch dual-write`, then run this again."
        if copied
        else "See that `migrate relay` runs, which carries back what applications write to the target; what the source "
        "refuses, `migrate status` names. `migrate verify --repair TABLE...` repairs the tables of other entities.",
    )


def whole_tables(model: Model, entities: Sequence[Entity]) -> list[Entity]:
    """Those of these entities of whose tables all entities are among them."""
    partly = {each.source_name for each in model.entities if each not in entities}
    return [entity for entity in entities if entity.source_name not in partly]
