"""Two answers held against each other, without any store."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from mappings.miyabi import MODEL
from migrator.mapping import forward
from migrator.mapping.parity import Answer, Comparison

if TYPE_CHECKING:
    from collections.abc import Sequence

    from migrator.mapping import Row, WireItem

PATTERNS = {pattern.id: pattern for pattern in MODEL.patterns}
BY_USER, BY_STATUS = Comparison(PATTERNS["AP6"]), Comparison(PATTERNS["tasks-by-status"])


def row(number: int, *, second: int = 0, **changes: object) -> Row:
    """A task."""
    entity = BY_USER.entity
    empty = dict.fromkeys(projected.name for projected in entity.projection)
    at = f"2025-11-29 10:30:{second:02}+00"
    return empty | {
        "id": f"task-{number}",
        "user_id": "550e8400-e29b-41d4-a716-446655440000",
        "name": "a task",
        "status": "pending",
        "created_at": at,
        "updated_at": at,
        **changes,
    }


def items(rows: Sequence[Row]) -> list[WireItem]:
    return [forward(BY_USER.entity, each)[0] for each in rows]


def found(
    comparison: Comparison, there: Sequence[WireItem], asked: Sequence[Row], *, whole: bool = True
) -> dict[str, str]:
    answers = Answer(there, whole), Answer(asked, whole)
    return {str(one[0]) if one else "?": each.what for one, each in comparison.disagreements(*answers).items()}


ROWS = [row(number, second=number) for number in range(5)]


@pytest.mark.parametrize("comparison", [BY_USER, BY_STATUS])
def test_answers_that_are_alike(comparison: Comparison) -> None:
    assert found(comparison, [], []) == {}
    assert found(comparison, items(ROWS), ROWS) == {}


def test_what_one_of_them_has_not() -> None:
    assert found(BY_USER, items(ROWS[1:]), ROWS) == {"task-0": "missing"}
    assert found(BY_USER, items(ROWS), ROWS[:-1]) == {"task-4": "extra"}
    foreign = {**items(ROWS)[0], "PK": {"S": "INVOICE#1"}}
    assert found(BY_USER, [*items(ROWS), foreign], ROWS) == {"0": "extra"}
    assert len(BY_USER.disagreements(Answer([*items(ROWS), items(ROWS)[0]], whole=True), Answer(ROWS, whole=True))) == 1


def test_as_few_rows_as_possible_are_out_of_order() -> None:
    moved = [*ROWS[1:], ROWS[0]]
    assert found(BY_STATUS, items(moved), ROWS) == {"task-0": "out of order"}
    assert found(BY_STATUS, items(ROWS[::-1]), ROWS).keys() < {each["id"] for each in ROWS}


def test_items_of_one_sort_key_are_in_no_order() -> None:
    same = [row(number) for number in range(5)]
    assert found(BY_STATUS, items(same[::-1]), same) == {}
    # In the table itself no two items have one key.
    assert len(found(BY_USER, items(same[::-1]), same)) == len(same) - 1


def test_values_are_those_that_the_item_gives_back() -> None:
    other = {**ROWS[2], "retry_count": 3, "status": "done"}
    assert found(BY_USER, items(ROWS), [*ROWS[:2], other, *ROWS[3:]]) == {"task-2": "different in status, retry_count"}


@pytest.mark.parametrize("comparison", [BY_USER, BY_STATUS])
def test_answers_that_go_on_are_compared_up_to_what_both_have(comparison: Comparison) -> None:
    assert found(comparison, items(ROWS[:3]), ROWS[1:4], whole=False) == {"task-0": "extra"}
    assert found(comparison, items(ROWS[1:4]), ROWS[:3], whole=False) == {"task-0": "missing"}
    # Nothing in common says that something is wrong, unless all are of one sort key.
    assert len(found(comparison, items(ROWS[:2]), ROWS[3:], whole=False)) >= 2
    same = [row(number) for number in range(6)]
    assert found(BY_STATUS, items(same[:3]), same[3:], whole=False) == {}
