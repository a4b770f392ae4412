"""ORG_MEMBER: who belongs to an organization, under it."""

from __future__ import annotations

from mappings.miyabi.schema import organization_members
from mappings.miyabi.table import TABLE, stamps
from migrator.mapping import Attribute, Entity, Item, Pattern, Query

c = organization_members.c

ORG_MEMBER = Entity(
    "ORG_MEMBER",
    source=organization_members,
    table=TABLE,
    items=[
        Item("ORG#{org_id}", "MEMBER#{user_id}"),
    ],
    data=[
        Attribute("userId", c.user_id),
        Attribute("role", c.role),
        Attribute("permissions", c.permissions),
        Attribute("joinedAt", c.joined_at),
    ],
    attributes=stamps(c.joined_at, c.joined_at),
)

PATTERNS: list[Pattern] = [
    Query("organization-members", "an organization's members", ORG_MEMBER),
]
