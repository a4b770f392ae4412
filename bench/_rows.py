"""As many rows of the reference mix as one likes: some are invented, and the server makes more of them."""

from __future__ import annotations

import asyncpg
import sqlalchemy as sa

from bench.copy_cost import prepare
from mappings.miyabi.schema import metadata

_SETTINGS = {
    # Millions of rows are written at once, and are worth nothing afterwards.
    "wal_level": "minimal",
    "max_wal_senders": "0",
    "max_wal_size": "8GB",
    "shared_buffers": "512MB",
    "autovacuum": "off",
}
BASE = 10_000


def settings() -> dict[str, str]:
    """PostgreSQL's settings for a source of this kind."""
    return dict(_SETTINGS)


async def begin(database_url: str) -> None:
    """Fills the source with `BASE` rows; indexes that the toolkit has no use for are left out."""
    await prepare(database_url, BASE)
    connection = await asyncpg.connect(database_url)
    await connection.execute("CREATE SCHEMA base")
    for table in metadata.sorted_tables:
        await connection.execute(f'CREATE TABLE base."{table.name}" AS TABLE "{table.name}"')
        for index in table.indexes:
            await connection.execute(f'DROP INDEX "{index.name}"')
    await connection.close()


async def grow(database_url: str, have: int, want: int) -> None:
    """Adds rows like the first ones, with keys of their own, from `have` to `want` rows, in thousands of `BASE`."""
    connection = await asyncpg.connect(database_url)
    # Parents are there as their children are: no foreign key needs to be looked at.
    await connection.execute("SET session_replication_role = replica")
    for table in metadata.sorted_tables:
        values = ", ".join(_another(column) for column in table.columns)
        await connection.execute(
            f'INSERT INTO "{table.name}" SELECT {values} '  # noqa: S608 - names of the schema's own
            f"FROM generate_series({have // BASE}, {want // BASE - 1}) AS n, "
            f'LATERAL (SELECT * FROM base."{table.name}" OFFSET 0) AS row'
        )
        await connection.execute(f'ANALYZE "{table.name}"')
    await connection.close()


def _another(column: sa.Column[object]) -> str:
    """A column's value in the row's copy of number `n`: what makes keys is another one, and the same everywhere."""
    name = f'row."{column.name}"'
    if isinstance(column.type, sa.Uuid):
        return f"md5(n || {name}::text)::uuid"
    if column.unique:
        return f"{name} + n * 2::bigint ^ 48"
    if isinstance(column.type, sa.Text) and (column.name == "id" or column.name.endswith("_id")):
        return f"n || '-' || {name}"
    return name
