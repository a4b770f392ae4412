"""What must hold of the paths between a row and its items, as checks that the unit tests and the long proofs share."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from hypothesis import HealthCheck, settings

from migrator.mapping import Encoder, Inverse, Unencodable, claims, differing_columns, forward
from migrator.mapping.number import canonical
from tests.unit.mapping.generated_rows import projected

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from migrator.mapping import AttributeValue, Entity, Row, WireItem

# A slow machine is no finding, and neither is a large example.
_CHECKS = [HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.large_base_example]
QUICK = settings(max_examples=80, derandomize=True, database=None, deadline=None, suppress_health_check=_CHECKS)
THOROUGH = settings(QUICK, max_examples=5_000, derandomize=False, print_blob=True)


def canonical_items(items: Iterable[WireItem]) -> list[dict[str, object]]:
    return [_canonical_members(item) for item in items]


def canonical_value(value: AttributeValue) -> object:
    """A form in which two values are equal exactly when DynamoDB holds them for the same."""
    ((kind, content),) = value.items()
    match kind:
        case "N":
            return ("N", canonical(content))
        case "NS":
            return ("NS", sorted(map(canonical, content)))
        case "SS" | "BS":
            return (kind, sorted(content))
        case "L":
            return ("L", [canonical_value(member) for member in content])
        case "M":
            return ("M", _canonical_members(content))
    return (kind, content)


def _canonical_members(members: Mapping[str, AttributeValue]) -> dict[str, object]:
    """The members in one order, by which the text of equal items sorts them to the same place."""
    return {name: canonical_value(members[name]) for name in sorted(members)}


def wire_item(text: bytes) -> WireItem:
    """The item of a wire text, which must be UTF-8 and name each member once."""
    item: WireItem = json.loads(text.decode(), object_pairs_hook=_members)
    return item


def _members(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    assert len(members) == len(pairs), "a name comes twice"
    return members


def check_paths_agree(entity: Entity, given_rows: list[Row]) -> None:
    items: list[WireItem] = []
    failures: list[str] = []
    for row in given_rows:
        try:
            items += forward(entity, row)
        except Unencodable as failure:
            failures.append(str(failure))
    encoded = Encoder(entity).encode([projected(entity, row) for row in given_rows])
    made = canonical_items(map(wire_item, encoded.items))
    assert sorted(made, key=repr) == sorted(canonical_items(items), key=repr)
    assert sorted(map(str, encoded.failures)) == sorted(failures)


def check_way_back(entity: Entity, row: Row) -> None:
    try:
        items = forward(entity, row)
    except Unencodable:
        return
    assert differing_columns(entity, row, Inverse(entity).row(items)) == []
    for item in items:
        key = {attribute.name: item[attribute.name] for attribute in entity.table.key_attributes}
        (claim,) = claims([entity], key)
        assert claim.values.keys() >= set(entity.key_columns)
        assert differing_columns(entity, row, claim.values) == []
