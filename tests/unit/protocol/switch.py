"""The moves of the phase beyond `dual_write`: the fence, the opening, the return; and the leases of applications."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.unit.protocol.invariants import differing
from tests.unit.protocol.rules import DUAL_WRITE, FENCED, OPEN, RETURNING
from tests.unit.protocol.state import Instance, Step

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.unit.protocol.rules import Model
    from tests.unit.protocol.state import Switch, World


def steps(world: World, model: Model) -> Iterator[Step]:
    """Yield where the phase may go, and which application may learn where it is."""
    yield from moves(world, model)
    for index, instance in enumerate(world.switch.instances):
        if instance.phase != world.phase:
            renewed = Instance(world.phase, model.configuration.lease)
            instances = (*world.switch.instances[:index], renewed, *world.switch.instances[index + 1 :])
            story = f"an application that goes by {instance.phase} renews its lease"
            yield Step(story, world._replace(switch=world.switch._replace(instances=instances)))


def moves(world: World, model: Model) -> Iterator[Step]:
    """Yield the moves of the phase, and of TTL with it."""
    match world.phase:
        case "dual_write" if world.switch.left and may_fence(world, model):
            yield Step("the phase moves to write_target, and PostgreSQL is fenced", fenced(world, model), "fault")
        case "write_target, fenced":
            yield Step("the move is given up, and the fence is lifted", world._replace(phase=DUAL_WRITE), "fault")
            if may_open(world, model):
                yield Step("the phase opens", opened(world, model))
        case "write_target":
            yield Step("the return begins: all writes are refused", returning(world, model), "fault")
            if model.configuration.ttl and not world.switch.ttl and not world.switch.waiting:
                yield Step("TTL is enabled", world._replace(switch=world.switch._replace(ttl=True)))
        case "write_target, returning":
            if world.switch.ttl:
                yield Step("TTL is disabled", world._replace(switch=world.switch._replace(ttl=False)))
            if may_lift(world, model):
                yield Step("the fence is lifted, the phase is dual_write", lifted(world))
        case _:
            pass


def may_fence(world: World, model: Model) -> bool:
    """Whether the fence can be set: the lock that it takes waits for transactions in flight."""
    return world.copy_done() and not (world.transactions and model.switch.fence_waits)


def fenced(world: World, model: Model) -> World:
    """Move the phase and set the fence, in one transaction."""
    waiting = model.configuration.lease + 1 if model.switch.lease_at_switch else 0
    switch = world.switch._replace(left=world.switch.left - 1, waiting=waiting)
    return world._replace(phase=FENCED, switch=switch)


def may_open(world: World, model: Model) -> bool:
    """Whether DynamoDB may become the master."""
    if world.switch.waiting:
        return False
    return not any(world.pending()) or not model.switch.marks_drained


def opened(world: World, model: Model) -> World:
    """Make DynamoDB the master. The stream is read from here on."""
    waiting = model.configuration.life + 1 if model.configuration.ttl and model.switch.ttl_after_life else 0
    return world._replace(phase=OPEN, switch=world.switch._replace(waiting=waiting))


def returning(world: World, model: Model) -> World:
    """Begin to return. A request may be sent in the last moment of a lease, and arrive in the last of its life."""
    rules, configuration = model.switch, model.configuration
    lease = configuration.lease + 1 if rules.lease_at_return else 0
    waiting = lease + (configuration.life if rules.life_at_return else 0)
    return world._replace(phase=RETURNING, switch=world.switch._replace(waiting=waiting))


def may_lift(world: World, model: Model) -> bool:
    """Whether PostgreSQL may become the master again: what it holds is compared."""
    if world.switch.waiting or (world.switch.ttl and model.switch.ttl_off_at_return):
        return False
    return not (model.switch.verified_at_return and differing(world))


def lifted(world: World) -> World:
    """Make PostgreSQL the master again, as it is: from here on, its state is the newest of every key."""
    changed = tuple(max(cell.seen, changed) for cell, changed in zip(world.target, world.source.changed, strict=True))
    switch = world.switch._replace(shards=((),) * len(world.target))
    return world._replace(phase=DUAL_WRITE, source=world.source._replace(changed=changed), switch=switch)


def tick(world: World, model: Model) -> Switch:
    """Let one tick pass: who goes by a phase that is over, and has no lease any more, has to ask."""
    instances = tuple(
        each._replace(left=each.left - 1)
        if each.phase != world.phase and each.left
        else Instance(world.phase, model.configuration.lease)
        for each in world.switch.instances
    )
    return world.switch._replace(instances=instances, waiting=max(0, world.switch.waiting - 1))
