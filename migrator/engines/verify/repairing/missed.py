"""From a key that differs to the mark that is missing: of the row that owns it, or owned it."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from migrator.engines.verify.findings import Verdict
from migrator.mapping import claims, told_keys
from migrator.mapping.captured import captured_columns
from migrator.mapping.forward import key_text
from migrator.mapping.ownership import columns_told
from migrator.postgres import missed_marks, pending
from migrator.postgres.missed_marks import MissedMark
from migrator.reconcile import ItemKey

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from migrator.engines.verify.findings import Difference
    from migrator.mapping import Entity, Model, WireItem
    from migrator.postgres.connection import Connection
    from migrator.postgres.missed_marks import Form
    from migrator.reconcile import Lookup


@dataclass(frozen=True)
class Differing:
    """A key that differs, and in what."""

    key: WireItem
    difference: Difference


@dataclass
class Missed:
    """Marks to make, by entity, and what no row can own: nothing of the toolkit's has written that."""

    marks: Mapping[str, list[MissedMark]] = field(default_factory=lambda: defaultdict(list))
    alone: list[Differing] = field(default_factory=list)


@dataclass(frozen=True)
class _Told:
    """A key, the columns of its row that it tells, as text, and the row's primary key where the row was found."""

    differing: Differing
    columns: dict[str, str]
    row_key: dict[str, str]


class Marker:
    """Says which marks bring keys in order. Holds how the columns of each entity's table stand in marks."""

    def __init__(self, lookups: Mapping[str, Lookup], forms: Mapping[str, tuple[Form, Form]]) -> None:
        self._lookups = lookups
        self._entities = [lookup.entity for lookup in lookups.values()]
        self._forms = forms

    @classmethod
    async def of(cls, connection: Connection, model: Model, lookups: Mapping[str, Lookup]) -> Marker:
        """Asks the source for the form of marks.

        Raises:
            SourceError: PostgreSQL cannot be reached.
        """
        forms = {}
        for name, lookup in lookups.items():
            captured = captured_columns(model, lookup.entity.source_name)
            forms[name] = (
                await missed_marks.form(connection, lookup.live, lookup.live.key),
                await missed_marks.form(connection, lookup.live, captured),
            )
        return cls(lookups, forms)

    async def missed(self, connection: Connection, differing: Sequence[Differing]) -> Missed:
        """The marks that bring these keys of one table in order.

        Raises:
            SourceError: PostgreSQL cannot be reached.
        """
        found = Missed()
        told: dict[str, list[_Told]] = defaultdict(list)
        for each in differing:
            entities = [entity for entity in self._entities if entity.table.name == each.difference.table]
            claim = next(claims(entities, each.key), None)
            if claim is None:
                found.alone.append(each)
                continue
            row_key = {}
            if each.difference.verdict is not Verdict.EXTRA and each.difference.row_key is not None:
                row_key = dict(zip(claim.entity.key_columns, each.difference.row_key, strict=True))
            columns = {name: key_text(value) for name, value in columns_told(claim, each.key).items()}
            told[claim.entity.name].append(_Told(each, columns, row_key))
        for name, some in told.items():
            await self._of_entity(connection, name, some, found)
        return found

    async def _of_entity(self, connection: Connection, name: str, told: Sequence[_Told], found: Missed) -> None:
        lookup, (key_form, whole_form) = self._lookups[name], self._forms[name]
        row_keys = await key_form.documents(connection, [each.row_key for each in told])
        documents = await whole_form.documents(connection, [each.row_key | each.columns for each in told])
        named = await self._named(connection, lookup, documents)
        for each, row_key, document, keys in zip(told, row_keys, documents, named, strict=True):
            # Only a mark that names the very key brings it in order: a number with a leading zero is another key.
            names_it = document is not None and ItemKey.of(lookup.entity.table, each.differing.key) in keys
            if each.row_key or names_it:
                found.marks[name].append(MissedMark(row_key if each.row_key else None, document if names_it else None))
            else:
                found.alone.append(each.differing)

    @staticmethod
    async def _named(connection: Connection, lookup: Lookup, documents: Sequence[str | None]) -> list[set[ItemKey]]:
        """The item keys that marks with these documents name, read as a relay reads them."""
        entity: Entity = lookup.entity
        given = [document for document in documents if document is not None]
        rows = iter(await pending.values(connection, lookup.live, entity.projection, given))
        return [
            set() if document is None else {ItemKey.of(entity.table, key) for key in told_keys(entity, next(rows))}
            for document in documents
        ]
