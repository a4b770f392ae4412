"""`migrate lint`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import rich_click as click

from migrator.cli.models import load_models
from migrator.cli.options import common_options, json_option, mapping_options
from migrator.cli.output import print_json
from migrator.mapping import Model, Problem, lint
from migrator.settings import load_settings

if TYPE_CHECKING:
    from migrator.cli.invocation import Invocation


@click.command("lint")
@mapping_options
@json_option
@common_options
@click.pass_obj
def command(invocation: Invocation, *, as_json: bool) -> int:
    """Check the mappings, without any store.

    Exit code 1 where a mapping has an error; warnings alone leave it 0.
    """
    models = load_models(load_settings(**invocation.settings).mappings)
    found = [(model, lint(model)) for model in models]
    if as_json:
        print_json({"models": [_as_json(model, problems) for model, problems in found]})
    else:
        for model, problems in found:
            _print(model, problems)
    return int(any(problem.severity == "error" for _, problems in found for problem in problems))


def _as_json(model: Model, problems: list[Problem]) -> dict[str, object]:
    return {
        "name": model.name,
        "fingerprint": model.fingerprint,
        "problems": [
            {"severity": problem.severity, "where": problem.where, "sentence": problem.sentence} for problem in problems
        ],
    }


def _print(model: Model, problems: list[Problem]) -> None:
    for problem in problems:
        click.echo(f"{problem.severity}: {problem.where}: {problem.sentence}")
    errors = sum(problem.severity == "error" for problem in problems)
    click.echo(
        f"{model.name}: {_count(len(model.entities), 'entity', 'entities')}, "
        f"{_count(errors, 'error', 'errors')}, {_count(len(problems) - errors, 'warning', 'warnings')}"
    )


def _count(number: int, one: str, several: str) -> str:
    return f"{number} {one if number == 1 else several}"
