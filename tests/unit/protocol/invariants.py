"""What must hold: in every state, at each step, and at the end."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.unit.protocol.rules import DUAL_WRITE, FENCED, PREPARE
from tests.unit.protocol.state import ABSENT, IDLE, key_name

if TYPE_CHECKING:
    from tests.unit.protocol.state import Cell, Request, World

MARKED = "1: every committed change has a mark that is going to be taken"
ABSENCE = "2: absence is not re-entered while an older request may arrive"
FORWARD = "3: the writes applied at a key carry source snapshots that never go back"
NEWER = "4: a mark disappears only when the target holds a state at least as new"
EQUAL = "5: with the copy done and no mark left, the target equals the source"
DRAINS = "6: without further writes and faults, the marks can drain"
VISIBLE = "7: a row that is only moved can always be read under one of its keys"
MASTER = "8: a write is made to the store that is the master"
COMPLETE = "9: when DynamoDB becomes the master, it holds the latest change of every row"
BACK = "10: what is carried back never goes back to an older state"
RETURNED = "11: with the stream read to its end, PostgreSQL holds what DynamoDB holds"
KEPT = "12: a row is deleted only because the application has deleted its item"
UNMARKED = "13: while DynamoDB is the master, nothing is marked"
CURRENT = "14: no application reads from a store that lacks an acknowledged write"
LOST = "a write is lost: all is at rest, and the target differs from the source"


def uncovered(world: World) -> list[int]:
    """Return the item keys whose latest change the target does not show and no pending mark names."""
    return [
        key
        for key, cell in enumerate(world.target)
        if cell.seen < world.source.changed[key] and not world.pending_at(key)
    ]


def differing(world: World) -> list[int]:
    """Return the item keys under which the target is not what a fresh mapping of the source would be.

    An item that DynamoDB's TTL has deleted is no difference.
    """
    return [
        key for key, cell in enumerate(world.target) if cell.item != world.source.item(key) and cell.kind != "expired"
    ]


def drained(world: World) -> bool:
    """Whether the copy is done and no mark is left."""
    return world.copy_done() and not any(world.pending())


def carried(world: World) -> bool:
    """Whether the stream has been read to its end, and nothing is in an applier's hand."""
    return not any(world.switch.shards) and all(each.step == "idle" for each in world.switch.appliers)


def at_rest(world: World) -> bool:
    """Whether nothing is going to happen any more, unless the application writes or the phase is moved."""
    if world.phase == FENCED:
        return False
    return (
        (world.target_is_master or drained(world))
        and (not world.target_is_master or carried(world))
        and not world.requests
        and not world.transactions
        and all(reconciler == IDLE for reconciler in world.reconcilers)
    )


def broken_by_writing(world: World, request: Request, before: Cell, after: Cell) -> str:
    """Return what a request breaks by being applied: `before` and `after` are the item it changes."""
    key = request.key
    if request.by_application and not world.target_is_master:
        return f"{MASTER}: {key_name(key)} in DynamoDB"
    if request.kind != "purge" and request.seen < before.seen:
        # Nobody reconciles while turbo copy's requests may arrive: what they set back is marked, and stays so.
        unsettled = world.phase == PREPARE or world.settling > 0
        if not (unsettled and world.pending_at(key)):
            return f"{FORWARD}: {key_name(key)} goes from change {before.seen} back to {request.seen}"
    if after.version == ABSENT:
        return broken_by_absence(world, key, after.seen)
    return ""


def broken_by_absence(world: World, key: int, seen: int) -> str:
    """Return what is broken by there being nothing under a key again."""
    older = any(each.key == key and each.condition == ABSENT and each.seen < seen for each in world.requests)
    return f"{ABSENCE}: {key_name(key)}" if older else ""


def broken_in(world: World) -> str:
    """Return what a state breaks by itself."""
    keys = uncovered(world)
    if keys:
        return f"{NEWER}: {key_name(keys[0])}"
    if drained(world):
        keys = differing(world)
        if keys:
            return f"{EQUAL}: {difference(world, keys[0])}"
    return ""


def broken_on_the_way(world: World) -> str:
    """Return what a state breaks by itself, where writes move to DynamoDB and back."""
    if not world.target_is_master:
        return broken_in(world)
    for key, cell in enumerate(world.target):
        if cell.seen < world.source.changed[key]:
            return f"{COMPLETE}: {key_name(key)}"
        if cell.seen > world.source.changed[key] and any(each.phase == DUAL_WRITE for each in world.switch.instances):
            return f"{CURRENT}: {key_name(key)} is read in PostgreSQL"
    if any(world.pending()):
        return UNMARKED
    keys = differing(world) if carried(world) else []
    return f"{RETURNED}: {difference(world, keys[0])}" if keys else ""


def invisible(world: World) -> str:
    """Return which row can be read under none of its keys, in a world where rows are only moved."""
    for index, row in enumerate(world.source.rows):
        if row is not None and not any(cell.item.startswith(f"r{index + 1}=") for cell in world.target):
            return f"{VISIBLE}: r{index + 1}"
    return ""


def lost(world: World) -> str:
    """Return what has been lost for good."""
    keys = differing(world) if at_rest(world) else []
    return f"{LOST}: {difference(world, keys[0])}" if keys else ""


def difference(world: World, key: int) -> str:
    """Return a difference in words."""
    should = world.source.item(key)
    return f"{key_name(key)} is {world.target[key].item or 'no item'}, should be {should or 'no item'}"
