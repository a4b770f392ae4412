"""The way back: stream records name keys, and the applier brings the row to what the item says now.

The keys of the model are keys of one row, as a row has that may change its key.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.unit.protocol.invariants import BACK, KEPT
from tests.unit.protocol.state import Applier, Mark, Row, Step, key_name, row_name

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.unit.protocol.rules import Model, SwitchRules
    from tests.unit.protocol.state import Source, World

IDLE = Applier()


def steps(world: World, model: Model) -> Iterator[Step]:
    """Yield what each applier may do next. A record may come again after it has been applied."""
    appliers = world.switch.appliers
    for index, applier in enumerate(appliers):
        if applier.step == "read":
            yield from apply(world, index, model)
            yield Step(f"applier {index + 1} crashes", with_applier(world, index, IDLE), "fault")
        elif IDLE not in appliers[:index] and may_read(world, model):
            yield from (read(world, index, key, model) for key, shard in enumerate(world.switch.shards) if shard)


def may_read(world: World, model: Model) -> bool:
    """Whether the lock is free under which items are read and applied."""
    return not model.switch.read_under_lock or all(each.step == "idle" for each in world.switch.appliers)


def with_applier(world: World, index: int, applier: Applier) -> World:
    """The same world, with one applier a step further."""
    appliers = (*world.switch.appliers[:index], applier, *world.switch.appliers[index + 1 :])
    return world._replace(switch=world.switch._replace(appliers=appliers))


def read(world: World, index: int, key: int, model: Model) -> Step:
    """Take the oldest record of a shard, and read the item that it names by a consistent GetItem."""
    cell = world.target[key] if model.switch.item_read else world.switch.shards[key][0]
    applier = Applier("read", key, cell._replace(version=0, rest=0))
    story = f"applier {index + 1} takes a record of {key_name(key)}: it is {cell.item or cell.kind}"
    return Step(story, with_applier(world, index, applier))


def apply(world: World, index: int, model: Model) -> Iterator[Step]:
    """Write the row and the checkpoint, in one transaction that reads the phase."""
    applier = world.switch.appliers[index]
    ended = with_applier(world, index, IDLE)
    if not world.target_is_master and model.switch.applier_phase_read:
        yield Step(f"applier {index + 1} finds that the phase is over", ended)
        return
    source, story, broken = carried(world.source, applier, model.switch)
    if source.rows != world.source.rows and not model.switch.own_writes_unmarked:
        mark = Mark(world.next_mark, 0, (applier.key,))
        source = source._replace(marks=(*source.marks, mark))
        ended = ended._replace(next_mark=world.next_mark + 1)
    ended = ended._replace(source=source)
    story = f"applier {index + 1} {story}"
    if ended.switch.shards[applier.key]:
        yield Step(f"{story}; the record will come again", ended, "fault", broken)
        shards = list(ended.switch.shards)
        shards[applier.key] = shards[applier.key][1:]
        ended = ended._replace(switch=ended.switch._replace(shards=tuple(shards)))
    yield Step(story, ended, "system", broken)


def carried(source: Source, applier: Applier, rules: SwitchRules) -> tuple[Source, str, str]:
    """Return the source with an item carried back, what was done, and what that breaks."""
    key, cell = applier.key, applier.cell
    row, name = source.rows[0], row_name(0)
    broken = f"{BACK}: {key_name(key)}" if cell.seen < source.changed[key] else ""
    if cell.item:
        row, story = Row(key, int(cell.item.partition("=")[2])), f"writes {cell.item} at {key_name(key)}"
    elif row is None or (row.key != key and rules.row_checked):
        story = f"finds no row at {key_name(key)}"
    elif cell.kind == "expired" and rules.ttl_not_carried:
        story = f"leaves {name}, which TTL has removed"
    else:
        broken = broken or (f"{KEPT}: {name}" if cell.kind == "expired" else "")
        row, story = None, f"deletes {name}"
    changed = (*source.changed[:key], cell.seen, *source.changed[key + 1 :])
    return source._replace(rows=(row,), changed=changed), story, broken
