"""The one target table of `miyabi`, and what every item in it carries."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from migrator.mapping import Attribute, Index, S, Table

if TYPE_CHECKING:
    import sqlalchemy as sa

TABLE = Table(
    "miyabi-lambda-data",
    partition_key=S("PK"),
    sort_key=S("SK"),
    indexes=(
        Index("GSI1", S("GSI1PK"), S("GSI1SK")),  # by status or kind, then by time
        Index("GSI2", S("GSI2PK"), S("GSI2SK")),  # by organization
    ),
    ttl="TTL",
    discriminator="EntityType",
    envelope="Data",
    tags={"Name": "miyabi-lambda-data", "Environment": "production", "ManagedBy": "migrator", "Project": "miyabi"},
)


def stamps(created: sa.Column[Any], updated: sa.Column[Any] | None = None) -> list[Attribute]:
    """When an item's row was created and, where the source says so, last updated."""
    attributes = [Attribute("CreatedAt", created)]
    return attributes if updated is None else [*attributes, Attribute("UpdatedAt", updated)]
