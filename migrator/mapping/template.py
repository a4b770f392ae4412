"""Key templates: `REPO#{repository_id}`, `EXEC#{started_at}#{id}`; from a row to key text and back.

A template is literal text and fields, which `migrator.mapping.field` explains; `{{` and `}}` stand for braces.
"""

from __future__ import annotations

import re
from string import Formatter
from typing import TYPE_CHECKING

from migrator.mapping.errors import MappingError, Unfit
from migrator.mapping.field import Field, new_field

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from migrator.mapping.kind import Kind, RowValue


class KeyTemplate:
    """A parsed template, bound to the kinds of its columns."""

    def __init__(self, text: str, kind_of: Callable[[str], Kind]) -> None:
        self.text = text
        self.parts = _parse(text, kind_of)
        self.fields = tuple(part for part in self.parts if isinstance(part, Field))
        # The columns it uses, each once.
        self.columns = tuple(dict.fromkeys(field.column for field in self.fields))
        self._pattern = re.compile(
            "".join(re.escape(part) if isinstance(part, str) else f"({part.pattern})" for part in self.parts), re.DOTALL
        )

    @property
    def prefix(self) -> str:
        """The literal text it begins with."""
        return self.parts[0] if self.parts and isinstance(self.parts[0], str) else ""

    @property
    def sole(self) -> Field | None:
        """Its field, where it is nothing but one field: the only form a key of type Number or Binary can have."""
        return self.fields[0] if len(self.parts) == 1 and self.fields else None

    @property
    def least_bytes(self) -> int:
        """The size of the shortest text that it can give."""
        return sum(len(part.encode()) if isinstance(part, str) else len(part.mask) for part in self.parts)

    def render(self, row: Mapping[str, RowValue]) -> str:
        """The key text of a row whose columns here are not NULL."""
        return "".join(part if isinstance(part, str) else part.render(row[part.column]) for part in self.parts)

    def parse(self, text: str) -> dict[str, RowValue] | None:
        """The values of the lossless fields, or None where the text is not of this template."""
        found = self._read(text)
        if found is None:
            return None
        values: dict[str, RowValue] = {}
        for field, value in found:
            if field.lossless and values.setdefault(field.column, value) != value:
                return None
        return values

    def left(self, text: str) -> dict[str, RowValue]:
        """What the text says of each column: of a lossy field, one of the values that it may have had."""
        return {field.column: value for field, value in self._read(text) or ()}

    def _read(self, text: str) -> list[tuple[Field, RowValue]] | None:
        match = self._pattern.fullmatch(text)
        if match is None:
            return None
        try:
            return [(field, field.parse(part)) for field, part in zip(self.fields, match.groups(), strict=True)]
        except Unfit:
            return None


def _parse(text: str, kind_of: Callable[[str], Kind]) -> tuple[str | Field, ...]:
    try:
        pieces = list(Formatter().parse(text))
    except ValueError as error:
        raise MappingError(
            f"the key template '{text}' is malformed: {error}", next_step="Write a brace that is literal text twice."
        ) from error
    parts: list[str | Field] = []
    literal = ""
    for index, (piece, column, spec, conversion) in enumerate(pieces):
        literal += piece
        if column is None:
            continue
        if not column or conversion:
            raise MappingError(
                f"the key template '{text}' has a field without a column, or with a '!' conversion",
                next_step="Write a field as {column} or {column:spec}.",
            )
        following = pieces[index + 1][0][:1] if index + 1 < len(pieces) else None
        parts += [literal] if literal else []
        parts.append(new_field(text, column, spec or "", following, kind_of(column)))
        literal = ""
    return (*parts, *([literal] if literal else []))
