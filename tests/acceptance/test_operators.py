"""Two operators at once: one of them moves the phase, the other is told who does."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.acceptance.writing import WRITES, read, stages
from tests.support.fault_proxy import FaultProxy
from tests.support.faults import Hold

if TYPE_CHECKING:
    from tests.support.project import Project

__all__ = ["read"]
BACK = ("rollback", "-y")


def refused(project: Project, *command: str) -> None:
    """See that a command is refused, since another one moves the phase."""
    project.here(*command).failed(
        7,
        "the lock copy:shop is held by the session migrator switch",
        "nothing was done; the other run goes on",
        "next: wait until it is done, or stop it, then run the command again",
    )


@pytest.mark.parametrize("second", [WRITES, BACK], ids=" ".join)
def test_while_writes_move_nobody_else_moves_them(read: Project, second: tuple[str, ...]) -> None:
    read.database.execute("update customers set name = 'other' where id = 1")
    with FaultProxy(read.dynamodb.endpoint_url) as proxy:
        slow = read.through(AWS_ENDPOINT_URL=proxy.endpoint_url)
        held = proxy.inject(Hold(), on="BatchGetItem")
        with slow.start(*WRITES) as first:
            # Fenced, it carries the last change over.
            proxy.wait_for("BatchGetItem", 1)
            refused(read, *second)
            proxy.remove(held)
            proxy.release()
            _, told = first.communicate()
    assert first.returncode == 0, told
    assert stages(read) == {("write_target", "open")}
