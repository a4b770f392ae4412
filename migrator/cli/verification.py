"""A verification as commands run and show it: differences are named by key and attribute, values are never shown."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Final

import rich_click as click

from migrator.cli import parities
from migrator.cli.output import print_json, print_table, printable
from migrator.cli.progress import verify_progress
from migrator.engines.verify import Coverage, Difference, Report, Scope, Suspects, Verdict, foresee, verify

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from migrator.cli.metrics.verifying import VerifyMetrics
    from migrator.cli.work import Work
    from migrator.engines.stores import Stores

SHOWN: Final = 20


@dataclass(frozen=True)
class Comparison:
    """How commands verify: which stores, how, and what counts it."""

    stores: Stores
    scope: Scope
    counts: VerifyMetrics

    def __call__(self, work: Work, suspects: Suspects | None = None, *, again: Suspects | None = None) -> Report:
        """Verify a model's tables, showing how far it is; `suspects` is given the keys that a repair could mend.

        Those in `again` are looked at in any case.
        """
        with verify_progress() as progress:
            verifying = verify(
                work.model,
                work.entities,
                self.stores,
                mappings=work.module,
                scope=self.scope,
                suspects=suspects,
                again=again,
                listener=self.counts.reading(work.model.name, progress),
                notice=partial(click.echo, err=True),
            )
            report = asyncio.run(verifying)
        self.counts.ended(work.model.name, report)
        return report


def tell_cost(works: Sequence[Work], stores: Stores, scope: Scope, *, as_json: bool) -> None:
    """Say what verifications would cost, and make none."""
    told: list[dict[str, object]] = []
    notice = partial(click.echo, err=True) if as_json else click.echo
    for work in works:
        report = asyncio.run(foresee(work.model, work.entities, stores, scope=scope, notice=notice))
        told.append(
            {"name": work.model.name, "foreseen_units": report.cost.foreseen_units, "dollars": report.cost.dollars}
        )
    if as_json:
        print_json({"costs": told})


def show(work: Work, report: Report, *, steps: bool = True) -> None:
    """Show what was found; with `steps`, also what may be done about it."""
    name = work.model.name
    print_table(
        ("table", "rows"),
        [(entity.source_name, report.rows.get(entity.source_name, 0)) for entity in work.entities],
    )
    click.echo(
        f"{name}: {report.items_expected:,} items expected, {report.items_scanned:,} scanned, {report.expired:,} rows "
        f"past their TTL, in {report.seconds:,.1f} s"
    )
    for line in _of_scope(report):
        click.echo(f"{name}: {line}")
    if report.foreign:
        click.echo(f"{name}: {report.foreign:,} items that are declared not to be of the model, and were not looked at")
    parities.show(report.parities)
    if report.clean:
        part = "" if report.scope == Coverage() else ", as far as was looked at"
        click.echo(f"{name}: target and source are equal{part}")
        return
    if report.differences or report.unjudged:
        click.echo(f"{name}: {len(report.differences) + report.unjudged:,} differences: {_found(report)}")
        _list(report.differences)
    odd = [parity.pattern for parity in report.parities if parity.differs or parity.unsettled]
    if odd:
        click.echo(f"{name}: the stores answer differently, or moved for as long as they were asked: {', '.join(odd)}")
    if report.moving:
        click.echo(f"{name}: {len(report.moving):,} keys are not verified, since changes of them are on their way:")
        _list(report.moving)
    for step in next_steps(work, report) if steps else ():
        click.echo(f"next: {step}", err=True)


def _found(report: Report) -> str:
    """How many differences there are of each kind; wrong index keys and expiries are among them, and told apart."""
    words = [f"{report.count(verdict):,} {verdict.value}" for verdict in Verdict if report.count(verdict)]
    for kind, count in (
        ("in an index key", sum(bool(each.index_keys) for each in report.differences)),
        ("in the expiry", sum(each.ttl for each in report.differences)),
    ):
        words += [f"{count:,} {kind}"] if count else []
    if report.unjudged:
        words.append(f"{report.unjudged:,} more that were not looked at one by one")
    return ", ".join(words)


def _list(differences: Sequence[Difference]) -> None:
    for difference in differences[:SHOWN]:
        click.echo(f"  {_sentence(difference)}")
    if len(differences) > SHOWN:
        click.echo(f"  and {len(differences) - SHOWN:,} more; `migrate verify --json` lists them all")


def _of_scope(report: Report) -> Iterator[str]:
    """What the reading took, what a part of it says of the whole, and what nothing is said about."""
    yield f"{report.cost.units:,.1f} read units, ${report.cost.dollars:,.6f} on demand"
    if report.scope.confidence is not None:
        yield report.scope.confidence
    for sentence in report.scope.not_verified:
        yield f"not verified: {sentence}"


def _sentence(difference: Difference) -> str:
    """One difference in one line: verdict, table, key, entity, and what differs, without values."""
    key = " / ".join(f"{name} {_text(value)}" for name, value in difference.key.items())
    sentence = f"{difference.verdict.value}: {difference.table}, {key}"
    if difference.entity is not None:
        sentence += f" ({difference.entity})"
    if difference.attributes:
        sentence += f": {', '.join(_attribute(difference, name) for name in difference.attributes)}"
    if difference.reason is not None:
        sentence += f": {difference.reason}"
    if difference.cause is not None:
        sentence += f"; cause: {difference.cause.value}"
    return printable(sentence)


def _attribute(difference: Difference, name: str) -> str:
    return f"{name} (index key)" if name in difference.index_keys else name


def next_steps(work: Work, report: Report) -> Iterator[str]:
    """What may be done about differences of the kinds that were found."""
    wrong = [each for each in report.differences if each.verdict is not Verdict.UNVERIFIABLE]
    differing = [each for each in wrong if each.entity not in report.carried_back]
    if differing != wrong:
        yield (
            "see that `migrate relay` runs, which carries back what applications write to the target, and in `migrate "
            "status` what the source refuses; then verify again"
        )
    mastered = report.followed or bool(report.carried_back)
    if not mastered:
        yield from _before_dual_write(work, differing)
    elif report.unjudged or any(each.entity is not None for each in differing):
        yield f"`migrate verify --repair{_tables(work, differing)}` brings what differs in order, beside relays"
    if mastered and any(each.entity is None for each in differing):
        yield "items that no row of the mapping can own are never touched: delete them where nobody else needs them"
    if report.moving:
        yield (
            "run relays (`migrate relay`), then verify again"
            if mastered
            else "from dual_write on, relays carry over what has changed (`migrate switch dual-write`)"
        )
    if any(parity.differs for parity in report.parities) and not (wrong or report.moving or report.unjudged):
        yield "all items agree, so look at the declaration of the pattern: its index, its order, its condition"
    if any(parity.unsettled for parity in report.parities):
        yield "verify again when fewer changes wait (`migrate status`)"
    if report.count(Verdict.UNVERIFIABLE):
        yield "correct the rows that cannot be verified, or their mapping"
    if report.unjudged:
        yield "so many differences have one cause, as a rule: see `migrate status`"


def _before_dual_write(work: Work, differing: Sequence[Difference]) -> Iterator[str]:
    lacking = [each for each in differing if each.verdict is not Verdict.EXTRA]
    if lacking:
        tables = _tables(work, lacking)
        yield f"`migrate copy --restart{tables}` writes missing and different items as the source has them now"
    if len(lacking) < len(differing):
        yield (
            "delete extra items, such as those of rows that were deleted since the copy; from dual_write on "
            "`migrate verify --repair` does"
        )


def _tables(work: Work, differences: Sequence[Difference]) -> str:
    """The source tables of differences, as arguments; none where there may be others."""
    names = {each.entity for each in differences if each.entity is not None}
    return "".join(f" {each.source_name}" for each in work.entities if each.name in names)


def _text(value: object) -> str:
    return f"0x{value.hex()}" if isinstance(value, bytes) else str(value)
