"""What one writes by hand, without this toolkit: rows of `miyabi` from asyncpg, and a function per table to its items.

The items are Python values, as boto3 and aiodynamo take them. It is lean on purpose: it keeps no checkpoint.
"""

from __future__ import annotations

import json
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import asyncpg

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable
    from datetime import datetime

    Row = Any
    Item = dict[str, Any]

_PREFETCH = 500
_MONTH = 30 * 86_400
_decode = json.JSONDecoder(parse_float=Decimal).decode


async def items_by_hand(database_url: str) -> AsyncIterator[Item]:
    """The items of all rows, table after table."""
    connection = await asyncpg.connect(database_url)
    try:
        await connection.set_type_codec("jsonb", encoder=json.dumps, decoder=_decode, schema="pg_catalog")
        for table, mapped in _MAPPED.items():
            async with connection.transaction():
                async for row in connection.cursor(f"SELECT * FROM {table}", prefetch=_PREFETCH):  # noqa: S608 - a literal
                    for item in mapped(row):
                        yield item
    finally:
        await connection.close()


def _instant(value: datetime) -> str:
    text = value.isoformat()[:-6]
    return (text.rstrip("0") if "." in text else text) + "Z"


def _second(value: datetime) -> str:
    return value.strftime("%Y-%m-%dT%H:%M:%SZ")


def _item(entity: str, partition_key: str, sort_key: str, data: Item, stamps: tuple[datetime | None, ...]) -> Item:
    item: Item = {
        "PK": partition_key,
        "SK": sort_key,
        "EntityType": entity,
        "Data": {name: value for name, value in data.items() if value is not None},
    }
    for name, value in zip(("CreatedAt", "UpdatedAt"), stamps, strict=False):
        if value is not None:
            item[name] = _instant(value)
    return item


def _organization(row: Row) -> list[Item]:
    data = {
        "name": row["name"],
        "githubOrgId": row["github_org_id"],
        "plan": row["plan"],
        "billingEmail": row["billing_email"],
        "settings": row["settings"],
    }
    return [_item("ORGANIZATION", f"ORG#{row['id']}", "METADATA", data, (row["created_at"], row["updated_at"]))]


def _user(row: Row) -> list[Item]:
    data = {
        "githubId": row["github_id"],
        "email": row["email"],
        "name": row["name"],
        "avatarUrl": row["avatar_url"],
        "accessToken": row["access_token"],
        "orgRole": row["org_role"],
    }
    item = _item("USER", f"USER#{row['id']}", "METADATA", data, (row["created_at"], row["updated_at"]))
    if row["org_id"] is not None:
        item |= {"GSI2PK": f"ORG#{row['org_id']}", "GSI2SK": f"USER#{row['id']}"}
    return [item]


def _organization_member(row: Row) -> list[Item]:
    joined_at = row["joined_at"]
    data = {
        "userId": str(row["user_id"]),
        "role": row["role"],
        "permissions": row["permissions"],
        "joinedAt": _instant(joined_at),
    }
    return [_item("ORG_MEMBER", f"ORG#{row['org_id']}", f"MEMBER#{row['user_id']}", data, (joined_at, joined_at))]


def _repository(row: Row) -> list[Item]:
    stamps = (row["created_at"], row["updated_at"])
    data = {
        "githubRepoId": row["github_repo_id"],
        "owner": row["owner"],
        "name": row["name"],
        "fullName": row["full_name"],
        "isActive": row["is_active"],
    }
    of_user = _item("REPOSITORY", f"USER#{row['user_id']}", f"REPO#{row['id']}", data, stamps)
    if row["org_id"] is not None:
        of_user |= {"GSI2PK": f"ORG#{row['org_id']}", "GSI2SK": f"REPO#{row['id']}"}
    whole = {"userId": str(row["user_id"]), **data}
    return [of_user, _item("REPOSITORY", f"REPO#{row['id']}", "METADATA", whole, stamps)]


def _agent_execution(row: Row) -> list[Item]:
    started, stamps = _second(row["started_at"]), (row["created_at"], row["updated_at"])
    completed_at = row["completed_at"]
    shared = {
        "issueNumber": row["issue_number"],
        "agentType": row["agent_type"],
        "status": row["status"],
        "startedAt": _instant(row["started_at"]),
    }
    data = {
        **shared,
        "completedAt": None if completed_at is None else _instant(completed_at),
        "resultSummary": row["result_summary"],
        "qualityScore": row["quality_score"],
        "prNumber": row["pr_number"],
    }
    of_repository = _item("AGENT_EXECUTION", f"REPO#{row['repository_id']}", f"EXEC#{started}#{row['id']}", {}, stamps)
    of_repository |= {"Data": data, "GSI1PK": f"STATUS#{row['status']}", "GSI1SK": started}
    by_id = _item("AGENT_EXECUTION", f"EXEC#{row['id']}", "METADATA", {}, stamps)
    by_id |= {
        "Data": {"repositoryId": row["repository_id"], **shared},
        "GSI1PK": f"AGENT_TYPE#{row['agent_type']}",
        "GSI1SK": started,
    }
    return [of_repository, by_id]


def _workflow(row: Row) -> list[Item]:
    data = {
        "name": row["name"],
        "description": row["description"],
        "dagDefinition": row["dag_definition"],
        "isActive": row["is_active"],
    }
    stamps = (row["created_at"], row["updated_at"])
    return [_item("WORKFLOW", f"REPO#{row['repository_id']}", f"WORKFLOW#{row['id']}", data, stamps)]


def _task(row: Row) -> list[Item]:
    data = {
        "repositoryId": row["repository_id"],
        "name": row["name"],
        "description": row["description"],
        "priority": row["priority"],
        "status": row["status"],
        "agentType": row["agent_type"],
        "issueNumber": row["issue_number"],
        "retryCount": row["retry_count"],
        "maxRetries": row["max_retries"],
        "metadata": row["metadata"],
    }
    item = _item("TASK", f"USER#{row['user_id']}", f"TASK#{row['id']}", data, (row["created_at"], row["updated_at"]))
    return [item | {"GSI1PK": f"TASK_STATUS#{row['status']}", "GSI1SK": _second(row["created_at"])}]


def _task_dependency(row: Row) -> list[Item]:
    other = row["depends_on_task_id"]
    data = {"dependsOnTaskId": other}
    return [_item("TASK_DEPENDENCY", f"TASK#{row['task_id']}", f"DEP#{other}", data, (row["created_at"],))]


def _websocket_connection(row: Row) -> list[Item]:
    connected_at, last_ping_at, key = row["connected_at"], row["last_ping_at"], row["id"]
    data = {
        "userId": str(row["user_id"]),
        "connectedAt": _instant(connected_at),
        "lastPingAt": None if last_ping_at is None else _instant(last_ping_at),
    }
    brief = {"connectionId": key, "connectedAt": _instant(connected_at)}
    items = [
        _item("WEBSOCKET", f"WS#{key}", "METADATA", data, (connected_at, last_ping_at)),
        _item("WEBSOCKET", f"USER#{row['user_id']}", f"WS#{key}", brief, (connected_at, last_ping_at)),
    ]
    if row["ttl"] is not None:
        for item in items:
            item["TTL"] = row["ttl"]
    return items


def _line_message(row: Row) -> list[Item]:
    created_at = row["created_at"]
    data = {
        "lineUserId": row["line_user_id"],
        "messageType": row["message_type"],
        "content": row["content"],
        "metadata": row["metadata"],
    }
    sort_key = f"LINE_MSG#{_second(created_at)}#{row['id']}"
    item = _item("LINE_MESSAGE", f"USER#{row['user_id']}", sort_key, data, (created_at,))
    return [item | {"TTL": int(created_at.timestamp()) + _MONTH}]


def _execution_log(row: Row) -> list[Item]:
    created_at = row["created_at"]
    data = {"logLevel": row["log_level"], "message": row["message"], "metadata": row["metadata"]}
    sort_key = f"LOG#{_second(created_at)}#{row['id']}"
    item = _item("EXECUTION_LOG", f"EXEC#{row['execution_id']}", sort_key, data, (created_at,))
    return [item | {"TTL": int(created_at.timestamp()) + _MONTH}]


_MAPPED: dict[str, Callable[[Row], list[Item]]] = {
    "organizations": _organization,
    "users": _user,
    "organization_members": _organization_member,
    "repositories": _repository,
    "agent_executions": _agent_execution,
    "workflows": _workflow,
    "tasks": _task,
    "task_dependencies": _task_dependency,
    "websocket_connections": _websocket_connection,
    "line_messages": _line_message,
    "execution_logs": _execution_log,
}
