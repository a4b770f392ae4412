"""The way back of the reference mix, and of types that are not in it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from migrator.engines.rehearsal import rehearse
from migrator.postgres import phases
from migrator.postgres.connection import connect
from migrator.postgres.stand_in import text_of

if TYPE_CHECKING:
    from tests.support.migration import Migration


async def follow(migration: Migration) -> None:
    session = await connect(migration.database.url, purpose="test")
    try:
        await phases.move(session, migration.model.name, [each.name for each in migration.model.entities], "dual_write")
    finally:
        await session.close()


@pytest.mark.uncovered
async def test_every_entity_of_the_reference_comes_back(copied: Migration) -> None:
    await follow(copied)
    found = await rehearse(copied.model, copied.stores, sample=60)
    assert [each.failures for each in found] == [[] for _ in found]
    assert all(each.proven + each.expired == each.rows > 0 for each in found)
    assert sum(each.proven for each in found) > 300


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, None),
        (True, "true"),
        (b"\x01\xff", "\\x01ff"),
        ([], "{}"),
        (['a "b" \\', None, "NULL"], '{"a \\"b\\" \\\\",NULL,"NULL"}'),
        ([[1, 2], [3, None]], '{{"1","2"},{"3",NULL}}'),
        ([b"\x00"], '{"\\\\x00"}'),
        (float("inf"), "inf"),
    ],
)
def test_values_as_text(value: object, text: str | None) -> None:
    assert text_of(value) == text
