"""Bulk copy: turbo in phase `prepare`, live in `dual_write`; and the moves between the two phases.

A page is one row. The request that carries it is sent in the tick of the page's snapshot. A copy that is killed after
it has sent leaves its request in flight, so a process that was only paused, and sends late, is no case of its own.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.unit.protocol.rules import DUAL_WRITE, PREPARE
from tests.unit.protocol.state import (
    ABSENT,
    ANY,
    TURBO,
    Copier,
    Request,
    Step,
    Write,
    key_name,
    row_name,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.unit.protocol.rules import Model, Rules
    from tests.unit.protocol.state import World


def steps(world: World, model: Model) -> Iterator[Step]:
    """Yield what the copy may do next, and where the phase may go."""
    match world.copier.step:
        case "idle" if not world.copy_done() and may_read(world, model.rules):
            yield read_page(world, model)
        case "read" if len(world.requests) < model.configuration.requests:
            yield send(world, model)
        case _:
            pass
    if world.copier.step == "sent":
        again = world._replace(copier=Copier(page=world.copier.page))
        yield Step("the copy has no answer, or is killed: it will read its page again", again)
    if world.copier.step == "read":
        yield Step("the copy is killed", world._replace(copier=Copier(page=world.copier.page)), "fault")
    if world.phase == PREPARE:
        yield Step("the phase moves to dual_write", world._replace(phase=DUAL_WRITE))
    elif world.phase == DUAL_WRITE and world.rollbacks_left:
        yield Step("the phase moves back to prepare", moved_back(world, model), "fault")


def moved_back(world: World, model: Model) -> World:
    """Return to `prepare`: turbo copy will begin anew."""
    return world._replace(
        phase=PREPARE,
        leaving=model.configuration.life + 1,
        rollbacks_left=world.rollbacks_left - 1,
        copier=Copier(),
    )


def may_read(world: World, rules: Rules) -> bool:
    """Whether the copy may read a page: turbo only when nothing can arrive that reconcile sent before."""
    return world.phase == DUAL_WRITE or world.leaving == 0 or not rules.turbo_waits


def read_page(world: World, model: Model) -> Step:
    """Read the next page, and the phase with it, in a short transaction. Turbo copy records there that it goes on."""
    page = world.copier.page
    row = world.source.rows[page]
    if row is None:
        return Step(f"the copy finds no row {row_name(page)}", world._replace(copier=Copier(page=page + 1)))
    turbo = world.phase == PREPARE
    condition = ANY if turbo or not model.rules.put_if_absent else ABSENT
    write = Write(row.key, world.source.item(row.key), world.source.changed[row.key], condition)
    after = world._replace(copier=Copier("read", page, write))
    if turbo:
        after = after._replace(settling=model.configuration.life + 1)
    kind = "turbo" if turbo else "live"
    return Step(f"{kind} copy reads its page: {key_name(row.key)} should be {write.item}", after)


def send(world: World, model: Model) -> Step:
    """Send the page."""
    write = world.copier.write
    unconditional = write.condition == ANY
    version = TURBO if unconditional else world.next_version
    request = Request(write.key, "put", write.item, write.condition, version, write.seen, model.configuration.life)
    after = world._replace(
        requests=tuple(sorted({*world.requests, request})),
        copier=world.copier._replace(step="sent", request=version),
        next_version=world.next_version + (not unconditional),
    )
    condition = "" if unconditional else " if absent"
    return Step(f"the copy sends {key_name(write.key)} := {write.item}{condition}", after)


def waits_for(world: World, request: Request) -> bool:
    """Whether the copy waits for the answer to a request."""
    copier, write = world.copier, world.copier.write
    return (
        copier.step == "sent"
        and copier.request == request.version
        and (write.key, write.item, write.seen, write.condition)
        == (request.key, request.item, request.seen, request.condition)
    )


def answered(world: World, model: Model) -> World:
    """Record that the page is done."""
    after = world._replace(copier=Copier(page=world.copier.page + 1))
    if after.copy_done() and not model.rules.waits_after_any_copy:
        return after._replace(settling=0)
    return after


def overdue(copier: Copier, rules: Rules) -> Copier:
    """Return what the copy is after a tick: a page that was not sent in time is read again."""
    return Copier(page=copier.page) if copier.step == "read" and rules.deadline else copier
