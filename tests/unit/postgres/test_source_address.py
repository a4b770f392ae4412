"""URLs as users write them, and the ones that cannot be used."""

from __future__ import annotations

import pytest

from migrator.errors import ConfigurationError
from migrator.postgres.address import parse


@pytest.mark.parametrize(
    ("url", "dsn"),
    [
        ("postgresql://u:p@db:5433/app", "postgresql://u:p@db:5433/app"),
        ("postgres://u@db/app", "postgresql://u@db/app"),
        ("postgresql+asyncpg://u:p%40ss@db/app", "postgresql://u:p%40ss@db/app"),
        ("postgresql+psycopg://db/app?sslmode=verify-full", "postgresql://db/app?sslmode=verify-full"),
        ("postgresql+asyncpg://db/app?ssl=require", "postgresql://db/app?sslmode=require"),
        ("postgresql+asyncpg://db/app?ssl=false", "postgresql://db/app?sslmode=disable"),
        ("postgresql://u:@/app?host=/run/pg", "postgresql://u:@/app?host=%2Frun%2Fpg"),
        ("postgresql:///app", "postgresql:///app"),
        ("postgresql://one:5432,two:5433/app?target_session_attrs=primary", None),
        ("postgresql://%2Frun%2Fpg/app", "postgresql://%2Frun%2Fpg/app"),
        ("postgresql://db/app?connect_timeout=3&application_name=x&keepalives=1", "postgresql://db/app"),
        ("postgresql://db/app?channel_binding=prefer", "postgresql://db/app"),
        ("  postgresql://db/app\n", "postgresql://db/app"),
    ],
)
def test_a_url_becomes_asyncpgs(url: str, dsn: str | None) -> None:
    assert parse(url).dsn == (dsn or url)


def test_a_connect_timeout_is_honoured_and_zero_is_not_for_ever() -> None:
    assert parse("postgresql://db/app?connect_timeout=3").connect_timeout == 3.0
    assert parse("postgresql://db/app?connect_timeout=0").connect_timeout == 60.0


def test_no_url_leaves_the_address_to_the_environment() -> None:
    address = parse(None)
    assert address.dsn is None
    assert "PGHOST" in str(address)


@pytest.mark.parametrize(
    ("url", "says"),
    [
        ("", "does not begin with postgresql://"),
        ("mysql://u:geheim@db/app", "does not begin with postgresql://"),
        ("host=db dbname=app password=geheim", "does not begin with postgresql://"),
        ("postgresql://u:geheim@db:port/app", "cannot be read"),
        ("postgresql://u:geheim@[::1/app", "cannot be read"),
        ("postgresql://u:geheim@db:99999/app", "cannot be read"),
        ("postgresql://u:geheim@db/app?sslmode", "cannot be read"),
        ("postgresql://u:ge@heim@db/app", "reserved character"),
        ("postgresql://u:12/geheim@db/app", "reserved character"),
        ("postgresql://u:12#geheim@db/app", "reserved character"),
        ("postgresql://u:geheim@db/app?colour=red", "'colour' is not known"),
        ("postgresql://u:geheim@db/app?channel_binding=require", "channel_binding=require"),
        ("postgresql://u:geheim@db/app?connect_timeout=soon", "connect_timeout"),
    ],
)
def test_a_wrong_url_is_refused_without_showing_it(url: str, says: str) -> None:
    with pytest.raises(ConfigurationError, match=says) as caught:
        parse(url)
    shown = f"{caught.value} {caught.value.safe} {caught.value.next_step}"
    assert "heim" not in shown
    assert caught.value.__suppress_context__ or caught.value.__context__ is None


@pytest.mark.parametrize(
    ("url", "name"),
    [
        ("postgresql://u:geheim@db:5433/app", "PostgreSQL at db:5433 (app)"),
        ("postgresql://u:geheim@db/app", "PostgreSQL at db:5432 (app)"),
        ("postgresql://u:geheim@/app?host=/run/pg", "PostgreSQL at /run/pg (app)"),
        ("postgresql://%2Frun%2Fpg/app", "PostgreSQL at /run/pg (app)"),
        ("postgresql://u@one:1,[::1]/app", "PostgreSQL at one:1,[::1]:5432 (app)"),
        ("postgresql://", "PostgreSQL at the local socket (default database)"),
    ],
)
def test_an_address_names_itself_without_user_and_password(url: str, name: str) -> None:
    address = parse(url)
    assert str(address) == name
    assert "geheim" not in repr(address)
