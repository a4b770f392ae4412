"""Instants: PostgreSQL's text, ISO 8601 and Unix time, one from the other without loss."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from migrator.mapping import instant
from migrator.mapping.errors import Unfit
from tests.unit.mapping.agreement import QUICK
from tests.unit.mapping.generated_rows import postgres_text

ZONED = st.datetimes(timezones=st.just(UTC))
NAIVE = st.datetimes()
BEYOND = ["infinity", "-infinity", "0044-03-15 12:00:00+00 BC", "10000-01-01 00:00:00+00"]


@QUICK
@given(ZONED | NAIVE)
def test_iso_and_back(moment: datetime) -> None:
    text = postgres_text(moment)
    iso = instant.iso(text)
    assert instant.from_iso(iso) == text
    assert iso.endswith("Z") is (moment.tzinfo is not None)
    assert datetime.fromisoformat(iso) == moment


@QUICK
@given(ZONED)
def test_epoch_and_back(moment: datetime) -> None:
    seconds = instant.epoch(postgres_text(moment))
    assert seconds == (moment - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(microseconds=1) / Decimal(1_000_000)
    assert instant.from_epoch(seconds, zone=True) == postgres_text(moment)


@QUICK
@given(ZONED)
def test_whole_seconds_are_cut_off_toward_the_past(moment: datetime) -> None:
    text = postgres_text(moment)
    assert instant.epoch_seconds(text) == (moment - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(seconds=1)
    assert instant.iso_fixed(text, "seconds") == moment.replace(microsecond=0, tzinfo=None).isoformat() + "Z"


@pytest.mark.parametrize(
    ("spec", "text"),
    [
        ("seconds", "2025-11-29T10:30:00Z"),
        ("millis", "2025-11-29T10:30:00.999Z"),
        ("micros", "2025-11-29T10:30:00.999900Z"),
    ],
)
def test_a_key_has_a_fixed_width_and_does_not_round(spec: str, text: str) -> None:
    assert instant.iso_fixed("2025-11-29 10:30:00.9999+00", spec) == text


@pytest.mark.parametrize("text", BEYOND)
def test_what_iso_8601_cannot_say_is_refused_with_the_policy(text: str) -> None:
    for read in (instant.iso, instant.epoch):
        with pytest.raises(Unfit) as caught:
            read(text)
        assert "form=TEXT" in str(caught.value.policy)


@pytest.mark.parametrize("seconds", ["1.0000001", "1E+30", "-99999999999", "NaN", "Infinity"])
def test_seconds_that_are_no_instant_are_refused(seconds: str) -> None:
    with pytest.raises((Unfit, ValueError, OverflowError)):
        instant.from_epoch(Decimal(seconds), zone=True)


@pytest.mark.parametrize("text", ["2025-11-29 10:30:00Z", "2025-11-29T10:30:00+01:00", "\u0662025-11-29T10:30:00Z", ""])
def test_text_that_is_no_iso_instant_in_utc_is_refused(text: str) -> None:
    with pytest.raises(Unfit):
        instant.from_iso(text)


@pytest.mark.parametrize(
    ("given_text", "printed"),
    [
        ("2025-11-29T10:30:00Z", "2025-11-29 10:30:00+00"),
        ("2025-11-29T10:30:00.500000Z", "2025-11-29 10:30:00.5+00"),
        ("2025-11-29T10:30:00+09:00", "2025-11-29 01:30:00+00"),
        ("2025-11-29 10:30:00.5+00", "2025-11-29 10:30:00.5+00"),
        ("2025-11-29T10:30:00", "2025-11-29 10:30:00+00"),
        ("2025-11-29", "2025-11-29 00:00:00+00"),
        ("0001-01-01T00:00:00Z", "0001-01-01 00:00:00+00"),
        *((text, text) for text in BEYOND),
    ],
)
def test_a_person_writes_iso_8601_or_what_postgresql_prints(given_text: str, printed: str) -> None:
    assert instant.from_user(given_text, zone=True) == printed


@pytest.mark.parametrize(
    ("text", "zone", "reason"),
    [
        ("tomorrow", True, "ISO 8601"),
        ("2025-13-01T00:00:00Z", True, "ISO 8601"),
        ("0001-01-01T00:00:00+09:00", True, "years 1 to 9999"),
        ("2025-11-29T10:30:00.1234567Z", True, "finer than a microsecond"),
        ("2025-11-29T10:30:00Z", False, "without a time zone"),
    ],
)
def test_what_a_person_writes_wrongly_is_refused(text: str, zone: bool, reason: str) -> None:  # noqa: FBT001 - a parameter of the case
    with pytest.raises(Unfit, match=reason):
        instant.from_user(text, zone=zone)


@QUICK
@given(st.dates())
def test_a_date_is_written_as_it_is(day: date) -> None:
    assert instant.day_from_user(day.isoformat()) == day.isoformat()


def test_a_date_that_is_none_is_refused() -> None:
    assert instant.day_from_user("0044-03-15 BC") == "0044-03-15 BC"
    with pytest.raises(Unfit, match="ISO 8601 date"):
        instant.day_from_user("2025-02-30")
