"""Words: the one form of a value that a row and its items are compared in, reached from each side by rules of its own.

A word is the column's value as the row has it, one for all values that are equal: text as it is, an instant as
PostgreSQL prints it, a number by `number`, bytes as hexadecimal digits, a boolean as such, NULL as None, an array as a
list, a set as a sorted list. Documents meet in DynamoDB's typed form with every number in its one text, as a list of
one (so that JSON null is not SQL NULL): an item has them in that form already, and a row's are parsed straight into it.
"""

from __future__ import annotations

import base64
import json
import re
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Final, TypeAlias

from migrator.mapping import instant
from migrator.mapping import kind as kinds
from migrator.mapping.array import Array, Set
from migrator.mapping.document import SURROGATE
from migrator.mapping.errors import Unfit
from migrator.mapping.kind import take
from migrator.mapping.number import MAX_DIGITS, MAX_EXPONENT, MIN_EXPONENT

if TYPE_CHECKING:
    from collections.abc import Callable

    from migrator.mapping.document import AttributeValue
    from migrator.mapping.kind import Kind, RowValue

Word: TypeAlias = Any
"""A plain value: str, bool, None, or a list or dict of such."""

_PLAIN: Final = re.compile(r"(?!-0\Z)-?(?:0|[1-9][0-9]*)(?:\.[0-9]*[1-9])?")


def number(text: str) -> str:
    """One text for each number: no exponent, no zeros that say nothing. Raises Unfit where DynamoDB holds none such."""
    if len(text) <= MAX_DIGITS and _PLAIN.fullmatch(text):
        return text
    value = Decimal(text)
    if value.is_finite() and not value:
        return "0"
    if not value.is_finite() or not MIN_EXPONENT <= value.adjusted() <= MAX_EXPONENT:
        raise Unfit("no number that DynamoDB holds")
    plain = format(value, "f")
    plain = plain.rstrip("0").rstrip(".") if "." in plain else plain
    if len(plain.replace(".", "").strip("-0")) > MAX_DIGITS:
        raise Unfit("more digits than DynamoDB holds")
    return plain


_NULL: Final = {"NULL": True}
_TRUE: Final = {"BOOL": True}
_FALSE: Final = {"BOOL": False}


def _whole(text: str) -> AttributeValue:
    return {"N": text if len(text) <= MAX_DIGITS and text != "-0" else number(text)}


def _fraction(text: str) -> AttributeValue:
    if len(text) > MAX_DIGITS or "e" in text or "E" in text:
        return {"N": number(text)}
    # A parser has seen to its form: only zeros at its end may say nothing, and a sign before zero.
    plain = text.rstrip("0").rstrip(".")
    return {"N": "0" if plain == "-0" else plain}


def _object(pairs: list[tuple[str, Any]]) -> AttributeValue:
    return {
        "M": {
            name: value if type(value) is dict else {"S": value} if type(value) is str else _other(value)
            for name, value in pairs
        }
    }


def _other(value: Any) -> AttributeValue:  # noqa: ANN401 - what a JSON parser gives
    """The typed form of a JSON value that is not typed while it is parsed."""
    if type(value) is dict:
        return value
    if type(value) is str:
        return {"S": value}
    if type(value) is list:
        return {"L": list(map(_other, value))}
    return _NULL if value is None else _TRUE if value else _FALSE


def _refuse_constant(name: str) -> object:
    raise Unfit(f"{name} is not JSON")


def _strict_object(pairs: list[tuple[str, Any]]) -> AttributeValue:
    made = _object(pairs)
    if len(made["M"]) != len(pairs) or "" in made["M"]:
        raise Unfit("a JSON object with an empty key, or with one key twice")
    return made


# Without the search for white space around it that `decode` makes: PostgreSQL prints none there.
_scan: Final[Callable[[str, int], tuple[Any, int]]] = vars(
    json.JSONDecoder(
        parse_float=_fraction, parse_int=_whole, parse_constant=_refuse_constant, object_pairs_hook=_object
    )
)["scan_once"]
_decode_strictly: Final = json.JSONDecoder(
    parse_float=_fraction, parse_int=_whole, parse_constant=_refuse_constant, object_pairs_hook=_strict_object
).decode


def document_of_jsonb(text: str) -> list[Word]:
    """The word of a jsonb text as PostgreSQL prints it. Raises Unfit, or ValueError, where DynamoDB holds none such."""
    if '"":' in text:
        return document_of_json(text)
    try:
        return [_other(_scan(text, 0)[0])]
    except StopIteration as error:
        raise Unfit("not JSON") from error


def document_of_json(text: str) -> list[Word]:
    """As `document_of_jsonb`, for the type json, which keeps what was written: keys twice, halves of characters."""
    if ("\\ud" in text or "\\uD" in text) and SURROGATE.search(json.dumps(json.loads(text), ensure_ascii=False)):
        raise Unfit("half of a surrogate pair")
    return [_other(_decode_strictly(text))]


def document_of_attribute(value: AttributeValue) -> AttributeValue:
    """A typed document with its numbers canonical. Raises Unfit where it holds what no document does."""
    for kind, content in value.items():
        match kind:
            case "M" if "" not in content:
                return {"M": {name: document_of_attribute(member) for name, member in content.items()}}
            case "L":
                return {"L": [document_of_attribute(member) for member in content]}
            case "N":
                return {"N": number(content)}
            case "S" | "BOOL" | "NULL":
                return value
    raise Unfit("no part of a document")


def document_of_plain(value: object) -> AttributeValue:
    """The typed document of the plain value that a computed attribute's function returns."""
    match value:
        case int() | Decimal() if not isinstance(value, bool):
            return {"N": number(str(value))}
        case list():
            return {"L": [document_of_plain(member) for member in value]}
        case dict() if "" not in value:
            return {"M": {name: document_of_plain(member) for name, member in value.items()}}
        case None | bool() | str():
            return _other(value)
    raise Unfit(f"a {type(value).__name__} in a document")


def word_of_value(kind: Kind, value: RowValue) -> Word:  # noqa: PLR0911 - one line a kind, read as a table
    """The word of a row's value, which is not NULL and which DynamoDB can hold."""
    match kind:
        case kinds.Integer() | kinds.Numeric():
            return number(str(value))
        case kinds.Float():
            return number(repr(value))
        case kinds.Binary():
            return value.hex()
        case kinds.Json():
            return document_of_jsonb(value) if kind.binary else document_of_json(value)
        case kinds.Instant():
            instant.iso(value)
        case kinds.Date():
            kind.to_attribute(value, 0)
        case Set():
            return sorted(word_of_value(kind.element, member) for member in value)
        case Array():
            return [_word_of_element(kind, element) for element in value]
    return value


def _word_of_element(kind: Array, element: RowValue) -> Word:
    if element is None:
        return None
    return word_of_value(kind if isinstance(element, list) else kind.element, element)


def word_of_attribute(kind: Kind, attribute: AttributeValue) -> Word:  # noqa: PLR0911 - as above
    """The word of a typed value, decoded. Raises Unfit, or what malformed values raise, where it is not of the kind."""
    match kind:
        case kinds.Epoch():
            return instant.from_epoch(Decimal(take(attribute, "N")), zone=kind.zone)
        case kinds.Instant():
            return instant_word(take(attribute, "S")) if kind.zone else local_word(take(attribute, "S"))
        case kinds.Integer() | kinds.Numeric() | kinds.Float():
            return number(take(attribute, "N"))
        case kinds.Binary():
            return base64.b64decode(take(attribute, "B"), validate=True).hex()
        case kinds.Json():
            return [document_of_attribute(attribute)]
        case Set():
            content = take(attribute, f"{kind.element.type}S")
            return sorted(word_of_attribute(kind.element, {kind.element.type: member}) for member in content)
        case Array():
            return [_word_of_list_element(kind, element) for element in take(attribute, "L")]
    return take(attribute, kind.type)


def _word_of_list_element(kind: Array, element: AttributeValue) -> Word:
    if "NULL" in element:
        return None
    nested = "L" in element and not isinstance(kind.element, kinds.Json)
    return word_of_attribute(kind if nested else kind.element, element)


def instant_word(text: str) -> str:
    """PostgreSQL's text of an instant with a time zone, one for each ISO 8601 text."""
    if text[10:11] != "T" or text[-1:] != "Z":
        raise Unfit("not an ISO 8601 instant in UTC")
    return f"{text[:10]} {text[11:-1]}+00"


def local_word(text: str) -> str:
    """PostgreSQL's text of an instant without a time zone, one for each ISO 8601 text."""
    if text[10:11] != "T":
        raise Unfit("not an ISO 8601 instant")
    return f"{text[:10]} {text[11:]}"
