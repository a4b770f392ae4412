"""What a verification that does not look at everything says, and what it costs."""

from __future__ import annotations

from math import comb

import pytest

from migrator.engines.verify.cost import get_units, in_words, scan_units
from migrator.engines.verify.narrow import Narrow, confidence, most_differing, segments_of


@pytest.mark.parametrize(("looked_at", "of"), [(1, 2), (10, 20), (59, 1_000), (100, 300), (300, 5_000)])
def test_the_bound_of_a_sample_is_the_hypergeometric_one(looked_at: int, of: int) -> None:
    most = most_differing(looked_at, of)

    def chance(differing: int) -> float:
        return comb(of - differing, looked_at) / comb(of, looked_at)

    assert chance(most) >= 0.05
    assert chance(most + 1) < 0.05


def test_a_large_sample_follows_the_rule_of_three() -> None:
    assert most_differing(100_000, 10_000_000) == pytest.approx(3 / 100_000 * 10_000_000, rel=0.02)


def test_confidence_is_one_sentence() -> None:
    assert confidence(100, 300, 0) == (
        "100 of about 300 rows were looked at and none differs: with 95% confidence, no more than 7 do."
    )
    assert confidence(100, 300, 5) == ("100 of about 300 rows were looked at and 5 keys differ: in all, about 15 may.")
    assert confidence(400, 300, 0) == "All of about 400 rows were looked at."
    assert confidence(0, 300, 0) == "No row was drawn: nothing can be said of the others."


def test_segments_are_about_the_share_that_is_asked_for() -> None:
    assert segments_of(1, 4) == (1, 100)
    assert segments_of(10, 4) == (1, 10)
    assert segments_of(50, 16) == (8, 16)
    assert segments_of(0.00001, 4) == (1, 1_000_000)


def test_what_is_not_verified_is_said() -> None:
    assert Narrow().not_verified() == []
    assert not Narrow().asked
    assert Narrow(after=("1", "b")).key_range == "after 1,b"
    (range_,) = Narrow(until=("9",)).not_verified()
    assert "no row asks for" in range_
    (sample,) = Narrow(sample=2.5).not_verified()
    assert "outside 2.5 % of the target" in sample


def test_units_are_half_a_unit_for_4_kb() -> None:
    assert scan_units(1_000_000, 4096 * 1_000) == 500
    assert scan_units(1_000, 0) == 49
    assert get_units(100, 4096 * 1_500, 1_000) == 100
    assert get_units(100, 0, 0) == 50
    assert in_words(1_000_000, 500, 0.125) == (
        "about 1,000,000 read units, $0.1250 on demand; at 500 a second that takes 0:33:20"
    )
