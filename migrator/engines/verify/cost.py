"""What reading costs: foreseen from what DynamoDB says of its tables, and in words."""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Final

from migrator.dynamodb.check import check
from migrator.postgres import row_filters
from migrator.postgres.rows import RowSource

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from migrator.dynamodb.client import Client
    from migrator.engines.verify.narrow import Narrow
    from migrator.engines.verify.party import Party
    from migrator.postgres.connection import Connection

READ_DOLLARS: Final = 0.125
"""US dollars for a million read request units on demand, in us-east-1, of the table class Standard.

Source: AWS's price list (AmazonDynamoDB, SKU 4W4ZMC46EHE8XTTZ), as of September 2026; the price since 1 November 2024.
"""
_MILLION: Final = 1_000_000
_UNIT_BYTES: Final = 4096
_EVENTUAL: Final = 0.5
_TYPICAL_BYTES: Final = 400
_UNITS_PER_QUESTION: Final = 1.5
"""Of an access pattern that is asked with one set of values, as a rule: its pages are small, and read consistently."""


def scan_units(items: int, size: int) -> float:
    """Read units of a scan that is eventually consistent, of so many items in so many bytes.

    DynamoDB counts them every six hours or so; where it has not, items are taken to be of a common size.
    """
    return _EVENTUAL * math.ceil((size or items * _TYPICAL_BYTES) / _UNIT_BYTES)


def get_units(items: float, size: int, all_items: int) -> float:
    """Read units of so many items that are read one by one, where all of them together take so many bytes."""
    average = size / all_items if size and all_items else _TYPICAL_BYTES
    return items * _EVENTUAL * math.ceil(average / _UNIT_BYTES)


def question_units(rows: Iterable[int], sets: int | None) -> float:
    """Read units of access patterns that are asked with so many sets of values each (None: all that there are).

    `rows` are those of each pattern's table: there are no more sets than rows, but for a few that have none.
    """
    return _UNITS_PER_QUESTION * sum(each if sets is None else min(each, sets) for each in rows)


@dataclass(frozen=True)
class Foreseen:
    """Read units that the reading is expected to take: of everything, and of what is asked for."""

    whole: float
    narrowed: float


async def cost_of(control: Connection, client: Client, parties: Sequence[Party], narrow: Narrow) -> Foreseen:
    """What reading these tables takes, which have to be usable.

    Raises:
        SourceError: PostgreSQL cannot be reached.
        TargetError, ConfigurationError: a table cannot be used.
    """
    whole = asked = 0.0
    for party in parties:
        size = await check(client, party.table.name)
        scanned = scan_units(size.items or party.items, size.bytes)
        whole += scanned
        if narrow.sample is not None:
            asked += scanned * narrow.sample / 100
        for each in party.lookups.values() if narrow.asked else ():
            if narrow.sample is not None:
                rows = round(party.rows[each.entity.name] * narrow.sample / 100)
            elif narrow.since is not None:
                condition = row_filters.changed_since(each.live, narrow.since.column, narrow.since.moment)
                rows = await RowSource(each.live, each.entity.projection, condition).expected(control, None, None)
            else:
                rows = await each.source.expected(control, narrow.after, narrow.until)
            asked += get_units(rows * len(each.entity.plan.items), size.bytes, size.items)
    return Foreseen(whole, asked)


def in_words(units: float, max_rcu: float | None, read_dollars: float) -> str:
    """Read units, what they cost, and how long they take at so many a second."""
    words = f"about {units:,.0f} read units, ${dollars(units, read_dollars):,.4f} on demand"
    if max_rcu is not None:
        words += f"; at {max_rcu:g} a second that takes {timedelta(seconds=math.ceil(units / max_rcu))}"
    return words


def dollars(units: float, read_dollars: float) -> float:
    """What read units cost on demand, at so many dollars for a million."""
    return units * read_dollars / _MILLION
