"""Where the two stores are: what an engine, or a worker process of its own, needs to open them."""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from functools import cached_property
from typing import TYPE_CHECKING

from migrator.dynamodb.session import Session, open_session
from migrator.errors import ConfigurationError, UsageError
from migrator.postgres import catalog
from migrator.postgres.identifiers import TableName

if TYPE_CHECKING:
    from collections.abc import Sequence

    from migrator.mapping import Entity, Model
    from migrator.postgres.catalog import LiveTable
    from migrator.postgres.connection import Connection


@dataclass(frozen=True)
class Stores:
    """The addresses of source and target; what is None comes from the environment, as libpq and the AWS SDK read it."""

    database_url: str | None = field(default=None, repr=False)
    profile: str | None = None
    region: str | None = None
    endpoint_url: str | None = None

    def target(self) -> Session:
        """The target's endpoint and credentials, resolved at the first call: that takes a tenth of a second of CPU.

        Raises:
            ConfigurationError: see `migrator.dynamodb.session.open_session`.
        """
        return self._target

    def __getstate__(self) -> dict[str, str | None]:
        """What another process is given: the addresses alone. It opens what they stand for itself."""
        return {each.name: getattr(self, each.name) for each in fields(self)}

    @cached_property
    def _target(self) -> Session:
        return open_session(profile=self.profile, region=self.region, endpoint_url=self.endpoint_url)


def chosen(model: Model, tables: Sequence[str]) -> list[Entity]:
    """The entities of the named source tables, in the model's order; all of them where none is named.

    Raises:
        UsageError: a name is no source table of the model.
    """
    unknown = [name for name in tables if model.for_source(name) is None]
    if unknown:
        raise UsageError(
            f"{', '.join(unknown)}: no source table of model {model.name}",
            safe="Nothing was done.",
            next_step=f"Its tables are {', '.join(entity.source_name for entity in model.entities)}.",
        )
    named = {model.for_source(name) for name in tables}
    return [entity for entity in model.entities if not tables or entity in named]


async def live_table(connection: Connection, entity: Entity) -> LiveTable:
    """The source table of an entity as it is, which must be what the mapping declares.

    Raises:
        ConfigurationError: it is not.
        SourceError: there is none, or it cannot be read.
    """
    problems = await catalog.compare(connection, entity.source)
    if problems:
        raise ConfigurationError(
            f"the source is not what the mapping of {entity.name} declares: {'; '.join(problems)}",
            safe="Nothing was read or changed.",
            next_step="Run `alembic upgrade head`, or correct the mapping and run `migrate lint`.",
        )
    return await catalog.require(connection, TableName(entity.source.name, entity.source.schema))
