"""DynamoDB's Number: what it holds is exact, what it does not hold is refused."""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from migrator.mapping.errors import Unfit
from migrator.mapping.number import canonical, number_text
from tests.unit.mapping.agreement import QUICK

NUMBERS = st.builds(
    lambda digits, exponent: Decimal(digits).scaleb(exponent), st.integers(-(10**40), 10**40), st.integers(-172, 130)
) | st.decimals(allow_nan=False, allow_infinity=False)


@QUICK
@given(NUMBERS)
def test_a_number_is_exact_or_refused(value: Decimal) -> None:
    digits = "".join(map(str, value.as_tuple().digits)).strip("0")
    fits = len(digits) <= 38 and (not value or -130 <= value.adjusted() <= 125)
    if fits:
        assert Decimal(number_text(value)) == value
    else:
        with pytest.raises(Unfit) as caught:
            number_text(value)
        assert "form=TEXT" in str(caught.value.policy)


@pytest.mark.parametrize("value", ["NaN", "-NaN", "sNaN", "Infinity", "-Infinity"])
def test_what_is_no_number_is_refused(value: str) -> None:
    with pytest.raises(Unfit, match="NaN or an infinity"):
        number_text(Decimal(value))


@pytest.mark.parametrize(
    ("value", "text"),
    [("-0", "0"), ("0E-10", "0"), ("0E+200", "0"), ("-0.00", "0"), ("1.50", "1.50"), ("1E+3", "1E+3")],
)
def test_zero_has_one_text(value: str, text: str) -> None:
    assert number_text(Decimal(value)) == text


def test_what_is_no_number_has_a_canonical_text_too() -> None:
    assert canonical("NaN") == "NaN"
    assert canonical("Infinity") != canonical("-Infinity")


@QUICK
@given(NUMBERS, st.integers(0, 5))
def test_equal_values_have_one_canonical_text(value: Decimal, zeros: int) -> None:
    sign, digits, exponent = value.as_tuple()
    assert isinstance(exponent, int)
    longer = Decimal((sign, (*digits, *[0] * zeros), exponent - zeros))
    assert canonical(str(longer)) == canonical(str(value))
    assert Decimal(canonical(str(value))) == value


@QUICK
@given(NUMBERS, NUMBERS)
def test_different_values_have_different_canonical_texts(one: Decimal, other: Decimal) -> None:
    assert (canonical(str(one)) == canonical(str(other))) is (one == other)


@pytest.mark.parametrize("texts", [("95.50", "95.5", "955E-1"), ("0", "-0", "0.000", "0E+9"), ("-100", "-1E+2")])
def test_canonical_texts_by_example(texts: tuple[str, ...]) -> None:
    assert len(set(map(canonical, texts))) == 1
