"""Puts a compiled encoder's statements together: guards, values that several items share, then each item's text."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Final

from migrator.mapping import condition as conditions
from migrator.mapping import emission, limits
from migrator.mapping import kind as kinds
from migrator.mapping.emission import Names, quoted
from migrator.mapping.entity import NULL
from migrator.mapping.plan import ComputedAttribute

if TYPE_CHECKING:
    from collections.abc import Iterator

    from migrator.mapping.entity import Entity
    from migrator.mapping.plan import BoundAttribute, BoundItem, Slot

_UTF8_MAX: Final = 4
_ESCAPED_MAX: Final = 3
"""How many characters one escaped character becomes for each byte it has."""
_SHORT_MAX: Final = 20
"""No text of an integer or a boolean is longer."""
_CHEAP: Final = (kinds.Text, kinds.Printed, kinds.Integer, kinds.Boolean, kinds.Instant, kinds.Date)
"""Kinds whose text costs no call, so that writing it again for a second item is cheaper than keeping it."""


class Assembly:
    """The statements that encode one row of an entity, of which the values are in `row` and the items go to `append`.

    `trailing` values follow the projection's in a row, and are passed over.
    """

    def __init__(self, entity: Entity, trailing: int) -> None:
        self.entity = entity
        self._trailing = trailing
        self.plan = entity.plan
        self.names = Names(self.plan, {projected.name: f"v{i}" for i, projected in enumerate(self.plan.projection)})
        self._members: dict[tuple[str, int], str] = {}
        self._shared: list[str] = []

    def statements(self) -> list[str]:
        """All of them, in order."""
        ttl = self._ttl()
        bodies = [self._item(item) for item in self.plan.items]
        variables = ", ".join([*self.names.columns.values(), *["_"] * self._trailing])
        return [
            f"{variables}, = row",
            *emission.guards(self.names),
            *self._key_guards(),
            *ttl,
            *self.names.lines,
            *self._shared,
            *(statement for body in bodies for statement in body),
            *(self._append(item) for item in self.plan.items),
        ]

    def _append(self, item: BoundItem) -> str:
        append = f"append(t{item.number}.encode('latin-1'))"
        return append if item.condition is None else f"if t{item.number}: {append}"

    def _ttl(self) -> list[str]:
        """Computes the expiry and passes over a row that is past it."""
        ttl = self.plan.ttl
        if ttl is None:
            return []
        name = self.names.variable(ttl.column.name)
        seconds = name if isinstance(self.plan.kinds[ttl.column.name], kinds.Integer) else f"unix({name})"
        after = ttl.after // timedelta(seconds=1)
        return [
            f"ttl = None if {name} is None else {seconds} + {after}",
            "if ttl is not None and ttl <= now: expired += 1; continue",
        ]

    def _key_guards(self) -> list[str]:
        """Leaves a row whose key text might be empty or over a limit to the readable path."""
        longest: dict[str, int] = {}
        sole: set[str] = set()
        for item in self.plan.items:
            for slots in (item.keys, *(index.slots for index in item.indexes)):
                for position, slot in enumerate(slots):
                    limit = limits.SORT_KEY_BYTES if position else limits.PARTITION_KEY_BYTES
                    for column, length in _shares(slot, limit):
                        longest[column] = min(length, longest.get(column, length))
                    sole |= {slot.template.sole.column} if slot.template.sole is not None else set()
        statements = []
        for column, length in longest.items():
            name = self.names.variable(column)
            test = f"len({name}) > {length}" + (f" or not {name}" if column in sole else "")
            test = f"{name} is not None and ({test})" if self.names.nullable(column) else test
            statements.append(f"if {test}: raise Doubt")
        return statements

    def _item(self, item: BoundItem) -> list[str]:
        """Computes `t<number>`, the item's text."""
        statements: list[str] = []
        keys, sparse = self._key_members(item)
        text = ",".join(keys)
        for number, (absent, members) in enumerate(sparse.items()):
            statements.append(f"i{number} = '' if {absent} else f'{''.join(f',{member}' for member in members)}'")
            text += f"{{i{number}}}"
        text += self._discriminator() + self._envelope(item)
        text += "".join(self._member(attribute, 0) for attribute in item.attributes)
        if self.plan.ttl is not None and self.entity.table.ttl is not None:
            name = quoted(self.entity.table.ttl)
            statements.append(f"e = '' if ttl is None else f',{name}:{{{{\"N\":\"{{ttl}}\"}}}}'")
            text += "{e}"
        made = f"t{item.number}"
        statements += [
            f"{made} = f'{{{{{text}}}}}'",
            f"if len({made}) > {limits.ITEM_BYTES}: raise Doubt",
        ]
        if item.condition is None:
            return statements
        condition = self._condition(item.condition)
        return [f"{made} = ''", f"if {condition}:", *(f"    {statement}" for statement in statements)]

    def _key_members(self, item: BoundItem) -> tuple[list[str], dict[str, list[str]]]:
        """The f-string texts of the key attributes that are always there, and of others by when they are absent."""
        places: dict[str, tuple[Slot, list[tuple[str, ...]]]] = {}
        for slots, nullable in [(item.keys, ()), *((index.slots, index.nullable) for index in item.indexes)]:
            for slot in slots:
                places.setdefault(slot.attribute.name, (slot, []))[1].append(nullable)
        always: list[str] = []
        sparse: dict[str, list[str]] = {}
        for name, (slot, keys) in places.items():
            member = f"{quoted(name)}:{emission.key_value(slot, self.names)}"
            if () in keys:
                always.append(member)
            else:
                sparse.setdefault(self._all_absent(keys), []).append(member)
        return always, sparse

    def _all_absent(self, keys: list[tuple[str, ...]]) -> str:
        """The expression that is true where each of the keys has a NULL among its columns."""
        tests = [" or ".join(f"{self.names.variable(column)} is None" for column in nullable) for nullable in keys]
        return tests[0] if len(tests) == 1 else " and ".join(f"({test})" for test in tests)

    def _discriminator(self) -> str:
        name = self.entity.table.discriminator
        return "" if name is None else f',{quoted(name)}:{{{{"S":{quoted(self.entity.name)}}}}}'

    def _envelope(self, item: BoundItem) -> str:
        name = self.entity.table.envelope
        if name is None or not item.data:
            return ""
        ordered = sorted(item.data, key=lambda attribute: not self._always(attribute))
        members = "".join(self._member(attribute, 1) for attribute in ordered)
        if self._always(ordered[0]):
            content = members.removeprefix(",")
        else:
            self._shared.append(f"d{item.number} = f'{members}'")
            content = f"{{d{item.number}[1:]}}"
        return f',{quoted(name)}:{{{{"M":{{{{{content}}}}}}}}}'

    def _always(self, attribute: BoundAttribute) -> bool:
        """Whether the attribute is written in place, in every item."""
        if isinstance(attribute, ComputedAttribute):
            return False
        return isinstance(attribute.kind, _CHEAP) and not self.names.nullable(attribute.column)

    def _member(self, attribute: BoundAttribute, level: int) -> str:
        """The f-string text of an attribute with a comma before it; empty at run time where it is absent."""
        if self._always(attribute) and not isinstance(attribute, ComputedAttribute):
            return f",{quoted(attribute.name)}:{emission.value(attribute.kind, self.names, attribute.column, level)}"
        known = self._members.get((attribute.name, level))
        if known is None:
            known = self._members[attribute.name, level] = f"a{len(self._members)}"
            self._shared += self._share(attribute, known, level)
        return f"{{{known}}}"

    def _share(self, attribute: BoundAttribute, variable: str, level: int) -> list[str]:
        """Computes an attribute's member once a row."""
        name = quoted(attribute.name)
        absent = f"f',{name}:{{{{\"NULL\":true}}}}'" if attribute.null is NULL else "''"
        if isinstance(attribute, ComputedAttribute):
            function = self.names.constant(attribute.computed.forward)
            arguments = ", ".join(self.names.variable(column) for column in attribute.columns)
            return [
                f"c = {function}({arguments})",
                f"{variable} = {absent} if c is None else f',{name}:{{computed(c, {level})}}'",
            ]
        written = f"f',{name}:{emission.value(attribute.kind, self.names, attribute.column, level)}'"
        value = self.names.variable(attribute.column)
        return [f"{variable} = " + (f"{absent} if {value} is None else {written}" if attribute.nullable else written)]

    def _condition(self, condition: conditions.Condition) -> str:
        """The Python expression of a condition."""
        if isinstance(condition, conditions.Junction):
            parts = [f"({self._condition(member)})" for member in condition.members]
            return (" and " if condition.every else " or ").join(parts) or str(condition.every)
        name = self.names.variable(condition.column)
        if condition.values is None:
            return f"{name} is not None" if condition.negated else f"{name} is None"
        values = self.names.constant(condition.values)
        return f"{name} is not None and {name} {'not in' if condition.negated else 'in'} {values}"


def _shares(slot: Slot, limit: int) -> Iterator[tuple[str, int]]:
    """For each column of free length in a key: the length up to which the key surely is within its limit."""
    fields = slot.template.fields
    free = [f for f in fields if not f.mask and isinstance(f.kind, (kinds.Text, kinds.Printed, kinds.Binary))]
    fixed = sum(len(field.mask) or _SHORT_MAX for field in fields if field not in free)
    literals = sum(len(part) for part in slot.template.parts if isinstance(part, str))
    room = limit // _UTF8_MAX - literals - fixed
    for field in free:
        growth = _ESCAPED_MAX if any(each.spec == "escape" for each in free) else 1
        yield field.column, room // (len(free) * growth)
