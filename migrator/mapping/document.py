"""JSON documents: the text PostgreSQL sends, DynamoDB's typed form of it, and back. Numbers stay exact throughout."""

from __future__ import annotations

import base64
import json
import re
from decimal import Decimal
from typing import Any, Final, NoReturn, TypeAlias

from migrator.mapping.errors import Unfit
from migrator.mapping.number import canonical, number_text

AttributeValue: TypeAlias = dict[str, Any]
"""One typed value as DynamoDB's wire has it: `{"S": "text"}`, `{"N": "1.5"}`, `{"M": {...}}`; Binary as base64 text."""

MAX_DEPTH: Final = 32
SURROGATE: Final = re.compile("[\ud800-\udfff]")
"""What JSON can escape and UTF-8 cannot encode: half of a surrogate pair. PostgreSQL's json holds it, jsonb does not."""
POLICY: Final = "Declare the attribute with form=TEXT to store the document as its JSON text."


def _refuse_constant(name: str) -> NoReturn:
    raise Unfit(f"{name} is not JSON", POLICY)


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    document = dict(pairs)
    if len(document) != len(pairs):
        raise Unfit("a JSON object names one key twice, a DynamoDB Map holds it once", POLICY)
    return document


_DECODER: Final = json.JSONDecoder(
    parse_float=Decimal, parse_int=Decimal, parse_constant=_refuse_constant, object_pairs_hook=_unique
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
    match value:
        case None:
            return {"NULL": True}
        case bool():
            return {"BOOL": value}
        case str():
            return {"S": _unicode(value)}
        case Decimal():
            return {"N": number_text(value)}
        case int():
            return {"N": number_text(Decimal(value))}
        case list():
            return {"L": [to_attribute(element, level + 1) for element in value]}
        case dict():
            if "" in value:
                raise Unfit("an empty key in a JSON object, which a DynamoDB Map does not hold", POLICY)
            return {"M": {_unicode(key): to_attribute(element, level + 1) for key, element in value.items()}}
    raise Unfit(f"a {type(value).__name__} in a JSON document")


def _unicode(text: str) -> str:
    if SURROGATE.search(text):
        raise Unfit("half of a surrogate pair, which is no Unicode character", POLICY)
    return text


def from_attribute(attribute: AttributeValue) -> str:
    """JSON text, in PostgreSQL's spacing, from the typed form."""
    ((kind, value),) = attribute.items()
    match kind:
        case "NULL":
            return "null"
        case "BOOL":
            return "true" if value else "false"
        case "S":
            return json.dumps(value, ensure_ascii=False)
        case "N":
            return _plain(value)
        case "L":
            return f"[{', '.join(map(from_attribute, value))}]"
        case "M":
            members = (f"{json.dumps(key, ensure_ascii=False)}: {from_attribute(item)}" for key, item in value.items())
            return f"{{{', '.join(members)}}}"
    raise Unfit(f"a {kind} in a JSON document")


def _plain(number: str) -> str:
    """The number without an exponent, as jsonb prints it."""
    value = Decimal(number)
    return format(value if value else abs(value), "f")


def to_text(value: object) -> str:
    """JSON text of plain values (Decimal and int for numbers)."""
    match value:
        case None | bool() | str():
            return json.dumps(value, ensure_ascii=False)
        case int() | Decimal():
            return _plain(str(value))
        case list():
            return f"[{', '.join(map(to_text, value))}]"
        case dict():
            return (
                "{"
                + ", ".join(f"{json.dumps(key, ensure_ascii=False)}: {to_text(v)}" for key, v in value.items())
                + "}"
            )
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


def plain(attribute: AttributeValue) -> object:
    """The plain value of an attribute: numbers as Decimal, sets as lists, Binary as bytes."""
    ((kind, value),) = attribute.items()
    match kind:
        case "NULL":
            return None
        case "N":
            return Decimal(value)
        case "B":
            return base64.b64decode(value)
        case "L":
            return [plain(element) for element in value]
        case "M":
            return {key: plain(element) for key, element in value.items()}
        case "SS" | "NS" | "BS":
            return [plain({kind[0]: member}) for member in value]
    return value
