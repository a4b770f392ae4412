"""Instants: PostgreSQL's text of them, ISO 8601 in UTC, and Unix time.

Rows carry instants as PostgreSQL prints them in the pinned session (`2025-11-29 10:30:00.5+00`): that text is exact for
every value of the type, `infinity` and BC included, which no Python datetime is.
"""

from __future__ import annotations

import re
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from functools import lru_cache
from typing import Final

from migrator.mapping.errors import Unfit

POLICY: Final = "Declare the attribute with form=TEXT to store such values as PostgreSQL prints them."
_EPOCH_DAY: Final = date(1970, 1, 1).toordinal()
_POSTGRES: Final = re.compile(r"(\d{4}-\d\d-\d\d) (\d\d:\d\d:\d\d)(\.\d{1,6})?(\+00)?")
_ISO: Final = re.compile(r"(\d{4}-\d\d-\d\d)T(\d\d:\d\d:\d\d)(\.\d{1,6})?(Z)?")
SECONDS_WIDTH: Final = 19
FRACTION_DIGITS: Final = {"seconds": 0, "millis": 3, "micros": 6}


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
def _day_seconds(day: str) -> int:
    return (date.fromisoformat(day).toordinal() - _EPOCH_DAY) * 86_400


def epoch_seconds(text: str) -> int:
    """Whole Unix seconds; the fraction is cut off (toward the past)."""
    day, time, _, _ = _parts(text).groups()
    return _day_seconds(day) + int(time[:2]) * 3600 + int(time[3:5]) * 60 + int(time[6:])


def epoch(text: str) -> Decimal:
    """Unix seconds with the fraction, exact to the microsecond."""
    return epoch_seconds(text) + Decimal("0" + (_parts(text).group(3) or ""))


def from_epoch(seconds: Decimal, *, zone: bool) -> str:
    """PostgreSQL's text from Unix seconds."""
    micros = seconds * 1_000_000
    if micros != micros.to_integral_value():
        raise Unfit("an instant finer than a microsecond")
    try:
        moment = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=int(micros))
    except OverflowError as error:
        raise Unfit("an instant outside the years 1 to 9999") from error
    return from_iso(moment.strftime(f"{moment.year:04d}-%m-%dT%H:%M:%S.%f") + ("Z" if zone else ""))


def from_user(text: str, *, zone: bool) -> str:
    """PostgreSQL's text from what a person writes in a row of JSON; what is no instant is passed on as it stands."""
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return text
    if zone:
        moment = moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
    return from_iso(moment.strftime(f"{moment.year:04d}-%m-%dT%H:%M:%S.%f") + ("Z" if zone else ""))
