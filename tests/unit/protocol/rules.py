"""The rules of the protocol as switches, and the sizes within which a model of it is explored.

A broken variant is the same protocol with one rule left out: there is no second implementation of anything.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Operation = Literal["insert", "update", "delete", "move", "swap"]
PREPARE = "prepare"
DUAL_WRITE = "dual_write"
# `write_target` has two halves: PostgreSQL is fenced at once, and the phase opens when no mark is left.
FENCED = "write_target, fenced"
OPEN = "write_target"
RETURNING = "write_target, returning"
TARGET_IS_MASTER = (OPEN, RETURNING)


@dataclass(frozen=True)
class Rules:
    """What the protocol demands. All of it is on in the sound protocol."""

    old_key_marked: bool = True
    """An update's mark names the item key of the old row, beside the row."""
    old_key_kept: bool = True
    """A row's later mark does not take the place of its earlier one."""
    marks_in_any_order: bool = True
    """Marks are taken wherever one is pending, not by a cursor over their numbers."""
    target_before_source: bool = True
    """reconcile reads the target, then the source."""
    claim_apart: bool = True
    """The snapshot is not the one in which the mark was claimed."""
    primary: bool = True
    """The snapshot is taken on the primary."""
    conditional: bool = True
    """reconcile writes on condition that the version is the one it read."""
    start_again: bool = True
    """A write whose condition failed, or that nobody answered, was not made: reconcile starts again."""
    always_write: bool = True
    """Where a mark was read the item is written, be it equal or not."""
    tombstones: bool = True
    """A delete leaves a tombstone."""
    tombstone_over_absence: bool = True
    """A delete leaves a tombstone also where no item was."""
    all_keys_read: bool = True
    """Where the snapshot reads a mark with a key not yet read in the target, that key is read, then a new snapshot."""
    items_first: bool = True
    """Of several keys those that hold an item are written before those that get a tombstone."""
    fresh_versions: bool = True
    """A version number is never used again; without this rule, it is the one that was read, plus 1."""
    deadline: bool = True
    """Nothing is sent later than the deadline after the snapshot it carries."""
    delete_after_all_keys: bool = True
    """A mark is deleted after all its item keys have been written, not after the first."""
    delete_marks_read: bool = True
    """The marks deleted are those that the snapshot read, not all that the row has by then."""
    purge_waits: bool = True
    """A tombstone is purged when it is older than a request's life."""
    ttl_off: bool = True
    """DynamoDB deletes nothing of its own accord."""
    relay_respects_copy: bool = True
    """The relay does not run in phase `prepare`, beside turbo copy."""
    relay_waits: bool = True
    """The relay waits one life from turbo copy's last page."""
    waits_after_any_copy: bool = True
    """The relay waits also for a turbo copy that ended well, not only for one that was killed."""
    turbo_waits: bool = True
    """After the phase has gone back to `prepare`, turbo copy waits one life before its first page."""
    put_if_absent: bool = True
    """Live copy puts an item only where nothing is."""


@dataclass(frozen=True)
class SwitchRules:
    """What the protocol demands where writes move to DynamoDB, and on the way back."""

    fence: bool = True
    """In `write_target` PostgreSQL refuses what an application writes."""
    fence_waits: bool = True
    """The fence waits for the transactions in flight."""
    lease_at_switch: bool = True
    """The phase opens when no application can go by an older one any more."""
    marks_drained: bool = True
    """The phase opens when no mark is left, not one of those set aside either."""
    ttl_at_opening: bool = True
    """TTL is not enabled before the phase opens."""
    ttl_after_life: bool = True
    """TTL is enabled one life after that: until then a request may arrive that reconcile has sent."""
    phase_read: bool = True
    """reconcile reads the phase in its snapshot, and writes only while PostgreSQL is the master."""
    conditional: bool = True
    """An application writes to DynamoDB on condition that the version is the one it read."""
    item_read: bool = True
    """The applier reads the item that a record names; the record's image is not used."""
    read_under_lock: bool = True
    """An applier reads the item while it holds the lock under which it applies it."""
    applier_phase_read: bool = True
    """The applier reads the phase in the transaction in which it applies."""
    row_checked: bool = True
    """A removal deletes a row only where the row still has that key."""
    ttl_not_carried: bool = True
    """What TTL removes is not carried back."""
    own_writes_unmarked: bool = True
    """What the applier writes makes no mark."""
    lease_at_return: bool = True
    """The return waits until no application can go by `write_target` any more."""
    life_at_return: bool = True
    """The return waits for the requests that applications have sent."""
    ttl_off_at_return: bool = True
    """The return waits until TTL is disabled."""
    verified_at_return: bool = True
    """The fence is lifted when PostgreSQL is seen to hold what DynamoDB holds: no stream says that it is drained."""


@dataclass(frozen=True)
class Configuration:
    """How large the world is, and what may happen in it."""

    rows: tuple[int | None, ...]
    """The item key that each source row has at first; None where there is no such row yet."""
    operations: tuple[Operation, ...]
    keys: int = 1
    writes: int = 2
    """How many transactions the application commits."""
    reconcilers: int = 1
    requests: int = 2
    """How many requests may be in flight at a time."""
    life: int = 1
    """How many ticks of the clock a request outlives the one in which its snapshot was taken."""
    phase: str = DUAL_WRITE
    copied: bool = True
    """The target holds the source's items already, as turbo copy wrote them."""
    purge: bool = False
    repair: bool = False
    """Verify brings keys into order that no mark names."""
    rollbacks: int = 0
    """How often the phase goes back to `prepare`."""
    open_transactions: int = 0
    """How many transactions may be open at a time; none: each commits at once."""
    switches: int = 0
    """How often writes move to DynamoDB. Each time they may come back."""
    instances: int = 0
    """How many application processes know the phase under a lease; none: the application always knows it."""
    lease: int = 0
    """How many ticks of the clock an application may go on by a phase that is over, besides the one it is in."""
    appliers: int = 0
    ttl: bool = False
    """The table declares a TTL: DynamoDB deletes items while it is enabled."""


@dataclass(frozen=True)
class Model:
    """A protocol, and a world for it."""

    configuration: Configuration
    rules: Rules = Rules()
    switch: SwitchRules = SwitchRules()
