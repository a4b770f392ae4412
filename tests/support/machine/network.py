"""The way of requests to DynamoDB: each write may be lost, delivered unanswered, late, and more than once."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Self

from migrator.dynamodb.errors import UnreachableError
from tests.support.machine.process import reach

if TYPE_CHECKING:
    from migrator.dynamodb.session import Session
    from migrator.dynamodb.transport import HttpTransport, Request, Response
    from tests.support.machine.clock import Clock

WRITES: Final = frozenset({"PutItem", "DeleteItem", "BatchWriteItem", "BatchExecuteStatement", "TransactWriteItems"})


@dataclass(frozen=True, eq=False)
class Sent:
    """A write that was sent, and until when it may arrive, for the first time or again."""

    request: Request
    until: float


class Network:
    """Between all clients and the target. Holds every write that may still arrive.

    Args:
        http: the real transport.
        clock: by which requests expire.
        seconds: for which DynamoDB takes a signed request.
    """

    def __init__(self, http: HttpTransport, clock: Clock, seconds: float) -> None:
        self._http = http
        self._clock = clock
        self._seconds = seconds
        self._sent: list[Sent] = []
        self.delivered_late = 0

    def forget(self) -> None:
        self._sent.clear()

    @property
    def sent(self) -> list[Sent]:
        """The writes that may still arrive, the oldest first."""
        now = self._clock.now()
        self._sent = [each for each in self._sent if each.until > now]
        return self._sent

    async def deliver(self, number: int) -> None:
        """Delivers one of `sent`; nobody is told."""
        if self.sent:
            self.delivered_late += 1
            await self._http(self.sent[number % len(self.sent)].request)

    async def carry(self, request: Request) -> Response:
        """As a `Transport`."""
        operation = request.operation
        if operation not in WRITES:
            return await self._http(request)
        until = self._clock.now() + self._seconds
        fate = await reach(f"{operation} sending", _keys(request.body))
        if self._clock.now() >= until:
            raise UnreachableError(f"{operation} was sent after its signature had expired")
        self._sent.append(Sent(request, until))
        if fate != "held":
            response = await self._http(request)
            if fate == "delivered":
                return response
        await reach(f"{operation} unanswered", _keys(request.body))
        raise UnreachableError(f"no answer to {operation}")


def transport(network: Network) -> type[Any]:
    """A class to stand in for `HttpTransport`, all of whose requests travel through a network."""

    class Through:
        def __init__(self, _session: Session) -> None: ...

        async def __aenter__(self) -> Self:
            return self

        async def __aexit__(self, *_: object) -> None: ...

        async def __call__(self, request: Request) -> Response:
            return await network.carry(request)

    return Through


def _keys(body: bytes) -> str:
    """The item keys of a write, for the order of those that wait."""
    found: list[str] = []

    def collect(node: object) -> None:
        match node:
            case {"PK": {"S": str(partition)}, "SK": {"S": str(sort)}}:
                found.append(f"{partition} {sort}")
            case dict():
                for member in node.values():
                    collect(member)
            case list():
                for member in node:
                    collect(member)

    collect(json.loads(body))
    return ", ".join(found)
