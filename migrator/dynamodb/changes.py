"""How an existing table differs from the declared one, and what would make it equal. Pure.

Nothing is ever taken away from a table: an index, a stream or a tag that the mapping does not declare is left.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from migrator.dynamodb.definition import (
    Shape,
    add_index_request,
    billing_found,
    billing_words,
    create_request,
    tag_list,
)
from migrator.errors import TargetError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from migrator.dynamodb.errors import Place
    from migrator.mapping import Table


@dataclass(frozen=True, slots=True)
class Change:
    """One step towards the declared table: a sentence for the reader, and the call that makes it.

    A change without a method is told only: it is for the operator to decide on.
    """

    sentence: str
    method: str | None = None
    request: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class State:
    """What DynamoDB tells of a table; `described` is DescribeTable's answer, None where there is no table.

    `recovers` says whether point-in-time recovery is on (None: this DynamoDB does not offer it); `ttl_status` is
    DynamoDB's word: `ENABLED`, `ENABLING`, `DISABLED` or `DISABLING`.
    """

    described: Mapping[str, Any] | None
    recovers: bool | None
    tags: Mapping[str, str]
    ttl_status: str


def differences(table: Table, state: State, place: Place, *, written: bool = False) -> list[Change]:
    """What must change for the table to be the declared one, in the order in which it can be done.

    Raises:
        TargetError: keys, or an index's projection, are other than declared; no call can change them.
    """
    if state.described is None:
        return [_creation(table), *_recovery(table, state)]
    _refuse_other_shapes(table, state.described, place)
    return [
        *_indexes(table, state.described),
        *_stream(table, state.described),
        *_encryption(table, state.described),
        *_recovery(table, state),
        *_tags(table, state),
        *_billing(table, state.described),
        *(() if written else _ttl(table, state)),
    ]


def _creation(table: Table) -> Change:
    parts = [billing_words(table.billing)]
    parts += [f"index {index.name} ({Shape.declared(index)})" for index in table.indexes]
    if table.stream is not None:
        parts.append(f"a stream of {table.stream}")
    if table.encryption:
        parts.append("server-side encryption")
    if table.tags:
        parts.append(f"tags {', '.join(table.tags)}")
    sentence = f"create table {table.name} ({Shape.declared(table)}) with {'; '.join(parts)}"
    return Change(sentence, "create_table", create_request(table))


def _refuse_other_shapes(table: Table, described: Mapping[str, Any], place: Place) -> None:
    types = {one["AttributeName"]: one["AttributeType"] for one in described["AttributeDefinitions"]}
    pairs = [(f"table {table.name}", Shape.declared(table), Shape.found(described, types))]
    for existing in described.get("GlobalSecondaryIndexes", ()):
        index = table.index(existing["IndexName"])
        if index is not None:
            what = f"index {index.name} of table {table.name}"
            pairs.append((what, Shape.declared(index), Shape.found(existing, types)))
    for what, declared, found in pairs:
        if declared != found:
            raise TargetError(
                f"{what} exists in {place} with {found}; the mapping declares {declared}",
                safe="nothing was changed",
                next_step="declare another name in the mapping, or delete what exists where it is not needed",
            )


def _indexes(table: Table, described: Mapping[str, Any]) -> Iterator[Change]:
    existing = {one["IndexName"] for one in described.get("GlobalSecondaryIndexes", ())}
    for index in table.indexes:
        if index.name not in existing:
            sentence = f"add index {index.name} ({Shape.declared(index)}) to table {table.name}"
            yield Change(sentence, "update_table", add_index_request(table, index, billing_found(described)))


def _stream(table: Table, described: Mapping[str, Any]) -> Iterator[Change]:
    found = described.get("StreamSpecification", {})
    view = found.get("StreamViewType") if found.get("StreamEnabled") else None
    if table.stream is None or view == table.stream:
        return
    # A stream's view cannot be changed, only another stream be made in its place.
    if view is not None:
        off = {"TableName": table.name, "StreamSpecification": {"StreamEnabled": False}}
        yield Change(f"turn off the stream of {view} of table {table.name}", "update_table", off)
    on = {
        "TableName": table.name,
        "StreamSpecification": {"StreamEnabled": True, "StreamViewType": table.stream},
    }
    yield Change(f"turn on a stream of {table.stream} of table {table.name}", "update_table", on)


def _encryption(table: Table, described: Mapping[str, Any]) -> Iterator[Change]:
    if table.encryption and described.get("SSEDescription", {}).get("Status") not in {
        "ENABLED",
        "ENABLING",
        "UPDATING",
    }:
        request = {"TableName": table.name, "SSESpecification": {"Enabled": True}}
        yield Change(f"turn on server-side encryption of table {table.name}", "update_table", request)


def _recovery(table: Table, state: State) -> Iterator[Change]:
    if not table.point_in_time_recovery or state.recovers:
        return
    if state.recovers is None:
        yield Change(f"point-in-time recovery of table {table.name} stays off: this DynamoDB does not offer it")
        return
    request = {
        "TableName": table.name,
        "PointInTimeRecoverySpecification": {"PointInTimeRecoveryEnabled": True},
    }
    yield Change(f"turn on point-in-time recovery of table {table.name}", "update_continuous_backups", request)


def _tags(table: Table, state: State) -> Iterator[Change]:
    missing = {key: value for key, value in table.tags.items() if state.tags.get(key) != value}
    if missing and state.described is not None:
        request = {"ResourceArn": state.described["TableArn"], "Tags": tag_list(missing)}
        yield Change(f"set tags {', '.join(missing)} of table {table.name}", "tag_resource", request)


def _billing(table: Table, described: Mapping[str, Any]) -> Iterator[Change]:
    found = billing_found(described)
    if found != table.billing:
        yield Change(
            f"table {table.name} has {billing_words(found)}, the mapping declares {billing_words(table.billing)}: "
            "it is left as it is"
        )


def _ttl(table: Table, state: State) -> Iterator[Change]:
    if state.ttl_status in {"ENABLED", "ENABLING"}:
        yield Change(
            f"TTL of table {table.name} is enabled already: while both stores are written, DynamoDB's own deletions "
            "can bring outdated items back; disable it until writes have moved"
        )
