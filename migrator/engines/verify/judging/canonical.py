"""The canonical form of typed values: one text for all that DynamoDB would hold for equal."""

from __future__ import annotations

from typing import Any

import orjson

from migrator.mapping.word import number


def same(left: Any, right: Any) -> bool:  # noqa: ANN401 - typed values as the wire has them
    """Whether two typed values (None: absent) are equal."""
    if left is None or right is None:
        return left is right
    dumped = (orjson.dumps(_value(value), option=orjson.OPT_SORT_KEYS) for value in (left, right))
    return next(dumped) == next(dumped)


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
