"""Worlds in which the protocol is shown to be sound, and the broken variants, each with one rule left out."""

from __future__ import annotations

from typing import NamedTuple

from tests.unit.protocol.invariants import ABSENCE, EQUAL, FORWARD, MARKED, NEWER, VISIBLE
from tests.unit.protocol.rules import PREPARE, Configuration, Model, Rules

SOUND = {
    "one key, written, deleted and inserted again": Configuration(rows=(0,), operations=("insert", "update", "delete")),
    "one key, two reconcilers": Configuration(rows=(0,), operations=("update",), reconcilers=2, life=0),
    "a moved key, two reconcilers": Configuration(
        rows=(0,), operations=("move",), keys=2, writes=1, reconcilers=2, life=0
    ),
    "two keys, swapped and swapped back": Configuration(rows=(0, 1), operations=("swap",), keys=2, life=0),
    "a key moved on": Configuration(rows=(0,), operations=("move",), keys=3, life=0, requests=1),
    "live copy beside the relay": Configuration(rows=(0,), operations=("update", "delete"), copied=False, life=0),
    "turbo copy, killed, then relay and live copy": Configuration(
        rows=(0,), operations=("update", "delete"), copied=False, phase=PREPARE, life=0
    ),
    "back to prepare, turbo copy again": Configuration(rows=(0,), operations=("update",), rollbacks=1, life=0),
    "tombstones purged": Configuration(rows=(None,), operations=("insert", "delete"), writes=3, purge=True),
    "tombstones purged beside live copy": Configuration(
        rows=(0,), operations=("delete",), copied=False, writes=1, purge=True
    ),
    "transactions that commit out of order": Configuration(
        rows=(0, 1), operations=("update",), keys=2, open_transactions=2
    ),
    "verify repairs beside live copy": Configuration(
        rows=(0,), operations=("update", "delete"), copied=False, repair=True, life=0
    ),
}

ONE_KEY = SOUND["one key, written, deleted and inserted again"]
RACE = SOUND["one key, two reconcilers"]
MOVE = Configuration(rows=(0,), operations=("move",), keys=2)
TWICE_MOVED = Configuration(rows=(0,), operations=("move",), keys=3)
PURGE_RACE = Configuration(rows=(0,), operations=("insert", "delete"), purge=True, reconcilers=2)
LIVE_COPY = SOUND["live copy beside the relay"]
LIVE_COPY_PURGE = SOUND["tombstones purged beside live copy"]
TURBO_COPY = Configuration(rows=(0,), operations=("update",), copied=False, phase=PREPARE, life=0)
WAY_BACK = Configuration(rows=(0,), operations=("update",), rollbacks=1, life=0, requests=3)
TWO_WRITERS = SOUND["transactions that commit out of order"]


class Variant(NamedTuple):
    """A rule left out, what is explored without it, and the invariant that has to break."""

    rules: Rules
    configuration: Configuration
    breaks: str
    loses: bool = True
    """Whether it also ends with a write lost for good."""

    @property
    def model(self) -> Model:
        """The broken protocol, in its world."""
        return Model(self.configuration, self.rules)


VARIANTS = {
    "old key not marked": Variant(Rules(old_key_marked=False), MOVE, MARKED),
    "old key coalesced away": Variant(Rules(old_key_kept=False), TWICE_MOVED, NEWER),
    "marks taken by cursor": Variant(Rules(marks_in_any_order=False), TWO_WRITERS, NEWER),
    "source read before target": Variant(Rules(target_before_source=False), RACE, FORWARD),
    "claim and snapshot in one transaction": Variant(Rules(claim_apart=False), RACE, FORWARD),
    "snapshot on a replica": Variant(Rules(primary=False), RACE, FORWARD),
    "unconditional write": Variant(Rules(conditional=False), RACE, FORWARD),
    "failed condition taken for success": Variant(Rules(start_again=False), ONE_KEY, NEWER),
    "write skipped on equality": Variant(Rules(always_write=False), ONE_KEY, NEWER),
    "no tombstones": Variant(Rules(tombstones=False), LIVE_COPY, ABSENCE),
    "no tombstone over absence": Variant(Rules(tombstone_over_absence=False), LIVE_COPY, NEWER),
    "tombstone before item": Variant(Rules(items_first=False), MOVE, VISIBLE, loses=False),
    "version used again": Variant(Rules(fresh_versions=False), PURGE_RACE, EQUAL),
    "request without a deadline": Variant(Rules(deadline=False), LIVE_COPY_PURGE, ABSENCE),
    "keys as they were at the claim": Variant(Rules(all_keys_read=False), TWICE_MOVED, NEWER),
    "mark deleted after one key": Variant(Rules(delete_after_all_keys=False), MOVE, NEWER),
    "all the row's marks deleted": Variant(Rules(delete_marks_read=False), ONE_KEY, NEWER),
    "purge without waiting": Variant(Rules(purge_waits=False), LIVE_COPY_PURGE, ABSENCE),
    "deletion by TTL": Variant(Rules(ttl_off=False), LIVE_COPY, ABSENCE),
    "relay beside turbo copy": Variant(Rules(relay_respects_copy=False), TURBO_COPY, FORWARD),
    "relay does not wait after turbo copy": Variant(Rules(relay_waits=False), TURBO_COPY, FORWARD),
    "relay waits after a killed copy only": Variant(Rules(waits_after_any_copy=False), TURBO_COPY, FORWARD),
    "turbo copy at once on the way back": Variant(Rules(turbo_waits=False), WAY_BACK, FORWARD),
    "live copy overwrites": Variant(Rules(put_if_absent=False), LIVE_COPY, FORWARD),
}
