"""ORGANIZATION: found by its id."""

from __future__ import annotations

from mappings.miyabi.schema import organizations
from mappings.miyabi.table import TABLE, stamps
from migrator.mapping import Attribute, Entity, Get, Item, Pattern

c = organizations.c

ORGANIZATION = Entity(
    "ORGANIZATION",
    source=organizations,
    table=TABLE,
    items=[
        Item("ORG#{id}", "METADATA"),
    ],
    data=[
        Attribute("name", c.name),
        Attribute("githubOrgId", c.github_org_id),
        Attribute("plan", c.plan),
        Attribute("billingEmail", c.billing_email),
        Attribute("settings", c.settings),
    ],
    attributes=stamps(c.created_at, c.updated_at),
)

PATTERNS: list[Pattern] = [
    Get("organization", "an organization by its id", ORGANIZATION),
]
