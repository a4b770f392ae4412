"""`migrate relay`."""

from __future__ import annotations

import asyncio
import signal
from typing import TYPE_CHECKING, Any

import rich_click as click

from migrator.cli.metrics.exports import Exports, metrics_options
from migrator.cli.metrics.relaying import RelayMetrics, Told
from migrator.cli.options import common_options, json_option, mapping_options, target_options
from migrator.cli.output import print_json
from migrator.cli.progress import relay_progress
from migrator.cli.work import check_marks, load_work, stores_of, times_of
from migrator.engines.relay import Limits
from migrator.engines.together import together
from migrator.phases import Directions
from migrator.settings import load_settings

if TYPE_CHECKING:
    from collections.abc import Sequence

    from migrator.cli.invocation import Invocation
    from migrator.cli.work import Work
    from migrator.engines.stores import Stores
    from migrator.phases import Done


@click.command("relay")
@click.argument("tables", nargs=-1, metavar="[TABLE]...")
@click.option("--until-empty", is_flag=True, help="End when no change waits any more.")
@click.option("--max-wcu", type=click.IntRange(min=1), metavar="N", help="Write units per second to stay within.")
@click.option(
    "--batch", type=click.IntRange(1, 1000), default=200, show_default=True, help="Changes to carry over at once."
)
@metrics_options
@mapping_options
@target_options
@json_option
@common_options
@click.pass_obj
def command(  # noqa: PLR0913 - its options
    invocation: Invocation,
    *,
    tables: tuple[str, ...],
    until_empty: bool,
    max_wcu: int | None,
    batch: int,
    metrics: tuple[str, int] | None,
    emf: str | None,
    as_json: bool,
) -> int | None:
    """Carry changes over into the target, and back where the target is written, until it is stopped.

    Any number may run at once. Without a TABLE, the changes of all tables are carried. Ctrl-C and SIGTERM end it when
    what is under way is settled. With --until-empty, exit code 1 where changes are set aside or refused.
    """
    exports = Exports.asked(metrics, emf, as_json=as_json)
    settings = load_settings(**invocation.settings)
    check_marks(settings)
    works = load_work(settings, tables)
    limits = Limits(batch, times_of(settings), max_wcu)
    stopped: list[signal.Signals] = []
    counts = RelayMetrics(work.model.name for work in works)
    with exports.given(counts.registry, counts.health), relay_progress(settings.marks_bytes) as progress:
        listeners = [Told(work.model.name, counts, progress) for work in works]
        run = _relay(works, stores_of(settings), limits, listeners, stopped, until_empty=until_empty)
        ended = asyncio.run(run)
    for work, done in zip(works, ended, strict=True):
        if not as_json:
            _show(work, done)
    if as_json:
        print_json({"models": [_as_json(work, done) for work, done in zip(works, ended, strict=True)]})
    if signal.SIGINT in stopped:
        raise KeyboardInterrupt
    return int(any(done.over.aside or done.back.aside for done in ended))


async def _relay(
    works: Sequence[Work],
    stores: Stores,
    limits: Limits,
    listeners: Sequence[Told],
    stopped: list[signal.Signals],
    *,
    until_empty: bool,
) -> list[Done]:
    """Each model's changes carried, until all are done or a signal comes; `stopped` gets the signal."""
    loop, stop = asyncio.get_running_loop(), asyncio.Event()

    def heed(received: signal.Signals) -> None:
        stopped.append(received)
        stop.set()
        # Whoever sends it again does not want to wait.
        loop.remove_signal_handler(received)

    for expected in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(expected, heed, expected)
    async with together() as group:
        tasks = [
            group.create_task(
                Directions(
                    work.model, work.entities, stores, limits, listener, until_empty=until_empty, stop=stop
                ).run()
            )
            for work, listener in zip(works, listeners, strict=True)
        ]
    return [task.result() for task in tasks]


def _show(work: Work, done: Done) -> None:
    name, over, back = work.model.name, done.over, done.back
    click.echo(f"{name}: {over.settled:,} changes settled in {over.seconds:,.1f} s, {over.written:,} items written")
    if back.seconds:
        click.echo(
            f"{name}: carried back in {back.seconds:,.1f} s: {back.applied:,} rows written, {back.deleted:,} deleted"
        )
    aside = over.aside or over.set_aside
    if aside:
        click.echo(f"{name}: {aside:,} {'change is' if aside == 1 else 'changes are'} set aside", err=True)
        click.echo("next: `migrate status` names them; correct the rows, then run `migrate relay` again", err=True)
    if back.aside:
        click.echo(f"{name}: the source refuses {back.aside:,} {'change' if back.aside == 1 else 'changes'}", err=True)
        click.echo("next: `migrate status` names them; correct the items, or what they collide with", err=True)


def _as_json(work: Work, done: Done) -> dict[str, Any]:
    over, back = done.over, done.back
    return {
        "name": work.model.name,
        "settled": over.settled,
        "set_aside": over.aside or over.set_aside,
        "written": over.written,
        "purged": over.purged,
        "seconds": over.seconds,
        "carried_back": {
            "applied": back.applied,
            "deleted": back.deleted,
            "skipped": back.skipped,
            "refused": back.aside,
            "lag": back.lag,
            "seconds": back.seconds,
        },
    }
