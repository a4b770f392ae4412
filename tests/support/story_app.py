"""The application of the story: transactions over all eleven tables of `miyabi`, mirrored by a dual writer.

A request brings one transaction: blocks of changes, by objects or by statements, each block in a savepoint or not,
kept or rolled back. Its answer comes after the commit. An ASGI server runs it:

    MIGRATOR_TEST_TABLE=... DATABASE_URL=... hypercorn tests.support.story_app:app
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any, Final, Literal, cast

import sqlalchemy as sa
from fastapi import FastAPI, Request, Response
from pydantic import BaseModel
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker, create_async_engine
from sqlalchemy.orm import registry

from migrator.app import DualWriter, Limits
from migrator.reconcile import Times
from tests.support.renamed import MODEL
from tests.support.story_rows import APPLICATION, TABLES, having, plain, received, sent

if TYPE_CHECKING:
    from collections.abc import Sequence

    from migrator.app import Mode
    from tests.support.story_rows import Values


class Row:
    """An object of any of the tables."""

    def __init__(self, **values: Any) -> None:  # noqa: ANN401 - of any type
        for name, value in values.items():
            setattr(self, name, value)


class Change(BaseModel):
    """Without `key`, a row is inserted; without `values`, that of the key is deleted; with both, it gets the values."""

    table: str
    key: dict[str, Any] | None
    values: dict[str, Any] | None


class Block(BaseModel):
    """Changes made together."""

    changes: list[Change]
    by: Literal["objects", "statements"]
    savepoint: bool = False
    keep: bool = True


class Transaction(BaseModel):
    """Blocks in one transaction, which is committed or (`keep` false) rolled back."""

    blocks: list[Block]
    keep: bool = True


class Wanted(BaseModel):
    """Keys of a table whose rows are asked for."""

    table: str
    keys: list[dict[str, Any]]


def mapped(table: sa.Table) -> type[Row]:
    """A class for a table; attributes have the names of their columns."""
    made: type[Row] = type(f"Row of {table.name}", (Row,), {})
    registry().map_imperatively(made, table)
    return made


CLASSES: Final = {name: mapped(table) for name, table in TABLES.items()}

url = os.environ["DATABASE_URL"]
engine = create_async_engine(
    url.replace("postgresql://", "postgresql+asyncpg://", 1),
    connect_args={"server_settings": {"application_name": APPLICATION}},
    pool_size=8,
)
sessions = async_sessionmaker(engine)
times = Times(
    *(float(os.environ[f"MIGRATOR_{each}_SECONDS"]) for each in ("REQUEST", "PAGE", "SIGNATURE", "CLOCK_SKEW"))
)
mode = cast("Mode", os.environ.get("STORY_MODE", "background"))

writer = DualWriter(MODEL, url, mode=mode, limits=Limits(attempt=3.0, lease=0.5, rest=1.0, times=times))
writer.attach(sessions)
app = FastAPI(lifespan=writer.lifespan)


@app.exception_handler(SQLAlchemyError)
async def failed(_request: Request, error: SQLAlchemyError) -> Response:
    """A transaction that failed is one too many: the driver is told why."""
    return Response(str(error), status_code=500)


@app.post("/transactions", status_code=204)
async def commit(transaction: Transaction) -> None:
    """Commits a transaction, or rolls it back where that is what the request asks for."""
    async with sessions() as session:
        for block in transaction.blocks:
            if not block.savepoint:
                await make(session, block)
                continue
            savepoint = await session.begin_nested()
            await make(session, block)
            await (savepoint.commit() if block.keep else savepoint.rollback())
        await (session.commit() if transaction.keep else session.rollback())


async def make(session: AsyncSession, block: Block) -> None:
    """Makes a block's changes, in the session's transaction."""
    changes = [
        (TABLES[each.table], _received(each.table, each.key), _received(each.table, each.values))
        for each in block.changes
    ]
    if block.by == "objects":
        for table, key, values in changes:
            await by_object(session, CLASSES[table.name], key, values)
        await session.flush()
        return
    for table in {table for table, _, _ in changes}:
        await by_statements(session, table, [(key, values) for of, key, values in changes if of is table])


def _received(table: str, values: Values | None) -> Values | None:
    return None if values is None else received(table, values)


async def by_object(session: AsyncSession, made: type[Row], key: Values | None, values: Values | None) -> None:
    """A change as applications make it."""
    if key is None:
        session.add(made(**values or {}))
        return
    found = await session.get_one(made, tuple(key.values()))
    if values is None:
        await session.delete(found)
        return
    for name, value in values.items():
        setattr(found, name, value)


async def by_statements(
    session: AsyncSession, table: sa.Table, changes: Sequence[tuple[Values | None, Values | None]]
) -> None:
    """Changes that name no row to the session: the mirror does not see them."""
    inserted = [values for key, values in changes if key is None and values is not None]
    if inserted:
        await session.execute(sa.insert(table), inserted)
    deleted = [tuple(key.values()) for key, values in changes if key is not None and values is None]
    if deleted:
        await session.execute(sa.delete(table).where(having(table.name, deleted)))
    for key, values in changes:
        if key is not None and values is not None:
            await session.execute(sa.update(table).where(having(table.name, [tuple(key.values())])).values(**values))


@app.post("/rows")
async def rows(wanted: Wanted) -> Response:
    """The rows of these keys that there are."""
    keys = [tuple(received(wanted.table, key).values()) for key in wanted.keys]
    async with sessions() as session:
        found = await session.execute(sa.select(TABLES[wanted.table]).where(having(wanted.table, keys)))
        return Response(sent([plain(row) for row in found.mappings()]), media_type="application/json")
