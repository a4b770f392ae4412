"""Rows as a person writes them: plain JSON, column by column."""

from __future__ import annotations

from typing import TYPE_CHECKING

from migrator.errors import UsageError
from migrator.mapping.errors import Unfit

if TYPE_CHECKING:
    from collections.abc import Mapping

    from migrator.mapping.entity import Entity
    from migrator.mapping.forward import Row


def row_from_json(entity: Entity, document: Mapping[str, object]) -> Row:
    """The row that plain JSON states: what the source edge would yield for it.

    Numbers come as int or Decimal. Instants are ISO 8601, bytea is as PostgreSQL prints it, a json column holds the
    document itself; `null` is SQL NULL. A nullable column may be left out, and one that the mapping does not use is
    passed over.

    Raises:
        UsageError: a column is unknown, missing, or has a value of another type; the message names it.
    """
    source = entity.source_name
    unknown = [name for name in document if name not in entity.source.columns]
    if unknown:
        raise UsageError(
            f"{source} has no column {', '.join(unknown)}",
            next_step=f"It has: {', '.join(entity.source.columns.keys())}.",
        )
    plan = entity.plan
    missing = [name for name in plan.kinds if document.get(name) is None and name not in plan.nullable]
    if missing:
        raise UsageError(
            f"the row for {source} has no value of {', '.join(missing)}",
            next_step="Give each of them a value: they are NOT NULL.",
        )
    row: Row = {}
    for name, kind in plan.kinds.items():
        value = document.get(name)
        try:
            row[name] = None if value is None else kind.from_user(value)
        except Unfit as unfit:
            raise UsageError(
                f"the row for {source}, column {name}: {unfit.reason}", next_step="Give a value of the column's type."
            ) from unfit
    return row
