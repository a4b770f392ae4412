"""Python's cyclic garbage collector while much is read and little is kept."""

from __future__ import annotations

import gc
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterator

_ALLOCATIONS: Final = 500_000
"""Between two collections: several pages of 1 MB, each some 30,000 objects, which go without the collector's help."""


@contextmanager
def seldom_collected() -> Iterator[None]:
    """Has the collector look seldom, and not at what is there already: it would go through every page that is held."""
    before = gc.get_threshold()
    gc.freeze()
    gc.set_threshold(_ALLOCATIONS, *before[1:])
    try:
        yield
    finally:
        gc.set_threshold(*before)
        gc.unfreeze()
