"""Forms: what a table's items look like on the wire, as types that a JSON parser fills without making a dict of each.

A table has one form, with every attribute that its mapping gives to any of its items; the members of an envelope are
left unread until it is known whose they are, and have a form for each item of an entity. An answer that fits no form
is none of a parser's making: it is read as plain dicts.
"""

from __future__ import annotations

import re
from functools import cache
from typing import TYPE_CHECKING, Any, Final, TypeAlias

import msgspec

from migrator.mapping import kind as kinds
from migrator.mapping.array import Array, Set
from migrator.mapping.limits import RESERVED_ATTRIBUTES
from migrator.mapping.plan import ComputedAttribute
from migrator.mapping.testimony import is_text, may_be_null

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from migrator.mapping.entity import Entity
    from migrator.mapping.plan import BoundAttribute, BoundItem
    from migrator.mapping.table import Table

Types: TypeAlias = "frozenset[str] | None"
"""DynamoDB's types (`S`, `NULL`), or TEXT, that a value may have; None: any, and it is left in its typed form."""
TEXT: Final = "text"
"""A String whose content stays as the answer has it, quoted and escaped: no parser has to read what is only told."""

_UNNAMEABLE: Final = re.compile(r'["\\\x00-\x1f]')
_CONTENT: Final[Mapping[str, Any]] = {
    "S": str,
    "N": str,
    "B": str,
    "BOOL": bool,
    "NULL": bool,
    "SS": list[str],
    TEXT: msgspec.Raw,
}


class ItemForm:
    """The form of objects with these attributes, each of which may be missing.

    `type` is the parser's; `field` the name under which it holds an attribute, and `types` what may stand there.
    """

    def __init__(self, types: Mapping[str, Types], envelope: str | None = None) -> None:
        self.types = dict(types)
        self.field = {name: f"f{number}" for number, name in enumerate([*types, *([envelope] if envelope else [])])}
        fields = [(self.field[name], _field_form(name, each), None) for name, each in types.items()]
        if envelope is not None:
            fields.append((self.field[envelope], None if _UNNAMEABLE.search(envelope) else _Envelope | None, None))
        self.type = msgspec.defstruct(
            "Form",
            fields,
            rename={
                # SQLAlchemy's names are a kind of str that the parser takes for none.
                field: f"no attribute {field}" if _UNNAMEABLE.search(name) else str(name)
                for name, field in self.field.items()
            },
            gc=False,
            forbid_unknown_fields=True,
            omit_defaults=True,
        )


def form_of_items(table: Table, entities: Iterable[Entity]) -> ItemForm:
    """The form of a table's items, whatever entity they are of; those of an envelope's members come later."""
    types: dict[str, Types] = {key.name: frozenset([key.type]) for key in table.key_attributes}
    if table.discriminator is not None:
        types[table.discriminator] = frozenset("S")
    if table.ttl is not None:
        types[table.ttl] = frozenset("N")
    for entity in entities:
        for item in entity.plan.items:
            for slot in (slot for index in item.indexes for slot in index.slots):
                _admit(types, slot.attribute.name, frozenset([slot.attribute.type]))
            for attribute in item.attributes:
                _admit(types, attribute.name, _types_of(attribute))
    for name in RESERVED_ATTRIBUTES:
        types.setdefault(name, None)
    return ItemForm(types, table.envelope)


def form_of_members(item: BoundItem) -> ItemForm:
    """The form of the members of an item's envelope."""
    return form_of_attributes(item.data)


def form_of_attributes(attributes: Sequence[BoundAttribute]) -> ItemForm:
    """The form of an object with these attributes."""
    return ItemForm({attribute.name: _types_of(attribute) for attribute in attributes})


def _admit(types: dict[str, Types], name: str, more: Types) -> None:
    """Lets an attribute have these types as well."""
    known = types.get(name, frozenset())
    every = None if known is None or more is None else known | more
    # Where one of its items has to be read, all are.
    types[name] = every - {TEXT} if every and "S" in every else every


def _types_of(attribute: BoundAttribute) -> Types:
    content = frozenset([TEXT]) if is_text(attribute) else _types_of_content(attribute)
    if content is None:
        return None
    return content | {"NULL"} if may_be_null(attribute) else content


def _types_of_content(attribute: BoundAttribute) -> Types:
    kind = None if isinstance(attribute, ComputedAttribute) else attribute.kind
    match kind:
        case None | kinds.Json():
            return None
        case Set(element=kinds.Text() | kinds.Printed()):
            return frozenset(["SS"])
        case Array() | kinds.Binary():
            return None
    return frozenset([kind.type])


def _field_form(name: str, types: Types) -> Any:  # noqa: ANN401 - a type that is made here
    """The form of an attribute's value; nothing fits where the parser takes no field of that name."""
    return None if _UNNAMEABLE.search(name) else _value_form(types) | None


class _Envelope(msgspec.Struct, gc=False, forbid_unknown_fields=True):
    """An envelope whose members are not yet read."""

    M: msgspec.Raw


@cache
def _value_form(types: Types) -> Any:  # noqa: ANN401 - a type that is made here
    """The form of a typed value: with one type, it must be there."""
    if types is None:
        return Any
    fields: list[Any] = [("S" if type_ == TEXT else type_, _CONTENT[type_]) for type_ in types]
    if len(types) > 1:
        # What is not read may be anything already, and is not among alternatives.
        fields = [(name, each if each is msgspec.Raw else each | None, None) for name, each in fields]
    return msgspec.defstruct("Value", fields, gc=False, forbid_unknown_fields=True, omit_defaults=True)
