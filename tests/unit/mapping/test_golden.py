"""Every row of the reference's golden file gives exactly its items, and comes back from them exactly."""

from __future__ import annotations

import json
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from mappings.miyabi import MODEL
from migrator.mapping import (
    Encoder,
    Entity,
    Inverse,
    claims,
    differing_columns,
    forward,
    lint,
    owned_keys,
    plain_item,
    row_from_json,
    row_key,
    to_text,
)
from migrator.mapping.document import parse

GOLDEN = Path(__file__).parents[2] / "golden" / "miyabi.json"
CASES: list[dict[str, Any]] = json.loads(GOLDEN.read_text(encoding="utf-8"), parse_float=Decimal)
every_case = pytest.mark.parametrize("case", CASES, ids=[case["table"] for case in CASES])


def entity_of(case: dict[str, Any]) -> Entity:
    entity = MODEL.for_source(case["table"])
    assert entity is not None
    return entity


def test_every_entity_has_a_golden_row() -> None:
    assert {case["table"] for case in CASES} == {entity.source.name for entity in MODEL.entities}


@every_case
def test_readable_path(case: dict[str, Any]) -> None:
    entity = entity_of(case)
    items = forward(entity, row_from_json(entity, case["row"]))
    assert [plain_item(item) for item in items] == case["items"]


@every_case
def test_compiled_path(case: dict[str, Any]) -> None:
    entity = entity_of(case)
    row = row_from_json(entity, case["row"])
    encoded = Encoder(entity, trailing=1).encode([[*(row.get(each.name) for each in entity.projection), "key"]])
    assert [plain_item(json.loads(item)) for item in encoded.items] == case["items"]
    assert encoded.doubted == 0


@every_case
def test_inverse(case: dict[str, Any]) -> None:
    entity = entity_of(case)
    row = row_from_json(entity, case["row"])
    found = Inverse(entity).row(forward(entity, row)[::-1])
    assert differing_columns(entity, row, found) == []
    assert found.keys() == {column.name for column in entity.source.columns}


@every_case
def test_keys_claim_the_row_among_all_entities(case: dict[str, Any]) -> None:
    entity = entity_of(case)
    row = row_from_json(entity, case["row"])
    for number, key in enumerate(owned_keys(entity, row)):
        (claim,) = claims(MODEL.entities, key)
        assert (claim.entity, claim.number, claim.row_key) == (entity, number, row_key(entity, row))


@every_case
def test_items_print_as_exact_json(case: dict[str, Any]) -> None:
    entity = entity_of(case)
    for item in forward(entity, row_from_json(entity, case["row"])):
        shown = plain_item(item)
        assert json.loads(to_text(shown), parse_float=Decimal) == shown
        assert parse(to_text(shown)) == shown


def test_the_model_has_one_warning_the_secret_without_a_key() -> None:
    (problem,) = lint(MODEL)
    assert (problem.where, problem.severity) == ("USER", "warning")
    assert "accessToken" in problem.sentence
