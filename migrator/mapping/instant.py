"""Instants: PostgreSQL's text of them, ISO 8601 in UTC, and Unix time.

Rows carry instants as PostgreSQL prints them in the pinned session (`2025-11-29 10:30:00.5+00`): that text is exact for
every value of the type, `infinity` and BC included, which no Python datetime is.
"""

from __future__ import annotations

import re
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from fractions import Fraction
from functools import lru_cache
from typing import Final

from migrator.mapping.errors import Unfit

POLICY: Final = "Declare the attribute with form=TEXT to store such values as PostgreSQL prints them."
FRACTION_DIGITS: Final = {"seconds": 0, "millis": 3, "micros": 6}
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_POSTGRES: Final = re.compile(r"(\d{4}-\d\d-\d\d) (\d\d:\d\d:\d\d)(\.\d{1,6})?(\+00)?", re.ASCII)
_ISO: Final = re.compile(r"(\d{4}-\d\d-\d\d)T(\d\d:\d\d:\d\d)(\.\d{1,6})?(Z)?", re.ASCII)
_BEYOND: Final = re.compile(
    r"-?infinity|(?:\d{5,7}-\d\d-\d\d(?: [\d:.]{8,15}(?:\+00)?)?|\d{4,7}-\d\d-\d\d(?: [\d:.]{8,15}(?:\+00)?)? BC)",
    re.ASCII,
)
"""What PostgreSQL prints of an instant or a date that has no ISO 8601 form of four digits."""
_TOO_FINE: Final = re.compile(r"[.,]\d{7}")


def _parts(text: str) -> re.Match[str]:
    match = _POSTGRES.fullmatch(text)
    if match is None:
        raise Unfit("an instant without an ISO 8601 form (infinity, BC, or a year beyond 9999)", POLICY)
    return match


def iso(text: str) -> str:
    """ISO 8601 from PostgreSQL's text: `...T10:30:00.5Z`; without `Z` where the type has no time zone."""
    day, time, fraction, zone = _parts(text).groups(default="")
    return f"{day}T{time}{fraction}{'Z' if zone else ''}"


def iso_fixed(text: str, spec: str) -> str:
    """ISO 8601 of a fixed width (`seconds`, `millis` or `micros`); what is finer is cut off, not rounded."""
    day, time, fraction, zone = _parts(text).groups(default="")
    digits = FRACTION_DIGITS[spec]
    cut = f".{fraction[1 : digits + 1]:0<{digits}}" if digits else ""
    return f"{day}T{time}{cut}{'Z' if zone else ''}"


def from_iso(text: str) -> str:
    """PostgreSQL's text from ISO 8601 as `iso` or `iso_fixed` writes it."""
    match = _ISO.fullmatch(text)
    if match is None:
        raise Unfit("not an ISO 8601 instant in UTC")
    day, time, fraction, zone = match.groups(default="")
    return f"{day} {time}{fraction.rstrip('0').rstrip('.')}{'+00' if zone else ''}"


@lru_cache(maxsize=4096)
def day_seconds(day: str) -> int:
    """Unix seconds at the start of a day, given as `YYYY-MM-DD`."""
    return (date.fromisoformat(day).toordinal() - _EPOCH.toordinal()) * 86_400


def epoch_seconds(text: str) -> int:
    """Whole Unix seconds; the fraction is cut off (toward the past)."""
    day, time, _, _ = _parts(text).groups()
    return day_seconds(day) + int(time[:2]) * 3600 + int(time[3:5]) * 60 + int(time[6:])


def epoch(text: str) -> Decimal:
    """Unix seconds with the fraction, exact to the microsecond."""
    return epoch_seconds(text) + Decimal("0" + (_parts(text).group(3) or ""))


def from_epoch(seconds: Decimal, *, zone: bool) -> str:
    """PostgreSQL's text from Unix seconds."""
    micros = Fraction(seconds) * 1_000_000
    if micros.denominator != 1:
        raise Unfit("an instant finer than a microsecond")
    try:
        return _printed(_EPOCH + timedelta(microseconds=int(micros)), zone=zone)
    except OverflowError as error:
        raise Unfit("an instant outside the years 1 to 9999") from error


def from_user(text: str, *, zone: bool) -> str:
    """PostgreSQL's text from what a person writes in a row of JSON: ISO 8601, or what PostgreSQL itself prints."""
    if _BEYOND.fullmatch(text):
        return text
    try:
        moment = datetime.fromisoformat(text)
        if zone:
            moment = moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
    except (ValueError, OverflowError):
        raise Unfit("an ISO 8601 instant of the years 1 to 9999 is expected here") from None
    if not zone and moment.tzinfo is not None:
        raise Unfit("an instant without a time zone is expected here")
    if _TOO_FINE.search(text):
        raise Unfit("an instant finer than a microsecond")
    return _printed(moment, zone=zone)


def day_from_user(text: str) -> str:
    """PostgreSQL's text of a date from what a person writes."""
    if _BEYOND.fullmatch(text):
        return text
    try:
        return date.fromisoformat(text).isoformat()
    except ValueError:
        raise Unfit("an ISO 8601 date is expected here") from None


def _printed(moment: datetime, *, zone: bool) -> str:
    naive = moment.replace(tzinfo=None)
    return from_iso(naive.isoformat(timespec="microseconds") + ("Z" if zone else ""))
