"""The rows of the life of an application: which it works on, how it changes them, and how one is told in a history."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from hashlib import blake2b
from typing import TYPE_CHECKING, Any, Final
from uuid import UUID

import sqlalchemy as sa

from migrator.mapping import Query
from tests.support.renamed import MODEL
from tests.support.story_load import MOVES, PARENT, PARENTS, TOKENS
from tests.support.story_rows import TABLES, received, sent

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from random import Random

    from migrator.app.repository import Record
    from migrator.mapping import Entity, Pattern
    from tests.support.story_rows import Values

ASKED: Final = {
    "WORKFLOW": ("repository_id", "id"),
    "TASK": ("user_id", "id"),
    "LINE_MESSAGE": ("user_id", "created_at", "id"),
    "EXECUTION_LOG": ("execution_id", "created_at", "id"),
}
"""The columns that a row is read by, where its primary key is not enough. They are not changed."""
MOVED: Final = ("REPOSITORY", "AGENT_EXECUTION", "WEBSOCKET")
"""The entities of which rows get other items' keys now and then."""
_FIRST: Final = datetime(2026, 1, 1, tzinfo=UTC)


def asked(entity: Entity) -> tuple[str, ...]:
    """The columns that a row is read by."""
    return ASKED.get(entity.name, entity.key_columns)


def is_removable(entity: Entity) -> bool:
    """Whether rows may be deleted: nothing refers to them."""
    return entity.source_name not in PARENTS


def key_of(entity: Entity, values: Mapping[str, Any]) -> str:
    """The key of a row in a history: its entity and what it is read by, as JSON."""
    return sent({entity.name: {name: values[name] for name in asked(entity)}})


def value_of(entity: Entity, record: Record) -> str:
    """What a row holds, in a history: all of it, and the column that each write changes for people to read."""
    values = {name: getattr(record, name) for name in type(record).model_fields}
    digest = blake2b(repr([(name, _plain(values[name])) for name in sorted(values)]).encode(), digest_size=6)
    return f"{values[TOKENS[entity.source_name]]} {digest.hexdigest()}"


def _plain(value: object) -> object:
    """A value in a form that is the same from either store: numerics have no scale, documents no order."""
    match value:
        case Decimal():
            return str(value.normalize())
        case datetime():
            return value.astimezone(UTC).isoformat()
        case dict():
            return json.dumps(value, sort_keys=True)
    return value


class Drawer:
    """Draws rows to work on, and changes of them. Each change holds a number that no other has.

    Args:
        random: what it draws from.
        rows: by entity, the rows that there were at the beginning.
        first: the first of its numbers.
    """

    def __init__(self, random: Random, rows: Mapping[str, Sequence[Values]], first: int) -> None:
        self._random = random
        self._rows = rows
        self._next = first
        self._known = {name: list(some) for name, some in rows.items()}
        self.keys = {key_of(entity, values) for entity in MODEL.entities for values in rows.get(entity.name, ())}
        """Those of the rows that it knows."""

    def row(self) -> tuple[Entity, Values]:
        """A row to read or to change, which may have been deleted meanwhile."""
        entity = self._random.choice(MODEL.entities)
        return entity, self._random.choice(self._known[entity.name])

    def new(self) -> tuple[Entity, Values]:
        """A row that was never there; it is drawn from now on like any other."""
        entity = self._random.choice(MODEL.entities)
        return entity, self._made(entity)

    def joining(self) -> list[tuple[Entity, Values]]:
        """A user and its membership, of which neither was ever there."""
        user, member = (each for each in MODEL.entities if each.name in {"USER", "ORG_MEMBER"})
        made = self._made(user)
        return [(user, made), (member, self._made(member, user_id=made["id"]))]

    def question(self) -> tuple[Pattern, Values]:
        """An access pattern that finds several rows, and values of one that there was."""
        patterns = [each for each in MODEL.patterns if isinstance(each, Query)]
        while True:
            pattern = self._random.choice(patterns)
            values = self._random.choice(self._known[pattern.entity.name])
            asked_for = {name: values[name] for name in pattern.parameters}
            if None not in asked_for.values():
                return pattern, asked_for

    def _made(self, entity: Entity, **given: object) -> Values:
        values = self._random.choice(self._rows[entity.name])
        number = self._number()
        keys = {name: self._fresh(values[name], number) for name in entity.key_columns}
        made = {**values, **keys, **self._token(entity, number), **given}
        if entity.name == "USER":
            made["github_id"] = -number
        self._known[entity.name].append(made)
        self.keys.add(key_of(entity, made))
        return made

    def change(self, entity: Entity) -> Values:
        """Other values of some columns of a row."""
        changed = self._token(entity, self._number())
        if entity.name in MOVED and self._random.random() < 0.2:
            name = MOVES[entity.source_name]
            changed[name] = self._moved(name)
        return changed

    def again(self, entity: Entity, values: Values) -> Values:
        """A row that is not there any more, with values that it never had."""
        return {**values, **self._token(entity, self._number())}

    def _moved(self, name: str) -> Any:  # noqa: ANN401 - of the column's type
        if name in PARENT:
            parents = next(each.name for each in MODEL.entities if each.source_name == PARENT[name])
            return self._random.choice(self._rows[parents])["id"]
        return _FIRST - timedelta(seconds=self._random.randrange(1_000_000))

    def _token(self, entity: Entity, number: int) -> Values:
        name = TOKENS[entity.source_name]
        column = TABLES[entity.source_name].c[name].type
        value: Any = f"write {number}"
        if isinstance(column, sa.DateTime):
            value = _FIRST + timedelta(microseconds=number)
        elif isinstance(column, sa.Integer):
            value = number
        return {name: value}

    def _fresh(self, like: object, number: int) -> UUID | str:
        return UUID(int=self._random.getrandbits(128), version=4) if isinstance(like, UUID) else f"new-{number}"

    def _number(self) -> int:
        self._next += 1
        return self._next


def told(rows: Mapping[str, Iterable[Values]]) -> str:
    """Rows by entity, as JSON."""
    return sent({name: list(some) for name, some in rows.items()})


def heard(text: str) -> dict[str, list[Values]]:
    """The same, read."""
    return {
        entity.name: [received(entity.source_name, each) for each in json.loads(text).get(entity.name, ())]
        for entity in MODEL.entities
    }


def rows_of(keys: Iterable[str]) -> dict[str, list[Values]]:
    """What the rows of these keys are read by, by entity."""
    found: dict[str, list[Values]] = {}
    for key in keys:
        ((name, values),) = json.loads(key).items()
        found.setdefault(name, []).append(values)
    return found
