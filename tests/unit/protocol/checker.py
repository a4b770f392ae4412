"""An explicit-state model checker: it visits every world that the protocol can reach, nearest first."""

from __future__ import annotations

import gc
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from tests.unit.protocol import application, applier, copier, invariants, network, reconciler, repository, switch
from tests.unit.protocol.canonical import canonical
from tests.unit.protocol.state import Step, World, beginning

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from tests.unit.protocol.rules import Model

UNBOUNDED = 1_000


@dataclass(frozen=True)
class Outcome:
    """What an exploration has found. Without `broken`, every reachable world was visited and all invariants hold."""

    states: int
    broken: str = ""
    trace: tuple[str, ...] = ()

    def __str__(self) -> str:
        if not self.broken:
            return f"all {self.states:,} states explored: the invariants hold"
        lines = [f"{number:3}. {story}" for number, story in enumerate(self.trace, 1)]
        return "\n".join([*lines, f"     BROKEN: {self.broken}"])


def successors(world: World, model: Model) -> Iterator[Step]:
    """Yield all that may happen next."""
    yield from application.steps(world, model)
    yield from reconciler.steps(world, model)
    yield from copier.steps(world, model)
    yield from network.steps(world, model)
    if model.configuration.switches:
        yield from switch.steps(world, model)
        yield from repository.steps(world, model)
        yield from applier.steps(world, model)
    if not model.rules.primary and world.replica != world.source:
        yield Step("the replica catches up", world._replace(replica=world.source))


def state_invariant(model: Model) -> Callable[[World], str]:
    """Return what says of a world which invariant it breaks."""
    if model.configuration.switches:
        return invariants.broken_on_the_way
    if model.configuration.operations == ("move",) and model.configuration.copied:
        return lambda world: invariants.broken_in(world) or invariants.invisible(world)
    return invariants.broken_in


def explore(model: Model) -> Outcome:
    """Visit every world, until an invariant is broken; last, ask whether each of them can drain."""
    with no_collector():
        return Exploration(model, state_invariant(model), by_step=True).run()


def lost_write(model: Model) -> Outcome:
    """Look for a world at rest in which the target is not what the source says: the harm in the end."""
    with no_collector():
        return Exploration(model, invariants.lost, by_step=False).run()


@contextmanager
def no_collector() -> Iterator[None]:
    """Keep the cycle collector away from worlds: there are a great many of them, and no cycles."""
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()


class Exploration:
    """The worlds visited, by number, with the first one before each, and all before it without faults."""

    def __init__(self, model: Model, invariant: Callable[[World], str], *, by_step: bool) -> None:
        self.model = model
        self.invariant = invariant
        self.by_step = by_step
        first = canonical(beginning(model), model)
        self.numbers = {first: 0}
        self.worlds = [first]
        self.parents = [0]
        self.before: list[list[int]] = [[]]

    def run(self) -> Outcome:
        """Explore breadth first, so that the first trace found is a shortest one."""
        current = 0
        while current < len(self.worlds):
            for step in successors(self.worlds[current], self.model):
                number = self.number(step.world)
                broken = self.arrive(current, step, number)
                if broken:
                    return self.outcome(broken, [*self.path(current), self.worlds[number]])
            current += 1
        stuck = self.stuck()
        return Outcome(len(self.worlds)) if stuck is None else self.outcome(invariants.DRAINS, self.path(stuck))

    def number(self, world: World) -> int:
        """Return the number of a world; a new one has the next number, and is the last of the worlds."""
        number = self.numbers.get(world)
        if number is None:
            after = canonical(world, self.model)
            number = self.numbers.setdefault(after, len(self.worlds))
            self.numbers[world] = number
            if number == len(self.worlds):
                self.worlds.append(after)
        return number

    def arrive(self, current: int, step: Step, number: int) -> str:
        """Note that a step leads from one world to another; return what is broken by it."""
        new = number == len(self.parents)
        if new:
            self.parents.append(current)
            self.before.append([])
        if step.by == "system":
            self.before[number].append(current)
        broken = step.broken if self.by_step else ""
        return broken or (self.invariant(self.worlds[number]) if new else "")

    def stuck(self) -> int | None:
        """Return the nearest world from which the system by itself cannot come to rest."""
        reached = [invariants.at_rest(world) for world in self.worlds]
        todo = [number for number, rests in enumerate(reached) if rests]
        while todo:
            for number in self.before[todo.pop()]:
                if not reached[number]:
                    reached[number] = True
                    todo.append(number)
        return None if all(reached) else reached.index(False)

    def path(self, number: int) -> list[World]:
        """Return the worlds from the first one to this one."""
        worlds = [self.worlds[number]]
        while number:
            number = self.parents[number]
            worlds.append(self.worlds[number])
        return worlds[::-1]

    def outcome(self, broken: str, path: Sequence[World]) -> Outcome:
        """Return a violation with its story."""
        return Outcome(len(self.worlds), broken, tuple(self.replay(path)))

    def replay(self, path: Sequence[World]) -> Iterator[str]:
        """Tell a path again, with processes that keep their names and version numbers that only grow."""
        # Requests that cannot have an effect any more are still there in such a world.
        roomy = replace(self.model, configuration=replace(self.model.configuration, requests=UNBOUNDED))
        world = beginning(self.model)
        for goal in path[1:]:
            step = next(step for step in successors(world, roomy) if canonical(step.world, self.model) == goal)
            world = step.world
            yield step.story
