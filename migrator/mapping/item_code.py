"""The source text of an item witness: straight-line code that decodes one of an entity's items to its testimony."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

import msgspec
import orjson

from migrator.mapping import kind as kinds
from migrator.mapping import word
from migrator.mapping.array import Array, Set
from migrator.mapping.item_form import TEXT, form_of_members
from migrator.mapping.plan import ComputedAttribute
from migrator.mapping.row_code import DOUBTS, Doubt
from migrator.mapping.testimony import (
    SORTED,
    identity,
    is_text,
    may_be_absent,
    may_be_null,
    settled,
    unsettled,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from migrator.mapping.entity import Entity
    from migrator.mapping.generated import Generated
    from migrator.mapping.item_form import ItemForm
    from migrator.mapping.plan import BoundAttribute, BoundItem, Slot, StoredAttribute


def _as_text(content: str | None) -> str:
    """A String's content, which must be there."""
    if content is None:
        raise Doubt
    return content


HELPERS: Final = {
    "as_text": _as_text,
    "Doubt": Doubt,
    "doubts": (*DOUBTS, msgspec.DecodeError),
    "number": word.number,
    "dumps": orjson.dumps,
    "sorted_keys": SORTED,
    "settled": settled,
    "unsettled": unsettled,
    "word_of_attribute": word.word_of_attribute,
}


class ItemCode:
    """The function `name(item)`, which returns the testimony of an item in its table's form.

    What it does not take must be missing; what it needs and is missing raises one of `doubts`.
    """

    def __init__(self, generated: Generated, name: str, entity: Entity, item: BoundItem, form: ItemForm) -> None:
        self._generated = generated
        self._form = form
        self._lines: list[str] = []
        self._made = 0
        self._documents = False
        self._texts: list[str] = []
        table = entity.table
        words = [repr(identity(entity, item.number)), self._expiry(entity), *self._indexes(item)]
        words += self._members("item", form, item.attributes)
        if table.envelope is not None and item.data:
            members = form_of_members(item)
            decode = generated.constant(msgspec.json.Decoder(members.type).decode)
            self._lines.append(f"data = {decode}(item.{form.field[table.envelope]}.M)")
            words += self._members("data", members, item.data)
        generated.add(0, f"def {name}(item):")
        others = " or ".join(f"item.{form.field[other]} is not None" for other in self._others(entity, item))
        if others:
            generated.add(1, f"if {others}: raise Doubt")
        generated.add(1, *self._lines, f"t = dumps(({', '.join(words)},), None, sorted_keys)")
        if self._documents:
            generated.add(1, "if unsettled(t): t = settled(t)")
        if self._texts:
            generated.add(1, f"t = b','.join((t, {', '.join(self._texts)}))")
        generated.add(1, "return t")

    def _others(self, entity: Entity, item: BoundItem) -> list[str]:
        """The attributes that other items of the table have and this one has not."""
        table = entity.table
        own = {"_v", table.discriminator, *(slot.attribute.name for slot in item.keys)}
        own |= {slot.attribute.name for index in item.indexes for slot in index.slots}
        own |= {attribute.name for attribute in item.attributes}
        if entity.plan.ttl is not None:
            own.add(table.ttl)
        if item.data:
            own.add(table.envelope)
        return [name for name in self._form.field if name not in own]

    def _variable(self) -> str:
        self._made += 1
        return f"w{self._made}"

    def _expiry(self, entity: Entity) -> str:
        """The variable of the expiry's word."""
        ttl, name = entity.plan.ttl, entity.table.ttl
        if ttl is None or name is None:
            return "None"
        field = f"item.{self._form.field[name]}"
        if ttl.column.name not in entity.plan.nullable:
            return self._number(f"{field}.N")
        made = self._variable()
        self._lines.append(f"{made} = None if {field} is None else number({field}.N)")
        return made

    def _indexes(self, item: BoundItem) -> list[str]:
        """The words of the keys of the item's indexes. An attribute may be a key of several, or of the table itself."""
        words: dict[str, str] = {}
        surely = {slot.attribute.name for slot in item.keys}
        surely |= {slot.attribute.name for index in item.indexes if not index.nullable for slot in index.slots}
        for slot in (slot for index in item.indexes for slot in index.slots):
            name = slot.attribute.name
            if name not in words:
                words[name] = self._index_key(slot, present=name in surely)
        return [words[slot.attribute.name] for index in item.indexes for slot in index.slots]

    def _index_key(self, slot: Slot, *, present: bool) -> str:
        name, type_ = slot.attribute.name, slot.attribute.type
        value, made = f"item.{self._form.field[name]}", self._variable()
        content = f"number({value}.N)" if type_ == "N" else f"{value}.{type_}"
        self._lines.append(f"{made} = {content}" if present else f"{made} = None if {value} is None else {content}")
        if len(self._form.types[name] or ()) != 1:
            # The same name holds a value of another type elsewhere.
            self._lines.append(f"if {made} is None and {value} is not None: raise Doubt")
        return made

    def _members(self, holder: str, form: ItemForm, attributes: Sequence[BoundAttribute]) -> list[str]:
        """The variables of the words of all that are no texts. Those of the texts come to `_texts`."""
        words = []
        for attribute in attributes:
            if is_text(attribute):
                self._texts.append(self._text(f"{holder}.{form.field[attribute.name]}", form, attribute))
            else:
                words.append(self._member(holder, form, attribute))
        return words

    def _text(self, value: str, form: ItemForm, attribute: StoredAttribute) -> str:
        """The variable of a text's word as JSON."""
        made, types = self._variable(), form.types[attribute.name]
        if types is None:
            content = f"dumps(word_of_attribute({self._generated.constant(attribute.kind)}, a))"
        else:
            content = "a.S" if TEXT in types else "dumps(as_text(a.S))"
        if may_be_absent(attribute):
            content = f"b'null' if a is None else {content}"
        elif may_be_null(attribute):
            null = "'NULL' in a" if types is None else "a.NULL"
            content = f"b'null' if {null} else {content}"
        self._lines += [f"a = {value}", f"{made} = {content}"]
        return made

    def _member(self, holder: str, form: ItemForm, attribute: BoundAttribute) -> str:
        """The variable of an attribute's word."""
        made, value = self._variable(), f"{holder}.{form.field[attribute.name]}"
        typed = form.types[attribute.name] is not None
        outer, self._lines = self._lines, []
        self._decode(made, "a", attribute, typed=typed)
        inner, self._lines = self._lines, outer
        self._lines.append(f"a = {value}")
        if may_be_absent(attribute):
            test = "a is not None"
        elif may_be_null(attribute):
            test = "not a.NULL" if typed else '"NULL" not in a'
        else:
            # A document that is missing would be taken for one.
            self._lines += [] if typed else ["if a is None: raise Doubt"]
            self._lines += inner
            return made
        self._lines += [f"{made} = None", f"if {test}:", *(f"    {line}" for line in inner)]
        return made

    def _decode(self, made: str, value: str, attribute: BoundAttribute, *, typed: bool) -> None:
        """Computes the word of a value that is there, `typed` by its form or a dict as the wire has it."""
        kind = None if isinstance(attribute, ComputedAttribute) else attribute.kind
        match kind:
            case None | kinds.Json():
                self._documents = True
                self._lines.append(f"{made} = [{value}]")
            case Array(element=kinds.Text() | kinds.Printed()) if not isinstance(kind, Set):
                self._lines.append(f'{made} = [e["S"] for e in {value}["L"]]')
            case _ if not typed:
                self._lines.append(f"{made} = word_of_attribute({self._generated.constant(kind)}, {value})")
            case kinds.Epoch():
                self._lines.append(f'{made} = word_of_attribute({self._generated.constant(kind)}, {{"N": {value}.N}})')
            case kinds.Instant():
                self._instant(made, f"{value}.S", zone=kind.zone)
            case kinds.Integer() | kinds.Numeric() | kinds.Float():
                self._lines.append(f"{made} = {self._number(f'{value}.N')}")
            case Set():
                self._lines.append(f"{made} = sorted({value}.SS)")
            case _:
                self._lines += [f"{made} = {value}.{kind.type}", f"if {made} is None: raise Doubt"]

    def _number(self, content: str) -> str:
        made = self._variable()
        self._lines += [f"n = {content}", f'{made} = n if n.isdecimal() and n[0] != "0" else number(n)']
        return made

    def _instant(self, made: str, content: str, *, zone: bool) -> None:
        self._lines += [
            f"s = {content}",
            'if s[10] != "T" or s[-1] != "Z": raise Doubt' if zone else 'if s[10] != "T": raise Doubt',
            f"{made} = f'{{s[:10]}} {{s[11:-1]}}+00'" if zone else f"{made} = f'{{s[:10]}} {{s[11:]}}'",
        ]


def choice(generated: Generated, name: str, candidates: Sequence[tuple[str, BoundItem]], form: ItemForm) -> None:
    """The function `name(item)`, which calls the function of the candidate that the item's key has the form of."""
    generated.add(0, f"def {name}(item):")
    items = [bound for _, bound in candidates]
    tests = _by_prefix(items, form) or [_by_pattern(generated, item, form) for item in items]
    for (function, _), test in zip(candidates, tests, strict=True):
        generated.add(1, f"if {test}: return {function}(item)")
    generated.add(1, "raise Doubt")


def _by_prefix(items: Sequence[BoundItem], form: ItemForm) -> list[str] | None:
    """A test for each item by how one of its key attributes begins, where that tells them apart."""
    for position, slot in enumerate(items[0].keys):
        prefixes = [item.keys[position].template.prefix for item in items]
        apart = all(
            not one.startswith(other) for i, one in enumerate(prefixes) for other in prefixes[:i] + prefixes[i + 1 :]
        )
        if slot.attribute.type == "S" and all(prefixes) and apart:
            return [f"item.{form.field[slot.attribute.name]}.S.startswith({prefix!r})" for prefix in prefixes]
    return None


def _by_pattern(generated: Generated, item: BoundItem, form: ItemForm) -> str:
    """A test for an item by the form of its whole key."""
    tests = []
    for slot in item.keys:
        value = f"item.{form.field[slot.attribute.name]}"
        if slot.attribute.type != "S":
            tests.append(f"{value}.{slot.attribute.type} is not None")
            continue
        parts = (re.escape(p) if isinstance(p, str) else f"(?:{p.pattern})" for p in slot.template.parts)
        matches = generated.constant(re.compile("".join(parts), re.DOTALL).fullmatch)
        tests.append(f"{matches}({value}.S)")
    return " and ".join(tests)
