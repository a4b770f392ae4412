"""Writes move to DynamoDB and back: the worlds in which that is sound, and what breaks where a rule is left out."""

from __future__ import annotations

from dataclasses import replace
from typing import NamedTuple

from tests.unit.protocol.invariants import (
    ABSENCE,
    BACK,
    COMPLETE,
    CURRENT,
    EQUAL,
    FORWARD,
    KEPT,
    MASTER,
    RETURNED,
    UNMARKED,
)
from tests.unit.protocol.rules import Configuration, Model, SwitchRules

UPDATED = Configuration(rows=(0,), operations=("update",), switches=1, instances=1, appliers=1, life=0)
MOVED = replace(UPDATED, operations=("move",), keys=2, requests=1)

SOUND = {
    "a row written on both sides": replace(UPDATED, operations=("insert", "update", "delete"), requests=1),
    "a moved key": MOVED,
    "two applications with leases of their own": replace(UPDATED, instances=2),
    "longer leases and lives": replace(UPDATED, lease=1, life=1, writes=1),
    "there and back twice": replace(UPDATED, switches=2, writes=1),
    "verify repairs meanwhile": replace(UPDATED, repair=True, writes=1),
    "a transaction is open": replace(UPDATED, open_transactions=1, requests=1),
    "two appliers": replace(UPDATED, appliers=2),
    "TTL": replace(UPDATED, rows=(None,), operations=("insert", "update"), ttl=True),
    "TTL after a live copy": replace(UPDATED, ttl=True, copied=False, writes=1),
}

REPAIRED = SOUND["verify repairs meanwhile"]
EXPIRING = SOUND["TTL"]
LASTING = SOUND["longer leases and lives"]


class Variant(NamedTuple):
    """A rule left out, what is explored without it, and the invariant that has to break."""

    rules: SwitchRules
    configuration: Configuration
    breaks: str
    loses: bool = True
    """Whether it also comes to rest with the two stores different."""

    @property
    def model(self) -> Model:
        """The broken protocol, in its world."""
        return Model(self.configuration, switch=self.rules)


VARIANTS = {
    "no fence": Variant(SwitchRules(fence=False), UPDATED, MASTER),
    "fence does not wait": Variant(SwitchRules(fence_waits=False), SOUND["a transaction is open"], MASTER),
    "lease not waited for at the switch": Variant(
        SwitchRules(lease_at_switch=False), replace(UPDATED, instances=2), CURRENT, loses=False
    ),
    "marks not drained": Variant(SwitchRules(marks_drained=False), UPDATED, COMPLETE),
    "TTL enabled before the phase": Variant(SwitchRules(ttl_at_opening=False), EXPIRING, ABSENCE),
    "TTL enabled at once": Variant(SwitchRules(ttl_after_life=False), EXPIRING, ABSENCE, loses=False),
    "phase not read by reconcile": Variant(SwitchRules(phase_read=False), REPAIRED, FORWARD),
    "application writes without condition": Variant(SwitchRules(conditional=False), UPDATED, FORWARD, loses=False),
    "the record's image applied": Variant(SwitchRules(item_read=False), MOVED, RETURNED),
    "item read outside the lock": Variant(SwitchRules(read_under_lock=False), SOUND["two appliers"], BACK),
    "phase not read by the applier": Variant(SwitchRules(applier_phase_read=False), UPDATED, BACK),
    "row deleted unchecked": Variant(SwitchRules(row_checked=False), MOVED, RETURNED),
    "TTL's removal carried back": Variant(SwitchRules(ttl_not_carried=False), EXPIRING, KEPT, loses=False),
    "applier's writes marked": Variant(SwitchRules(own_writes_unmarked=False), UPDATED, UNMARKED, loses=False),
    "lease not waited for at the return": Variant(SwitchRules(lease_at_return=False), LASTING, MASTER),
    "life not waited for at the return": Variant(SwitchRules(life_at_return=False), LASTING, MASTER),
    "TTL not off at the return": Variant(SwitchRules(ttl_off_at_return=False), EXPIRING, ABSENCE),
    "fence lifted unverified": Variant(SwitchRules(verified_at_return=False), UPDATED, EQUAL),
}
