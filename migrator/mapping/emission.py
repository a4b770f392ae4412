"""The source text that compiled encoders are made of: for each kind the expression that writes its value."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from migrator.mapping import kind as kinds
from migrator.mapping import lane
from migrator.mapping.entity import NULL
from migrator.mapping.plan import BOUNDS
from migrator.mapping.template import Field, KeyTemplate

if TYPE_CHECKING:
    from migrator.mapping.kind import Kind
    from migrator.mapping.plan import BoundAttribute, BoundIndex, Plan, Slot

SAFE: Final = (kinds.Integer, kinds.Uuid, kinds.Boolean)
"""Kinds whose text needs no JSON escape, and which an f-string would print even where the value is None."""


def literal(text: str) -> str:
    """Text as it stands inside a single-quoted f-string."""
    return text.replace("\\", "\\\\").replace("'", "\\'").replace("\n", "\\n").replace("{", "{{").replace("}", "}}")


def quoted(text: str) -> str:
    """Text as a JSON string, inside a single-quoted f-string."""
    return literal(json.dumps(text, ensure_ascii=False))


def escaped(text: str) -> str:
    """Text as a part of a JSON string, inside a single-quoted f-string."""
    return literal(json.dumps(text, ensure_ascii=False)[1:-1])


@dataclass
class Names:
    """The variables of one generated function: what a value is called, and which helpers are computed from it."""

    plan: Plan
    columns: dict[str, str] = field(default_factory=dict)
    constants: dict[str, Any] = field(default_factory=dict)
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
        return bool(self.plan.entity.source.columns[column].nullable)

    def derive(self, column: str, what: str, expression: str, *, null: str = "None") -> str:
        """A variable computed once a row from a column's value (`null` where that is NULL); `{}` is the value."""
        known = self.derived.get((column, what))
        if known is None:
            value = self.variable(column)
            known = self.derived[column, what] = f"{value}{what}"
            computed = expression.format(value)
            self.lines.append(
                f"{known} = {null} if {value} is None else {computed}"
                if self.nullable(column)
                else f"{known} = {computed}"
            )
        return known


def guards(names: Names) -> list[str]:
    """Statements that leave a row to the readable path where a value is none that straight-line text can take."""
    statements: list[str] = []
    for column, kind in names.plan.kinds.items():
        value = names.variable(column)
        test = _doubtful(kind, value)
        if not names.nullable(column) and isinstance(kind, SAFE):
            test = f"{value} is None"
        elif test and names.nullable(column):
            test = f"{value} is not None and ({test})"
        if test:
            statements.append(f"if {test}: raise Doubt")
        if isinstance(kind, kinds.Array):
            bounds = names.variable(column + BOUNDS)
            statements.append(f"if {bounds} is not None and {bounds}.count('[') != {bounds}.count('[1:'): raise Doubt")
    return statements


def _doubtful(kind: Kind, value: str) -> str:
    match kind:
        case kinds.Instant(zone=True):
            return f"{value}[4:5] != '-' or {value}[-3:] != '+00'"
        case kinds.Instant():
            return f"{value}[4:5] != '-' or {value}[-1:] == 'C'"
        case kinds.Date():
            return f"{value}[4:5] != '-' or {value}[-1:] == 'C'"
    return ""


def value(kind: Kind, names: Names, column: str, level: int) -> str:
    """The f-string text that writes a column's value, which is not NULL there, as `{"S":...}` and its like."""
    name = names.variable(column)
    match kind:
        case kinds.Instant() if not isinstance(kind, kinds.Epoch):
            return f'{{{{"S":"{{{_iso(names, column)}}}{_fraction(kind, name)}"}}}}'
        case kinds.Json():
            written = f"{'jsonb' if kind.binary else 'json_text'}({name})"
            return f"{{{written}}}" if kind.null_is_absent else f"{{not_null({written})}}"
        case kinds.Set():
            members = f"{{members({name}, {names.constant(member_writer(kind.element))})}}"
            return f'{{{{"{kind.element.type}S":[{members}]}}}}'
        case kinds.Array():
            elements = f"{{elements({name}, {names.constant(element_writer(kind.element, level + 1))})}}"
            return f'{{{{"L":[{elements}]}}}}'
    return scalar(kind, names, column, level)


def scalar(kind: Kind, names: Names, column: str, level: int) -> str:
    """As `value`, for kinds of one plain value."""
    name = names.variable(column)
    match kind:
        case kinds.Integer():
            return f'{{{{"N":"{{{name}}}"}}}}'
        case kinds.Boolean():
            return f'{{{{"BOOL":{{boolean[{name}]}}}}}}'
        case kinds.Numeric():
            return f'{{{{"N":"{{numeric({name})}}"}}}}'
        case kinds.Float():
            return f'{{{{"N":"{{double({name})}}"}}}}'
        case kinds.Binary():
            return f'{{{{"B":"{{binary({name})}}"}}}}'
        case kinds.Uuid() | kinds.Date():
            return f'{{{{"S":"{{{name}}}"}}}}'
        case kinds.Text() | kinds.Printed():
            return f'{{{{"S":{{{text(names, column)}}}}}}}'
    return f"{{wire({names.constant(kind)}, {name}, {level})}}"


def text(names: Names, column: str) -> str:
    """The variable that holds a text's JSON string, quotes included."""
    return names.derive(column, "q", "quote({})")


def _iso(names: Names, column: str) -> str:
    return names.derive(column, "i", "{0}[:10] + 'T' + {0}[11:19]")


def _fraction(kind: kinds.Instant, name: str) -> str:
    return f"{{{name}[19:-3]}}Z" if kind.zone else f"{{{name}[19:]}}"


def element_writer(kind: Kind, level: int) -> Callable[[Any], str]:
    """The function that writes one element of an array, `level` maps or lists deep."""
    match kind:
        case kinds.Text() | kinds.Printed():
            return lane.text_element
        case kinds.Integer():
            return lane.integer_element
        case kinds.Numeric():
            return lane.numeric_element
    return partial(lane.element, kind, level)


def member_writer(kind: Kind) -> Callable[[Any], str]:
    """The function that writes one member of a set."""
    return lane.quote if isinstance(kind, (kinds.Text, kinds.Printed)) else partial(lane.member, kind)


def key_text(template: KeyTemplate, names: Names) -> str:
    """The f-string text of a key of type String, without its quotes."""
    return "".join(escaped(part) if isinstance(part, str) else _field(part, names) for part in template.parts)


def _field(part: Field, names: Names) -> str:
    name = names.variable(part.column)
    match part.kind:
        case kinds.Instant(zone=zone):
            if part.spec in {"millis", "micros"}:
                call = f"fixed({{}}, {names.constant(part.spec)})"
                return f"{{{names.derive(part.column, part.spec, call)}}}"
            return f"{{{_iso(names, part.column)}}}{'Z' * zone}"
        case kinds.Uuid() | kinds.Date():
            return f"{{{name}}}"
        case kinds.Integer():
            return f"{{padded({name}, {int(part.spec)})}}" if part.spec[:1] == "0" else f"{{{name}}}"
        case kinds.Boolean():
            return f"{{boolean[{name}]}}"
    if part.spec == "escape":
        escape = f"quote(escape({{}}, {names.constant(part.separator)}))[1:-1]"
        return f"{{{names.derive(part.column, f'x{ord(part.separator or chr(0))}', escape)}}}"
    return f"{{{names.derive(part.column, 'e', 'quote({})[1:-1]')}}}"


def key_value(slot: Slot, names: Names) -> str:
    """The f-string text of a key attribute's value."""
    if slot.kind is not None and slot.template.sole is not None:
        return value(slot.kind, names, slot.template.sole.column, 0)
    return f'{{{{"S":"{key_text(slot.template, names)}"}}}}'


def attribute_value(attribute: BoundAttribute, names: Names, level: int) -> str:
    """The f-string text of an attribute's value where it is not NULL."""
    if attribute.kind is None:
        return ""
    return value(attribute.kind, names, attribute.columns[0], level)


def null_text(attribute: BoundAttribute) -> str:
    """The member that stands for NULL, as a Python expression."""
    return f"',{quoted(attribute.name)}:{{\"NULL\":true}}'" if attribute.null is NULL else "''"


def index_members(index: BoundIndex, names: Names) -> str:
    """The f-string text of an index's key attributes, each with a comma before it."""
    return "".join(f",{quoted(slot.attribute.name)}:{key_value(slot, names)}" for slot in index.slots)
