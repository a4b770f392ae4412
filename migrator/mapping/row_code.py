"""The source text of a row witness: straight-line code from a row's values to the testimonies of its items."""

from __future__ import annotations

from datetime import datetime, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Final

import orjson

from migrator.mapping import condition as conditions
from migrator.mapping import instant, limits, word
from migrator.mapping import kind as kinds
from migrator.mapping.array import Array, Set
from migrator.mapping.errors import FUNCTION_ERRORS
from migrator.mapping.field import escape
from migrator.mapping.generated import Generated, literal
from migrator.mapping.plan import BOUNDS, ComputedAttribute
from migrator.mapping.testimony import SORTED, identity, key_word, members, told_apart

if TYPE_CHECKING:
    from collections.abc import Callable

    from migrator.mapping.entity import Entity
    from migrator.mapping.field import Field
    from migrator.mapping.plan import BoundAttribute, BoundIndex, BoundItem, Slot

_UTF8_MAX: Final = 4


class Doubt(Exception):  # noqa: N818 - a signal between the two paths, never seen outside
    """What the compiled path leaves to the readable one."""


DOUBTS: Final = (Doubt, *FUNCTION_ERRORS)


class RowCode:
    """The generated function: guards, expiry, words that several items share, then each item's key and testimony."""

    def __init__(self, entity: Entity, trailing: int) -> None:
        self.entity = entity
        self.plan = entity.plan
        self.generated = Generated(f"row witness of {entity.name!a}", dict(_HELPERS))
        self._variables = {projected.name: f"v{i}" for i, projected in enumerate(self.plan.projection)}
        self._derived: dict[object, str] = {}
        self._lines: list[str] = []
        self._guards()
        self._expiry()
        appends = [self._item(item) for item in self.plan.items]
        unpacked = ", ".join([*self._variables.values(), *["_"] * trailing])
        self.generated.add(0, "def testify(rows, now, append):")
        self.generated.add(1, "expired = 0", "doubtful = []", "for row in rows:")
        self.generated.add(2, "try:")
        self.generated.add(3, f"{unpacked}, = row", *self._lines, *appends)
        self.generated.add(2, "except doubts:")
        self.generated.add(3, "doubtful.append(row)")
        self.generated.add(1, "return expired, doubtful")

    def _guards(self) -> None:
        """Leaves a row to the readable path where an instant or an array may have no form in DynamoDB."""
        for column, kind in self.plan.kinds.items():
            value = self._variables[column]
            test = ""
            if isinstance(kind, kinds.Instant) and kind.zone:
                test = f'{value}[4] != "-" or {value}[-1] != "0"'
            elif isinstance(kind, (kinds.Instant, kinds.Date)):
                test = f'{value}[4] != "-" or {value}[-1] == "C"'
            elif isinstance(kind, Array):
                value = self._variables[column + BOUNDS]
                test = f'{value}.count("[") != {value}.count("[1:")'
            if test and (column in self.plan.nullable or isinstance(kind, Array)):
                test = f"{value} is not None and ({test})"
            if test:
                self._lines.append(f"if {test}: raise Doubt")

    def _expiry(self) -> None:
        """Computes `until` and passes over a row that is past it."""
        ttl = self.plan.ttl
        if ttl is None:
            return
        name = self._variables[ttl.column.name]
        after = ttl.after // timedelta(seconds=1)
        lines = [f"until = {name} + {after}"]
        if not isinstance(self.plan.kinds[ttl.column.name], kinds.Integer):
            lines = [f"d = instant({name}[:19]) - epoch", f"until = d.days * 86400 + d.seconds + {after}"]
        lines.append("if until <= now: expired += 1; continue")
        if ttl.column.name in self.plan.nullable:
            lines = ["until = None", f"if {name} is not None:", *(f"    {line}" for line in lines)]
        self._lines += lines

    def _item(self, item: BoundItem) -> str:
        """Computes `t<number>`, key and testimony of the item; returns the statement that appends it."""
        words = [repr(identity(self.entity, item.number)), self._until()]
        for index in item.indexes:
            words += self._index(index)
        others, texts = (list(map(self._word, each)) for each in told_apart(members(self.entity, item)))
        said = f"dumps((({', '.join([*words, *others])}), {', '.join(texts)}), None, sorted_keys)[1:-1]"
        if item.condition is None:
            return f"append({self._pair(item, said, shared=True)})"
        made = f"t{item.number}"
        outer, self._lines = self._lines, []
        for column in sorted({name for slot in item.keys for name in slot.template.columns} & self.plan.nullable):
            self._lines.append(f"if {self._variables[column]} is None: raise Doubt")
        self._lines.append(f"{made} = {self._pair(item, said, shared=False)}")
        inner, self._lines = self._lines, outer
        self._lines += [f"{made} = None", f"if {self._condition(item.condition)}:", *(f"    {line}" for line in inner)]
        return f"if {made} is not None: append({made})"

    def _pair(self, item: BoundItem, said: str, *, shared: bool) -> str:
        """The expression of an item's key and testimony."""
        words_of_key = (self._key(slot, position, shared=shared) for position, slot in enumerate(item.keys))
        return f"(dumps(({', '.join(words_of_key)},)), {said})"

    def _until(self) -> str:
        ttl = self.plan.ttl
        if ttl is None or self.entity.table.ttl is None:
            return "None"
        return "None if until is None else str(until)" if ttl.column.name in self.plan.nullable else "str(until)"

    def _index(self, index: BoundIndex) -> list[str]:
        """The variables of an index's keys, all None where a column in them is NULL."""
        if not index.nullable:
            return [self._key(slot, position, shared=True) for position, slot in enumerate(index.slots)]
        outer, self._lines = self._lines, []
        keys = [self._key(slot, position, shared=False) for position, slot in enumerate(index.slots)]
        inner, self._lines = self._lines, outer
        names = [f"x{len(self._derived)}_{position}" for position in range(len(keys))]
        self._derived[index, len(self._derived)] = names[0]
        inner += [f"{name} = {key}" for name, key in zip(names, keys, strict=True)]
        absent = " or ".join(f"{self._variables[column]} is None" for column in index.nullable)
        self._lines += [f"if {absent}: {' = '.join(names)} = None", "else:", *(f"    {line}" for line in inner)]
        return names

    def _key(self, slot: Slot, position: int, *, shared: bool) -> str:
        """The expression of a key attribute's word, within its limit for sure."""
        sole = slot.template.sole
        if slot.attribute.type != "S" and sole is not None:
            kind = self.generated.constant(sole.kind)
            return f"key_word({kind}.to_attribute({self._variables[sole.column]}, 0), {slot.attribute.type!r})"
        if shared:
            return self._once((slot.template, position), lambda name: self._rendered(name, slot, position))
        name = self._derived[slot, len(self._derived)] = f"s{len(self._derived)}"
        self._lines += self._rendered(name, slot, position)
        return name

    def _rendered(self, name: str, slot: Slot, position: int) -> list[str]:
        """Computes a key attribute of type String; leaves one that may be empty or too long to the readable path."""
        outer, self._lines = self._lines, []
        parts = [literal(part) if isinstance(part, str) else self._field(part) for part in slot.template.parts]
        lines, self._lines = self._lines, outer
        lines.append(f"{name} = f'{''.join(parts)}'")
        if not all(part.mask for part in slot.template.fields) or not slot.template.least_bytes:
            limit = (limits.SORT_KEY_BYTES if position else limits.PARTITION_KEY_BYTES) // _UTF8_MAX
            lines.append(f"if not 0 < len({name}) <= {limit}: raise Doubt")
        return lines

    def _field(self, part: Field) -> str:
        """The f-string text of a field of a key."""
        value = self._variables[part.column]
        if isinstance(part.kind, kinds.Instant) and part.spec == "seconds":
            return f"{{{value}[:10]}}T{{{value}[11:19]}}{'Z' * part.kind.zone}"
        if isinstance(part.kind, kinds.Instant):
            return f"{{iso_fixed({value}, {self.generated.constant(part.spec)})}}"
        if isinstance(part.kind, kinds.Integer) and part.padded:
            self._lines.append(f"if not 0 <= {value} < {10**part.padded}: raise Doubt")
            return f"{{{value}:0{part.padded}}}"
        if isinstance(part.kind, (kinds.Text, kinds.Printed)) and part.spec == "escape":
            return f"{{escape({value}, {self.generated.constant(part.separator)})}}"
        if isinstance(part.kind, (kinds.Text, kinds.Printed, kinds.Integer, kinds.Date)):
            return f"{{{value}}}"
        return f"{{{self.generated.constant(part.render)}({value})}}"

    def _word(self, attribute: BoundAttribute) -> str:
        """The variable of an attribute's word, computed once a row."""
        if isinstance(attribute, ComputedAttribute):
            return self._once(attribute, lambda name: self._computed(attribute, name))
        value = self._variables[attribute.column]
        made = self._made(attribute.kind, value)
        if made == value:
            return value
        made = f"None if {value} is None else {made}" if attribute.nullable else made
        return self._once((attribute.column, attribute.kind), lambda name: [f"{name} = {made}"])

    def _once(self, about: object, lines: Callable[[str], list[str]]) -> str:
        """The variable that these lines compute, which stand once in the function."""
        known = self._derived.get(about)
        if known is None:
            known = self._derived[about] = f"w{len(self._derived)}"
            self._lines += lines(known)
        return known

    def _made(self, kind: kinds.Kind, value: str) -> str:
        """The expression of a value's word where it is not NULL."""
        match kind:
            case kinds.Text() | kinds.Printed() | kinds.Boolean() | kinds.Instant() | kinds.Date():
                made = value
            case Array(element=kinds.Text() | kinds.Printed() | kinds.Boolean()) if not isinstance(kind, Set):
                made = value
            case kinds.Integer():
                made = f"str({value})"
            case kinds.Numeric():
                made = f"number(str({value}))"
            case kinds.Json(binary=True, null_is_absent=True):
                made = f"document_of_jsonb({value})"
            case _:
                made = f"judged({self.generated.constant(kind)}, {value})"
        return made

    def _computed(self, attribute: ComputedAttribute, name: str) -> list[str]:
        """Computes a computed attribute's word; with an inverse, sees that it gives the columns back."""
        forward_, inverse = attribute.computed.forward, attribute.computed.inverse
        values = ", ".join(self._variables[column] for column in attribute.columns)
        lines = [
            f"c = {self.generated.constant(forward_)}({values})",
            f"{name} = None if c is None else [document_of_plain(c)]",
        ]
        if inverse is not None:
            back = f"tuple({self.generated.constant(inverse)}(as_read(c)))"
            lines.append(f"if {back} != ({values},): raise Doubt")
        return lines

    def _condition(self, condition: conditions.Condition) -> str:
        """The Python expression of a condition."""
        if isinstance(condition, conditions.Junction):
            joined = (" and " if condition.every else " or ").join(map(self._condition, condition.members))
            return f"({joined or condition.every})"
        value = self._variables[condition.column]
        if condition.values is None:
            return f"({value} is{' not' * condition.negated} None)"
        among = f"{'not ' * condition.negated}in {self.generated.constant(condition.values)}"
        return f"({value} is not None and {value} {among})"


def _judged(kind: kinds.Kind, value: Any) -> word.Word:  # noqa: ANN401 - a row's value
    """A value's word, for kinds with values that no item holds."""
    made = word.word_of_value(kind, value)
    if isinstance(kind, kinds.Json) and made == [{"NULL": True}] and not kind.null_is_absent:
        raise Doubt
    if isinstance(kind, Set) and (not made or len(set(made)) != len(made)):
        raise Doubt
    return made


def _as_read(value: Any) -> Any:  # noqa: ANN401 - a plain value
    """A plain value as it is read back from DynamoDB, where every number is a Decimal."""
    if isinstance(value, int) and not isinstance(value, bool):
        return Decimal(value)
    if isinstance(value, list):
        return [_as_read(member) for member in value]
    return {name: _as_read(member) for name, member in value.items()} if isinstance(value, dict) else value


_HELPERS: Final = {
    "Doubt": Doubt,
    "doubts": DOUBTS,
    "escape": escape,
    "iso_fixed": instant.iso_fixed,
    "key_word": key_word,
    "number": word.number,
    "document_of_jsonb": word.document_of_jsonb,
    "dumps": orjson.dumps,
    "sorted_keys": SORTED,
    "document_of_plain": word.document_of_plain,
    "judged": _judged,
    "as_read": _as_read,
    "instant": datetime.fromisoformat,
    "epoch": datetime(1970, 1, 1),  # noqa: DTZ001 - what it is taken from has no zone either
}
