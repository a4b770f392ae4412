"""USER: a person, found by id and through their organization."""

from __future__ import annotations

from mappings.miyabi.schema import users
from mappings.miyabi.table import TABLE, stamps
from migrator.mapping import Attribute, Entity, Get, Item, Pattern, Query

c = users.c

USER = Entity(
    "USER",
    source=users,
    table=TABLE,
    items=[
        Item("USER#{id}", "METADATA", indexes={"GSI2": ("ORG#{org_id}", "USER#{id}")}),
    ],
    data=[
        Attribute("githubId", c.github_id),
        Attribute("email", c.email),
        Attribute("name", c.name),
        Attribute("avatarUrl", c.avatar_url),
        Attribute("accessToken", c.access_token, encrypted=True),
        Attribute("orgRole", c.org_role),
    ],
    attributes=stamps(c.created_at, c.updated_at),
)

PATTERNS: list[Pattern] = [
    Get("AP1", "a user", USER),
    Query("AP9", "an organization's users", USER, index="GSI2"),
]
