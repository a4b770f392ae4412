"""A role that may do nothing gets by on the grants that messages name: no more, and each of them ready to run."""

from __future__ import annotations

import asyncio
import re
import secrets
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit, urlunsplit

import pytest

from migrator import phases
from migrator.app import Limits as MirrorLimits
from migrator.app.mirror import Mirror
from migrator.app.row_name import RowName
from migrator.dynamodb.client import Client
from migrator.engines.verify import Suspects, accept, look, repair
from migrator.errors import SourceError
from migrator.postgres.connection import pool
from migrator.reconcile import Times
from tests.support.relaying import change, drain, follow, waiting
from tests.support.stores import Database

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable

    from tests.support.migration import Migration

INSERT = "INSERT INTO organizations (id, name, created_at, updated_at) VALUES ('{0}', '{0}', now(), now())"
MOST_GRANTS = 40
"""Of each table and of the toolkit's own schema a few."""


@asynccontextmanager
async def nobody(owner: Migration) -> AsyncIterator[Migration]:
    """The same migration for a role without any privilege."""
    name, password = f"nobody_{secrets.token_hex(8)}", secrets.token_hex(8)
    parts = urlsplit(owner.database.url)
    netloc = f"{name}:{password}@{parts.netloc.rpartition('@')[2]}"
    await change(owner, f"CREATE ROLE {name} LOGIN PASSWORD '{password}'")
    try:
        yield replace(owner, database=Database(urlunsplit(parts._replace(netloc=netloc))))
    finally:
        await change(owner, f"DROP OWNED BY {name}", f"DROP ROLE {name}")


async def granted(owner: Migration, work: Callable[[], Awaitable[Any]]) -> set[str]:
    """Does work, and what its messages say each time that it lacks a privilege; returns the grants."""
    grants: set[str] = set()
    for _ in range(MOST_GRANTS):
        refused = await refusal(work)
        if refused is None:
            return grants
        assert "lacks a privilege" in refused.what, refused
        found = re.fullmatch("as the owner run: (.+)", str(refused.next_step))
        assert found is not None, refused
        new = set(found[1].split("; ")) - grants
        assert new, f"the grants that were named do not do: {refused}"
        await change(owner, *new)
        grants |= new
    raise AssertionError("there is no end of grants")


async def refusal(work: Callable[[], Awaitable[Any]]) -> SourceError | None:
    try:
        await work()
    except SourceError as error:
        return error
    return None


async def mirrored(migration: Migration, row: RowName) -> None:
    async with (
        pool(migration.database.url, purpose="mirror", size=3) as sessions,
        Client(migration.stores.target()) as client,
    ):
        mirror = Mirror(migration.model, sessions, client, MirrorLimits())
        await mirror.inspect()
        await mirror.carry([row])


async def repaired(migration: Migration) -> None:
    entities = migration.model.entities
    outlook = await look(migration.model, entities, migration.stores, life=0.0)
    with Suspects() as suspects:
        suspects.add(migration.table.name, b'["ORG#gone","METADATA"]')
        await repair(migration.model, entities, migration.stores, suspects, times=Times(request=2.0))
    await accept(migration.stores, list(outlook.acceptable.values()))


@pytest.mark.uncovered
async def test_what_messages_name_is_enough_to_copy_relay_verify_repair_and_mirror(miyabi: Migration) -> None:
    await follow(miyabi)
    async with nobody(miyabi) as role:
        grants = await granted(miyabi, lambda: drain(role))
        assert any("SEQUENCES IN SCHEMA migrator" in grant for grant in grants)
        await change(miyabi, INSERT.format("one"), "DELETE FROM execution_logs")
        await granted(miyabi, lambda: drain(role))
        assert await waiting(miyabi) == 0
        await granted(miyabi, lambda: role.copy(restart=True))
        await granted(miyabi, role.verify)
        await granted(miyabi, lambda: repaired(role))
        await change(miyabi, INSERT.format("two"))
        await granted(miyabi, lambda: mirrored(role, RowName("organizations", ("two",))))
        assert await waiting(miyabi) == 0
        await granted(miyabi, lambda: phases.move(role.model, role.database.url, "prepare", life=0.0))
        for grant in grants:
            assert not re.search("SUPERUSER|CREATE|WITH GRANT", grant)
    assert await miyabi.differing() == []
    assert (await asyncio.wait_for(miyabi.verify(), 60)).clean
