"""What items say, compiled: one generated function per item of an entity, which decodes it to its testimony.

Which of a table's items one is, its discriminator tells, and the form of its key where an entity has several. An item
that straight-line code cannot judge takes the readable path; one that has not the form that its mapping gives it says
nothing (None), which no row says.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, TypeAlias

import msgspec
import orjson

from migrator.mapping.errors import Unfit
from migrator.mapping.generated import Generated
from migrator.mapping.item_code import HELPERS, ItemCode, choice
from migrator.mapping.item_form import form_of_items
from migrator.mapping.ownership import key_values
from migrator.mapping.testimony import item_testimony, key_line, spelled

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from migrator.mapping.entity import Entity
    from migrator.mapping.forward import WireItem
    from migrator.mapping.item_form import ItemForm
    from migrator.mapping.plan import BoundItem
    from migrator.mapping.table import Table
    from migrator.mapping.testimony import KeyLine, Testimony

_SPELLING: Final = 64
"""One item in so many shows whether the server escapes as orjson does. What that misses is judged by itself."""

Statement: TypeAlias = "tuple[KeyLine, Testimony | None]"


class ItemWitness:
    """A table's witness on the target's side, for all entities whose items stand in it.

    `source_code` is the generated functions. `doubted` counts the items that took the readable path.
    """

    def __init__(self, table: Table, entities: Sequence[Entity]) -> None:
        self.table = table
        self.doubted = 0
        self._spelled_alike = True
        self._entities = {entity.name: entity for entity in entities}
        form = form_of_items(table, entities)
        self.form = form.type
        self._decode = msgspec.json.Decoder(form.type).decode
        generated = Generated(f"item witness of {table.name!a}", dict(HELPERS))
        _generate(generated, table, entities, form)
        self.source_code = generated.source
        self._testify: Callable[..., list[WireItem]] = generated.function("testify")

    def testify(self, items: Iterable[Any], now: int) -> list[Statement]:
        """Key and testimony of each item, at `now` in Unix seconds: not of tombstones, nor of items past their TTL.

        Items come in the table's `form`, or as the wire has them where they fit none.
        """
        heard: list[tuple[KeyLine, Testimony]] = []
        formed: list[Any] = []
        doubtful: list[WireItem] = []
        for item in items:
            if type(item) is not dict:
                formed.append(item)
                continue
            try:
                formed.append(self._decode(orjson.dumps(item)))
            except msgspec.ValidationError:
                doubtful.append(item)
        doubtful += map(_plain, self._testify(formed, now, heard.append))
        doubtful = [item for item in doubtful if "_del" not in item and not is_expired(self.table, item, now)]
        self.doubted += len(doubtful)
        read = ((key_line(item, self.table.key_attributes), self._read(item)) for item in doubtful)
        return [*self._spelled(heard), *read]

    def _spelled(self, heard: Sequence[tuple[KeyLine, Testimony]]) -> Iterable[tuple[KeyLine, Testimony]]:
        """What was heard, its texts escaped as all are."""
        self._spelled_alike = self._spelled_alike and all(spelled(said) == said for _, said in heard[::_SPELLING])
        return heard if self._spelled_alike else ((key, spelled(said)) for key, said in heard)

    def _read(self, item: WireItem) -> Testimony | None:
        """The readable path for one item."""
        for entity, bound in self._candidates(item):
            if key_values(bound, item) is not None:
                try:
                    return item_testimony(entity, bound, item)
                except Unfit:
                    return None
        return None

    def _candidates(self, item: WireItem) -> Iterable[tuple[Entity, BoundItem]]:
        entities: Iterable[Entity] = self._entities.values()
        if self.table.discriminator is not None:
            named = self._entities.get(item.get(self.table.discriminator, {}).get("S", ""))
            entities = () if named is None else (named,)
        return ((entity, bound) for entity in entities for bound in entity.plan.items)


def _plain(item: Any) -> WireItem:  # noqa: ANN401 - a form is a type made at run time
    """An item in its table's form, as the wire has it."""
    plain: WireItem = orjson.loads(msgspec.json.encode(item))
    return plain


def is_expired(table: Table, item: WireItem, now: int) -> bool:
    """Whether an item is past its TTL; one that is no Number is none to DynamoDB."""
    return table.ttl is not None and _past(item.get(table.ttl, {}).get("N", ""), now)


def _past(until: str, now: int) -> bool:
    """Whether a TTL, as its Number's text, has been reached."""
    try:
        return float(until) <= now
    except ValueError:
        return False


def _generate(generated: Generated, table: Table, entities: Sequence[Entity], form: ItemForm) -> None:
    """The functions of all items, and `testify`, which hands each item to its own."""
    names: dict[str, list[tuple[str, BoundItem]]] = {}
    for number, entity in enumerate(entities):
        names[entity.name] = [(f"e{number}_{bound.number}", bound) for bound in entity.plan.items]
        for name, bound in names[entity.name]:
            ItemCode(generated, name, entity, bound, form)
    if table.discriminator is None:
        function = _one_of(generated, "any_item", [candidate for each in names.values() for candidate in each], form)
        decode = f"{function}(item)"
    else:
        by_name = ", ".join(
            f"{name!r}: {_one_of(generated, f'{each[0][0]}_or_other', each, form)}"
            for name, each in names.items()
            if each
        )
        generated.add(0, f"decoders = {{{by_name}}}")
        decode = f"decoders[item.{form.field[table.discriminator]}.S](item)"
    key = ", ".join(
        f"number(item.{form.field[key.name]}.N)" if key.type == "N" else f"item.{form.field[key.name]}.{key.type}"
        for key in table.key_attributes
    )
    generated.names["past"] = _past
    generated.add(0, "def testify(items, now, append):")
    generated.add(1, "doubtful = []", "for item in items:")
    generated.add(2, f"if item.{form.field['_del']} is not None: continue")
    if table.ttl is not None:
        until = f"item.{form.field[table.ttl]}"
        generated.add(2, f"if {until} is not None and past({until}.N, now): continue")
    generated.add(2, "try:")
    generated.add(3, f"append((dumps(({key},)), {decode}))")
    generated.add(2, "except doubts:")
    generated.add(3, "doubtful.append(item)")
    generated.add(1, "return doubtful")


def _one_of(generated: Generated, name: str, candidates: Sequence[tuple[str, BoundItem]], form: ItemForm) -> str:
    """The name of the function that decodes an item which is one of these."""
    if len(candidates) == 1:
        return candidates[0][0]
    choice(generated, name, candidates, form)
    return name
