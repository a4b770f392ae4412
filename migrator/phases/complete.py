"""The gate before `complete`, which ends the way back for good."""

from __future__ import annotations

from typing import TYPE_CHECKING

from migrator.phases.gate import Gate

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from migrator.mapping import Entity
    from migrator.postgres.phases import Standing


def opened(entities: Sequence[Entity], standings: Mapping[str, Standing]) -> Gate:
    """Applications write to the target: neither are writes on their way there, nor on their way back."""
    stages = {each.name: standings[each.name].stage for each in entities}
    reasons = [f"writes of {name} are not open: it is {stage}" for name, stage in stages.items() if stage != "open"]
    steps = dict.fromkeys(
        "migrate switch writes" if stage == "fenced" else "migrate rollback"
        for stage in stages.values()
        if stage != "open"
    )
    return Gate("applications write to the target", tuple(reasons), tuple(steps))
