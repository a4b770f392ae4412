"""The two drawings of a page, as coordinates: coverage as bars, earlier runs as marks on a line of time."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from migrator.cli.report.document import ModelVerified

BAR: Final = 100.0
_LEAST: Final = 2.0
LINE: Final = 480.0
_MARGIN: Final = 12.0


@dataclass(frozen=True)
class Bar:
    """An entity's bar: its length is as the root of its rows, so that small tables are seen beside large ones.

    `different` is the part of `length` that differs, wide enough to be seen where there is any.
    """

    length: float
    different: float


@dataclass(frozen=True)
class Run:
    """A run on the line of time: where, and how it ended."""

    x: float
    outcome: str


def bars(model: ModelVerified) -> list[Bar]:
    """A bar for each entity."""
    most = max((entity.rows for entity in model.entities), default=0)
    drawn = []
    for entity in model.entities:
        length = max(BAR * math.sqrt(entity.rows / most), _LEAST) if most else _LEAST
        part = min(entity.differences / entity.rows, 1.0) if entity.rows else float(entity.differences > 0)
        different = min(max(length * part, _LEAST), length) if entity.differences else 0.0
        drawn.append(Bar(round(length, 2), round(different, 2)))
    return drawn


def timeline(model: ModelVerified) -> list[Run]:
    """The runs on record and this one, from the first to the last."""
    ends = [(each.started_at.timestamp(), each.outcome) for each in reversed(model.earlier)]
    ends.append((model.started_at.timestamp(), "equal" if model.clean else "different"))
    first, last = ends[0][0], ends[-1][0]
    scale = (LINE - 2 * _MARGIN) / ((last - first) or 1.0)
    return [Run(round(_MARGIN + (at - first) * scale, 1), outcome) for at, outcome in ends]
