"""Bringing tables to what a mapping declares. Repeatable: what is there already is not touched.

TTL is declared by a mapping and enabled when writes move, not here: see `migrator.mapping.Table.ttl`.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from migrator.dynamodb.changes import Change, State, differences
from migrator.dynamodb.control import ask, place_of
from migrator.dynamodb.errors import NotOfferedError, TableBusyError, TableMissingError
from migrator.errors import TargetError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from mypy_boto3_dynamodb import DynamoDBClient

    from migrator.mapping import Table

_FIRST_PAUSE: Final = 0.1
_LONGEST_PAUSE: Final = 5.0


@dataclass(frozen=True, slots=True)
class TimeToLive:
    """A table's TTL as it is: DynamoDB's status, and the attribute where TTL is on or changing."""

    status: str
    attribute: str | None

    @property
    def is_on(self) -> bool:
        """Whether items expire, or will."""
        return self.status in {"ENABLED", "ENABLING"}


def plan(client: DynamoDBClient, table: Table, *, written: bool = False) -> list[Change]:
    """What `apply` would do to bring one table to what is declared. Changes nothing.

    `written` says whether applications write to it, so that TTL may be on.

    Raises:
        TargetError: the table or an index has other keys, or the table is being deleted.
        AccessDeniedError: the credentials lack an action, which it names.
    """
    return differences(table, _read_state(client, table), place_of(client), written=written)


def apply(
    client: DynamoDBClient,
    table: Table,
    changes: Sequence[Change],
    *,
    made: Callable[[Change], object] | None = None,
    wait_seconds: float = 600.0,
) -> None:
    """Makes the changes of a plan, one at a time, and returns when the table and its indexes take requests.

    Args:
        client: from `migrator.dynamodb.control.connect`.
        table: the table that was planned for.
        changes: what `plan` gave; those without a method are passed over.
        made: called after each change.
        wait_seconds: how long the table may take to become active after each change.

    Raises:
        TargetError: a change was refused, or the table was not ready in time. A later run continues.
    """
    for change in changes:
        if change.method is None:
            continue
        if change.method != "create_table":
            _wait_until_active(client, table, wait_seconds)
        _make(client, table, change.method, change.request, wait_seconds)
        if made is not None:
            made(change)
    _wait_until_active(client, table, wait_seconds)


def describe_ttl(client: DynamoDBClient, table_name: str) -> TimeToLive:
    """The state of a table's TTL."""
    answer = ask(client, "describe_time_to_live", table_name, {"TableName": table_name})
    found = answer["TimeToLiveDescription"]
    return TimeToLive(found["TimeToLiveStatus"], found.get("AttributeName"))


def set_ttl(client: DynamoDBClient, table: Table, *, enabled: bool) -> bool:
    """Turns a table's TTL on or off; returns False where it is so already, or on its way.

    DynamoDB takes up to an hour for it, and refuses another change meanwhile.

    Raises:
        TargetError: DynamoDB refused, or cannot be reached.
    """
    if describe_ttl(client, table.name).is_on is enabled:
        return False
    wanted = {"Enabled": enabled, "AttributeName": table.ttl}
    ask(client, "update_time_to_live", table.name, {"TableName": table.name, "TimeToLiveSpecification": wanted})
    return True


def _read_state(client: DynamoDBClient, table: Table) -> State:
    described = _describe(client, table.name)
    recovers = _recovers(client, table.name) if table.point_in_time_recovery else False
    if described is None:
        return State(described=None, recovers=recovers, tags={}, ttl_status="DISABLED")
    if described["TableStatus"] == "DELETING":
        raise TargetError(
            f"table {table.name} is being deleted in {place_of(client)}",
            next_step="run the command again when it is gone",
        )
    tags = _tags(client, table.name, described["TableArn"]) if table.tags else {}
    ttl_status = describe_ttl(client, table.name).status
    return State(described=described, recovers=recovers, tags=tags, ttl_status=ttl_status)


def _describe(client: DynamoDBClient, table_name: str) -> Mapping[str, Any] | None:
    try:
        answer = ask(client, "describe_table", table_name, {"TableName": table_name})
    except TableMissingError:
        return None
    described: Mapping[str, Any] = answer["Table"]
    return described


def _recovers(client: DynamoDBClient, table_name: str) -> bool | None:
    """Whether point-in-time recovery is on; None where this DynamoDB does not offer it."""
    try:
        answer = ask(client, "describe_continuous_backups", table_name, {"TableName": table_name})
    except TableMissingError:
        return False
    except NotOfferedError:
        return None
    found = answer["ContinuousBackupsDescription"].get("PointInTimeRecoveryDescription", {})
    return bool(found.get("PointInTimeRecoveryStatus") == "ENABLED")


def _tags(client: DynamoDBClient, table_name: str, arn: str) -> dict[str, str]:
    tags: dict[str, str] = {}
    request = {"ResourceArn": arn}
    while True:
        answer = ask(client, "list_tags_of_resource", table_name, request)
        tags |= {tag["Key"]: tag["Value"] for tag in answer.get("Tags", ())}
        if not answer.get("NextToken"):
            return tags
        request["NextToken"] = answer["NextToken"]


def _make(client: DynamoDBClient, table: Table, method: str, request: Mapping[str, Any], wait_seconds: float) -> None:
    """Makes one change; while the table is busy with another, it is asked again."""
    busy: TableBusyError | None = None
    for _ in _attempts(wait_seconds):
        try:
            ask(client, method, table.name, request)
        except TableBusyError as error:
            # A table that somebody else has created meanwhile must be compared first, by another plan.
            if method == "create_table":
                raise
            busy = error
        else:
            return
    if busy is not None:
        raise busy


def _wait_until_active(client: DynamoDBClient, table: Table, wait_seconds: float) -> None:
    """Returns when the table and all its indexes are active."""
    waiting: list[str] = []
    for _ in _attempts(wait_seconds):
        # DescribeTable is eventually consistent: just after CreateTable it may not know the table yet.
        waiting = _not_active(_describe(client, table.name))
        if not waiting:
            return
    raise TargetError(
        f"table {table.name} was not ready after {wait_seconds:.0f} s: {', '.join(waiting)}",
        safe="DynamoDB goes on with it",
        next_step="run `migrate prepare` again later: it waits, and does what is left",
    )


def _attempts(wait_seconds: float) -> Iterator[None]:
    """Yields at once, and again after growing pauses, until the time is over."""
    give_up = time.monotonic() + wait_seconds
    pause = _FIRST_PAUSE
    while True:
        yield
        if time.monotonic() + pause > give_up:
            return
        time.sleep(pause)
        pause = min(_LONGEST_PAUSE, pause * 2)


def _not_active(described: Mapping[str, Any] | None) -> list[str]:
    if described is None:
        return ["the table is not visible yet"]
    states = [("the table", described["TableStatus"])]
    states += [(f"index {one['IndexName']}", one["IndexStatus"]) for one in described.get("GlobalSecondaryIndexes", ())]
    return [f"{what} is {status}" for what, status in states if status != "ACTIVE"]
