"""What the unit tests show of the mapping's paths on a hundred entities, on thousands, chosen anew each time."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from migrator.mapping import Encoder, Model, lint
from tests.unit.mapping.agreement import THOROUGH, check_paths_agree, check_way_back
from tests.unit.mapping.generated_entities import entities
from tests.unit.mapping.generated_rows import projected, rows

pytestmark = pytest.mark.soak


@THOROUGH
@given(st.data())
def test_paths_agree_there_and_back_on_any_row(data: st.DataObject) -> None:
    entity = data.draw(entities())
    assert [problem for problem in lint(Model("generated", [entity])) if problem.severity == "error"] == []
    given_rows = data.draw(st.lists(rows(entity, ordinary=False), min_size=1, max_size=4))
    check_paths_agree(entity, given_rows)
    for row in given_rows:
        check_way_back(entity, row)


@THOROUGH
@given(st.data())
def test_ordinary_rows_leave_no_doubt(data: st.DataObject) -> None:
    entity = data.draw(entities())
    row = data.draw(rows(entity, ordinary=True))
    assert Encoder(entity).encode([projected(entity, row)]).doubted == 0
    check_way_back(entity, row)
