"""`migrate history`."""

from __future__ import annotations

import asyncio
from dataclasses import asdict
from typing import TYPE_CHECKING, Any, Final

import rich_click as click

from migrator.cli.alerts import VERDICTS
from migrator.cli.duration import duration_text
from migrator.cli.options import common_options, json_option, mapping_options
from migrator.cli.output import print_json, print_table, printable
from migrator.cli.work import load_work
from migrator.errors import UsageError
from migrator.postgres import divergences, state, verifications
from migrator.postgres.connection import connect
from migrator.settings import load_settings

if TYPE_CHECKING:
    from collections.abc import Sequence

    from migrator.cli.invocation import Invocation
    from migrator.postgres.divergences import Divergence
    from migrator.postgres.verifications import Verification

TIME: Final = "%Y-%m-%d %H:%M:%S"


@click.command("history")
@click.option("--limit", type=click.IntRange(min=1), default=20, show_default=True, help="How many, the latest first.")
@click.option("--divergences", "ledger", is_flag=True, help="Show the keys that were found to differ.")
@click.option("--open", "only_open", is_flag=True, help="With --divergences: those that no later look has cleared.")
@mapping_options
@json_option
@common_options
@click.pass_obj
def command(invocation: Invocation, *, limit: int, ledger: bool, only_open: bool, as_json: bool) -> None:
    """Show past verifications, or what they found.

    Times are by the source's clock, in UTC. Nothing is changed; a replica of the source will do.
    """
    if only_open and not ledger:
        raise UsageError(
            "--open is said of divergences", safe="Nothing was done.", next_step="migrate history --divergences --open"
        )
    settings = load_settings(**invocation.settings)
    models = [work.model.name for work in load_work(settings)]
    if ledger:
        found = asyncio.run(_divergences(models, settings.source_url, limit, only_open=only_open))
        if as_json:
            print_json({"models": [{"name": name, "divergences": _dicts(each)} for name, each in found.items()]})
            return
        for name, of_model in found.items():
            _show_divergences(name, of_model)
    else:
        past = asyncio.run(_verifications(models, settings.source_url, limit))
        if as_json:
            print_json({"models": [{"name": name, "verifications": _dicts(each)} for name, each in past.items()]})
            return
        for name, done in past.items():
            _show(name, done)


async def _verifications(models: Sequence[str], url: str | None, limit: int) -> dict[str, list[Verification]]:
    connection = await connect(url, purpose="history", read_only=True)
    try:
        await state.require(connection)
        return {name: await verifications.latest(connection, name, limit=limit) for name in models}
    finally:
        await connection.close()


async def _divergences(
    models: Sequence[str], url: str | None, limit: int, *, only_open: bool
) -> dict[str, list[Divergence]]:
    connection = await connect(url, purpose="history", read_only=True)
    try:
        await state.require(connection)
        return {name: await divergences.latest(connection, name, limit=limit, only_open=only_open) for name in models}
    finally:
        await connection.close()


def _dicts(records: Sequence[Verification] | Sequence[Divergence]) -> list[dict[str, Any]]:
    return [asdict(each) for each in records]


def _show(model: str, done: Sequence[Verification]) -> None:
    if not done:
        click.echo(f"{model}: nothing has been verified yet")
        return
    print_table(
        (model, "began", "took", "outcome", "of", "rows", "found", "read units"),
        [_line(each) for each in done],
    )
    for each in done:
        if each.failure is not None:
            click.echo(f"{each.id}: {printable(each.failure)}")
        if each.report is not None:
            click.echo(f"{each.id}: report: {printable(each.report)}")


def _line(done: Verification) -> tuple[str, ...]:
    found = [f"{done.counts[verdict]:,} {verdict}" for verdict in VERDICTS if done.counts.get(verdict)]
    took = "" if done.duration is None else duration_text(done.duration)
    rows = f"{done.counts['rows']:,}" if "rows" in done.counts else ""
    units = f"{done.cost['units']:,.1f}" if done.cost.get("units") else ""
    return str(done.id), f"{done.started_at:{TIME}}", took, done.outcome, _scope(done), rows, ", ".join(found), units


def _scope(done: Verification) -> str:
    """What was compared, in a few words."""
    if done.whole:
        return "everything"
    words = [", ".join(done.scope.get("tables", ()))]
    if done.scope.get("sample_percent") is not None:
        words.append(f"a sample of {done.scope['sample_percent']:g} %")
    if done.scope.get("since") is not None:
        words.append(f"since {done.scope['since']}")
    if done.scope.get("key_range") is not None:
        words.append(f"keys {done.scope['key_range']}")
    return printable("; ".join(words))


def _show_divergences(model: str, found: Sequence[Divergence]) -> None:
    if not found:
        click.echo(f"{model}: no divergence is known")
    for each in found:
        key = " / ".join(f"{name} {value}" for name, value in each.key.items())
        entity = "" if each.entity is None else f" ({each.entity})"
        what = f": {', '.join(each.attributes)}" if each.attributes else ""
        cause = "" if each.cause is None else f"; {each.cause}"
        until = "open" if each.repaired_at is None else f"in order at {each.repaired_at:{TIME}}"
        click.echo(
            printable(
                f"{each.verdict}: {each.table}, {key}{entity}{what}{cause}; seen {each.times:,} times from "
                f"{each.first_seen:{TIME}} to {each.last_seen:{TIME}}; {until}"
            )
        )
