"""Inserting many items where nothing is: BatchExecuteStatement with one INSERT for each item.

Each item has a condition of its own, which BatchWriteItem knows nothing of. DynamoDB answers 200 whatever became of the
single statements, so each one's answer is looked at.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import orjson

from migrator.dynamodb.batches import BatchWriter, Refused
from migrator.dynamodb.errors import Attempt, InvalidRequestError, error_of_code
from migrator.dynamodb.versions import put_where

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from migrator.dynamodb.batches import Job
    from migrator.dynamodb.client import Client
    from migrator.dynamodb.lanes import Layout
    from migrator.dynamodb.pacing import Pace

# DynamoDB's limit, in characters.
_LONGEST_STATEMENT: Final = 8_192
_HTTP_OK: Final = 200
_DUPLICATE: Final = "DuplicateItem"
# These spell their codes otherwise than the errors of whole requests do.
_AGAIN: Final = frozenset(
    {
        "InternalServerError",
        "ProvisionedThroughputExceeded",
        "RequestLimitExceeded",
        "ThrottlingError",
        "TransactionConflict",
    }
)
_DENIED: Final = "AccessDenied"


class InsertWriter(BatchWriter):
    """Puts items into one table where their keys hold nothing, at the pace that the table takes.

    `Written.present` counts the keys that held something: an item, a tombstone, or what an earlier attempt at the same
    request has put there, whose answer was lost.

    Args:
        client, table_name, pace, index_share: as for `BatchWriter`.
        layout: the table's keys.
    """

    operation = "BatchExecuteStatement"

    def __init__(
        self,
        client: Client,
        table_name: str,
        *,
        layout: Layout,
        pace: Pace | None = None,
        index_share: float = 0.0,
    ) -> None:
        super().__init__(client, table_name, pace=pace, index_share=index_share, layout=layout)
        self._key_name = layout.partition_key
        self._statements: dict[tuple[str, ...], str] = {}

    def _portions(self, items: Sequence[bytes]) -> Iterator[Sequence[bytes]]:
        long = [self._too_long(item) for item in items]
        yield from super()._portions([item for item, alone in zip(items, long, strict=True) if not alone])
        yield from ([item] for item, alone in zip(items, long, strict=True) if alone)

    def _too_long(self, item: bytes) -> bool:
        """Whether no statement can name all of the item's attributes."""
        # A name stands in the item's text as well, beside more than in the statement; each of its quotes is doubled.
        if 2 * len(item) + len(self._table_name) < _LONGEST_STATEMENT:
            return False
        return len(self._statement(orjson.loads(item))) > _LONGEST_STATEMENT

    def _statement(self, names: Iterable[str]) -> str:
        key = tuple(names)
        statement = self._statements.get(key)
        if statement is None:
            members = ", ".join(f"{_quoted(name)}: ?" for name in key)
            statement = self._statements[key] = f'INSERT INTO "{self._table_name}" VALUE {{{members}}}'
        return statement

    def _body(self, items: Sequence[bytes]) -> bytes:
        found = map(orjson.loads, items)
        statements = [{"Statement": self._statement(item), "Parameters": list(item.values())} for item in found]
        return orjson.dumps({"Statements": statements, "ReturnConsumedCapacity": "TOTAL"})

    async def _ask(self, items: Sequence[bytes], body: bytes, deadline: float) -> dict[str, Any]:
        if len(items) > 1 or not self._too_long(items[0]):
            return await super()._ask(items, body, deadline)
        put = await self._put_where_absent(items[0], deadline)
        return {"Responses": [{} if put else {"Error": {"Code": _DUPLICATE}}]}

    async def _put_where_absent(self, item: bytes, deadline: float) -> bool:
        return await put_where(
            self._client, self._table_name, item, key_name=self._key_name, was=None, deadline=deadline
        )

    async def _take(self, answer: dict[str, Any], items: Sequence[bytes], job: Job) -> Sequence[bytes]:
        left = []
        for item, response in zip(items, answer["Responses"], strict=True):
            error = response.get("Error", {})
            code = error.get("Code")
            if code is None:
                job.written.items += 1
            elif code == _DUPLICATE:
                job.written.present += 1
            elif code in _AGAIN:
                self._client.counts.retries["statement"] += 1
                left.append(item)
            elif code == _DENIED:
                attempt = Attempt(self.operation, self._table_name, self._client.place)
                raise error_of_code(attempt, status=_HTTP_OK, code=code, message=str(error.get("Message", "")))
            else:
                await self._put_alone(item, job)
        return left

    async def _put_alone(self, item: bytes, job: Job) -> None:
        """Puts an item whose statement was refused: the answer says whether it is the statement or the item."""
        try:
            put = await self._put_where_absent(item, self._until(job))
        except InvalidRequestError as error:
            job.written.refused.append(Refused(item, error.code, error.message))
        else:
            job.written.items += put
            job.written.present += not put


def _quoted(name: str) -> str:
    """A name as a literal of PartiQL."""
    return "'" + name.replace("'", "''") + "'"
