"""An event loop's selector that a forked child cannot use: what it watches is the parent's, and is shared with it."""

from __future__ import annotations

import selectors
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

    from _typeshed import FileDescriptorLike


class OneProcessSelector(selectors.DefaultSelector):
    """A selector that can be abandoned.

    A child of fork has a copy of the parent's loop and connections. When they are collected there, they would take
    their sockets out of the selector, and with epoll and kqueue the parent's is the same one.
    """

    _abandoned = False

    def abandon(self) -> None:
        """To be called in the child: it lets go of the selector, and nothing reaches the parent's any more."""
        self.close()
        self._abandoned = True

    def get_key(self, fileobj: FileDescriptorLike) -> selectors.SelectorKey:
        """As the base class; abandoned, it watches nothing."""
        if self._abandoned:
            raise KeyError(fileobj)
        return super().get_key(fileobj)

    def get_map(self) -> Mapping[FileDescriptorLike, selectors.SelectorKey]:
        """As the base class; abandoned, it watches nothing."""
        return {} if self._abandoned else super().get_map()
