"""The names of rows that a flush writes: their tables and keys, told from the objects without asking the database."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

import sqlalchemy as sa
from sqlalchemy.orm.exc import UnmappedColumnError

from migrator.mapping.forward import key_text

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from sqlalchemy.engine import Dialect
    from sqlalchemy.orm import InstanceState, Mapper

    from migrator.mapping import Entity, Model


class RowName(NamedTuple):
    """A row: the name of its table as the mapping has it (`Entity.source_name`), and its primary key as text."""

    source: str
    key: tuple[str, ...]


@dataclass(frozen=True)
class _Part:
    """One column of a key: the attribute that holds it, its place in the object's identity, and how it is bound."""

    attribute: str
    place: int | None
    bind: Callable[[Any], Any] | None

    def text(self, value: object) -> str | None:
        """A value as PostgreSQL reads it."""
        bound = value if self.bind is None or value is None else self.bind(value)
        return None if bound is None else key_text(bound)


class Namer:
    """Tells the rows of a model's tables that objects stand for. Holds what it has learned of their classes."""

    def __init__(self, model: Model) -> None:
        self._model = model
        self._known: dict[Mapper[Any], list[tuple[str, list[_Part]]]] = {}

    def entity(self, table: sa.FromClause) -> Entity | None:
        """The entity of a table's rows."""
        if not isinstance(table, sa.Table):
            return None
        return self._model.for_source(table.fullname) or self._model.for_source(table.name)

    def names(self, state: InstanceState[Any], dialect: Dialect) -> Iterator[RowName]:
        """The rows of an object: under the key that it has now, and under the one that it had."""
        tables = self._known.get(state.mapper)
        if tables is None:
            tables = self._known[state.mapper] = list(self._tables(state.mapper, dialect))
        for source, parts in tables:
            now = tuple([part.text(self._now(state, part)) for part in parts])
            before = tuple([part.text(self._before(state, part)) for part in parts])
            for key in (now,) if before == now else (now, before):
                if None not in key:
                    yield RowName(source, key)  # type: ignore[arg-type] # none of them is None

    @classmethod
    def _now(cls, state: InstanceState[Any], part: _Part) -> object:
        # The dictionary: an attribute that is not loaded is not to be loaded for this.
        return state.dict[part.attribute] if part.attribute in state.dict else cls._before(state, part)

    @staticmethod
    def _before(state: InstanceState[Any], part: _Part) -> object:
        identity = state.identity
        return None if identity is None or part.place is None else identity[part.place]

    def _tables(self, mapper: Mapper[Any], dialect: Dialect) -> Iterator[tuple[str, list[_Part]]]:
        """The tables of a class that are the model's, with the parts of their keys."""
        try:
            places = {mapper.get_property_by_column(each).key: n for n, each in enumerate(mapper.primary_key)}
            for table in mapper.tables:
                entity = self.entity(table)
                if entity is None or not set(entity.key_columns) <= set(table.columns.keys()):
                    continue
                columns = [table.columns[name] for name in entity.key_columns]
                attributes = [mapper.get_property_by_column(column).key for column in columns]
                yield (
                    entity.source_name,
                    [
                        _Part(
                            attribute, places.get(attribute), column.type.dialect_impl(dialect).bind_processor(dialect)
                        )
                        for attribute, column in zip(attributes, columns, strict=True)
                    ],
                )
        except UnmappedColumnError:
            # A class that does not map the key of its table tells of no row.
            return
