"""The ways a PostgreSQL value becomes a DynamoDB value: how each kind is selected, stored, read back and compared.

This is the readable reference. `migrator.mapping.encoder` compiles the same rules into straight-line code, and property
tests hold the two equal. Arrays are in `migrator.mapping.array`.
"""
# ruff: noqa: D102 - what an overriding method does is said once, at Kind's own

from __future__ import annotations

import base64
import binascii
from dataclasses import dataclass
from decimal import Decimal
from enum import Enum
from math import isinf
from typing import TYPE_CHECKING, Any, ClassVar, Final, TypeAlias
from uuid import UUID

from migrator.mapping import document, instant
from migrator.mapping.errors import MappingError, Unfit
from migrator.mapping.number import canonical, number_text

if TYPE_CHECKING:
    from migrator.mapping.document import AttributeValue

RowValue: TypeAlias = Any
"""A column's value as the source edge yields it: bool, int, Decimal, float, bytes, list, None, and str for all else."""

_BIGINT: Final = 1 << 63


class Form(Enum):
    """How an attribute stores its column's value, where the natural form is not wanted."""

    NATURAL = "natural"
    TEXT = "text"  # as PostgreSQL prints it, a String: holds every value there is
    EPOCH = "epoch"  # an instant as Unix seconds, a Number
    SET = "set"  # an array as a String, Number or Binary Set


def take(attribute: AttributeValue, type_: str) -> Any:  # noqa: ANN401 - the wire's own shapes
    """The content of an attribute that must be of this type."""
    ((actual, value),) = attribute.items()
    if actual != type_:
        raise Unfit(f"its type is {actual}, expected {type_}")
    return value


@dataclass(frozen=True)
class Kind:
    """A kind of value. `select` is the SQL that fetches it, `{}` being the quoted column."""

    select: ClassVar[str] = "{}"
    type: ClassVar[str] = "S"
    ordered: ClassVar[bool] = True
    """Whether the order of its key text is the order of its values."""
    printed: ClassVar[bool] = False
    """Whether the row carries the text that PostgreSQL prints, which form=TEXT stores."""

    def to_attribute(self, value: RowValue, level: int) -> AttributeValue:
        """The typed value on the wire, `level` maps deep; raises Unfit where there is no exact one."""
        del level
        return {self.type: value}

    def from_attribute(self, attribute: AttributeValue) -> RowValue:
        """The row's value back from the wire; raises Unfit where the attribute is none of this kind."""
        return take(attribute, self.type)

    def from_user(self, value: object) -> RowValue:
        """The row's value from plain JSON that a person wrote; raises Unfit where it is none of this kind."""
        if not isinstance(value, str):
            raise Unfit("a JSON string is expected here")
        if "\0" in value or document.SURROGATE.search(value):
            raise Unfit("text with U+0000 or half of a surrogate pair, which PostgreSQL does not hold")
        return value

    def normal(self, value: RowValue) -> object:
        """A form in which two values are equal exactly when PostgreSQL holds them for the same value."""
        return value

    def formed(self, form: Form) -> Kind:
        """The kind of an attribute that stores this column in the given form."""
        if form is Form.NATURAL:
            return self
        if form is Form.TEXT and self.printed:
            return Text()
        raise MappingError(
            f"form={form.name} does not fit a column of kind {type(self).__name__}",
            next_step="Leave `form` out for the natural form, or use form=TEXT to store what PostgreSQL prints.",
        )


@dataclass(frozen=True)
class Text(Kind):
    """Character types, taken as they are."""

    printed: ClassVar[bool] = True


@dataclass(frozen=True)
class Printed(Kind):
    """Every type whose exact form in DynamoDB is the text that PostgreSQL prints."""

    select: ClassVar[str] = "{}::text"
    ordered: ClassVar[bool] = False
    printed: ClassVar[bool] = True

    def from_user(self, value: object) -> RowValue:
        if isinstance(value, (bool, int, Decimal)):
            return document.to_text(value)
        return super().from_user(value)


@dataclass(frozen=True)
class Labelled(Printed):
    """Enum types. Their order is that of their declaration, not of their labels."""

    labels: tuple[str, ...] = ()

    def from_user(self, value: object) -> RowValue:
        if value not in self.labels:
            raise Unfit("one of the enum's labels is expected here")
        return value


@dataclass(frozen=True)
class Uuid(Printed):
    """uuid: 36 characters, lower case, and in the order of its values."""

    ordered: ClassVar[bool] = True

    def from_user(self, value: object) -> RowValue:
        try:
            return str(UUID(super().from_user(value)))
        except ValueError:
            raise Unfit("a uuid, written as a JSON string, is expected here") from None


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
        number = Decimal(take(attribute, "N"))
        if number != int(number):
            raise Unfit("a fraction, expected an integer")
        return int(number)

    def from_user(self, value: object) -> RowValue:
        if isinstance(value, bool) or not isinstance(value, (int, Decimal)) or not -_BIGINT <= value < _BIGINT:
            raise Unfit("a whole JSON number of at most 64 bits is expected here")
        if value != int(value):
            raise Unfit("a whole JSON number is expected here")
        return int(value)


def _user_number(value: object) -> Decimal:
    if isinstance(value, bool) or not isinstance(value, (int, Decimal)):
        raise Unfit("a JSON number is expected here (in Python: int or Decimal, as a float may have been rounded)")
    return Decimal(value)


@dataclass(frozen=True)
class Numeric(Kind):
    """numeric: exact in value; the scale is DynamoDB's to drop."""

    type: ClassVar[str] = "N"
    ordered: ClassVar[bool] = False

    def to_attribute(self, value: RowValue, level: int) -> AttributeValue:
        del level
        return {"N": number_text(value)}

    def from_attribute(self, attribute: AttributeValue) -> RowValue:
        return Decimal(take(attribute, "N"))

    def from_user(self, value: object) -> RowValue:
        return _user_number(value)

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
        return float(take(attribute, "N"))

    def from_user(self, value: object) -> RowValue:
        number = float(_user_number(value))
        if isinf(number):
            raise Unfit("a number beyond double precision")
        return number

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
        return base64.b64decode(take(attribute, "B"), validate=True)

    def from_user(self, value: object) -> RowValue:
        try:
            if isinstance(value, str) and value.startswith("\\x"):
                return bytes.fromhex(value[2:])
        except ValueError:
            pass
        raise Unfit("bytes as PostgreSQL prints them, like '\\x00ff', are expected here")


@dataclass(frozen=True)
class Instant(Kind):
    """timestamp (`zone` False) and timestamptz (`zone` True): ISO 8601, in UTC with `Z` where there is a zone."""

    select: ClassVar[str] = "{}::text"
    printed: ClassVar[bool] = True
    zone: bool = True

    def to_attribute(self, value: RowValue, level: int) -> AttributeValue:
        del level
        return {"S": instant.iso(value)}

    def from_attribute(self, attribute: AttributeValue) -> RowValue:
        return instant.from_iso(take(attribute, "S"))

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
        return instant.from_epoch(Decimal(take(attribute, "N")), zone=self.zone)


@dataclass(frozen=True)
class Date(Kind):
    """date: `YYYY-MM-DD`."""

    select: ClassVar[str] = "{}::text"
    printed: ClassVar[bool] = True

    def to_attribute(self, value: RowValue, level: int) -> AttributeValue:
        del level
        return {"S": instant.iso(f"{value} 00:00:00")[:10]}

    def from_attribute(self, attribute: AttributeValue) -> RowValue:
        return instant.from_iso(f"{take(attribute, 'S')}T00:00:00")[:10]

    def from_user(self, value: object) -> RowValue:
        return instant.day_from_user(super().from_user(value))


@dataclass(frozen=True)
class Json(Kind):
    """json and jsonb: a document of typed values, numbers exact. The row carries the JSON text."""

    type: ClassVar[str] = "M"
    ordered: ClassVar[bool] = False
    printed: ClassVar[bool] = True
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
        try:
            return document.normal(document.parse(value))
        except (Unfit, RecursionError):
            return value  # a document that only form=TEXT stores, which gives the very text back


def read(kind: Kind, attribute: AttributeValue) -> RowValue:
    """`kind.from_attribute`, with whatever a malformed attribute raises turned into Unfit."""
    try:
        return kind.from_attribute(attribute)
    except (ValueError, ArithmeticError, AttributeError, LookupError, TypeError, binascii.Error) as error:
        raise error if isinstance(error, Unfit) else Unfit(f"not a value of kind {type(kind).__name__}") from error
