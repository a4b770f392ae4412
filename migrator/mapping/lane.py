"""What compiled encoders call at run time: the few steps that are not straight-line text.

Each handles ordinary values fast and raises `Doubt` at the first sign of anything else; the row then takes the readable
path, which decides.

Text of the wire is put together in octets: one character for each byte of UTF-8. A single character beyond Latin would
have Python keep, and copy, each string it is joined to at two or four bytes a character.
"""

from __future__ import annotations

import base64
import json
from decimal import Decimal
from json.encoder import encode_basestring
from typing import TYPE_CHECKING, Any, Final

import msgspec
import orjson

from migrator.mapping import instant
from migrator.mapping.document import KEY_BYTES, SURROGATE, to_attribute
from migrator.mapping.number import number_text

if TYPE_CHECKING:
    from collections.abc import Callable

    from migrator.mapping.document import AttributeValue
    from migrator.mapping.kind import Kind, RowValue


class Doubt(Exception):  # noqa: N818 - a signal between the two paths, never seen outside
    """A value that the compiled path leaves to the readable one."""


class _Number(str):
    """A number of a document as it is written there: no digit of it has passed through a float."""

    __slots__ = ()


quote: Final = encode_basestring
"""A text as a JSON string, quotes included: in octets where it is ASCII."""


def octets(text: str) -> str:
    """Text of the wire in octets."""
    return text if text.isascii() else text.encode().decode("latin-1")


def wide(text: str) -> str:
    """A text as a JSON string in octets, where it is not ASCII."""
    return orjson.dumps(text).decode("latin-1")


boolean: Final = ("false", "true")
"""A boolean's JSON text, by its value."""

_PLAIN_DIGITS: Final = 38
_SHALLOW: Final = 24
_SHORT_KEY: Final = KEY_BYTES // 4
_NULL: Final[AttributeValue] = {"NULL": True}
_TRUE: Final[AttributeValue] = {"BOOL": True}
_FALSE: Final[AttributeValue] = {"BOOL": False}


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) != len(pairs):
        raise Doubt
    return members


def _refuse_constant(_name: str) -> object:
    raise Doubt


_decode_jsonb: Final = msgspec.json.Decoder(float_hook=_Number).decode
_decode_json: Final = json.JSONDecoder(
    parse_float=_Number, parse_int=_Number, parse_constant=_refuse_constant, object_pairs_hook=_unique
).decode


def _typed_json(value: Any, level: int = 0) -> AttributeValue:  # noqa: ANN401 - whatever JSON holds
    """A decoded value, typed as DynamoDB has it."""
    kind = type(value)
    if kind is str:
        return {"S": value}
    if kind is dict:
        if "" in value or level == _SHALLOW:
            raise Doubt
        return {
            "M": {
                name: {"S": content} if type(content) is str else _typed_json(content, level + 1)
                for name, content in value.items()
            }
        }
    if kind is int:
        digits = str(value)
        return {"N": digits if len(digits) <= _PLAIN_DIGITS else _digits(digits)}
    if kind is _Number:
        return {"N": _digits(str(value))}
    if kind is list:
        if level == _SHALLOW:
            raise Doubt
        return {"L": [_typed_json(member, level + 1) for member in value]}
    return _NULL if value is None else _TRUE if value else _FALSE


def _digits(text: str) -> str:
    if len(text) > _PLAIN_DIGITS or "e" in text or "E" in text or text.startswith("-0"):
        return number_text(Decimal(text))
    return text


def jsonb(text: str) -> str:
    """The wire's text of a jsonb document."""
    try:
        value = _decode_jsonb(text)
    except msgspec.MsgspecError:
        # An integer of thousands of digits.
        raise Doubt from None
    if len(text) > _SHORT_KEY:
        _inspect(value, 0)
    return orjson.dumps(_typed_json(value)).decode("latin-1")


def json_text(text: str) -> str:
    """The wire's text of a json document."""
    value = _decode_json(text)
    _inspect(value, 0)
    written = _typed(_typed_json(value))
    if ("\\ud" in text or "\\uD" in text) and SURROGATE.search(written):
        raise Doubt
    return octets(written)


def _inspect(value: object, depth: int) -> None:
    """Passes a document whose text does not tell that it is within the limits on depth and on the length of a key."""
    if isinstance(value, (dict, list)):
        if depth == _SHALLOW or (isinstance(value, dict) and any(len(key) > _SHORT_KEY for key in value)):
            raise Doubt
        for member in value.values() if isinstance(value, dict) else value:
            _inspect(member, depth + 1)


def numeric(value: Decimal) -> str:
    """The text of a numeric's Number."""
    text = str(value)
    if len(text) > _PLAIN_DIGITS or "E" in text or not text[-1].isdigit() or not value:
        return number_text(value)
    return text


def double(value: float) -> str:
    """The text of a floating-point number's Number."""
    text = repr(value)
    if "e" in text or "n" in text or not value:
        return number_text(Decimal(text))
    return text


def binary(value: bytes) -> str:
    """The text of a Binary."""
    return base64.b64encode(value).decode("ascii")


def text_element(value: str | None) -> str:
    """One element of an array of texts."""
    return '{"NULL":true}' if value is None else f'{{"S":{quote(value)}}}'


def integer_element(value: int | None) -> str:
    """One element of an array of integers."""
    if value is None:
        return '{"NULL":true}'
    if type(value) is not int:
        raise Doubt
    return f'{{"N":"{value}"}}'


def numeric_element(value: Decimal | None) -> str:
    """One element of an array of numerics."""
    return '{"NULL":true}' if value is None else f'{{"N":"{numeric(value)}"}}'


def element(kind: Kind, level: int, value: RowValue) -> str:
    """One element of an array of any other kind."""
    if isinstance(value, list):
        raise Doubt
    return '{"NULL":true}' if value is None else not_null(_typed(kind.to_attribute(value, level)))


def elements(values: list[Any], write: Callable[[Any], str]) -> str:
    """The elements of a List."""
    return octets(",".join(map(write, values)))


def member(kind: Kind, value: RowValue) -> str:
    """One member of a Set of any kind but text."""
    return quote(kind.to_attribute(value, 1)[kind.type])


def members(values: list[Any], write: Callable[[Any], str]) -> str:
    """The members of a Set, each held once."""
    if not values or None in values or len(set(values)) != len(values):
        raise Doubt
    return octets(",".join(map(write, values)))


def not_null(document: str) -> str:
    """A document that is not JSON null."""
    if document == '{"NULL":true}':
        raise Doubt
    return document


def padded(value: int, width: int) -> str:
    """An integer padded with zeros."""
    if not 0 <= value < 10**width:
        raise Doubt
    return f"{value:0{width}}"


def wire(kind: Kind, value: RowValue, level: int) -> str:
    """The wire's text by the kind's own rule, for kinds whose form is rarely wanted."""
    return octets(_typed(kind.to_attribute(value, level)))


def computed(value: object, level: int) -> str:
    """The wire's text of what a computed attribute's function returned."""
    return octets(_typed(to_attribute(value, level)))


def _typed(value: AttributeValue) -> str:
    """The wire's text of a typed value."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


_MINUTES: Final = {f"{hour:02}:{minute:02}": 3_600 * hour + 60 * minute for hour in range(24) for minute in range(60)}


def unix(text: str) -> int:
    """Whole Unix seconds of an instant as PostgreSQL prints it."""
    return instant.day_seconds(text[:10]) + _MINUTES[text[11:16]] + int(text[17:19])


HELPERS: Final = (
    "Doubt",
    "binary",
    "boolean",
    "computed",
    "double",
    "elements",
    "json_text",
    "jsonb",
    "members",
    "not_null",
    "numeric",
    "octets",
    "padded",
    "quote",
    "unix",
    "wide",
    "wire",
)
"""What generated code calls by these names."""
