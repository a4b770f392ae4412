"""Plain values of DynamoDB's typed ones: what a computed attribute's inverse takes, and what a person is shown."""

from __future__ import annotations

import base64
from decimal import Decimal
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

    from migrator.mapping.document import AttributeValue


def plain(attribute: AttributeValue) -> object:
    """The plain value of an attribute: numbers as Decimal, sets as lists, Binary as bytes."""
    ((kind, value),) = attribute.items()
    match kind:
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
    return None if kind == "NULL" else value


def plain_item(item: Mapping[str, AttributeValue]) -> dict[str, object]:
    """An item as plain JSON shows it: whole numbers as int and others as Decimal, sets sorted, Binary as base64 text.

    `migrator.mapping.to_text` writes it with every number exact.
    """
    return {name: _shown(value) for name, value in item.items()}


def _shown(attribute: AttributeValue) -> object:
    ((kind, value),) = attribute.items()
    match kind:
        case "N":
            return _number(value)
        case "NS":
            return sorted(map(_number, value))
        case "SS" | "BS":
            return sorted(value)
        case "L":
            return [_shown(element) for element in value]
        case "M":
            return {key: _shown(element) for key, element in value.items()}
    return None if kind == "NULL" else value


def _number(text: str) -> int | Decimal:
    number = Decimal(text)
    return int(number) if number == number.to_integral_value() else number
