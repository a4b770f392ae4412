"""One kind for each way a PostgreSQL value becomes a DynamoDB value: how it is selected, stored, read back and compared.

This is the readable reference. `migrator.mapping.encoder` compiles the same rules into straight-line code, and property
tests hold the two equal.
"""

from __future__ import annotations

import base64
import binascii
from dataclasses import dataclass
from decimal import Decimal
from enum import Enum
from typing import Any, ClassVar, Final, TypeAlias

from migrator.mapping import document, instant
from migrator.mapping.document import AttributeValue
from migrator.mapping.errors import MappingError, Unfit
from migrator.mapping.number import canonical, number_text

ARRAY_POLICY: Final = "Declare the attribute with form=TEXT to store the array as PostgreSQL prints it."

RowValue: TypeAlias = Any
"""A column's value as the source edge yields it: bool, int, Decimal, float, bytes, list, None, and str for all else."""


class Form(Enum):
    """How an attribute stores its column's value, where the natural form is not wanted."""

    NATURAL = "natural"
    TEXT = "text"  # as PostgreSQL prints it, a String: holds every value there is
    EPOCH = "epoch"  # an instant as Unix seconds, a Number
    SET = "set"  # an array as a String, Number or Binary Set


def _take(attribute: AttributeValue, kind: str) -> Any:  # noqa: ANN401 - the wire's own shapes
    ((actual, value),) = attribute.items()
    if actual != kind:
        raise Unfit(f"its type is {actual}, expected {kind}")
    return value


@dataclass(frozen=True)
class Kind:
    """A kind of value. `select` is the SQL that fetches it, `{}` being the quoted column."""

    select: ClassVar[str] = "{}"
    type: ClassVar[str] = "S"
    ordered: ClassVar[bool] = True
    """Whether the order of its key text is the order of its values."""

    def to_attribute(self, value: RowValue, level: int) -> AttributeValue:
        """The typed value on the wire, `level` maps deep; raises Unfit where there is no exact one."""
        del level
        return {self.type: value}

    def from_attribute(self, attribute: AttributeValue) -> RowValue:
        """The row's value back from the wire; raises Unfit where the attribute is none of this kind."""
        return _take(attribute, self.type)

    def from_user(self, value: object) -> RowValue:
        """The row's value from plain JSON that a person wrote."""
        if not isinstance(value, str):
            raise Unfit("a JSON string is expected here")
        return value

    def normal(self, value: RowValue) -> object:
        """A form in which two values are equal exactly when PostgreSQL holds them for the same value."""
        return value

    def formed(self, form: Form) -> Kind:
        """The kind of an attribute that stores this column in the given form."""
        if form is Form.NATURAL:
            return self
        raise MappingError(f"form={form.name} does not fit a column of kind {type(self).__name__}")


@dataclass(frozen=True)
class Text(Kind):
    """Character types, taken as they are."""


@dataclass(frozen=True)
class Printed(Kind):
    """Every type whose exact form in DynamoDB is the text that PostgreSQL prints."""

    select: ClassVar[str] = "{}::text"
    ordered: ClassVar[bool] = False

    def from_user(self, value: object) -> RowValue:
        return value if isinstance(value, str) else document.to_text(value)


@dataclass(frozen=True)
class Labelled(Printed):
    """Enum types. Their order is that of their declaration, not of their labels."""

    labels: tuple[str, ...] = ()


@dataclass(frozen=True)
class Uuid(Printed):
    """uuid: 36 characters, lower case, and in the order of its values."""

    ordered: ClassVar[bool] = True

    def from_user(self, value: object) -> RowValue:
        return super().from_user(value).lower()


@dataclass(frozen=True)
class Boolean(Kind):
    """boolean."""

    type: ClassVar[str] = "BOOL"

    def from_user(self, value: object) -> RowValue:
        if not isinstance(value, bool):
            raise Unfit("true or false is expected here")
        return value


@dataclass(frozen=True)
class Integer(Kind):
    """smallint, integer, bigint."""

    type: ClassVar[str] = "N"
    ordered: ClassVar[bool] = False

    def to_attribute(self, value: RowValue, level: int) -> AttributeValue:
        del level
        return {"N": str(value)}

    def from_attribute(self, attribute: AttributeValue) -> RowValue:
        number = Decimal(_take(attribute, "N"))
        if number != int(number):
            raise Unfit("a fraction, expected an integer")
        return int(number)

    def from_user(self, value: object) -> RowValue:
        if isinstance(value, bool) or not isinstance(value, int):
            raise Unfit("a whole JSON number is expected here")
        return value


@dataclass(frozen=True)
class Numeric(Kind):
    """numeric: exact in value; the scale is DynamoDB's to drop."""

    type: ClassVar[str] = "N"
    ordered: ClassVar[bool] = False

    def to_attribute(self, value: RowValue, level: int) -> AttributeValue:
        del level
        return {"N": number_text(value)}

    def from_attribute(self, attribute: AttributeValue) -> RowValue:
        return Decimal(_take(attribute, "N"))

    def from_user(self, value: object) -> RowValue:
        if isinstance(value, bool) or not isinstance(value, (int, Decimal)):
            raise Unfit("a JSON number is expected here")
        return Decimal(value)

    def normal(self, value: RowValue) -> object:
        return canonical(str(value))


@dataclass(frozen=True)
class Float(Kind):
    """double precision, by its shortest text that reads back as the same value."""

    type: ClassVar[str] = "N"
    ordered: ClassVar[bool] = False

    def to_attribute(self, value: RowValue, level: int) -> AttributeValue:
        del level
        return {"N": number_text(Decimal(repr(value)))}

    def from_attribute(self, attribute: AttributeValue) -> RowValue:
        return float(_take(attribute, "N"))

    def from_user(self, value: object) -> RowValue:
        if isinstance(value, bool) or not isinstance(value, (int, Decimal)):
            raise Unfit("a JSON number is expected here")
        return float(value)

    def normal(self, value: RowValue) -> object:
        return canonical(repr(value))


@dataclass(frozen=True)
class Real(Float):
    """real, by the shortest text at its own precision (a binary fetch would show the digits of a double)."""

    select: ClassVar[str] = "{}::text::float8"


@dataclass(frozen=True)
class Binary(Kind):
    """bytea."""

    type: ClassVar[str] = "B"

    def to_attribute(self, value: RowValue, level: int) -> AttributeValue:
        del level
        return {"B": base64.b64encode(value).decode("ascii")}

    def from_attribute(self, attribute: AttributeValue) -> RowValue:
        return base64.b64decode(_take(attribute, "B"), validate=True)

    def from_user(self, value: object) -> RowValue:
        if isinstance(value, str) and value.startswith("\\x"):
            try:
                return bytes.fromhex(value[2:])
            except ValueError as error:
                raise Unfit(f"not hexadecimal: {error}") from error
        raise Unfit("bytes are written as PostgreSQL prints them, '\\\\x00ff'")


@dataclass(frozen=True)
class Instant(Kind):
    """timestamp and date (`zone` False) and timestamptz (`zone` True): ISO 8601, in UTC with `Z` where there is a zone."""

    select: ClassVar[str] = "{}::text"
    zone: bool = True

    def to_attribute(self, value: RowValue, level: int) -> AttributeValue:
        del level
        return {"S": instant.iso(value)}

    def from_attribute(self, attribute: AttributeValue) -> RowValue:
        return instant.from_iso(_take(attribute, "S"))

    def from_user(self, value: object) -> RowValue:
        return instant.from_user(super().from_user(value), zone=self.zone)

    def formed(self, form: Form) -> Kind:
        return Epoch(zone=self.zone) if form is Form.EPOCH else super().formed(form)


@dataclass(frozen=True)
class Epoch(Instant):
    """An instant as Unix seconds, with its fraction."""

    type: ClassVar[str] = "N"

    def to_attribute(self, value: RowValue, level: int) -> AttributeValue:
        del level
        return {"N": str(instant.epoch(value))}

    def from_attribute(self, attribute: AttributeValue) -> RowValue:
        return instant.from_epoch(Decimal(_take(attribute, "N")), zone=self.zone)


@dataclass(frozen=True)
class Date(Kind):
    """date: `YYYY-MM-DD`."""

    select: ClassVar[str] = "{}::text"

    def to_attribute(self, value: RowValue, level: int) -> AttributeValue:
        del level
        return {"S": instant.iso(f"{value} 00:00:00")[:10]}

    def from_attribute(self, attribute: AttributeValue) -> RowValue:
        return instant.from_iso(f"{_take(attribute, 'S')}T00:00:00")[:10]


@dataclass(frozen=True)
class Json(Kind):
    """json and jsonb: a document of typed values, numbers exact. The row carries the JSON text."""

    type: ClassVar[str] = "M"
    ordered: ClassVar[bool] = False
    binary: bool = True
    """Whether it is jsonb, which holds each key once and prints numbers without exponents."""
    null_is_absent: bool = True
    """False where SQL NULL is stored as NULL: then JSON null would read back as SQL NULL, and is refused."""

    def to_attribute(self, value: RowValue, level: int) -> AttributeValue:
        parsed = document.parse(value)
        if parsed is None and not self.null_is_absent:
            raise Unfit(
                "JSON null would read back as SQL NULL", "Declare the attribute with null=ABSENT, or form=TEXT."
            )
        return document.to_attribute(parsed, level)

    def from_attribute(self, attribute: AttributeValue) -> RowValue:
        return document.from_attribute(attribute)

    def from_user(self, value: object) -> RowValue:
        return document.to_text(value)

    def normal(self, value: RowValue) -> object:
        return document.normal(document.parse(value))


@dataclass(frozen=True)
class Array(Kind):
    """Arrays of any number of dimensions, as a List; a NULL element is a NULL in the List."""

    type: ClassVar[str] = "L"
    ordered: ClassVar[bool] = False
    element: Kind = Text()

    @property
    def array_select(self) -> str:
        """The SQL that fetches it: each cast of the element's kind applied to the array."""
        base, *casts = self.element.select.split("::")
        return "::".join([base, *(f"{cast}[]" for cast in casts)])

    def to_attribute(self, value: RowValue, level: int) -> AttributeValue:
        if level >= document.MAX_DEPTH:
            raise Unfit(f"nested deeper than the {document.MAX_DEPTH} levels of DynamoDB")
        return {"L": [self._element(element, level + 1) for element in value]}

    def _element(self, element: RowValue, level: int) -> AttributeValue:
        if element is None:
            return {"NULL": True}
        if not isinstance(element, list):
            attribute = self.element.to_attribute(element, level)
            if "NULL" in attribute:
                raise Unfit("JSON null in an array would read back as SQL NULL", ARRAY_POLICY)
            return attribute
        if isinstance(self.element, Json):
            raise Unfit("an array of documents in several dimensions would read back as lists in one", ARRAY_POLICY)
        return self.to_attribute(element, level)

    def from_attribute(self, attribute: AttributeValue) -> RowValue:
        return [self._from_element(element) for element in _take(attribute, "L")]

    def _from_element(self, attribute: AttributeValue) -> RowValue:
        if "NULL" in attribute:
            return None
        nested = "L" in attribute and not isinstance(self.element, Json)
        return self.from_attribute(attribute) if nested else self.element.from_attribute(attribute)

    def from_user(self, value: object) -> RowValue:
        if not isinstance(value, list):
            raise Unfit("a JSON array is expected here")
        return [
            None if one is None else self.from_user(one) if isinstance(one, list) else self.element.from_user(one)
            for one in value
        ]

    def normal(self, value: RowValue) -> object:
        return [
            None if one is None else self.normal(one) if isinstance(one, list) else self.element.normal(one)
            for one in value
        ]

    def formed(self, form: Form) -> Kind:
        if form is Form.SET and self.element.type in {"S", "N", "B"}:
            return Set(element=self.element)
        return super().formed(form)


@dataclass(frozen=True)
class Set(Array):
    """An array whose order does not matter, as a Set. What a Set cannot hold (nothing, NULL, one value twice) is refused."""

    def to_attribute(self, value: RowValue, level: int) -> AttributeValue:
        policy = "Declare the attribute without form=SET to store a List."
        if not value:
            raise Unfit("an empty array, a DynamoDB Set holds at least one value", policy)
        if any(element is None or isinstance(element, list) for element in value):
            raise Unfit("an array with NULL or of several dimensions, which a DynamoDB Set does not hold", policy)
        kind = self.element.type
        members = [self.element.to_attribute(element, level)[kind] for element in value]
        if len({canonical(member) if kind == "N" else member for member in members}) != len(members):
            raise Unfit("an array with one value twice, which a DynamoDB Set holds once", policy)
        return {f"{kind}S": sorted(members)}

    def from_attribute(self, attribute: AttributeValue) -> RowValue:
        kind = self.element.type
        return [self.element.from_attribute({kind: member}) for member in _take(attribute, f"{kind}S")]

    def normal(self, value: RowValue) -> object:
        return frozenset(map(self.element.normal, value))


def read(kind: Kind, attribute: AttributeValue) -> RowValue:
    """`kind.from_attribute`, with whatever a malformed attribute raises turned into Unfit."""
    try:
        return kind.from_attribute(attribute)
    except (ValueError, ArithmeticError, AttributeError, TypeError, binascii.Error) as error:
        raise error if isinstance(error, Unfit) else Unfit(f"not a value of kind {type(kind).__name__}") from error
