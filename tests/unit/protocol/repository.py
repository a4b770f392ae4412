"""What the application writes to DynamoDB, once that is the master: on condition of the version that it has read.

It reads and sends in one step here. A pause between the two makes its condition older, and no more than that.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.unit.protocol.invariants import MASTER
from tests.unit.protocol.rules import OPEN
from tests.unit.protocol.state import ANY, NOTHING, Cell, Request, Step, key_name, row_name

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.unit.protocol.rules import Model
    from tests.unit.protocol.state import World


def steps(world: World, model: Model) -> Iterator[Step]:
    """Yield what an application that goes by `write_target` may send next. There is one row."""
    if not world.writes_left or all(each.phase != OPEN for each in world.switch.instances):
        return
    operations = model.configuration.operations
    there = [key for key, cell in enumerate(world.target) if cell.kind == "item"]
    free = [key for key in range(len(world.target)) if key not in there]
    if len(world.requests) < model.configuration.requests:
        if "insert" in operations and not there:
            yield from (send(world, key, f"{row_name(0)}=0", model) for key in free)
        for key in there:
            if "update" in operations:
                value = 1 - int(world.target[key].item.partition("=")[2])
                yield send(world, key, f"{row_name(0)}={value}", model)
            if "delete" in operations:
                yield send(world, key, NOTHING, model)
    if "move" in operations:
        yield from (move(world, key, to) for key in there for to in free)


def send(world: World, key: int, item: str, model: Model) -> Step:
    """Read a key and send what follows from it; a delete leaves a tombstone."""
    cell, kind = world.target[key], "put" if item else "tombstone"
    condition = cell.version if model.switch.conditional else ANY
    life = model.configuration.life
    request = Request(key, kind, item, condition, world.next_version, cell.seen + 1, life, by_application=True)
    after = world._replace(
        requests=tuple(sorted((*world.requests, request))),
        next_version=world.next_version + 1,
        writes_left=world.writes_left - 1,
    )
    return Step(f"application: sends {key_name(key)} := {item or kind} to DynamoDB", after, "application")


def move(world: World, key: int, to: int) -> Step:
    """Move the item to another key, both at once. That such a transaction is late as others are adds nothing."""
    before, version = world.target[key], world.next_version
    moved = world.with_cell(to, Cell("item", before.item, version, world.target[to].seen + 1, 0))
    moved = moved.with_cell(key, Cell("tombstone", NOTHING, version + 1, before.seen + 1, 0))
    after = moved._replace(next_version=version + 2, writes_left=world.writes_left - 1)
    broken = "" if world.target_is_master else f"{MASTER}: {key_name(key)} in DynamoDB"
    story = f"application: moves {row_name(0)} from {key_name(key)} to {key_name(to)} in DynamoDB"
    return Step(story, after, "application", broken)
