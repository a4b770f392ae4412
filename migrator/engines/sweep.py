"""The sweep: tombstones that have stood in the way of late requests go when the migration is over, or writes return.

It is for those that are on no record, since an application has written them. What is younger than a request's life
stay.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final

from migrator.dynamodb import versions
from migrator.dynamodb.pages import pages

if TYPE_CHECKING:
    from migrator.dynamodb.client import Client
    from migrator.mapping import Table, WireItem

_AT_ONCE: Final = 32


async def sweep(client: Client, table: Table, before: int) -> int:
    """Removes the tombstones of a table that were written before a time; returns how many.

    Each is removed on condition that nothing was written over it meanwhile.

    Args:
        client: the target.
        table: the table.
        before: seconds since the epoch, by the clock of whoever wrote them.

    Raises:
        TargetError: the target cannot be reached or used. What is left is swept another time.
    """
    keys = [attribute.name for attribute in table.key_attributes]
    names = {f"#k{number}": name for number, name in enumerate([*keys, versions.VERSION])}
    request = {
        "TableName": table.name,
        "ConsistentRead": True,
        "FilterExpression": "#d < :before",
        "ProjectionExpression": ", ".join(names),
        "ExpressionAttributeNames": {**names, "#d": versions.DELETED},
        "ExpressionAttributeValues": {":before": {"N": str(before)}},
    }
    swept = 0
    async for page in pages(client, "Scan", request):
        found: list[WireItem] = list(page.items)
        for start in range(0, len(found), _AT_ONCE):
            gone = await asyncio.gather(
                *(
                    versions.delete_where(
                        client,
                        table.name,
                        {name: item[name] for name in keys},
                        version=item[versions.VERSION]["N"],
                    )
                    for item in found[start : start + _AT_ONCE]
                )
            )
            swept += sum(gone)
    return swept
