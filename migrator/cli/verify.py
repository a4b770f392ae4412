"""`migrate verify`."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, Final

import rich_click as click

from migrator.cli.options import common_options, json_option, mapping_options, target_options, workers_option
from migrator.cli.output import print_json, print_table, printable
from migrator.cli.progress import verify_progress
from migrator.cli.work import load_work, stores_of
from migrator.engines.verify import Difference, Report, Scope, Verdict, verify
from migrator.settings import load_settings

if TYPE_CHECKING:
    from collections.abc import Iterator

    from migrator.cli.invocation import Invocation
    from migrator.cli.work import Work
    from migrator.engines.stores import Stores

DIFFERENT: Final = 3
SHOWN: Final = 20


@click.command("verify")
@click.argument("tables", nargs=-1, metavar="[TABLE]...")
@workers_option
@click.option("--max-rcu", type=click.IntRange(min=1), metavar="N", help="Read units per second to stay within.")
@mapping_options
@target_options
@json_option
@common_options
@click.pass_obj
def command(
    invocation: Invocation, *, tables: tuple[str, ...], workers: int, max_rcu: int | None, as_json: bool
) -> int:
    """Prove that the target holds what the source asks for, and nothing else.

    Without a TABLE, all tables of the mappings are compared. Differences are named by key and attribute; values are
    never shown. Exit code 3 where there are any. Neither store's data is changed.
    """
    settings = load_settings(**invocation.settings)
    works = load_work(settings, tables)
    stores = stores_of(settings)
    reports = []
    for work in works:
        report = _run(work, stores, Scope(max_rcu, workers))
        reports.append(report)
        if not as_json:
            _show(work, report)
    if as_json:
        print_json({"models": [_as_json(work, report) for work, report in zip(works, reports, strict=True)]})
    return 0 if all(report.clean for report in reports) else DIFFERENT


def _run(work: Work, stores: Stores, scope: Scope) -> Report:
    with verify_progress() as progress:
        verifying = verify(work.model, work.entities, stores, mappings=work.module, scope=scope, listener=progress)
        return asyncio.run(verifying)


def _show(work: Work, report: Report) -> None:
    name = work.model.name
    print_table(
        ("table", "rows"),
        [(entity.source_name, report.rows.get(entity.source_name, 0)) for entity in work.entities],
    )
    click.echo(
        f"{name}: {report.items_expected:,} items expected, {report.items_scanned:,} scanned, {report.expired:,} rows "
        f"past their TTL, in {report.seconds:,.1f} s"
    )
    if report.clean:
        click.echo(f"{name}: target and source are equal")
        return
    found = [f"{report.count(verdict):,} {verdict.value}" for verdict in Verdict if report.count(verdict)]
    if report.unjudged:
        found.append(f"{report.unjudged:,} more that were not looked at one by one")
    click.echo(f"{name}: {len(report.differences) + report.unjudged:,} differences: {', '.join(found)}")
    for difference in report.differences[:SHOWN]:
        click.echo(f"  {_sentence(difference)}")
    if len(report.differences) > SHOWN:
        click.echo(f"  and {len(report.differences) - SHOWN:,} more; `migrate verify --json` lists them all")
    for step in _next_steps(work, report):
        click.echo(f"next: {step}", err=True)


def _sentence(difference: Difference) -> str:
    """One difference in one line: verdict, table, key, entity, and what differs, without values."""
    key = " / ".join(f"{name} {_text(value)}" for name, value in difference.key.items())
    sentence = f"{difference.verdict.value}: {difference.table}, {key}"
    if difference.entity is not None:
        sentence += f" ({difference.entity})"
    if difference.attributes:
        sentence += f": {', '.join(_attribute(difference, name) for name in difference.attributes)}"
    return printable(sentence if difference.reason is None else f"{sentence}: {difference.reason}")


def _attribute(difference: Difference, name: str) -> str:
    return f"{name} (index key)" if name in difference.index_keys else name


def _next_steps(work: Work, report: Report) -> Iterator[str]:
    """What may be done about differences of the kinds that were found."""
    lacking = {each.entity for each in report.differences if each.verdict in {Verdict.MISSING, Verdict.DIFFERENT}}
    if lacking:
        tables = " ".join(entity.source_name for entity in work.entities if entity.name in lacking)
        yield f"`migrate copy --restart {tables}` writes missing and different items as the source has them now"
    if report.count(Verdict.EXTRA):
        yield "delete extra items, such as those of rows that were deleted since the copy"
    if report.count(Verdict.UNVERIFIABLE):
        yield "correct the rows that cannot be verified, or their mapping"
    if report.unjudged:
        yield "so many differences have one cause, as a rule: see `migrate status`"


def _text(value: object) -> str:
    return f"0x{value.hex()}" if isinstance(value, bytes) else str(value)


def _as_json(work: Work, report: Report) -> dict[str, Any]:
    return {
        "name": work.model.name,
        "fingerprint": work.model.fingerprint,
        "clean": report.clean,
        "rows": report.rows,
        "items_expected": report.items_expected,
        "items_scanned": report.items_scanned,
        "expired": report.expired,
        "read_units": report.read_units,
        "suspects": report.suspects,
        "unjudged": report.unjudged,
        "seconds": report.seconds,
        "differences": [
            {
                "verdict": difference.verdict.value,
                "table": difference.table,
                "key": {name: _text(value) for name, value in difference.key.items()},
                "entity": difference.entity,
                "row_key": difference.row_key,
                "attributes": difference.attributes,
                "index_keys": difference.index_keys,
                "ttl": difference.ttl,
                "reason": difference.reason,
            }
            for difference in report.differences
        ],
    }
