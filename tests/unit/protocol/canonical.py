"""Worlds that behave alike are one: this is what keeps the number of them within reach.

Reconcilers have no names. Versions are compared for equality alone, so they are numbered as they appear, and a
condition that nothing can fulfil any more is forgotten. The latter two hold where no version is used again; a protocol
that breaks this rule is explored as it is.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.unit.protocol.copier import waits_for
from tests.unit.protocol.state import ABSENT, NEVER, TURBO

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.unit.protocol.rules import Model
    from tests.unit.protocol.state import Reconciler, Request, Switch, World

Alive = set[tuple[int, int]]


def canonical(world: World, model: Model) -> World:
    """Return the one world that stands for all those which behave alike."""
    if model.rules.fresh_versions:
        world = renumbered(without_the_dead(world, model))
    if len(world.reconcilers) > 1:
        reconcilers = tuple(sorted(world.reconcilers))
        if reconcilers != world.reconcilers:
            world = world._replace(reconcilers=reconcilers)
    if model.configuration.switches:
        return world._replace(switch=alike(world, model))
    return world


def alike(world: World, model: Model) -> Switch:
    """Return the switch with nameless processes. Who goes by the phase as it is may renew the lease at any time."""
    switch = world.switch
    instances = (
        each._replace(left=model.configuration.lease) if each.phase == world.phase else each
        for each in switch.instances
    )
    return switch._replace(instances=tuple(sorted(instances)), appliers=tuple(sorted(switch.appliers)))


def without_the_dead(world: World, model: Model) -> World:
    """Forget each request and each version read whose condition cannot be fulfilled any more."""
    requests = world.requests
    while True:
        alive = fulfillable(world, requests, model)
        kept = tuple(
            each
            for each in requests
            if each.condition < ABSENT or (each.key, each.condition) in alive or waits_for(world, each)
        )
        if len(kept) == len(requests):
            break
        requests = kept
    flying = {each.version for each in requests}
    reconcilers = tuple(remembered(each, alive, flying) for each in world.reconcilers)
    copier = world.copier
    if copier.step == "sent" and copier.request not in flying:
        copier = copier._replace(request=NEVER)
    if (requests, reconcilers, copier) == (world.requests, world.reconcilers, world.copier):
        return world
    return world._replace(requests=requests, reconcilers=reconcilers, copier=copier)


def fulfillable(world: World, requests: tuple[Request, ...], model: Model) -> Alive:
    """Return the pairs of key and version that are there, or may come to be."""
    rules = model.rules
    returns = (
        model.configuration.purge
        or model.configuration.ttl
        or not (rules.tombstones and rules.ttl_off and rules.tombstone_over_absence)
    )
    alive = {(each.key, each.version) for each in requests}
    for key, cell in enumerate(world.target):
        alive.add((key, cell.version))
        alive.add((key, TURBO))
        if returns:
            alive.add((key, ABSENT))
    return alive


def remembered(reconciler: Reconciler, alive: Alive, flying: set[int]) -> Reconciler:
    """Return what a reconciler remembers that may still matter."""
    if reconciler.versions:
        pairs = zip(reconciler.keys, reconciler.versions, strict=False)
        versions = tuple(pair[1] if pair in alive else NEVER for pair in pairs)
        return reconciler if versions == reconciler.versions else reconciler._replace(versions=versions)
    if reconciler.writes:
        writes = tuple(
            each if each.condition < ABSENT or (each.key, each.condition) in alive else each._replace(condition=NEVER)
            for each in reconciler.writes
        )
        request = reconciler.request if reconciler.request in flying else NEVER
        if (writes, request) != (reconciler.writes, reconciler.request):
            return reconciler._replace(writes=writes, request=request)
    return reconciler


def renumbered(world: World) -> World:
    """Number the versions by where they appear: in the target first, then in the requests in flight."""
    names: dict[int, int] = {}
    for cell in world.target:
        if cell.version > TURBO:
            names.setdefault(cell.version, len(names) + 1)
    for request in sorted(world.requests, key=lambda each: order(each, names)) if world.requests else ():
        if request.version > TURBO:
            names.setdefault(request.version, len(names) + 1)
    if any(name != version for version, name in names.items()):
        world = renamed(world, lambda version: names.get(version, version))
    following = len(names) + 1
    return world if world.next_version == following else world._replace(next_version=following)


def order(request: Request, names: dict[int, int]) -> tuple[object, ...]:
    """Return what requests are sorted by before their own versions have a name."""
    condition = request.condition
    if condition > TURBO:
        condition = names.get(condition, len(names) + 1)
    return (request.key, request.kind, request.item, condition, request.seen, request.left, request.by_application)


def renamed(world: World, name: Callable[[int], int]) -> World:
    """Give every version in a world its new name."""
    return world._replace(
        target=tuple(each._replace(version=name(each.version)) for each in world.target),
        requests=tuple(
            sorted(each._replace(condition=name(each.condition), version=name(each.version)) for each in world.requests)
        ),
        reconcilers=tuple(
            each._replace(
                versions=tuple(map(name, each.versions)),
                writes=tuple(write._replace(condition=name(write.condition)) for write in each.writes),
                request=name(each.request),
            )
            for each in world.reconcilers
        ),
        copier=world.copier._replace(request=name(world.copier.request)),
    )
