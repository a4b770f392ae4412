"""A small application on the model `miyabi`. Three lines of it are the adapter's; nothing else knows of DynamoDB.

DATABASE_URL=postgresql://... AWS_REGION=... uvicorn examples.fastapi_app.main:app
"""

from __future__ import annotations

import os
from dataclasses import asdict
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Any

from fastapi import Body, Depends, FastAPI, HTTPException
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker, create_async_engine

from examples.fastapi_app.tables import Organization
from mappings.miyabi import MODEL
from migrator.app import DualWriter

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

url = os.environ["DATABASE_URL"]
engine = create_async_engine(url.replace("postgresql://", "postgresql+asyncpg://", 1))
sessions = async_sessionmaker(engine)

writer = DualWriter(MODEL, url)
writer.attach(sessions)
app = FastAPI(lifespan=writer.lifespan)


async def transaction() -> AsyncIterator[AsyncSession]:
    """A transaction per request, committed before the response is sent."""
    async with sessions.begin() as session:
        yield session


Transaction = Annotated[AsyncSession, Depends(transaction, scope="function")]


@app.put("/organizations/{key}")
async def put(key: str, name: Annotated[str, Body(embed=True)], session: Transaction) -> dict[str, str]:
    """Creates an organization, or changes its name."""
    now = datetime.now(UTC)
    found = await session.get(Organization, key)
    if found is None:
        session.add(Organization(id=key, name=name, created_at=now, updated_at=now))
    else:
        found.name, found.updated_at = name, now
    return {"id": key, "name": name}


@app.get("/organizations/{key}")
async def get(key: str, session: Transaction) -> dict[str, str]:
    """Reads an organization, from PostgreSQL."""
    found = await session.get(Organization, key)
    if found is None:
        raise HTTPException(404)
    return {"id": found.id, "name": found.name}


@app.delete("/organizations/{key}", status_code=204)
async def delete(key: str, session: Transaction) -> None:
    """Deletes an organization."""
    found = await session.get(Organization, key)
    if found is not None:
        await session.delete(found)


@app.get("/mirror")
async def mirror() -> dict[str, Any]:
    """What the adapter has done in this process."""
    return {"mode": writer.mode, **asdict(writer.counts)}


@app.put("/mirror")
async def switch(*, on: Annotated[bool, Body(embed=True)]) -> dict[str, str]:
    """The kill switch: with the mirror off, changes reach DynamoDB by the relay alone."""
    writer.mode = "background" if on else "off"
    return {"mode": writer.mode}
