"""One call of the command line: what the options that every command shares have said."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any


@dataclass
class Invocation:
    """The object of click's context; the shared options fill it while they are parsed."""

    settings: dict[str, Any] = field(default_factory=dict)
    """The settings given as options, as `migrator.settings.load_settings` takes them."""
