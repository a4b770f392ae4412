"""An entity's items read as records: whole rows, whichever of a row's items an access pattern finds."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from migrator.app.repository.record import Shape
from migrator.dynamodb import answers
from migrator.dynamodb.items import batch_get
from migrator.errors import ConfigurationError, TargetError, UsageError
from migrator.mapping import Get, Inverse, ItemInverse, Query
from migrator.mapping.ownership import key_values

if TYPE_CHECKING:
    from collections.abc import Sequence

    from migrator.app.question import Question
    from migrator.app.repository.record import Record
    from migrator.dynamodb.client import Client
    from migrator.mapping import Model, Pattern, Row, WireItem

PAGE: Final = 100
"""Items that a page is asked for: as many as one BatchGetItem takes."""
_LOOKS: Final = 4
"""How often a page is read anew while rows of it get other keys."""
_PAUSE_SECONDS: Final = 0.02


@dataclass(frozen=True, slots=True)
class RecordPage:
    """Records of one page, and where the next one starts; None: this is the last."""

    records: list[Record]
    last_key: WireItem | None


class Items:
    """The items of one entity. Holds how they are led back.

    `shape` is the records'; `patterns` are the entity's access patterns by id; `whole` is the number of the item that
    holds a row whole.

    Args:
        model: the model.
        name: the entity's name.

    Raises:
        UsageError: the model has no such entity.
        ConfigurationError: none of its items holds a row whole, or a column is of a type that no model can hold.
    """

    def __init__(self, model: Model, name: str) -> None:
        entity = model.entity(name)
        if entity is None:
            names = ", ".join(each.name for each in model.entities)
            raise UsageError(f"model {model.name} has no entity {name}", next_step=f"It has: {names}.")
        self.entity = entity
        self._inverses = [ItemInverse(entity, item) for item in entity.plan.items]
        self.whole = self._find_whole()
        self.shape = Shape(entity, Inverse(entity).columns)
        self.patterns = {pattern.id: pattern for pattern in model.patterns if pattern.entity.name == name}
        self._gets = {frozenset(get.parameters): get for get in self._all_gets()}

    def _find_whole(self) -> int:
        columns = set(Inverse(self.entity).columns)
        for item, inverse in zip(self.entity.plan.items, self._inverses, strict=True):
            if item.condition is None and inverse.columns >= columns:
                return item.number
        raise ConfigurationError(
            f"no item of {self.entity.name} holds a row whole",
            next_step="read its rows with the Router and functions of your own",
        )

    def _all_gets(self) -> list[Get]:
        """A Get for each item whose key tells of one row, the whole one's last: it is the shortest way."""
        numbers = sorted(range(len(self.entity.plan.items)), key=lambda number: number == self.whole)
        key = set(self.entity.key_columns)
        gets = [Get(f"get {self.entity.name}", "a row by its key", self.entity, number) for number in numbers]
        return [get for get in gets if set(get.parameters) >= key]

    def get(self, names: Sequence[str]) -> Get:
        """The access pattern that finds a row by these columns.

        Raises:
            UsageError: no item has them for its key.
        """
        found = self._gets.get(frozenset(names))
        if found is None:
            keys = " or ".join(f"({', '.join(get.parameters)})" for get in self._gets.values())
            raise UsageError(f"a row of {self.entity.name} is read by {keys}; given: {', '.join(names) or 'nothing'}")
        return found

    def pattern(self, id_: str) -> Pattern:
        """An access pattern of this entity.

        Raises:
            UsageError: there is none of this id.
        """
        found = self.patterns.get(id_)
        if found is None:
            raise UsageError(
                f"{self.entity.name} has no access pattern {id_}", next_step=f"It has: {', '.join(self.patterns)}."
            )
        return found

    def part(self, number: int, item: WireItem) -> Row:
        """The columns' values that the entity's item of this number gives back.

        Raises:
            Undecodable: the item has not the form that the mapping gives it.
        """
        return self._inverses[number].part(item) | (key_values(self.entity.plan.items[number], item) or {})

    async def page(
        self, client: Client, question: Question, *, limit: int = PAGE, start_key: WireItem | None = None
    ) -> RecordPage:
        """The records of one page of an answer, without tombstones, expired items and those of other entities.

        Raises:
            TargetError: DynamoDB cannot be reached or used, or holds a row in part.
            Undecodable: an item has not the form that the mapping gives it.
        """
        pattern = question.pattern
        is_whole = pattern.item == self.whole and _is_projected_whole(pattern)
        looks = 0
        while True:
            page = await answers.page(client, pattern, question.row, limit=limit, start_key=start_key)
            items, all_there = self.own(page.items, pattern.item), True
            if not is_whole:
                items, all_there = await self._completed(client, question, items)
            looks += 1
            if all_there or looks == _LOOKS:
                break
            # A row has got another key between the two requests: what was found first tells the old one.
            await asyncio.sleep(_PAUSE_SECONDS * looks)
        if not all_there and isinstance(pattern, Get):
            raise TargetError(
                f"a row of {self.entity.name} has an item that tells of it, and none that holds it whole",
                next_step="try again; `migrate verify` says whether an item is missing",
            )
        inverse = self._inverses[self.whole]
        return RecordPage([self.shape.of_row(inverse.part(item)) for item in items], page.last_key)

    def own(self, items: Sequence[WireItem], number: int) -> list[WireItem]:
        """Of items those that are alive, and are this entity's of this number."""
        item, discriminator = self.entity.plan.items[number], self.entity.table.discriminator
        return [
            each
            for each in answers.alive(self.entity, items, int(time.time()))
            if key_values(item, each) is not None
            and (discriminator is None or each.get(discriminator, {}).get("S", self.entity.name) == self.entity.name)
        ]

    async def _completed(
        self, client: Client, question: Question, items: Sequence[WireItem]
    ) -> tuple[list[WireItem], bool]:
        """The items that hold the rows whole, in the same order, and whether each was there.

        What has changed meanwhile is as it is now.
        """
        keys = {str(key): key for key in (self._whole_key(question.pattern.item, item) for item in items)}
        names = [attribute.name for attribute in self.entity.table.key_attributes]
        found = await batch_get(client, self.entity.table.name, list(keys.values()))
        by_key = {str({name: each[name] for name in names}): each for each in self.own(found, self.whole)}
        whole = [by_key[key] for key in keys if key in by_key]
        return [item for item in whole if self._fits(question, item)], len(whole) == len(keys)

    def _whole_key(self, number: int, item: WireItem) -> WireItem:
        """The key of the item that holds a row whole, from another item of it."""
        row: Row = key_values(self.entity.plan.items[number], item) or {}
        slots = self.entity.plan.items[self.whole].keys
        if not row.keys() >= {column for slot in slots for column in slot.template.columns}:
            row = self.part(number, item)
        return {slot.attribute.name: slot.value(row) for slot in slots}

    def _fits(self, question: Question, item: WireItem) -> bool:
        """Whether a row is still one that was asked for."""
        row, kinds = self._inverses[self.whole].part(item), self.entity.plan.kinds
        return all(
            row[name] is not None and kinds[name].normal(row[name]) == kinds[name].normal(value)
            for name, value in question.row.items()
        )


def _is_projected_whole(pattern: Pattern) -> bool:
    """Whether what is found has all attributes of its item."""
    if not isinstance(pattern, Query) or pattern.index is None:
        return True
    index = pattern.entity.table.index(pattern.index)
    return index is not None and index.projection == "ALL"
