"""Reading a whole table, in segments that can be read side by side."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from migrator.dynamodb.pages import pages

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from migrator.dynamodb.client import Client
    from migrator.dynamodb.pacing import Pace
    from migrator.dynamodb.pages import Page
    from migrator.mapping import WireItem


def scan(  # noqa: PLR0913 - Scan's own parameters
    client: Client,
    table_name: str,
    *,
    segment: int = 0,
    total_segments: int = 1,
    consistent: bool = True,
    start_key: WireItem | None = None,
    limit: int | None = None,
    pace: Pace | None = None,
    form: Any = None,  # noqa: ANN401 - a type
) -> AsyncIterator[Page[Any]]:
    """Yields the pages of one segment of a table; together the segments hold every item once.

    Args:
        client: the client to read through.
        table_name: the table.
        segment: which segment, from 0.
        total_segments: into how many the table is divided.
        consistent: whether items written before must be seen; at twice the read units.
        start_key: `last_key` of the page after which to go on.
        limit: items per page; None for as many as DynamoDB gives (1 MB).
        pace: the table's read units per second, shared by the segments that are given it.
        form: a type of msgspec's that items are read as, all of a page or none of it; None for plain dicts.
    """
    request: dict[str, Any] = {
        "TableName": table_name,
        "ConsistentRead": consistent,
        "Segment": segment,
        "TotalSegments": total_segments,
    }
    if start_key is not None:
        request["ExclusiveStartKey"] = start_key
    if limit is not None:
        request["Limit"] = limit
    return pages(client, "Scan", request, pace=pace, form=form)
