"""DynamoDB's Number: at most 38 significant digits, magnitude 1E-130 to 9.99...E+125, no NaN and no infinity.

Source: DynamoDB Developer Guide, "Supported data types and naming rules". A number outside is refused, never rounded.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Final

from migrator.mapping.errors import Unfit

MAX_DIGITS: Final = 38
MIN_EXPONENT: Final = -130
MAX_EXPONENT: Final = 125
POLICY: Final = "Declare the attribute with form=TEXT to store such values as PostgreSQL prints them."


def number_text(value: Decimal) -> str:
    """The text of a Number, exact in value; refuses what a Number cannot hold."""
    _, digits, exponent = value.as_tuple()
    if isinstance(exponent, str):
        raise Unfit("NaN or an infinity, which a DynamoDB Number cannot be", POLICY)
    significant = "".join(map(str, digits)).strip("0")
    if not significant:
        return "0"
    if len(significant) > MAX_DIGITS:
        raise Unfit(f"{len(significant)} significant digits, a DynamoDB Number holds {MAX_DIGITS}", POLICY)
    if not MIN_EXPONENT <= value.adjusted() <= MAX_EXPONENT:
        raise Unfit(f"a magnitude of 1E{value.adjusted():+d}, a DynamoDB Number holds 1E-130 to 9.9E+125", POLICY)
    return str(value)


def canonical(text: str) -> str:
    """One text for each value: `95.50`, `95.5` and `955E-1` give the same."""
    sign, digits, exponent = Decimal(text).as_tuple()
    if isinstance(exponent, str):
        return text
    significant = "".join(map(str, digits)).lstrip("0")
    stripped = significant.rstrip("0")
    if not stripped:
        return "0"
    return f"{'-' if sign else ''}{stripped}E{exponent + len(significant) - len(stripped)}"
