"""The compiled encoder gives what the readable path gives, for every shape of entity and every row."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from migrator.mapping import Encoder, Model, lint
from tests.unit.mapping.agreement import QUICK, check_paths_agree, check_way_back
from tests.unit.mapping.generated_entities import entities
from tests.unit.mapping.generated_rows import projected, rows

if TYPE_CHECKING:
    from migrator.mapping import Entity


@pytest.mark.uncovered
@QUICK
@given(st.data())
def test_paths_agree_on_any_row(data: st.DataObject) -> None:
    entity = data.draw(entities())
    check_paths_agree(entity, data.draw(st.lists(rows(entity, ordinary=False), min_size=1, max_size=4)))


@pytest.mark.uncovered
@QUICK
@given(st.data())
def test_ordinary_rows_leave_no_doubt(data: st.DataObject) -> None:
    entity = data.draw(entities())
    ordinary = data.draw(st.lists(rows(entity, ordinary=True), min_size=1, max_size=4))
    encoded = Encoder(entity).encode([projected(entity, row) for row in ordinary])
    assert encoded.failures == []
    assert encoded.doubted == 0
    check_paths_agree(entity, ordinary)


@pytest.mark.uncovered
@QUICK
@given(st.data())
def test_a_row_comes_back_from_its_items_and_their_keys_claim_it_alone(data: st.DataObject) -> None:
    entity = data.draw(entities())
    check_way_back(entity, data.draw(rows(entity, ordinary=data.draw(st.booleans()))))


@pytest.mark.uncovered
@QUICK
@given(entities())
def test_lint_passes_what_works(entity: Entity) -> None:
    assert [problem for problem in lint(Model("generated", [entity])) if problem.severity == "error"] == []
