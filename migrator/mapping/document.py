"""JSON documents: the text PostgreSQL sends, DynamoDB's typed form of it, and back. Numbers stay exact throughout."""

from __future__ import annotations

import json
import re
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Final, NoReturn, TypeAlias

from migrator.mapping.errors import Unfit
from migrator.mapping.number import canonical, number_text

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

AttributeValue: TypeAlias = dict[str, Any]
"""One typed value as DynamoDB's wire has it: `{"S": "text"}`, `{"N": "1.5"}`, `{"M": {...}}`; Binary as base64 text."""

MAX_DEPTH: Final = 32
KEY_BYTES: Final = 65_535
"""The longest name of an attribute, and so of a key in a Map."""
SURROGATE: Final = re.compile("[\ud800-\udfff]")
"""Half of a surrogate pair, which JSON can escape and UTF-8 cannot encode: PostgreSQL's json holds it."""
POLICY: Final = "Declare the attribute with form=TEXT to store the document as its JSON text."


def _number(text: str) -> Decimal:
    try:
        return Decimal(text)
    except ArithmeticError as error:
        raise Unfit("a number whose exponent no DynamoDB Number has", POLICY) from error


def _refuse_constant(name: str) -> NoReturn:
    raise Unfit(f"{name} is not JSON", POLICY)


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    document = dict(pairs)
    if len(document) != len(pairs):
        raise Unfit("a JSON object names one key twice, a DynamoDB Map holds it once", POLICY)
    return document


_DECODER: Final = json.JSONDecoder(
    parse_float=_number, parse_int=_number, parse_constant=_refuse_constant, object_pairs_hook=_unique
)


def parse(text: str) -> object:
    """The document with every number a Decimal."""
    try:
        return _DECODER.decode(text)
    except json.JSONDecodeError as error:
        raise Unfit(f"not JSON: {error.msg} at position {error.pos}") from error
    except RecursionError as error:
        raise Unfit(f"nested deeper than the {MAX_DEPTH} levels of DynamoDB", POLICY) from error


def to_attribute(value: object, level: int) -> AttributeValue:
    """DynamoDB's typed form of a parsed document that stands `level` maps or lists deep in its item."""
    # DynamoDB counts the value itself: a scalar in 31 lists is at the limit, in 32 it is refused.
    if level >= MAX_DEPTH:
        raise Unfit(f"nested deeper than the {MAX_DEPTH} levels of DynamoDB", POLICY)
    for kind, write in _WRITERS:
        if isinstance(value, kind):
            return write(value, level)
    raise Unfit(f"a {type(value).__name__} in a JSON document")


def _map(value: Mapping[str, object], level: int) -> AttributeValue:
    return {"M": {_key(key): to_attribute(element, level + 1) for key, element in value.items()}}


def _key(key: object) -> str:
    if not isinstance(key, str):
        raise Unfit(f"a {type(key).__name__} as a key in a JSON document")
    if not key:
        raise Unfit("an empty key in a JSON object, which a DynamoDB Map does not hold", POLICY)
    if len(utf8(key)) > KEY_BYTES:
        raise Unfit(f"a key of over {KEY_BYTES} bytes in a JSON object, which a DynamoDB Map does not hold", POLICY)
    return key


def utf8(text: str) -> bytes:
    """The text as DynamoDB stores it."""
    try:
        return text.encode()
    except UnicodeEncodeError as error:
        raise Unfit("half of a surrogate pair, which is no Unicode character", POLICY) from error


def _string(value: str, _level: int) -> AttributeValue:
    utf8(value)
    return {"S": value}


# bool stands before int, of which it is a subclass.
_WRITERS: Final[tuple[tuple[type, Callable[[Any, int], AttributeValue]], ...]] = (
    (type(None), lambda _value, _level: {"NULL": True}),
    (bool, lambda value, _level: {"BOOL": value}),
    (str, _string),
    (Decimal, lambda value, _level: {"N": number_text(value)}),
    (int, lambda value, _level: {"N": number_text(Decimal(value))}),
    (list, lambda value, level: {"L": [to_attribute(element, level + 1) for element in value]}),
    (dict, _map),
)


def from_attribute(attribute: AttributeValue) -> str:
    """JSON text, in PostgreSQL's spacing, from the typed form."""
    ((kind, value),) = attribute.items()
    read = _READERS.get(kind)
    if read is None:
        raise Unfit(f"a {kind} in a JSON document")
    return read(value)


def _plain_number(number: str) -> str:
    """The number without an exponent, as jsonb prints it."""
    value = Decimal(number)
    return format(value or abs(value), "f")


def _text(value: str) -> str:
    return json.dumps(value, ensure_ascii=False)


def _array(elements: list[Any], write: Callable[[Any], str]) -> str:
    return f"[{', '.join(map(write, elements))}]"


def _object(members: Mapping[str, Any], write: Callable[[Any], str]) -> str:
    return f"{{{', '.join(f'{_text(key)}: {write(member)}' for key, member in members.items())}}}"


_READERS: Final[dict[str, Callable[[Any], str]]] = {
    "NULL": lambda _value: "null",
    "BOOL": lambda value: "true" if value else "false",
    "S": _text,
    "N": _plain_number,
    "L": lambda value: _array(value, from_attribute),
    "M": lambda value: _object(value, from_attribute),
}


def to_text(value: object) -> str:
    """JSON text of plain values (Decimal and int for numbers)."""
    match value:
        case None | bool() | str():
            return json.dumps(value, ensure_ascii=False)
        case int() | Decimal():
            return _plain_number(str(value))
        case list():
            return _array(value, to_text)
        case dict():
            return _object(value, to_text)
    raise Unfit(f"a {type(value).__name__} in a JSON document")


def normal(value: object) -> object:
    """A form in which two documents are equal exactly when their values are (the scale of numbers apart)."""
    match value:
        case Decimal():
            return ("N", canonical(str(value)))
        case bool():
            return ("BOOL", value)
        case list():
            return [normal(element) for element in value]
        case dict():
            return {key: normal(element) for key, element in value.items()}
    return value
