"""Timelines: a standby that is promoted begins a new one, and may lack the last commits of the primary before it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from migrator.postgres.errors import OWN_TABLES, errors_explained
from migrator.postgres.queries import QUERIES

if TYPE_CHECKING:
    from collections.abc import Sequence

    from migrator.postgres.connection import Connection


@dataclass(frozen=True, slots=True)
class Promotion:
    """The source was promoted: seconds since that was first seen, and the sources that were not accepted since."""

    seconds: float
    sources: tuple[str, ...]

    @property
    def warning(self) -> str:
        """What to say of it."""
        return (
            f"the source was promoted since {', '.join(self.sources)} were known to be in order: commits that the "
            "primary before it had carried over may be missing. Changes are carried over as before; run "
            "`migrate verify --repair` to bring the target back to what the source holds"
        )


async def promotion(connection: Connection, sources: Sequence[str]) -> Promotion | None:
    """Note the timeline that the source is on; return what is known of it where it is not the first.

    Args:
        connection: a session on the primary.
        sources: the sources to tell of, as `schema.table`.

    Raises:
        SourceError: PostgreSQL cannot be reached, or is a replica by now.
    """
    with errors_explained("see which timeline the source is on", connection=connection, privileges=OWN_TABLES):
        await connection.execute(QUERIES["note_timeline"])
        row = await connection.fetchrow(QUERIES["promotion"], list(sources))
    return row and Promotion(row["seconds"], tuple(row["sources"]))
