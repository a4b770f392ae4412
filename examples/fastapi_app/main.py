"""A small application on the model `miyabi`, which reads and writes wherever the migration is, from the first phase on.

DATABASE_URL=postgresql://... AWS_REGION=... uvicorn examples.fastapi_app.main:app

Without DATABASE_URL it has left PostgreSQL behind: the migration is complete.
"""

from __future__ import annotations

import os
from contextlib import asynccontextmanager
from dataclasses import asdict
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Any

from fastapi import Body, FastAPI, HTTPException, Request
from fastapi.responses import JSONResponse
from sqlalchemy.ext.asyncio import async_sessionmaker, create_async_engine

from mappings.miyabi import MODEL
from migrator.app import DualWriter, Router
from migrator.app.repository import AsyncRepository, ConflictError, NotFoundError, UnavailableError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession

    from migrator.errors import MigratorError

url = os.environ.get("DATABASE_URL")
engine: AsyncEngine | None = None
sessions: async_sessionmaker[AsyncSession] | None = None
writer: DualWriter | None = None
if url is None:
    router = Router(MODEL, phase="complete")
else:
    engine = create_async_engine(url.replace("postgresql://", "postgresql+asyncpg://", 1))
    sessions = async_sessionmaker(engine)
    writer = DualWriter(MODEL, url)
    writer.attach(sessions)
    router = Router(MODEL, url, writer=writer)
organizations = AsyncRepository(router, "ORGANIZATION", sessions)


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[None]:
    """Opens what has threads and connections, and closes it."""
    async with router:
        if writer is None or engine is None:
            yield
            return
        async with writer.lifespan(app):
            yield
        await engine.dispose()


app = FastAPI(lifespan=lifespan)


@app.exception_handler(NotFoundError)
@app.exception_handler(ConflictError)
@app.exception_handler(UnavailableError)
async def failed(_request: Request, error: MigratorError) -> JSONResponse:
    """Tells the client what went wrong: while writes move from one store to the other, to try again in a moment."""
    if isinstance(error, UnavailableError):
        return JSONResponse({"detail": error.what}, 503, {"Retry-After": "1"})
    return JSONResponse({"detail": error.what}, 404 if isinstance(error, NotFoundError) else 409)


@app.put("/organizations/{key}")
async def put(key: str, name: Annotated[str, Body(embed=True)]) -> dict[str, str]:
    """Creates an organization, or changes its name."""
    now = datetime.now(UTC)
    try:
        record = (await organizations.get(id=key)).model_copy(update={"name": name, "updated_at": now})
    except NotFoundError:
        record = organizations.record(id=key, name=name, created_at=now, updated_at=now)
    async with organizations.writing() as write:
        await organizations.put(write, record)
    return {"id": key, "name": name}


@app.get("/organizations/{key}")
async def get(key: str) -> dict[str, str]:
    """Reads an organization."""
    found = await organizations.get(id=key)
    return {"id": found.id, "name": found.name}


@app.delete("/organizations/{key}", status_code=204)
async def delete(key: str) -> None:
    """Deletes an organization."""
    found = await organizations.get(id=key)
    async with organizations.writing() as write:
        await organizations.delete(write, found)


@app.get("/mirror")
async def mirror() -> dict[str, Any]:
    """What the adapter has done in this process."""
    used = _writer()
    return {"mode": used.mode, **asdict(used.counts)}


@app.put("/mirror")
async def switch(*, on: Annotated[bool, Body(embed=True)]) -> dict[str, str]:
    """The kill switch: with the mirror off, changes reach DynamoDB by the relay alone."""
    used = _writer()
    used.mode = "background" if on else "off"
    return {"mode": used.mode}


def _writer() -> DualWriter:
    if writer is None:
        raise HTTPException(404, "there is no mirror without PostgreSQL")
    return writer
