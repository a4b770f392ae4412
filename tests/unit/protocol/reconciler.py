"""reconcile(K), as the relay, the inline mirror and verify with repair carry it out.

Claiming a mark takes no lock here: two reconcilers may take the same one, as a mirror and a relay do. FOR UPDATE SKIP
LOCKED saves work; nothing rests on it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.unit.protocol.rules import DUAL_WRITE, FENCED, TARGET_IS_MASTER
from tests.unit.protocol.state import (
    ABSENT,
    ANY,
    IDLE,
    NEVER,
    NOTHING,
    UNREAD,
    Mark,
    Reconciler,
    Request,
    Step,
    Write,
    key_name,
    row_name,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.unit.protocol.rules import Model, Rules
    from tests.unit.protocol.state import Source, World


def steps(world: World, model: Model) -> Iterator[Step]:
    """Yield what each reconciler may do next."""
    for index, reconciler in enumerate(world.reconcilers):
        who = f"relay {index + 1}"
        match reconciler.step:
            case "idle":
                # Processes that remember nothing are all alike: one of them takes the work.
                if IDLE not in world.reconcilers[:index]:
                    yield from claim(world, index, model)
                continue
            case "claimed" if len(reconciler.versions) < len(reconciler.keys) and model.rules.target_before_source:
                yield read_target(world, index, model)
            case "claimed":
                yield from snapshots(world, index, model)
            case "source read":
                yield read_target_late(world, index)
            case "ready" if len(world.requests) < model.configuration.requests:
                yield send(world, index, model)
            case "written":
                yield delete_marks(world, index, model)
            case _:
                pass
        if reconciler.step == "sent":
            yield give_up(world, index, model)
        else:
            yield Step(f"{who} crashes", world.with_reconciler(index, IDLE), "fault")


def may_run(world: World, model: Model) -> bool:
    """Whether reconcile may run: while PostgreSQL is the master and nothing of turbo copy can arrive."""
    rules = model.rules
    if not rules.relay_respects_copy:
        return True
    phases = (DUAL_WRITE, FENCED) if model.switch.phase_read else (DUAL_WRITE, FENCED, *TARGET_IS_MASTER)
    return world.phase in phases and (world.settling == 0 or not rules.relay_waits)


def claim(world: World, index: int, model: Model) -> Iterator[Step]:
    """Take a pending mark, and with it the item keys of its current and its old row."""
    if not may_run(world, model):
        return
    marks = list(world.pending())
    for mark in marks if model.rules.marks_in_any_order else marks[:1]:
        keys = world.source.keys_of(mark)
        names = " and ".join(map(key_name, keys)) or "no key"
        claimed = world.with_reconciler(index, Reconciler("claimed", mark.number, keys))
        story = f"relay {index + 1} claims mark {mark.number} ({row_name(mark.row)}: {names})"
        if not model.rules.claim_apart:
            taken = take_snapshot(claimed, index, model, world.source)
            yield Step(f"{story}; {taken.story}", taken.world)
        else:
            yield Step(story, claimed)
    if model.configuration.repair:
        for key in range(model.configuration.keys):
            claimed = world.with_reconciler(index, Reconciler("claimed", 0, (key,)))
            yield Step(f"relay {index + 1} (verify) suspects {key_name(key)}", claimed)


def read_target(world: World, index: int, model: Model) -> Step:
    """Read the next key by a consistent GetItem."""
    reconciler = world.reconcilers[index]
    key = reconciler.keys[len(reconciler.versions)]
    cell = world.target[key]
    # Without a mark, or without the rule to write wherever one was read, equality decides.
    compared = model.configuration.repair or not model.rules.always_write
    read = reconciler._replace(
        versions=(*reconciler.versions, cell.version), items=(*reconciler.items, cell.item) if compared else ()
    )
    return Step(f"relay {index + 1} reads the target: {described(world, key)}", world.with_reconciler(index, read))


def snapshots(world: World, index: int, model: Model) -> Iterator[Step]:
    """Take the snapshot: on the primary, or on a replica where somebody lets a balancer choose."""
    yield take_snapshot(world, index, model, world.source)
    if not model.rules.primary and world.replica != world.source:
        step = take_snapshot(world, index, model, world.replica)
        yield step._replace(story=f"{step.story} (on a replica)")


def take_snapshot(world: World, index: int, model: Model, source: Source) -> Step:
    """Read marks and desired items in one snapshot, which also says whether reconcile may run."""
    reconciler = world.reconcilers[index]
    # The mark that was claimed is read also where it names no key any more.
    marks = [
        mark
        for mark in source.marks
        if mark.number > world.cursor
        and (mark.number == reconciler.claim or not set(reconciler.keys).isdisjoint(source.keys_of(mark)))
    ]
    taken = after_snapshot(source, reconciler, marks, model.rules) if may_run(world, model) else IDLE
    seen = ", ".join(f"{key_name(key)} should be {source.item(key) or 'nothing'}" for key in reconciler.keys)
    read = "marks " + " ".join(str(mark.number) for mark in marks) if marks else "no marks"
    return Step(f"relay {index + 1} takes its snapshot: {read}; {seen}", world.with_reconciler(index, taken))


def after_snapshot(source: Source, reconciler: Reconciler, marks: list[Mark], rules: Rules) -> Reconciler:
    """Return what a reconciler does after its snapshot: read further keys, write, delete marks, or nothing."""
    named = [key for mark in marks for key in source.keys_of(mark)]
    further = tuple(dict.fromkeys(key for key in named if key not in reconciler.keys))
    if further and rules.all_keys_read:
        return reconciler._replace(step="claimed", keys=(*reconciler.keys, *further))
    writes = desired(source, reconciler, set(named), rules)
    done = tuple(mark.number for mark in marks) if rules.marks_in_any_order else (reconciler.claim,)
    if writes:
        complete = len(reconciler.versions) == len(reconciler.keys)
        return Reconciler("ready" if complete else "source read", marks=done, writes=writes)
    return Reconciler("written", marks=done) if done else IDLE


def desired(source: Source, reconciler: Reconciler, named: set[int], rules: Rules) -> tuple[Write, ...]:
    """Return the writes that a snapshot asks for, items before tombstones. `named` are the keys of its marks."""
    versions = reconciler.versions or (UNREAD,) * len(reconciler.keys)
    writes = []
    for position, (key, version) in enumerate(zip(reconciler.keys, versions, strict=True)):
        item = source.item(key)
        may_skip = key not in named or not rules.always_write
        if may_skip and reconciler.items and reconciler.items[position] == item:
            continue
        if key not in named and not reconciler.items:
            continue
        if not rules.tombstone_over_absence and (item, version) == (NOTHING, ABSENT):
            continue
        writes.append(Write(key, item, source.changed[key], version))
    return tuple(sorted(writes, key=lambda write: (write.item == NOTHING) == rules.items_first))


def read_target_late(world: World, index: int) -> Step:
    """Read the target after the source, which the protocol forbids."""
    reconciler = world.reconcilers[index]
    position = next(at for at, write in enumerate(reconciler.writes) if write.condition == UNREAD)
    write = reconciler.writes[position]
    read = write._replace(condition=world.target[write.key].version)
    writes = (*reconciler.writes[:position], read, *reconciler.writes[position + 1 :])
    step = "source read" if any(each.condition == UNREAD for each in writes) else "ready"
    after = world.with_reconciler(index, reconciler._replace(step=step, writes=writes))
    return Step(f"relay {index + 1} reads the target: {described(world, write.key)}", after)


def send(world: World, index: int, model: Model) -> Step:
    """Send the next write, on condition that its key holds what was read."""
    reconciler = world.reconcilers[index]
    write = reconciler.writes[0]
    rules = model.rules
    version = world.next_version if rules.fresh_versions else max(write.condition, 0) + 1
    kind = "put" if write.item else "tombstone" if rules.tombstones else "delete"
    condition = write.condition if rules.conditional else ANY
    request = Request(write.key, kind, write.item, condition, version, write.seen, model.configuration.life)
    sent = world.with_reconciler(index, reconciler._replace(step="sent", request=version))
    story = f"relay {index + 1} sends {key_name(write.key)} := {write.item or kind} as v{version}"
    return Step(
        story + {ANY: "", ABSENT: " if absent"}.get(condition, f" if v{condition}"),
        sent._replace(
            requests=tuple(sorted({*world.requests, request})), next_version=max(world.next_version, version + 1)
        ),
    )


def waiting_for(world: World, request: Request) -> Iterator[int]:
    """Yield which reconciler waits for the answer to a request."""
    for index, reconciler in enumerate(world.reconcilers):
        if reconciler.step == "sent" and reconciler.request == request.version:
            write = reconciler.writes[0]
            if (write.key, write.item, write.seen) == (request.key, request.item, request.seen):
                yield index


def answered(world: World, index: int, model: Model) -> World:
    """Go on after a write that was applied: to the next one, or to the marks."""
    reconciler = world.reconcilers[index]
    rest = reconciler.writes[1:]
    if rest and (model.rules.delete_after_all_keys or not reconciler.marks):
        step = "idle" if reconciler.late else "ready"
    else:
        step = "written" if reconciler.marks else "idle"
    going_on = reconciler._replace(step=step, writes=rest, request=NEVER)
    return world.with_reconciler(index, going_on if step != "idle" else IDLE)


def give_up(world: World, index: int, model: Model) -> Step:
    """Stop waiting: the condition failed, or no answer comes."""
    if model.rules.start_again:
        story = f"relay {index + 1} has no answer or a failed condition, and starts again"
        return Step(story, world.with_reconciler(index, IDLE))
    return Step(f"relay {index + 1} takes its write for done", answered(world, index, model))


def delete_marks(world: World, index: int, model: Model) -> Step:
    """Delete exactly the marks that the snapshot read."""
    reconciler = world.reconcilers[index]
    doomed = set(reconciler.marks)
    if not model.rules.delete_marks_read:
        rows = {mark.row for mark in world.source.marks if mark.number in doomed}
        doomed |= {mark.number for mark in world.source.marks if mark.row in rows}
    source = world.source._replace(marks=tuple(mark for mark in world.source.marks if mark.number not in doomed))
    going_on = reconciler._replace(step="ready", marks=()) if reconciler.writes and not reconciler.late else IDLE
    after = world.with_reconciler(index, going_on)._replace(source=source)
    if not model.rules.marks_in_any_order:
        after = after._replace(cursor=max(world.cursor, *doomed))
    gone = [str(mark.number) for mark in world.source.marks if mark.number in doomed]
    return Step(f"relay {index + 1} deletes marks: {' '.join(gone) or 'gone already'}", after)


def overdue(reconciler: Reconciler, rules: Rules) -> Reconciler:
    """Return what a reconciler is after a tick: past the deadline of its snapshot it sends nothing, but reads again."""
    if not rules.deadline:
        return reconciler
    if reconciler.step == "ready":
        return IDLE
    return reconciler._replace(late=bool(reconciler.writes[1:])) if reconciler.step == "sent" else reconciler


def described(world: World, key: int) -> str:
    """Return what the target holds under a key, in words."""
    cell = world.target[key]
    version = "" if cell.version == ABSENT else f" v{cell.version}"
    return f"{key_name(key)} is {cell.item or cell.kind}{version}"
