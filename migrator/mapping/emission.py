"""The source text that compiled encoders are made of: for each kind the expression that writes its value."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from migrator.mapping import kind as kinds
from migrator.mapping import lane
from migrator.mapping.array import Array, Set
from migrator.mapping.plan import BOUNDS

if TYPE_CHECKING:
    from collections.abc import Callable

    from migrator.mapping.field import Field
    from migrator.mapping.kind import Kind, RowValue
    from migrator.mapping.plan import Plan, Slot
    from migrator.mapping.template import KeyTemplate

_GUARDED: Final = (kinds.Instant, kinds.Date)
"""Kinds whose own guard fails on None, so that NULL in a NOT NULL column needs no other."""


def literal(text: str) -> str:
    """Text as it stands inside a single-quoted f-string."""
    escaped = text.replace("\\", "\\\\").replace("'", "\\'").replace("{", "{{").replace("}", "}}")
    return escaped.replace("\n", "\\n").replace("\r", "\\r").replace("\0", "\\0")


def quoted(text: str) -> str:
    """Text as a JSON string, inside a single-quoted f-string."""
    return literal(lane.octets(json.dumps(text, ensure_ascii=False)))


@dataclass
class Names:
    """The variables of one generated function: what a value is called, and which helpers are computed from it."""

    plan: Plan
    columns: dict[str, str]
    constants: dict[str, object] = field(default_factory=dict)
    lines: list[str] = field(default_factory=list)
    derived: dict[tuple[str, str], str] = field(default_factory=dict)

    def variable(self, column: str) -> str:
        """The variable that holds a column's value."""
        return self.columns[column]

    def constant(self, value: object) -> str:
        """A name under which the generated function finds an object."""
        name = f"k{len(self.constants)}"
        self.constants[name] = value
        return name

    def nullable(self, column: str) -> bool:
        """Whether PostgreSQL lets the column be NULL."""
        return column in self.plan.nullable

    def derive(self, column: str, what: str, expression: str) -> str:
        """A variable computed once a row from a column's value (None where that is NULL); `{}` is the value."""
        known = self.derived.get((column, what))
        if known is None:
            value = self.variable(column)
            suffix = what if what.isidentifier() else len(self.derived)
            known = self.derived[column, what] = f"{value}_{suffix}"
            computed = expression.format(value)
            self.lines.append(
                f"{known} = None if {value} is None else {computed}"
                if self.nullable(column)
                else f"{known} = {computed}"
            )
        return known

    def quoted(self, column: str) -> str:
        """The variable that holds a text's JSON string, quotes included."""
        return self.derive(column, "quoted", "quote({0}) if {0}.isascii() else wide({0})")

    def escaped(self, column: str) -> str:
        """The variable that holds a text as a part of a JSON string."""
        return self.derive(column, "escaped", f"{self.quoted(column)}[1:-1]")

    def iso(self, column: str) -> str:
        """The variable that holds an instant's ISO 8601 text down to the second."""
        return self.derive(column, "iso", "{0}[:10] + 'T' + {0}[11:19]")


def guards(names: Names) -> list[str]:
    """Statements that leave a row to the readable path where a value is none that straight-line text can take."""
    kinds_of = names.plan.kinds
    unguarded = [column for column, kind in kinds_of.items() if not isinstance(kind, _GUARDED)]
    required = [names.variable(column) for column in unguarded if not names.nullable(column)]
    statements = [f"if {' or '.join(f'{value} is None' for value in required)}: raise Doubt"] if required else []
    for column, kind in kinds_of.items():
        test = _doubtful(kind, names, column)
        if test and names.nullable(column):
            test = f"{names.variable(column)} is not None and ({test})"
        if test:
            statements.append(f"if {test}: raise Doubt")
    return statements


def _doubtful(kind: Kind, names: Names, column: str) -> str:
    value = names.variable(column)
    match kind:
        case kinds.Instant(zone=True):
            return f"{value}[4] != '-' or {value}[-3:] != '+00'"
        case kinds.Instant() | kinds.Date():
            return f"{value}[4] != '-' or {value}[-1:] == 'C'"
        case Array():
            bounds = names.variable(column + BOUNDS)
            return f"{bounds} is not None and {bounds}.count('[') != {bounds}.count('[1:')"
    return ""


def value(kind: Kind, names: Names, column: str, level: int) -> str:
    """The f-string text that writes a column's value, which is not NULL there, as `{"S":...}` and its like."""
    return next(emit for base, emit in _EMITTERS if isinstance(kind, base))(kind, names, column, level)


def _wire(kind: Kind, names: Names, column: str, level: int) -> str:
    return f"{{wire({names.constant(kind)}, {names.variable(column)}, {level})}}"


def _instant(kind: kinds.Instant, names: Names, column: str, _level: int) -> str:
    name = names.variable(column)
    fraction = f"{{{name}[19:-3]}}Z" if kind.zone else f"{{{name}[19:]}}"
    return f'{{{{"S":"{{{names.iso(column)}}}{fraction}"}}}}'


def _json(kind: kinds.Json, names: Names, column: str, _level: int) -> str:
    written = f"{'jsonb' if kind.binary else 'json_text'}({names.variable(column)})"
    return f"{{{written}}}" if kind.null_is_absent else f"{{not_null({written})}}"


def _set(kind: Set, names: Names, column: str, _level: int) -> str:
    members = f"{{members({names.variable(column)}, {names.constant(_member_writer(kind.element))})}}"
    return f'{{{{"{kind.element.type}S":[{members}]}}}}'


def _array(kind: Array, names: Names, column: str, level: int) -> str:
    writer = names.constant(_element_writer(kind.element, level + 1))
    return f'{{{{"L":[{{elements({names.variable(column)}, {writer})}}]}}}}'


def _text(_kind: Kind, names: Names, column: str, _level: int) -> str:
    return f'{{{{"S":{{{names.quoted(column)}}}}}}}'


def _plain(kind: Kind, names: Names, column: str, _level: int) -> str:
    return f'{{{{"{kind.type}":{_PLAIN[type(kind)].format(names.variable(column))}}}}}'


_PLAIN: Final[dict[type[Kind], str]] = {
    kinds.Integer: '"{{{}}}"',
    kinds.Boolean: "{{boolean[{}]}}",
    kinds.Numeric: '"{{numeric({})}}"',
    kinds.Float: '"{{double({})}}"',
    kinds.Real: '"{{double({})}}"',
    kinds.Binary: '"{{binary({})}}"',
    kinds.Uuid: '"{{{}}}"',
    kinds.Date: '"{{{}}}"',
}
_EMITTERS: Final[tuple[tuple[type[Kind] | tuple[type[Kind], ...], Callable[[Any, Names, str, int], str]], ...]] = (
    (tuple(_PLAIN), _plain),
    (kinds.Epoch, _wire),
    (kinds.Instant, _instant),
    (kinds.Json, _json),
    (Set, _set),
    (Array, _array),
    ((kinds.Text, kinds.Printed), _text),
)
"""Read from the top: a subclass stands before its base."""


def _element_writer(kind: Kind, level: int) -> Callable[[RowValue], str]:
    """The function that writes one element of an array, `level` maps or lists deep."""
    match kind:
        case kinds.Text() | kinds.Printed():
            return lane.text_element
        case kinds.Integer():
            return lane.integer_element
        case kinds.Numeric():
            return lane.numeric_element
    return partial(lane.element, kind, level)


def _member_writer(kind: Kind) -> Callable[[RowValue], str]:
    """The function that writes one member of a set."""
    return lane.quote if isinstance(kind, (kinds.Text, kinds.Printed)) else partial(lane.member, kind)


def key_value(slot: Slot, names: Names) -> str:
    """The f-string text of a key attribute's value."""
    if slot.kind is not None and slot.template.sole is not None:
        return value(slot.kind, names, slot.template.sole.column, 0)
    return f'{{{{"S":"{key_text(slot.template, names)}"}}}}'


def key_text(template: KeyTemplate, names: Names) -> str:
    """The f-string text of a key of type String, without its quotes."""
    return "".join(quoted(part)[1:-1] if isinstance(part, str) else _field(part, names) for part in template.parts)


def _field(part: Field, names: Names) -> str:
    name = names.variable(part.column)
    match part.kind:
        case kinds.Instant():
            return _instant_field(part, part.kind, names)
        case kinds.Uuid() | kinds.Date():
            return f"{{{name}}}"
        case kinds.Integer():
            return f"{{padded({name}, {part.padded})}}" if part.padded else f"{{{name}}}"
        case kinds.Boolean():
            return f"{{boolean[{name}]}}"
    if part.spec == "escape":
        escape = f"octets(quote(escape({{}}, {names.constant(part.separator)})))[1:-1]"
        return f"{{{names.derive(part.column, f'escape {part.separator!r}', escape)}}}"
    return f"{{{names.escaped(part.column)}}}"


def _instant_field(part: Field, kind: kinds.Instant, names: Names) -> str:
    if part.spec == "seconds":
        return f"{{{names.iso(part.column)}}}{'Z' * kind.zone}"
    fixed = f"fixed({{}}, {names.constant(part.spec)})"
    return f"{{{names.derive(part.column, part.spec, fixed)}}}"
