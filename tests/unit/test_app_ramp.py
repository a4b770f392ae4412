"""The ramp of reads: each key has its place, for ever."""

from __future__ import annotations

from itertools import pairwise

import pytest

from mappings.miyabi import MODEL
from migrator.app import Router
from migrator.app.question import place
from migrator.errors import UsageError


def test_a_place_is_the_same_in_each_process_and_version() -> None:
    assert place("USER", ["a"]) == pytest.approx(78.61332761065749)
    assert place("USER", ["a", "b"]) == pytest.approx(57.698554100821326)


@pytest.mark.uncovered
def test_keys_are_spread_evenly_and_a_larger_share_has_the_smaller_ones_keys() -> None:
    keys = [f"key-{number}" for number in range(20_000)]
    shares = {percent: {key for key in keys if place("USER", [key]) < percent} for percent in (0, 1, 10, 20, 50, 100)}
    for percent, share in shares.items():
        assert len(share) / len(keys) == pytest.approx(percent / 100, abs=0.015)
    ordered = list(shares.values())
    assert all(smaller <= larger for smaller, larger in pairwise(ordered))


def test_entities_and_parts_of_keys_are_told_apart() -> None:
    places = [
        place("USER", ["ab", "c"]),
        place("USER", ["a", "bc"]),
        place("TASK", ["ab", "c"]),
        place("USER", ["abc"]),
    ]
    assert len(set(places)) == 4


def test_a_question_names_its_only_row_where_it_has_one() -> None:
    router = Router(MODEL)
    assert router.question("organization", {"id": "org-1"}).key == ("org-1",)
    assert router.question("tasks-by-status", {"status": "open"}).key is None
    assert router.question("tasks-by-status", {"status": "open"}).is_of_index
    assert not router.question("AP6", {"user_id": "550e8400-e29b-41d4-a716-446655440000"}).is_of_index


def test_questions_that_name_nothing() -> None:
    router = Router(MODEL)
    with pytest.raises(UsageError, match="has no access pattern AP0"):
        router.question("AP0", {})
    with pytest.raises(UsageError, match="takes id; given: nothing"):
        router.question("organization", {})
    with pytest.raises(UsageError, match="parameter user_id: a uuid"):
        router.question("AP6", {"user_id": "nobody"})
