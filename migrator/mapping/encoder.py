"""The compiled encoder: one generated function per entity that turns fetched rows into the text of their items.

The function's source is straight-line code made from the plan: nothing is looked up or dispatched per value. A value
that straight-line code cannot judge (a number with an exponent, `infinity`, a key near its limit) raises `Doubt`; that
row alone takes the readable path of `migrator.mapping.forward`, which encodes it or says why it cannot.
"""

from __future__ import annotations

import json
import linecache
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from migrator.mapping import lane
from migrator.mapping.assembly import Assembly
from migrator.mapping.errors import FUNCTION_ERRORS, Unencodable
from migrator.mapping.field import escape
from migrator.mapping.forward import expiry, forward
from migrator.mapping.instant import iso_fixed

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from migrator.mapping.entity import Entity

FOREVER: Final = -(1 << 63)
"""As `now`: no row has expired."""


@dataclass
class Encoded:
    """What a batch of rows became.

    `items` are JSON texts in UTF-8; `expired` counts rows left out as past their TTL; `failures` says why the rows in
    `failed`, in the same order, have no items; `doubted` counts the rows that took the readable path.
    """

    items: list[bytes]
    failures: list[Unencodable]
    failed: list[Sequence[Any]]
    expired: int
    doubted: int


class Encoder:
    """An entity's compiled encoder. `source_code` is the generated function, for whoever wants to read it.

    `trailing` is how many values follow the projection's in each row (the source edge appends the key as text).
    """

    def __init__(self, entity: Entity, *, trailing: int = 0) -> None:
        self.entity = entity
        self.source_code, namespace = _generate(entity, trailing)
        file = f"<encoder of {entity.name!a}>"
        linecache.cache[file] = (len(self.source_code), None, self.source_code.splitlines(keepends=True), file)
        exec(compile(self.source_code, file, "exec"), namespace)  # noqa: S102 - the source is made here, from the plan
        self._encode: Callable[..., tuple[int, list[Sequence[Any]]]] = namespace["encode"]
        self._names = [projected.name for projected in entity.projection]

    def encode(self, rows: Iterable[Sequence[Any]], now: int = FOREVER) -> Encoded:
        """Encodes rows whose values stand in the order of the entity's projection.

        A row whose expiry is not after `now` (Unix seconds) is left out and counted.
        """
        items: list[bytes] = []
        expired, doubtful = self._encode(rows, now, items)
        failures: list[Unencodable] = []
        failed: list[Sequence[Any]] = []
        for values in doubtful:
            row = dict(zip(self._names, values, strict=False))
            try:
                until = expiry(self.entity.plan, row)
                if until is not None and until <= now:
                    expired += 1
                else:
                    items += [json.dumps(item, ensure_ascii=False).encode() for item in forward(self.entity, row)]
            except Unencodable as failure:
                failures.append(failure)
                failed.append(values)
        return Encoded(items, failures, failed, expired, len(doubtful))


def _generate(entity: Entity, trailing: int) -> tuple[str, dict[str, Any]]:
    """The function's source and the names it finds its helpers under."""
    assembly = Assembly(entity, trailing)
    source = "\n".join(
        [
            "def encode(rows, now, items):",
            "    append = items.append",
            "    expired = 0",
            "    doubtful = []",
            "    for row in rows:",
            "        try:",
            *(f"            {statement}" for statement in assembly.statements()),
            "        except doubts:",
            "            doubtful.append(row)",
            "    return expired, doubtful",
            "",
        ]
    )
    return source, {**_HELPERS, **assembly.names.constants}


_HELPERS: Final = {
    **{name: getattr(lane, name) for name in lane.HELPERS},
    "doubts": (lane.Doubt, *FUNCTION_ERRORS),
    "escape": escape,
    "fixed": iso_fixed,
}
