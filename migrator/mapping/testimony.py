"""Testimonies: what a row and its items each say of the same values, in one form, to be held against each other.

A testimony is made of words (see `migrator.mapping.word`): which item it is of, its expiry, the keys of its indexes,
and one word for each attribute; texts stand behind the others, so that an item's side can leave them as an answer has
them. The item's side *decodes* its attributes to reach the words of a row, and an item that holds anything beside its
mapping gives none. So two equal testimonies mean that the item, led back, is the row, by rules that share nothing with
the encoders. This is the readable form; `RowWitness` and `ItemWitness` compile it.
"""

from __future__ import annotations

import binascii
import re
from typing import TYPE_CHECKING, Final, TypeAlias, TypeGuard

import orjson

from migrator.mapping import condition
from migrator.mapping import kind as kinds
from migrator.mapping.entity import ABSENT, NULL
from migrator.mapping.errors import Unfit
from migrator.mapping.forward import expiry
from migrator.mapping.kind import take
from migrator.mapping.limits import RESERVED_ATTRIBUTES
from migrator.mapping.plan import ComputedAttribute
from migrator.mapping.word import (
    Word,
    document_of_attribute,
    document_of_plain,
    number,
    word_of_attribute,
    word_of_value,
)

if TYPE_CHECKING:
    from collections.abc import Iterable

    from migrator.mapping.document import AttributeValue
    from migrator.mapping.entity import Entity
    from migrator.mapping.forward import Row, WireItem
    from migrator.mapping.plan import BoundAttribute, BoundItem, Slot, StoredAttribute
    from migrator.mapping.table import KeyAttribute

Testimony: TypeAlias = bytes
"""JSON on one line: the list of all words that are no texts, then each text behind a comma."""
KeyLine: TypeAlias = bytes
"""The words of an item's key attributes, in the table's order as a JSON list with no space: the same for equal keys."""

SORTED: Final = orjson.OPT_SORT_KEYS
_UNPRINTED: Final = frozenset(b"%04x" % code for code in range(0x20) if chr(code) not in "\b\t\n\f\r")
"""The characters that are escaped by their numbers, as orjson writes them."""
unsettled: Final = re.compile(rb'"N":"(?!(?!-0")-?(?:0|[1-9][0-9]*)(?:\.[0-9]*[1-9])?")').search
"""Finds a number in a testimony's documents that is not in its one text (quotes within text are escaped there)."""


def sealed(words: Iterable[Word], texts: Iterable[Word]) -> Testimony:
    """The testimony that words make, whose documents are settled."""
    return orjson.dumps((tuple(words), *texts), None, SORTED)[1:-1]


def settled(words: bytes) -> bytes:
    """A list of words as JSON with every number in its documents in its one text."""
    return orjson.dumps([_settled(word) for word in orjson.loads(words)], None, SORTED)


def spelled(testimony: Testimony) -> Testimony:
    """A testimony with each character of its texts escaped in the one way in which it is in all of them."""
    escapes = testimony.replace(b"\\\\", b"")
    if b"\\/" not in escapes and _UNPRINTED.issuperset([each[:4] for each in escapes.split(b"\\u")[1:]]):
        return testimony
    return orjson.dumps(orjson.loads(b"[%b]" % testimony), None, SORTED)[1:-1]


def _settled(word: Word) -> Word:
    if isinstance(word, list):
        return [_settled(member) for member in word]
    return document_of_attribute(word) if isinstance(word, dict) else word


def identity(entity: Entity, number: int) -> str:
    """The first word: whose item it is, and which."""
    return f"{entity.name}/{number}"


def key_word(value: AttributeValue, type_: str) -> str:
    """A key attribute's word."""
    content: str = take(value, type_)
    return number(content) if type_ == "N" else content


def key_line(item: WireItem, attributes: tuple[KeyAttribute, ...]) -> KeyLine:
    """The key of an item."""
    return orjson.dumps([key_word(item[attribute.name], attribute.type) for attribute in attributes])


def key_of_line(line: KeyLine, attributes: tuple[KeyAttribute, ...]) -> WireItem:
    """The key that a line stands for, as DynamoDB takes it."""
    words = zip(attributes, orjson.loads(line), strict=True)
    return {attribute.name: {attribute.type: word} for attribute, word in words}


def row_testimonies(entity: Entity, row: Row) -> list[tuple[KeyLine, Testimony]]:
    """What a row says of each of its items: key and testimony. The row must be one that `forward` takes."""
    return [
        (orjson.dumps(_slots(item.keys, row)), _row_testimony(entity, item, row))
        for item in entity.plan.items
        if item.condition is None or condition.holds(item.condition, row)
    ]


def _row_testimony(entity: Entity, item: BoundItem, row: Row) -> Testimony:
    until = None if entity.table.ttl is None else expiry(entity.plan, row)
    words: list[Word] = [identity(entity, item.number), None if until is None else str(until)]
    for index in item.indexes:
        absent = any(row[column] is None for column in index.nullable)
        words += [None] * len(index.slots) if absent else _slots(index.slots, row)
    others, texts = told_apart(members(entity, item))
    words += [_word_of_columns(attribute, row) for attribute in others]
    return sealed(words, [_word_of_columns(attribute, row) for attribute in texts])


def members(entity: Entity, item: BoundItem) -> tuple[BoundAttribute, ...]:
    """The attributes of an item, those in the envelope last."""
    return (*item.attributes, *(() if entity.table.envelope is None else item.data))


def told_apart(attributes: Iterable[BoundAttribute]) -> tuple[list[BoundAttribute], list[BoundAttribute]]:
    """The attributes whose words stand together, and those whose words are texts."""
    found: tuple[list[BoundAttribute], list[BoundAttribute]] = ([], [])
    for attribute in attributes:
        found[is_text(attribute)].append(attribute)
    return found


def is_text(attribute: BoundAttribute) -> TypeGuard[StoredAttribute]:
    """Whether an attribute's word is the content of a String, as it is."""
    if isinstance(attribute, ComputedAttribute) or isinstance(attribute.kind, kinds.Instant):
        return False
    return attribute.kind.type == "S"


def _slots(slots: tuple[Slot, ...], row: Row) -> tuple[str, ...]:
    return tuple(key_word(slot.value(row), slot.attribute.type) for slot in slots)


def _word_of_columns(attribute: BoundAttribute, row: Row) -> Word:
    if isinstance(attribute, ComputedAttribute):
        computed = attribute.computed.forward(*(row[column] for column in attribute.columns))
        return None if computed is None else [document_of_plain(computed)]
    value = row[attribute.column]
    return None if value is None else word_of_value(attribute.kind, value)


def item_testimony(entity: Entity, bound: BoundItem, item: WireItem) -> Testimony:
    """What an item, of which only the key is known to be of the mapping's form, says of its row.

    Raises:
        Unfit: it has not the form that the mapping gives it; nothing that a row says equals it.
    """
    try:
        return _item_testimony(entity, bound, item)
    except (ValueError, ArithmeticError, LookupError, AttributeError, TypeError, binascii.Error) as error:
        raise error if isinstance(error, Unfit) else Unfit("an attribute is missing or malformed") from error


def _item_testimony(entity: Entity, bound: BoundItem, item: WireItem) -> Testimony:
    table = entity.table
    # Each attribute is taken out when it is understood; nothing may be left.
    left = {name: value for name, value in item.items() if name not in RESERVED_ATTRIBUTES}
    words: list[Word] = [identity(entity, bound.number), None]
    for slot in bound.keys:
        take(left.pop(slot.attribute.name), slot.attribute.type)
    if table.discriminator is not None and take(left.pop(table.discriminator), "S") != entity.name:
        raise Unfit(f"{table.discriminator} names another entity")
    if entity.plan.ttl is not None and table.ttl is not None and table.ttl in left:
        words[1] = number(take(left.pop(table.ttl), "N"))
    for slot in (slot for index in bound.indexes for slot in index.slots):
        value = item.get(slot.attribute.name)
        words.append(None if value is None else key_word(value, slot.attribute.type))
        left.pop(slot.attribute.name, None)
    said = {attribute: _word_of_member(attribute, left) for attribute in bound.attributes}
    if table.envelope is not None and bound.data:
        inner = dict(take(left.pop(table.envelope), "M"))
        said |= {attribute: _word_of_member(attribute, inner) for attribute in bound.data}
        left |= inner
    if left:
        raise Unfit(f"attributes that the mapping does not give it: {', '.join(sorted(left))}")
    others, texts = told_apart(said)
    return sealed([*words, *map(said.__getitem__, others)], map(said.__getitem__, texts))


def _word_of_member(attribute: BoundAttribute, holder: WireItem) -> Word:
    value = holder.pop(attribute.name, None)
    if value is None:
        if may_be_absent(attribute):
            return None
        raise Unfit(f"{attribute.name} is missing")
    if "NULL" in value and may_be_null(attribute):
        return None
    if isinstance(attribute, ComputedAttribute):
        return [document_of_attribute(value)]
    return word_of_attribute(attribute.kind, value)


def may_be_absent(attribute: BoundAttribute) -> bool:
    """Whether the attribute's absence stands for SQL NULL, or for a computed None."""
    return attribute.null is ABSENT and (isinstance(attribute, ComputedAttribute) or attribute.nullable)


def may_be_null(attribute: BoundAttribute) -> bool:
    """Whether a NULL stands for SQL NULL, or for a computed None; elsewhere it is JSON null."""
    return attribute.null is NULL and (isinstance(attribute, ComputedAttribute) or attribute.nullable)
