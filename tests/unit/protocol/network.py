"""What happens between the processes and DynamoDB: requests arrive, now, late or twice, or never; time passes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.unit.protocol import copier, reconciler, switch
from tests.unit.protocol.invariants import broken_by_absence, broken_by_writing
from tests.unit.protocol.state import ABSENT, ANY, NOTHING, Cell, Request, Step, key_name

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.unit.protocol.rules import Configuration, Model
    from tests.unit.protocol.state import World


def steps(world: World, model: Model) -> Iterator[Step]:
    """Yield what may happen next to requests, tombstones and the clock."""
    for request in world.requests:
        yield from deliver(world, request, model)
    if model.configuration.purge:
        yield from purge(world, model)
    if not model.rules.ttl_off or world.switch.ttl:
        yield from expire(world)
    if ticks(world):
        yield Step("the clock ticks", tick(world, model))


def deliver(world: World, request: Request, model: Model) -> Iterator[Step]:
    """DynamoDB carries out a request that is in flight. It stays there: it may arrive once more.

    The answer reaches whoever waits for it, or is lost.
    """
    before = world.target[request.key]
    if request.condition not in (ANY, before.version):
        # DuplicateItem is success to live copy; to all others a failed condition is as good as no answer.
        if copier.waits_for(world, request) and request.condition == ABSENT:
            yield Step(f"{described(request)} finds an item there", copier.answered(world, model))
        return
    after = applied(request, before)
    broken = broken_by_writing(world, request, before, after)
    written = world.with_cell(request.key, after)
    told = f"{described(request)} is applied"
    for index in reconciler.waiting_for(world, request):
        yield Step(f"{told}; relay {index + 1} is told", reconciler.answered(written, index, model), "system", broken)
    if copier.waits_for(world, request):
        yield Step(f"{told}; the copy is told", copier.answered(written, model), "system", broken)
    if request.by_application:
        yield Step(told, written, "application", broken)
    elif written != world:
        # Nobody waits for the answer to a purge. Any other request that has its effect without an answer is a fault.
        by = "system" if request.kind == "purge" else "fault"
        yield Step(f"{told}, and nobody is told", written, by, broken)


def applied(request: Request, before: Cell) -> Cell:
    """Return what a key holds after a request."""
    if request.kind == "put":
        return Cell("item", request.item, request.version, request.seen, 0)
    if request.kind == "tombstone":
        # As long as requests may arrive that are as old as the snapshot which wanted it.
        return Cell("tombstone", NOTHING, request.version, request.seen, request.left + 1)
    return Cell("absent", NOTHING, ABSENT, before.seen if request.kind == "purge" else request.seen, 0)


def purge(world: World, model: Model) -> Iterator[Step]:
    """Send the purge of a tombstone that has rested long enough, on condition that it still is the same one."""
    for key, cell in enumerate(world.target):
        rested = cell.rest == 0 or not model.rules.purge_waits
        if cell.kind == "tombstone" and rested and not world.pending_at(key) and room(world, model.configuration):
            life = model.configuration.life
            request = Request(key, "purge", NOTHING, cell.version, ABSENT, cell.seen, life)
            if not any(each.kind == "purge" and each.key == key for each in world.requests):
                sent = world._replace(requests=tuple(sorted((*world.requests, request))))
                yield Step(f"sends the purge of the tombstone at {key_name(key)} v{cell.version}", sent)


def expire(world: World) -> Iterator[Step]:
    """DynamoDB's TTL deletes an item."""
    for key, cell in enumerate(world.target):
        # An item that expires while the request by which the application has made it may come again is left out.
        made = (each for each in world.requests if each.by_application and each.condition == ABSENT)
        if cell.kind == "item" and all(each.key != key for each in made):
            after = world.with_cell(key, Cell("expired", NOTHING, ABSENT, cell.seen, 0))
            story = f"DynamoDB's TTL deletes the item at {key_name(key)}"
            yield Step(story, after, "fault", broken_by_absence(world, key, cell.seen))


def room(world: World, configuration: Configuration) -> bool:
    """Whether one more request may be in flight, within the sizes that are explored."""
    return len(world.requests) < configuration.requests


def ticks(world: World) -> bool:
    """Whether a tick of the clock would change anything."""
    return bool(
        world.requests
        or world.settling
        or world.leaving
        or any(cell.rest for cell in world.target)
        or any(each.step == "ready" for each in world.reconcilers)
        or world.copier.step == "read"
        or world.switch.waiting
        or any(each.phase != world.phase for each in world.switch.instances)
    )


def tick(world: World, model: Model) -> World:
    """Let one tick pass: lives run down, and what is at the end of its life does not arrive any more."""
    return world._replace(
        requests=tuple(each._replace(left=each.left - 1) for each in world.requests if each.left),
        target=tuple(cell._replace(rest=cell.rest - 1) if cell.rest else cell for cell in world.target),
        reconcilers=tuple(reconciler.overdue(each, model.rules) for each in world.reconcilers),
        copier=copier.overdue(world.copier, model.rules),
        settling=max(0, world.settling - 1),
        leaving=max(0, world.leaving - 1),
        switch=switch.tick(world, model),
    )


def described(request: Request) -> str:
    """Return a request in words."""
    what = request.item or request.kind
    whose = "the application's request" if request.by_application else "the request"
    condition = {ANY: "", ABSENT: " if absent"}.get(request.condition, f" if v{request.condition}")
    return f"{whose} {key_name(request.key)} := {what}{condition}"
