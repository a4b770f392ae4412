"""What an application does to its tables, as SQL drawn from a few values, so that the same keys come up again."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from hypothesis import strategies as st

from migrator.app.row_name import RowName

if TYPE_CHECKING:
    from collections.abc import Sequence

_IDS: Final = st.integers(1, 3)
_HANDLES: Final = st.sampled_from("abcd")
_OWNERS: Final = st.sampled_from("xy")
_VALUES: Final = st.integers(0, 1)
_GUESTS: Final = st.sampled_from(("NULL", "'p'", "'q'"))
_PAIRS: Final = st.sampled_from(((1, 2), (1, 3), (2, 3)))
# Past it, an item that is there and one that is not are the same.
_UNTIL: Final = 9_000_000_000

NAMES: Final = (
    *(RowName("accounts", (str(number),)) for number in (1, 2, 3)),
    *(RowName("seats", (str(number),)) for number in (1, 2)),
)
"""Every row that an application may have touched."""


def _account(number: int, handle: str, owner: str, value: int) -> str:
    return f"INSERT INTO accounts VALUES ({number}, '{handle}', '{owner}', {value})"  # noqa: S608 - values of this module


def _seat(number: int, guest: str) -> str:
    return f"INSERT INTO seats VALUES ({number}, {guest}, {_UNTIL})"  # noqa: S608 - values of this module


def _exchange_handles(pair: tuple[int, int]) -> str:
    one, other = pair
    return (
        "UPDATE accounts AS mine SET handle = other.handle FROM accounts AS other "  # noqa: S608 - values of this module
        f"WHERE (mine.id, other.id) IN (({one}, {other}), ({other}, {one}))"
    )


def _exchange_ids(pair: tuple[int, int]) -> str:
    one, other = pair
    return f"UPDATE accounts SET id = {one} + {other} - id WHERE id IN ({one}, {other})"  # noqa: S608 - values of this module


def _exchange_in_steps(pair: tuple[int, int]) -> str:
    one, other = pair
    return (
        f"BEGIN; UPDATE accounts SET id = 9 WHERE id = {one}; UPDATE accounts SET id = {one} WHERE id = {other}; "  # noqa: S608 - values of this module
        f"UPDATE accounts SET id = {other} WHERE id = 9; COMMIT"
    )


SINGLE: Final = st.one_of(
    st.builds(_account, _IDS, _HANDLES, _OWNERS, _VALUES),
    st.builds("UPDATE accounts SET value = {} WHERE id = {}".format, _VALUES, _IDS),
    st.builds("UPDATE accounts SET handle = '{}' WHERE id = {}".format, _HANDLES, _IDS),
    st.builds("UPDATE accounts SET owner = '{}' WHERE id = {}".format, _OWNERS, _IDS),
    st.builds("UPDATE accounts SET id = {} WHERE id = {}".format, _IDS, _IDS),
    st.builds("DELETE FROM accounts WHERE id = {}".format, _IDS),
    st.builds(_seat, st.integers(1, 2), _GUESTS),
    st.builds("UPDATE seats SET guest = {} WHERE number = {}".format, _GUESTS, st.integers(1, 2)),
    st.builds("DELETE FROM seats WHERE number = {}".format, st.integers(1, 2)),
)
"""Of one row."""

SEVERAL: Final = st.one_of(
    st.builds(_exchange_handles, _PAIRS),
    st.builds(_exchange_ids, _PAIRS),
    st.just("UPDATE accounts SET value = 1 - value"),
    st.builds("UPDATE accounts SET owner = '{}'".format, _OWNERS),
    st.builds("DELETE FROM accounts WHERE owner = '{}'".format, _OWNERS),
    st.just("UPDATE seats SET number = 3 - number"),
    st.just(
        "INSERT INTO accounts SELECT n, chr(96 + n), 'x', 0 FROM generate_series(1, 3) AS n "
        "WHERE NOT EXISTS (SELECT FROM accounts WHERE id = n OR handle = chr(96 + n))"
    ),
)
"""Of several rows in one statement: exchanged keys, and bulk changes."""

WHOLE: Final = st.builds(_exchange_in_steps, _PAIRS)
"""A transaction of its own: two rows exchange their keys through a third one."""


def initial(accounts: Sequence[tuple[str, str]], seats: Sequence[str]) -> list[str]:
    """The statements that make the rows of the beginning, given handle and owner of each account, and the guests."""
    return [
        *(_account(number, handle, owner, 0) for number, (handle, owner) in enumerate(accounts, start=1)),
        *(_seat(number, guest) for number, guest in enumerate(seats, start=1)),
    ]


ACCOUNTS: Final = st.lists(st.tuples(_HANDLES, _OWNERS), max_size=3, unique_by=lambda each: each[0])
SEATS: Final = st.lists(_GUESTS, max_size=2)
