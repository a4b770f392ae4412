"""The canonical form of an item: one text for all items that DynamoDB would hold for equal."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING, Any, Final

import orjson
import xxhash

if TYPE_CHECKING:
    from collections.abc import Sequence

_PROTOCOL: Final = ("_v", "_del")
"""Attributes of the write protocol: an item's version and the mark of a tombstone. No part of what is compared."""


def key_line(item: dict[str, Any], names: Sequence[str]) -> bytes:
    """The item's key as one line of JSON, the same for equal keys."""
    return orjson.dumps([_value(item[name]) for name in names])


def digest(item: dict[str, Any]) -> bytes:
    """16 bytes, as hexadecimal digits, over the whole item; `item` is normalised on the way."""
    normal = {name: _value(value) for name, value in item.items() if name not in _PROTOCOL}
    return xxhash.xxh3_128_hexdigest(orjson.dumps(normal, option=orjson.OPT_SORT_KEYS)).encode()


def same(left: Any, right: Any) -> bool:  # noqa: ANN401 - typed values as the wire has them
    """Whether two typed values (None: absent) are equal."""
    if left is None or right is None:
        return left is right
    dumped = (orjson.dumps(_value(value), option=orjson.OPT_SORT_KEYS) for value in (left, right))
    return next(dumped) == next(dumped)


def number(text: str) -> str:
    """One text for each number."""
    if text.isdecimal() and text.isascii() and (text[0] != "0" or text == "0"):
        return text
    value = Decimal(text)
    if not value:
        return "0"
    plain = format(value, "f")
    return plain.rstrip("0").rstrip(".") if "." in plain else plain


def _value(value: dict[str, Any]) -> dict[str, Any]:
    """A typed value with its numbers and sets in their canonical form."""
    for kind, content in value.items():
        if kind == "N":
            return {"N": number(content)}
        if kind == "M":
            return {"M": {name: _value(member) for name, member in content.items()}}
        if kind == "L":
            return {"L": [_value(member) for member in content]}
        if kind == "NS":
            return {"NS": sorted(map(number, content))}
        if kind in {"SS", "BS"}:
            return {kind: sorted(content)}
    return value
