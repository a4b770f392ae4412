"""What a child of fork does not have of its parent's: threads. Objects that own one are told, and begin anew."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Final, Protocol
from weakref import WeakSet

if TYPE_CHECKING:
    from collections.abc import Hashable


class Forked(Protocol):
    """What has to begin anew in a child of fork."""

    def forked(self) -> Hashable | None:
        """In the child: the thread is not there, its connections are the parent's, locks may be held.

        Returns what it had of its parent's.
        """


_OBJECTS: Final[WeakSet[Forked]] = WeakSet()
_INHERITED: Final[list[Hashable]] = []
"""What a child of fork has of its parent's. It is kept: collected, it would close what the parent works with."""


def told_of_forks(which: Forked) -> None:
    """Has an object told of forks, for as long as it lives."""
    _OBJECTS.add(which)


def _tell() -> None:
    for each in list(_OBJECTS):
        inherited = each.forked()
        if inherited is not None:
            _INHERITED.append(inherited)


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_tell)
