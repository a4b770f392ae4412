"""Keys that an earlier verification has found, looked at again where not everything is read: what became of them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from migrator.engines.verify.judging.judge import BATCH, Looked

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping, Sequence

    from migrator.engines.verify.findings import Difference, Report
    from migrator.engines.verify.judging.judge import Judge
    from migrator.engines.verify.suspects import Suspects


async def look_again(
    suspects: Suspects,
    judges: Mapping[str, Judge],
    report: Report,
    in_order: Callable[[str, Sequence[Mapping[str, object]]], Awaitable[None]],
) -> None:
    """Judges these keys; the report gets what differs or moves still, as far as it does not have it.

    Args:
        suspects: the keys.
        judges: the judge of each table.
        report: what was found so far.
        in_order: is given a table and those of its keys that are in order.

    Raises:
        SourceError, TargetError: a store cannot be reached or used.
    """
    known = {_named(each) for each in [*report.differences, *report.moving]}
    moving = {name: Looked() for name in judges}

    async def take(table: str, lines: Sequence[bytes], looked: Looked) -> None:
        fresh = (each for each in looked.found.values() if _named(each) not in known)
        for difference in fresh:
            report.found(difference)
        wrong = looked.found.keys() | looked.moving.keys()
        await in_order(table, [judges[table].named(line) for line in lines if line not in wrong])

    for table, lines in suspects.batches(BATCH):
        looked = await judges[table].look(lines)
        await take(table, lines, looked)
        moving[table].add(Looked({}, looked.moving, looked.waiting, looked.written))
    for table, some in moving.items():
        settled = await judges[table].settle(some, followed=report.followed)
        await take(table, list(some.moving), settled)
        report.moving += [each for each in settled.moving.values() if _named(each) not in known]


def _named(difference: Difference) -> tuple[str, ...]:
    return difference.table, *map(str, difference.key.values())
