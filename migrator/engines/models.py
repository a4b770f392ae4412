"""A model as worker processes are given it: by the name of its module, since its compiled code cannot be passed on."""

from __future__ import annotations

from dataclasses import dataclass
from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from migrator.mapping import Model


@dataclass(frozen=True)
class NamedModel:
    """A model, and the module that defines it. In another process it is the one that is found there by that name."""

    module: str
    model: Model

    def __reduce__(self) -> tuple[Callable[[str], NamedModel], tuple[str]]:
        return named, (self.module,)


def named(module: str) -> NamedModel:
    """The model that a module defines as `MODEL`."""
    return NamedModel(module, import_module(module).MODEL)
