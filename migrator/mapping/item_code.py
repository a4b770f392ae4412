"""The source text of an item witness: straight-line code that decodes one of an entity's items to its testimony."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

import orjson

from migrator.mapping import kind as kinds
from migrator.mapping import word
from migrator.mapping.array import Array, Set
from migrator.mapping.plan import ComputedAttribute
from migrator.mapping.row_code import DOUBTS, Doubt
from migrator.mapping.testimony import SORTED, identity, key_word, may_be_absent, may_be_null, settled, unsettled

if TYPE_CHECKING:
    from collections.abc import Sequence

    from migrator.mapping.entity import Entity
    from migrator.mapping.generated import Generated
    from migrator.mapping.plan import BoundAttribute, BoundItem, Slot

HELPERS: Final = {
    "Doubt": Doubt,
    "doubts": DOUBTS,
    "number": word.number,
    "dumps": orjson.dumps,
    "sorted_keys": SORTED,
    "settled": settled,
    "unsettled": unsettled,
    "word_of_attribute": word.word_of_attribute,
    "key_word": key_word,
    "no_text": {"S": None},
}
_TEXTS: Final = (kinds.Text, kinds.Printed, kinds.Date)


class ItemCode:
    """The function `name(item)`, which returns the item's testimony.

    It takes what it knows by name and counts: as many attributes as it took must be there, and no more.
    """

    def __init__(self, generated: Generated, name: str, entity: Entity, item: BoundItem) -> None:
        self._generated = generated
        self._lines: list[str] = []
        self._optional: list[str] = []
        self._made = 0
        self._documents = False
        table = entity.table
        required = {slot.attribute.name for slot in item.keys}
        if table.discriminator is not None:
            required.add(table.discriminator)
        words = [repr(identity(entity, item.number)), self._expiry(entity, required)]
        words += self._indexes(item, required)
        words += [self._member("item", attribute) for attribute in item.attributes]
        required |= {attribute.name for attribute in item.attributes if not may_be_absent(attribute)}
        if table.envelope is not None and item.data:
            required.add(table.envelope)
            self._count(len(required), 'len(item) - ("_v" in item)')
            self._lines.append(f'data = item[{table.envelope!r}]["M"]')
            words += [self._member("data", attribute) for attribute in item.data]
            self._count(sum(not may_be_absent(attribute) for attribute in item.data), "len(data)")
        else:
            self._count(len(required), 'len(item) - ("_v" in item)')
        generated.add(0, f"def {name}(item):")
        generated.add(1, *self._lines, f"t = dumps(({', '.join(words)},), None, sorted_keys)")
        if self._documents:
            generated.add(1, "if unsettled(t): t = settled(t)")
        generated.add(1, "return t")

    def _count(self, required: int, found: str) -> None:
        """Leaves an item with more or fewer attributes than were taken from it to the readable path."""
        absent = "".join(f" - ({name} is None)" for name in self._optional)
        self._lines.append(f"if {found} != {required + len(self._optional)}{absent}: raise Doubt")
        self._optional = []

    def _variable(self) -> str:
        self._made += 1
        return f"w{self._made}"

    def _expiry(self, entity: Entity, required: set[str]) -> str:
        """The variable of the expiry's word."""
        ttl, name = entity.plan.ttl, entity.table.ttl
        if ttl is None or name is None:
            return "None"
        if ttl.column.name not in entity.plan.nullable:
            required.add(name)
            return self._number(f"item[{name!r}]")
        made = self._variable()
        self._lines += [f"a = item.get({name!r})", f"{made} = None if a is None else number(a['N'])"]
        self._optional.append(made)
        return made

    def _indexes(self, item: BoundItem, required: set[str]) -> list[str]:
        """The words of the keys of the item's indexes. An attribute may be a key of several, or of the table itself."""
        words: dict[str, str] = {}
        surely = {slot.attribute.name for index in item.indexes if not index.nullable for slot in index.slots}
        required |= surely
        for slot in (slot for index in item.indexes for slot in index.slots):
            name = slot.attribute.name
            if name not in words:
                words[name] = self._index_key(slot, present=name in required)
                if name not in required:
                    self._optional.append(words[name])
        return [words[slot.attribute.name] for index in item.indexes for slot in index.slots]

    def _index_key(self, slot: Slot, *, present: bool) -> str:
        name, made = slot.attribute.name, self._variable()
        if slot.attribute.type != "S":
            self._lines += [
                f"a = item.get({name!r})",
                f"{made} = None if a is None else key_word(a, {slot.attribute.type!r})",
            ]
            return made
        self._lines.append(f'{made} = item[{name!r}]["S"]' if present else f'{made} = item.get({name!r}, no_text)["S"]')
        return made

    def _member(self, holder: str, attribute: BoundAttribute) -> str:
        """The variable of an attribute's word."""
        kind = None if isinstance(attribute, ComputedAttribute) else attribute.kind
        name = repr(attribute.name)
        if may_be_absent(attribute):
            made = self._variable()
            if isinstance(kind, _TEXTS):
                self._lines.append(f'{made} = {holder}.get({name}, no_text)["S"]')
            else:
                self._lines.append(f"{made} = {holder}.get({name})")
                self._nullable(made, made, f"{made} is not None", kind)
            self._optional.append(made)
            return made
        if may_be_null(attribute):
            self._lines.append(f"a = {holder}[{name}]")
            made = self._variable()
            self._lines.append(f"{made} = None")
            self._nullable(made, "a", '"NULL" not in a', kind)
            return made
        return self._decoded(f"{holder}[{name}]", kind)

    def _nullable(self, made: str, value: str, test: str, kind: kinds.Kind | None) -> None:
        """Decodes a value into a variable where the test holds."""
        outer, self._lines = self._lines, list(self._lines)
        before = len(self._lines)
        found = self._decoded(value, kind)
        inner = self._lines[before:]
        self._lines = outer
        self._lines += [f"if {test}:", *(f"    {line}" for line in inner), f"    {made} = {found}"]

    def _decoded(self, value: str, kind: kinds.Kind | None) -> str:
        """The variable, or the expression, of the word of a typed value, which may be used once."""
        match kind:
            case kinds.Epoch():
                made = f"word_of_attribute({self._generated.constant(kind)}, {value})"
            case kinds.Instant():
                made = self._instant(value, zone=kind.zone)
            case kinds.Integer() | kinds.Numeric() | kinds.Float():
                made = self._number(value)
            case None | kinds.Json():
                self._documents = True
                made = f"[{value}]"
            case kinds.Boolean():
                made = f'{value}["BOOL"]'
            case kinds.Text() | kinds.Printed() | kinds.Date():
                made = f'{value}["S"]'
            case Set(element=kinds.Text() | kinds.Printed()):
                made = f'sorted({value}["SS"])'
            case Array(element=kinds.Text() | kinds.Printed()) if not isinstance(kind, Set):
                made = f'[e["S"] for e in {value}["L"]]'
            case _:
                made = f"word_of_attribute({self._generated.constant(kind)}, {value})"
        return made

    def _number(self, value: str) -> str:
        made = self._variable()
        self._lines += [f'n = {value}["N"]', f'{made} = n if n.isdecimal() and n[0] != "0" else number(n)']
        return made

    def _instant(self, value: str, *, zone: bool) -> str:
        self._lines.append(f's = {value}["S"]')
        made = self._variable()
        self._lines += [
            'if s[10] != "T" or s[-1] != "Z": raise Doubt' if zone else 'if s[10] != "T": raise Doubt',
            f"{made} = f'{{s[:10]}} {{s[11:-1]}}+00'" if zone else f"{made} = f'{{s[:10]}} {{s[11:]}}'",
        ]
        return made


def choice(generated: Generated, name: str, candidates: Sequence[tuple[str, BoundItem]]) -> None:
    """The function `name(item)`, which calls the function of the candidate that the item's key has the form of."""
    generated.add(0, f"def {name}(item):")
    tests = _by_prefix([bound for _, bound in candidates]) or [_by_pattern(generated, bound) for _, bound in candidates]
    for (function, _), test in zip(candidates, tests, strict=True):
        generated.add(1, f"if {test}: return {function}(item)")
    generated.add(1, "raise Doubt")


def _by_prefix(items: Sequence[BoundItem]) -> list[str] | None:
    """A test for each item by how one of its key attributes begins, where that tells them apart."""
    for position, slot in enumerate(items[0].keys):
        prefixes = [item.keys[position].template.prefix for item in items]
        apart = all(
            not one.startswith(other) for i, one in enumerate(prefixes) for other in prefixes[:i] + prefixes[i + 1 :]
        )
        if slot.attribute.type == "S" and all(prefixes) and apart:
            return [f'item[{slot.attribute.name!r}]["S"].startswith({prefix!r})' for prefix in prefixes]
    return None


def _by_pattern(generated: Generated, item: BoundItem) -> str:
    """A test for an item by the form of its whole key."""
    tests = []
    for slot in item.keys:
        value = f"item[{slot.attribute.name!r}]"
        if slot.attribute.type != "S":
            tests.append(f"{slot.attribute.type!r} in {value}")
            continue
        parts = (re.escape(p) if isinstance(p, str) else f"(?:{p.pattern})" for p in slot.template.parts)
        matches = generated.constant(re.compile("".join(parts), re.DOTALL).fullmatch)
        tests.append(f'{matches}({value}["S"])')
    return " and ".join(tests)
