"""The models that the settings name, imported."""

from __future__ import annotations

import sys
import traceback
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING

import migrator
from migrator.errors import ConfigurationError
from migrator.mapping import Model

if TYPE_CHECKING:
    from collections.abc import Sequence

PACKAGE = Path(migrator.__file__).parent


def load_models(names: Sequence[str]) -> tuple[Model, ...]:
    """Import mapping modules, from the working directory too, and return their models in the order named.

    Raises:
        ConfigurationError: no module is named, one does not import or defines no `MODEL`, or two models share a name.
    """
    if not names:
        raise ConfigurationError(
            "No mappings are named.",
            next_step="Set MIGRATOR_MAPPINGS, or `mappings` in migrator.toml, to a Python module that defines MODEL.",
        )
    directory = str(Path.cwd())
    if directory not in sys.path:
        sys.path.insert(0, directory)
    models: dict[str, Model] = {}
    for name in dict.fromkeys(names):
        model = load_model(name)
        if model.name in models:
            raise ConfigurationError(
                f"Two mapping modules define the model {model.name!r}; the second is {name}.",
                next_step="Name one of them, or give the models different names.",
            )
        models[model.name] = model
    return tuple(models.values())


def load_model(name: str) -> Model:
    """Import one mapping module and return its model."""
    try:
        module = import_module(name)
    # The module is the user's own code, and may raise anything.
    except Exception as error:
        raise ConfigurationError(
            f"The mapping module {name} does not import: {_cause(error)}.",
            next_step="Correct it, or name another with MIGRATOR_MAPPINGS or --mappings; then run `migrate lint`.",
        ) from error
    model = getattr(module, "MODEL", None)
    if not isinstance(model, Model):
        raise ConfigurationError(
            f"The mapping module {name} defines no model.",
            next_step=f'Define `MODEL = Model("...", ...)` in {name}, of class migrator.mapping.Model.',
        )
    return model


def _cause(error: Exception) -> str:
    """Say in one line what went wrong, and at which line of the user's code."""
    sentence = " ".join(f"{type(error).__name__}: {error}".split()).rstrip(".")
    if isinstance(error, SyntaxError):
        return sentence
    frames = [
        frame
        for frame in traceback.extract_tb(error.__traceback__)
        if not frame.filename.startswith("<") and not Path(frame.filename).is_relative_to(PACKAGE)
    ]
    own = [frame for frame in frames if Path(frame.filename).is_relative_to(Path.cwd())] or frames
    return f"{sentence}, at {own[-1].filename}:{own[-1].lineno}" if own else sentence
