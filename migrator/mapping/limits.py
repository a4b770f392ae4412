"""DynamoDB's limits on items and keys, and the size of an item as DynamoDB counts it.

Source: DynamoDB Developer Guide, "Quotas" and "Item sizes and formats".
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final

from migrator.mapping.document import KEY_BYTES
from migrator.mapping.errors import Unfit

if TYPE_CHECKING:
    from collections.abc import Mapping

    from migrator.mapping.document import AttributeValue

ITEM_BYTES: Final = 400 * 1024
PARTITION_KEY_BYTES: Final = 2048
SORT_KEY_BYTES: Final = 1024
TABLE_NAME: Final = re.compile(r"[A-Za-z0-9_.-]{3,255}")
KEY_NAME_BYTES: Final = 255
ATTRIBUTE_NAME_BYTES: Final = KEY_BYTES
MAX_INDEXES: Final = 20
MAX_PROJECTED: Final = 20
"""Attributes that one index may name in its projection."""
RESERVED_ATTRIBUTES: Final = frozenset({"_v", "_del"})
"""Names the write protocol keeps for itself: an item's version, and the mark of a tombstone."""


def check_key(value: AttributeValue, name: str, limit: int) -> None:
    """Refuses a key attribute that DynamoDB refuses: an empty one, or one over its limit in bytes."""
    ((kind, text),) = value.items()
    if kind == "N":
        return
    size = _scalar_bytes(kind, text)
    if size == 0:
        raise Unfit(f"key attribute {name} would be empty")
    if size > limit:
        raise Unfit(f"key attribute {name} would have {size} bytes, DynamoDB allows {limit}")


def _scalar_bytes(kind: str, text: str) -> int:
    if kind == "B":
        return len(text) * 3 // 4 - text[-2:].count("=")
    return len(text.encode()) if kind == "S" else len(text.strip("-0.")) // 2 + 2


def value_bytes(value: AttributeValue) -> int:
    """The size of one value, as DynamoDB counts it (numbers: approximately, and never less)."""
    ((kind, content),) = value.items()
    match kind:
        case "S" | "N" | "B":
            return _scalar_bytes(kind, content)
        case "BOOL" | "NULL":
            return 1
        case "SS" | "NS" | "BS":
            return sum(_scalar_bytes(kind[0], member) for member in content)
        case "L":
            return 3 + sum(1 + value_bytes(member) for member in content)
    return 3 + sum(1 + len(key.encode()) + value_bytes(member) for key, member in content.items())


def item_bytes(item: Mapping[str, Any]) -> int:
    """The size of an item: its attributes' names and values."""
    return sum(len(name.encode()) + value_bytes(value) for name, value in item.items())


def check_item(item: Mapping[str, Any]) -> None:
    """Refuses an item over 400 KB."""
    size = item_bytes(item)
    if size > ITEM_BYTES:
        raise Unfit(f"an item of {size} bytes, DynamoDB allows {ITEM_BYTES}")
