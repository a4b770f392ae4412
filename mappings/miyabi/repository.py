"""REPOSITORY: listed under its user, looked up by its own id, and found through its organization."""

from __future__ import annotations

from mappings.miyabi.schema import repositories
from mappings.miyabi.table import TABLE, stamps
from migrator.mapping import Attribute, Entity, Get, Item, Pattern, Query, without

c = repositories.c

REPOSITORY = Entity(
    "REPOSITORY",
    source=repositories,
    table=TABLE,
    items=[
        Item("USER#{user_id}", "REPO#{id}", data=without("userId"), indexes={"GSI2": ("ORG#{org_id}", "REPO#{id}")}),
        Item("REPO#{id}", "METADATA"),
    ],
    data=[
        Attribute("userId", c.user_id),
        Attribute("githubRepoId", c.github_repo_id),
        Attribute("owner", c.owner),
        Attribute("name", c.name),
        Attribute("fullName", c.full_name),
        Attribute("isActive", c.is_active),
    ],
    attributes=stamps(c.created_at, c.updated_at),
)

PATTERNS: list[Pattern] = [
    Query("AP2", "a user's repositories", REPOSITORY),
    Get("repository", "a repository by its id", REPOSITORY, item=1),
    Query("organization-repositories", "an organization's repositories", REPOSITORY, index="GSI2"),
]
