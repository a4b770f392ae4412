"""How far one table's stream is carried back, and its reader: begun anew where somebody else has gone on meanwhile."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, Final

from migrator.dynamodb.shards import KEPT_SECONDS, Position, StreamLostError, lost, trimmed
from migrator.dynamodb.streams import StreamReader, arn_of
from migrator.engines.reverse.landing import Reached
from migrator.postgres import streams
from migrator.postgres.streams import Noted

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from collections.abc import Set as AbstractSet

    from botocore.client import BaseClient

    from migrator.dynamodb.streams import Reading
    from migrator.postgres.connection import Connection

_NOTE_SECONDS: Final = 10.0
"""How often it is noted of a shard that nothing was found in it."""


class Course:
    """Reads one table's stream on from where it is carried back to. It holds the reader, and what is on record of it.

    Args:
        model: the model's name.
        table: the table's name.
        control: a client of DynamoDB, as `control.connect` makes it.
        client: a client of its streams, as `control.connect_streams` makes it.
    """

    def __init__(self, model: str, table: str, control: BaseClient, client: BaseClient) -> None:
        self._model = model
        self._table = table
        self._control = control
        self._client = client
        self._stream = ""
        self._reader: StreamReader | None = None
        self._on_record: dict[str, str] = {}
        self._noted_at: dict[str, float] = {}
        self._lags: dict[str, float] = {}

    def begin_anew(self) -> None:
        """Forget what was read, since it was not carried back."""
        self._reader = None

    async def read(self, connection: Connection, since: float) -> list[Reading]:
        """The next page of each shard.

        Args:
            connection: a session on the source, which holds the table's lock.
            since: for how many seconds the table's changes have been there to be carried back.

        Raises:
            StreamLostError: changes have gone unread.
            SourceError, TargetError: a store failed.
        """
        reader = await self._opened(connection, since)
        readings = await asyncio.to_thread(reader.read)
        if not readings:
            # Every shard is at its end. That is so when a stream is turned off, too.
            await asyncio.to_thread(present_stream, self._control, self._table, {self._stream})
        return readings

    def reached(self, readings: Sequence[Reading]) -> Reached:
        """What is to be noted of readings, once they are carried back."""
        return Reached(
            self._stream,
            {each.shard: Noted(str(each.position), each.lag) for each in readings if self._is_news(each)},
        )

    def _is_news(self, reading: Reading) -> bool:
        """Whether it is worth a note."""
        if reading.changes or reading.position.ended or reading.lag != self._lags.get(reading.shard, 0.0):
            return True
        return time.monotonic() - self._noted_at.get(reading.shard, 0.0) >= _NOTE_SECONDS

    def note(self, reached: Reached) -> None:
        """That is on record now."""
        self._on_record |= {shard: each.position for shard, each in reached.shards.items()}
        self._noted_at |= dict.fromkeys(reached.shards, time.monotonic())
        self._lags |= {shard: each.lag for shard, each in reached.shards.items()}

    async def _opened(self, connection: Connection, since: float) -> StreamReader:
        known = await streams.positions(connection, self._model, self._table)
        if self._reader is not None and known.get(self._stream, {}) == self._on_record:
            return self._reader
        stream = await asyncio.to_thread(present_stream, self._control, self._table, known.keys())
        on_record = known.get(stream, {})
        if not on_record and since >= KEPT_SECONDS:
            raise trimmed(self._table)
        positions = {shard: Position.parse(text) for shard, text in on_record.items()}
        past = [
            shard for shard, each in positions.items() if each.ended and time.time() - each.read_at > 2 * KEPT_SECONDS
        ]
        if past:
            await streams.forget(connection, self._model, self._table, past)
        for shard in past:
            del positions[shard], on_record[shard]
        self._stream, self._on_record, self._noted_at, self._lags = stream, on_record, {}, {}
        self._reader = StreamReader(self._client, self._table, stream, positions)
        return self._reader


def present_stream(control: BaseClient, table: str, known: AbstractSet[str]) -> str:
    """A table's stream, which has to be the one that was read; those that were are `known`.

    Raises:
        StreamLostError: it is another one, or off.
        TargetError: DynamoDB cannot be asked.
    """
    try:
        stream = arn_of(control, table)
    except StreamLostError as error:
        raise lost(
            f"the stream of table {table} is not on: what is written goes unread. `migrate prepare` turns it on, "
            "without what has gone unread"
        ) from error
    if known - {stream}:
        raise lost(
            f"the stream of table {table} is another one than was read: it was turned off meanwhile, and changes have "
            "gone unread"
        )
    return stream


def parts(readings: Sequence[Reading], most: int) -> Iterator[list[Reading]]:
    """Readings in parts of so many changes, about; those of one shard together."""
    part: list[Reading] = []
    for each in readings:
        if part and sum(len(one.changes) for one in part) + len(each.changes) > most:
            yield part
            part = []
        part.append(each)
    if part:
        yield part
