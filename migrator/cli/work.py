"""What a command works on: the models that the settings name, and the tables that the command line names."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING

import rich_click as click

from migrator.cli.models import load_models
from migrator.engines.stores import Stores, chosen
from migrator.errors import ConfigurationError, UsageError
from migrator.mapping import lint
from migrator.phases import Terms
from migrator.reconcile import Times

if TYPE_CHECKING:
    from collections.abc import Sequence

    from migrator.mapping import Entity, Model
    from migrator.settings import Settings


@dataclass(frozen=True)
class Work:
    """One model, the module that defines it, and those of its entities that are to be worked on."""

    module: str
    model: Model
    entities: Sequence[Entity]


def load_work(settings: Settings, tables: Sequence[str] = ()) -> list[Work]:
    """Import the models, refuse the ones that lint refuses, and choose the named source tables; without names, all.

    Lint's warnings go to stderr.

    Raises:
        ConfigurationError: a mapping module cannot be used, or has errors.
        UsageError: a name is no source table of any model.
    """
    models = load_models(settings.mappings)
    for model in models:
        _check(model)
    unknown = [name for name in tables if not any(model.for_source(name) for model in models)]
    if unknown:
        known = ", ".join(entity.source_name for model in models for entity in model.entities)
        raise UsageError(
            f"{', '.join(unknown)}: no source table of {' or '.join(model.name for model in models)}",
            safe="Nothing was done.",
            next_step=f"The tables are {known}.",
        )
    works = []
    for module, model in zip(dict.fromkeys(settings.mappings), models, strict=True):
        named = [name for name in tables if model.for_source(name)]
        if named or not tables:
            works.append(Work(module, model, chosen(model, named)))
    return works


def load_entities(settings: Settings, names: Sequence[str], *, mentioned: Sequence[str] = ()) -> list[Work]:
    """Import the models that have the named entities, as `load_work` does; without names, all.

    `mentioned` are names that something else is said of: they choose nothing, but there have to be such entities.

    Raises:
        ConfigurationError: as `load_work`.
        UsageError: a name is no entity of any model.
    """
    works = load_work(settings)
    unknown = [name for name in (*names, *mentioned) if not any(work.model.entity(name) for work in works)]
    if unknown:
        raise UsageError(
            f"{', '.join(unknown)}: no entity of {' or '.join(work.model.name for work in works)}",
            safe="Nothing was done.",
            next_step=f"The entities are {', '.join(each.name for work in works for each in work.entities)}.",
        )
    return [work for work in works if not names or any(work.model.entity(name) for name in names)]


def named_of(work: Work, names: Sequence[str]) -> tuple[str, ...]:
    """Those of these names that are entities of a model."""
    return tuple(name for name in names if work.model.entity(name))


def check_marks(settings: Settings) -> None:
    """Refuse models of which two map one source table: whoever takes a mark settles it for one of them, and ends it.

    Raises:
        ConfigurationError: two of them do.
    """
    mapped: dict[tuple[str | None, str], str] = {}
    for model in load_models(settings.mappings):
        for entity in model.entities:
            source = (entity.source.schema, entity.source.name)
            other = mapped.setdefault(source, model.name)
            if other != model.name:
                raise ConfigurationError(
                    f"the models {other} and {model.name} both map the table {entity.source_name}, and the marks of a "
                    "change are settled for one model only",
                    safe="Nothing was done; changes are marked.",
                    next_step="Map the table in one model, with an entity for each of the target tables.",
                )


def _check(model: Model) -> None:
    problems = lint(model)
    errors = [f"{problem.where}: {problem.sentence}" for problem in problems if problem.severity == "error"]
    if errors:
        raise ConfigurationError(
            f"the mapping of model {model.name} cannot be used:\n  " + "\n  ".join(errors),
            safe="Nothing was done.",
            next_step="Correct the mapping; `migrate lint` checks it without any store.",
        )
    for problem in problems:
        click.echo(f"warning: {problem.where}: {problem.sentence}", err=True)


def stores_of(settings: Settings) -> Stores:
    """Where the settings say that source and target are."""
    return Stores(
        settings.source_url,
        profile=settings.profile,
        region=settings.region,
        endpoint_url=settings.endpoint_url,
    )


def terms_of(settings: Settings) -> Terms:
    """The bounds within which the settings let reads move."""
    return Terms(
        max_age=timedelta(hours=settings.gate_age_hours),
        max_lag=settings.gate_lag_seconds,
        max_marks=settings.gate_marks,
    )


def times_of(settings: Settings) -> Times:
    """How long the settings let requests live."""
    return Times(
        request=settings.request_seconds,
        page=settings.page_seconds,
        signature=settings.signature_seconds,
        skew=settings.clock_skew_seconds,
    )
