"""A table as DynamoDB's control plane spells it. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self

from migrator.mapping import Index, KeyAttribute, OnDemand, Provisioned

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from migrator.mapping import Table
    from migrator.mapping.table import Projection


def create_request(table: Table) -> dict[str, Any]:
    """CreateTable's parameters. Recovery and TTL are not among them: they are set by calls of their own."""
    shapes = [Shape.declared(table), *map(Shape.declared, table.indexes)]
    attributes = {attribute.name: attribute for shape in shapes for attribute in shape.attributes}
    request: dict[str, Any] = {
        "TableName": table.name,
        "KeySchema": Shape.declared(table).key_schema(),
        "AttributeDefinitions": _attribute_definitions(attributes.values()),
    }
    if isinstance(table.billing, Provisioned):
        request |= {"BillingMode": "PROVISIONED", "ProvisionedThroughput": _throughput(table.billing)}
    else:
        request["BillingMode"] = "PAY_PER_REQUEST"
    if table.indexes:
        request["GlobalSecondaryIndexes"] = [_index_request(index, table.billing) for index in table.indexes]
    if table.stream is not None:
        request["StreamSpecification"] = {"StreamEnabled": True, "StreamViewType": table.stream}
    if table.encryption:
        request["SSESpecification"] = {"Enabled": True}
    if table.tags:
        request["Tags"] = tag_list(table.tags)
    return request


def add_index_request(table: Table, index: Index, billing: OnDemand | Provisioned) -> dict[str, Any]:
    """UpdateTable's parameters that add one index; `billing` is what the existing table has."""
    return {
        "TableName": table.name,
        "AttributeDefinitions": _attribute_definitions(Shape.declared(index).attributes),
        "GlobalSecondaryIndexUpdates": [{"Create": _index_request(index, billing)}],
    }


def tag_list(tags: Mapping[str, str]) -> list[dict[str, str]]:
    """Tags as DynamoDB takes them."""
    return [{"Key": key, "Value": value} for key, value in tags.items()]


def billing_found(described: Mapping[str, Any]) -> OnDemand | Provisioned:
    """How a table that DescribeTable gives is billed. One that was always provisioned is given without a mode."""
    if described.get("BillingModeSummary", {}).get("BillingMode") == "PAY_PER_REQUEST":
        return OnDemand()
    throughput = described["ProvisionedThroughput"]
    return Provisioned(throughput["ReadCapacityUnits"], throughput["WriteCapacityUnits"])


def billing_words(billing: OnDemand | Provisioned) -> str:
    """The billing as a sentence says it."""
    if isinstance(billing, Provisioned):
        return f"provisioned throughput of {billing.read} read and {billing.write} write units per second"
    return "on-demand billing"


@dataclass(frozen=True, slots=True)
class Shape:
    """What cannot be changed of a table or an index: its key and, for an index, its projection."""

    partition_key: KeyAttribute
    sort_key: KeyAttribute | None
    projection: Projection | None

    @classmethod
    def declared(cls, keyed: Table | Index) -> Self:
        """The shape that a mapping declares."""
        projection = _sorted(keyed.projection) if isinstance(keyed, Index) else None
        return cls(keyed.partition_key, keyed.sort_key, projection)

    @classmethod
    def found(cls, described: Mapping[str, Any], types: Mapping[str, Any]) -> Self:
        """The shape of a table or an index that DescribeTable gives; `types` are its attributes' types, by name."""
        by_role = {
            element["KeyType"]: KeyAttribute(element["AttributeName"], types[element["AttributeName"]])
            for element in described["KeySchema"]
        }
        projection = described.get("Projection")
        if projection is not None:
            projection = _sorted(tuple(projection.get("NonKeyAttributes", ())) or projection["ProjectionType"])
        return cls(by_role["HASH"], by_role.get("RANGE"), projection)

    @property
    def attributes(self) -> tuple[KeyAttribute, ...]:
        """The key's attributes: one, or two."""
        return (self.partition_key,) if self.sort_key is None else (self.partition_key, self.sort_key)

    def key_schema(self) -> list[dict[str, str]]:
        """The key as DynamoDB takes it."""
        return [
            {"AttributeName": attribute.name, "KeyType": role}
            for attribute, role in zip(self.attributes, ("HASH", "RANGE"), strict=False)
        ]

    def __str__(self) -> str:
        words = f"partition key {self.partition_key.name} ({self.partition_key.type})"
        if self.sort_key is not None:
            words += f", sort key {self.sort_key.name} ({self.sort_key.type})"
        if isinstance(self.projection, tuple):
            words += f", projection INCLUDE {', '.join(self.projection)}"
        elif self.projection is not None:
            words += f", projection {self.projection}"
        return words


def _sorted(projection: Projection) -> Projection:
    return tuple(sorted(projection)) if isinstance(projection, tuple) else projection


def _index_request(index: Index, billing: OnDemand | Provisioned) -> dict[str, Any]:
    shape = Shape.declared(index)
    request: dict[str, Any] = {"IndexName": index.name, "KeySchema": shape.key_schema()}
    if isinstance(index.projection, tuple):
        request["Projection"] = {"ProjectionType": "INCLUDE", "NonKeyAttributes": list(index.projection)}
    else:
        request["Projection"] = {"ProjectionType": index.projection}
    if isinstance(billing, Provisioned):
        request["ProvisionedThroughput"] = _throughput(billing)
    return request


def _throughput(billing: Provisioned) -> dict[str, int]:
    return {"ReadCapacityUnits": billing.read, "WriteCapacityUnits": billing.write}


def _attribute_definitions(attributes: Iterable[KeyAttribute]) -> list[dict[str, str]]:
    return [{"AttributeName": attribute.name, "AttributeType": attribute.type} for attribute in attributes]
