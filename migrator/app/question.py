"""A question: an access pattern with values. It tells which row it is about, and its place in a ramp."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, Final

from xxhash import xxh3_64_intdigest

from migrator.dynamodb import answers
from migrator.mapping import row_asked
from migrator.mapping.forward import key_text

if TYPE_CHECKING:
    from collections.abc import Mapping

    from migrator.mapping import Pattern

_WHOLE: Final = 1 << 64


class Question:
    """An access pattern with values.

    Args:
        pattern: the access pattern.
        parameters: the values, of all columns that it takes and no others.

    Raises:
        UsageError: a value is missing, unknown or of another type.
    """

    def __init__(self, pattern: Pattern, parameters: Mapping[str, object]) -> None:
        self.pattern = pattern
        self.row = row_asked(pattern, parameters)

    @cached_property
    def place(self) -> float:
        """Where its key stands among all, from 0 up to 100; the same in each process: a ramp keeps its keys."""
        return place(self.pattern.entity.name, [key_text(self.row[name]) for name in sorted(self.row)])

    @property
    def key(self) -> tuple[str, ...] | None:
        """The primary key of the only row that it can be about; None: it is about several, or it does not tell."""
        columns = self.pattern.entity.key_columns
        return tuple(key_text(self.row[name]) for name in columns) if self.row.keys() >= set(columns) else None

    @property
    def is_of_index(self) -> bool:
        """Whether an index answers it, which follows its table after a moment."""
        return not answers.is_consistent(self.pattern)


def place(entity: str, key: list[str]) -> float:
    """Where a key stands among all of an entity, from 0 up to 100."""
    # The lengths keep ("ab", "c") apart from ("a", "bc").
    text = "\0".join([entity, *(f"{len(part)}:{part}" for part in key)])
    return 100 * xxh3_64_intdigest(text.encode("utf-8", "surrogatepass")) / _WHOLE
