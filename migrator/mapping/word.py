"""Words: the one form of a value that a row and its items are compared in, reached from each side by rules of its own.

A word is the column's value as the row has it, one for all values that are equal: text as it is, an instant as
PostgreSQL prints it, a number by `number`, bytes as hexadecimal digits, a boolean as such, NULL as None, an array as a
list, a set as a sorted list, a document as a list of one (so that JSON null is not SQL NULL) in which numbers stand as
`{"": text}`, since no Map of DynamoDB has an empty key.
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
    from migrator.mapping.document import AttributeValue
    from migrator.mapping.kind import Kind, RowValue

Word: TypeAlias = Any
"""A plain value: str, bool, None, or a list or dict of such."""

_PLAIN: Final = re.compile(r"(?!-0\Z)-?(?:0|[1-9][0-9]*)(?:\.[0-9]*[1-9])?")
_DEEPEST: Final = 32
_BRACKETS: Final = 200
"""Up to so many brackets a document is not so deep that C code would not follow it."""


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


def _number_literal(text: str) -> dict[str, str]:
    return {"": number(text)}


def _refuse_constant(name: str) -> object:
    raise Unfit(f"{name} is not JSON")


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    document = dict(pairs)
    if len(document) != len(pairs) or "" in document:
        raise Unfit("a JSON object with an empty key, or with one key twice")
    return document


_decode_jsonb: Final = json.JSONDecoder(
    parse_float=_number_literal, parse_int=_number_literal, parse_constant=_refuse_constant
).decode
_decode_json: Final = json.JSONDecoder(
    parse_float=_number_literal,
    parse_int=_number_literal,
    parse_constant=_refuse_constant,
    object_pairs_hook=_unique,
).decode


def document_of_json(text: str) -> list[Word]:
    """The word of a row's JSON text. Raises Unfit, or ValueError, where there is none in DynamoDB."""
    decoded = (_decode_json if '"":' in text else _decode_jsonb)(text)
    if text.count("[") + text.count("{") > _BRACKETS:
        _check_depth(decoded, 0)
    return [decoded]


def document_of_json_as_written(text: str) -> list[Word]:
    """As `document_of_json`, for the type json, which keeps what was written: keys twice, halves of characters."""
    if ("\\ud" in text or "\\uD" in text) and SURROGATE.search(json.dumps(json.loads(text), ensure_ascii=False)):
        raise Unfit("half of a surrogate pair")
    decoded = _decode_json(text)
    _check_depth(decoded, 0)
    return [decoded]


def _check_depth(document: Word, level: int) -> None:
    if level > _DEEPEST:
        raise Unfit(f"nested deeper than {_DEEPEST} levels")
    if isinstance(document, (dict, list)):
        for member in document.values() if isinstance(document, dict) else document:
            _check_depth(member, level + 1)


def document_of_attribute(value: AttributeValue) -> Word:
    """A document from its typed form."""
    for kind, content in value.items():
        if kind == "M":
            if "" in content:
                break
            return {
                name: member["S"] if "S" in member else document_of_attribute(member)
                for name, member in content.items()
            }
        if kind == "L":
            return [member["S"] if "S" in member else document_of_attribute(member) for member in content]
        if kind == "N":
            return {"": number(content)}
        if kind in {"S", "BOOL"}:
            return content
        if kind == "NULL":
            return None
    raise Unfit("no part of a document")


def document_of_plain(value: object) -> Word:
    """A document from the plain value that a computed attribute's function returns."""
    match value:
        case None | bool() | str():
            return value
        case int() | Decimal():
            return {"": number(str(value))}
        case list():
            return [document_of_plain(member) for member in value]
        case dict() if "" not in value:
            return {name: document_of_plain(member) for name, member in value.items()}
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
            return document_of_json(value) if kind.binary else document_of_json_as_written(value)
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
