"""A DynamoDB that is only read: it answers a Scan, in any number of segments, with the items of a file."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

import orjson

from bench._http import Reply, serving

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

PAGE_BYTES = 1_000_000
_DESCRIBED = orjson.dumps({"Table": {"TableStatus": "ACTIVE"}})


@contextmanager
def scans(items: Path) -> Iterator[str]:
    """Serve the items of a file, a line of JSON each, on 127.0.0.1 until the block ends; yields the URL."""
    with serving(_Scans, items) as url:
        yield url


class _Scans:
    """The file as a table. Holds no item: a segment is a part of the file, and a key to start from is a place in it."""

    def __init__(self, path: Path) -> None:
        self._file = path.open("rb")
        self._size = path.stat().st_size

    def __call__(self, operation: str, body: bytes) -> Reply:
        """Answers DescribeTable, or a Scan with a page of about 1 MB, which is what DynamoDB gives at once."""
        if operation == "DescribeTable":
            return Reply(_DESCRIBED)
        request = orjson.loads(body)
        number, total = request.get("Segment", 0), request.get("TotalSegments", 1)
        begin, end = (self._line(self._size * part // total) for part in (number, number + 1))
        if "ExclusiveStartKey" in request:
            begin = int(request["ExclusiveStartKey"]["PK"]["S"])
        self._file.seek(begin)
        lines = self._file.read(min(PAGE_BYTES, end - begin))
        if lines and not lines.endswith(b"\n"):
            lines += self._file.readline()
        count, reached = lines.count(b"\n"), begin + len(lines)
        last = b',"LastEvaluatedKey":{"PK":{"S":"%d"},"SK":{"S":"-"}}' % reached if reached < end else b""
        answer = b'{"Count":%d,"ScannedCount":%d,"ConsumedCapacity":{"CapacityUnits":%.1f},"Items":[%b]%b}'
        return Reply(answer % (count, count, len(lines) / 8192, lines[:-1].replace(b"\n", b","), last))

    def _line(self, place: int) -> int:
        """Where the first line begins that does so at this place or later."""
        if place == 0:
            return 0
        self._file.seek(place - 1)
        self._file.readline()
        return self._file.tell()
