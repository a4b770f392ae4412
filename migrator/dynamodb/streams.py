"""A table's stream, read for the keys that have changed: each shard in its order, parents before their children.

Records are taken for keys alone; how an item looks now is read from the table. A reading that begins without positions
takes all that the stream still has: a key that is named for nothing costs a read, one that is left out a change.
"""

from __future__ import annotations

import base64
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from migrator.dynamodb.control import ask
from migrator.dynamodb.errors import IteratorExpiredError, TableMissingError, TrimmedError
from migrator.dynamodb.shards import Position, StreamLostError, check_unbroken, parents_of, readable, trimmed

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from botocore.client import BaseClient

    from migrator.mapping import WireItem

_TTL: Final = {"Type": "Service", "PrincipalId": "dynamodb.amazonaws.com"}
_LARGEST_PAGE: Final = 1_000
_DESCRIBED_SECONDS: Final = 1.0
"""How long the shards of a stream are taken for known: DynamoDB describes streams ten times per second, to whomever."""


@dataclass(frozen=True, slots=True)
class Change:
    """A key that has changed: when, whether its item was removed then, and whether it was TTL that removed it."""

    key: WireItem
    at: datetime
    removed: bool
    by_ttl: bool


@dataclass(frozen=True, slots=True)
class Reading:
    """Some changes of one shard, in order, and how far the shard is read when they have been dealt with.

    `lag` is how many seconds old the newest of them is, where more may follow, by this machine's clock, against
    DynamoDB's own approximate time of the change; 0 where nothing was left to read.
    """

    shard: str
    changes: tuple[Change, ...]
    position: Position
    lag: float


def arn_of(control: BaseClient, table: str) -> str:
    """The ARN of a table's stream. A stream that is turned off and on again has another one.

    Raises:
        StreamLostError: the table has no stream that is on.
        TargetError: DynamoDB cannot be asked (`control.ask`).
    """
    described = ask(control, "describe_table", table, {"TableName": table})["Table"]
    if not described.get("StreamSpecification", {}).get("StreamEnabled"):
        raise StreamLostError(
            f"the stream of table {table} is not on, so its changes cannot be followed",
            safe="nothing was written",
            next_step="`migrate prepare` turns it on; changes of before are not in it",
        )
    arn: str = described["LatestStreamArn"]
    return arn


class StreamReader:
    """Reads a stream on from where it was. Holds the shards, how far each was read, and their iterators.

    Calls block: an event loop lets a thread make them.

    Args:
        client: as `control.connect_streams` makes it.
        table: the table's name.
        arn: the stream (`arn_of`).
        positions: how far each shard was read, as `Reading.position` told; none: from the oldest record there is.
    """

    def __init__(self, client: BaseClient, table: str, arn: str, positions: Mapping[str, Position]) -> None:
        self._client = client
        self._table = table
        self._arn = arn
        self._positions = dict(positions)
        self._parents: dict[str, str | None] = {}
        self._described_at = 0.0
        self._iterators: dict[str, str] = {}

    def read(self) -> list[Reading]:
        """One page of each shard that may be read now. A shard of which nothing is to be told is left out.

        Readings are for being dealt with in this order, and before the next call: it takes them for done.

        Raises:
            StreamLostError: records have gone unread, or the stream is gone.
            AnswerError, UnreachableError, ConfigurationError: DynamoDB cannot be asked (`control.ask`).
        """
        try:
            parents = self._described()
            check_unbroken(self._table, parents, self._positions, time.time())
            readings = [self._page(shard) for shard in readable(parents, self._positions)]
        except TrimmedError as error:
            raise trimmed(self._table) from error
        except TableMissingError as error:
            raise self._gone() from error
        # What is at its end and not listed any more has no children that wait for it.
        self._positions = {shard: each for shard, each in self._positions.items() if shard in parents or not each.ended}
        return readings

    def _described(self) -> dict[str, str | None]:
        """The shards with their parents, not asked for more often than need be."""
        if not self._parents or time.monotonic() - self._described_at >= _DESCRIBED_SECONDS:
            self._parents, self._described_at = parents_of(self._shards()), time.monotonic()
        return self._parents

    def _shards(self) -> list[dict[str, Any]]:
        shards: list[dict[str, Any]] = []
        request: dict[str, Any] = {"StreamArn": self._arn}
        while True:
            found = self._ask("describe_stream", request)["StreamDescription"]
            shards += found["Shards"]
            if "LastEvaluatedShardId" not in found:
                return shards
            request["ExclusiveStartShardId"] = found["LastEvaluatedShardId"]

    def _page(self, shard: str) -> Reading:
        now = time.time()
        answer = self._records(shard)
        records = answer["Records"]
        before = self._positions.get(shard)
        after = before.after if before is not None else None
        if records:
            after = records[-1]["dynamodb"]["SequenceNumber"]
        following = answer.get("NextShardIterator")
        position = Position(now, after, ended=following is None)
        if following is None:
            self._iterators.pop(shard, None)
            # Its children may be read now, and need not be known yet.
            self._parents = {}
        else:
            self._iterators[shard] = following
        self._positions[shard] = position
        changes = tuple(map(_change, records))
        lag = max(0.0, now - changes[-1].at.timestamp()) if changes and following else 0.0
        return Reading(shard, changes, position, lag)

    def _records(self, shard: str) -> dict[str, Any]:
        """GetRecords with the iterator at hand, or with a new one where that has expired."""
        if shard in self._iterators:
            try:
                return self._get(self._iterators[shard])
            except IteratorExpiredError:
                pass
        return self._get(self._iterator(shard))

    def _get(self, iterator: str) -> dict[str, Any]:
        return self._ask("get_records", {"ShardIterator": iterator, "Limit": _LARGEST_PAGE})

    def _iterator(self, shard: str) -> str:
        position = self._positions.get(shard)
        request = {"StreamArn": self._arn, "ShardId": shard, "ShardIteratorType": "TRIM_HORIZON"}
        if position is not None and position.after is not None:
            request |= {"ShardIteratorType": "AFTER_SEQUENCE_NUMBER", "SequenceNumber": position.after}
        iterator: str = self._ask("get_shard_iterator", request)["ShardIterator"]
        return iterator

    def _gone(self) -> StreamLostError:
        return StreamLostError(
            f"the stream of table {self._table} that was read is not there any more: it was turned off, or "
            "the table is gone",
            safe="nothing was written",
            next_step="`migrate status` says which, and what leads on",
        )

    def _ask(self, method: str, request: Mapping[str, Any]) -> dict[str, Any]:
        return ask(self._client, method, self._table, request)


def _change(record: Mapping[str, Any]) -> Change:
    told = record["dynamodb"]
    removed = record["eventName"] == "REMOVE"
    return Change(
        {name: _wire(value) for name, value in told["Keys"].items()},
        told["ApproximateCreationDateTime"],
        removed,
        removed and record.get("userIdentity") == _TTL,
    )


def _wire(value: Mapping[str, Any]) -> dict[str, Any]:
    """A key attribute as the wire has it: boto3 gives binary as bytes."""
    return {kind: base64.b64encode(each).decode() if kind == "B" else each for kind, each in value.items()}
