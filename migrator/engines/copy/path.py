"""How a table is copied, which its entity's phase decides: with all speed, or beside those who carry changes over."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Literal, TypeAlias

from migrator.errors import GateError
from migrator.postgres.phases import Standing

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from migrator.mapping import Entity
    from migrator.postgres.capture import Capture
    from migrator.postgres.phases import Phase

Path: TypeAlias = Literal["turbo", "live"]
PATHS: Final[Mapping[Phase, Path]] = {"prepare": "turbo", "dual_write": "live"}


def path_of(entity: Entity, standings: Mapping[str, Standing]) -> Path:
    """The path of an entity's table.

    Raises:
        GateError: in its phase nothing is copied any more.
    """
    phase = standings.get(entity.name, Standing()).phase
    if phase not in PATHS:
        raise GateError(
            f"{entity.source_name} cannot be copied: {entity.name} is in phase {phase}",
            safe="Nothing was done.",
            next_step=f"migrate verify {entity.source_name}",
        )
    return PATHS[phase]


def check_quiet(
    entities: Iterable[Entity], standings: Mapping[str, Standing], life: float, promoted: float | None = None
) -> None:
    """Sees that nothing can arrive any more that was sent before entities went back to `prepare`.

    Turbo copy writes items without a version: a late request on condition of just that would be taken. Of a primary
    that is gone nobody knows in which phase it was: `promoted` seconds are known since another one has taken over.

    Raises:
        GateError: something still can.
    """
    for entity in entities:
        standing = standings.get(entity.name, Standing())
        if standing.phase == "prepare" and promoted is not None and promoted < life:
            raise GateError(
                f"{entity.source_name} cannot be copied yet: the source was promoted, and requests of before may still "
                "arrive",
                safe="Nothing was done; changes are marked meanwhile.",
                next_step=f"Run the command again in {life - promoted:,.0f} seconds.",
            )
        if standing.phase == "prepare" and standing.seconds is not None and standing.seconds < life:
            raise GateError(
                f"{entity.source_name} cannot be copied yet: requests of relays, sent before {entity.name} went back "
                "to prepare, may still arrive",
                safe="Nothing was done; changes are marked meanwhile.",
                next_step=f"Run the command again in {life - standing.seconds:,.0f} seconds.",
            )


def check_capture(entity: Entity, captured: Capture, *, followed: bool) -> None:
    """Sees that a change of a row is marked, so that a copy beside others puts back nothing that is gone.

    Raises:
        GateError: it is not, or was not when the copy on record began.
    """
    source = entity.source_name
    if not captured.stands:
        fault = captured.faults[0]
        raise GateError(
            f"{source} cannot be copied beside a running application: {fault.sentence}",
            safe="Nothing was done.",
            next_step=fault.next_step,
        )
    if not followed:
        raise GateError(
            f"{source} cannot be copied further: its copy began before capture stood",
            safe="Nothing was done.",
            next_step=f"migrate rollback, then migrate copy --restart {source}",
        )
