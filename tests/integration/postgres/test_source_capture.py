"""Whether capture is on a table."""

from __future__ import annotations

from typing import TYPE_CHECKING

from migrator.postgres import capture
from migrator.postgres.identifiers import TableName

if TYPE_CHECKING:
    from migrator.postgres.connection import Connection


async def test_capture_is_installed_where_its_trigger_fires_always(session: Connection) -> None:
    await session.execute("CREATE FUNCTION mark() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END'")
    for name in ("always", "origin_only", "disabled", "none"):
        await session.execute(f"CREATE TABLE {name} (id int PRIMARY KEY)")
    for name in ("always", "origin_only", "disabled"):
        await session.execute(
            f"CREATE TRIGGER migrator_capture AFTER INSERT ON {name} FOR EACH ROW EXECUTE FUNCTION mark()"
        )
    await session.execute("ALTER TABLE always ENABLE ALWAYS TRIGGER migrator_capture")
    await session.execute("ALTER TABLE disabled DISABLE TRIGGER migrator_capture")

    tables = [TableName(name) for name in ("none", "always", "origin_only", "disabled", "absent")]
    found = await capture.installed(session, tables)
    assert [table.name for table, installed in found.items() if installed] == ["always"]
    assert list(found) == tables
