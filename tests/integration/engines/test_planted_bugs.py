"""Bugs planted in one witness are found by another, because they share no code."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from migrator.engines.verify import Verdict
from migrator.engines.verify.judging.judge import DISAGREEMENT
from migrator.engines.verify.patterns import asking
from migrator.mapping.kind import Instant
from tests.support.planted import BUGS, in_encoder, in_testimonies

if TYPE_CHECKING:
    from migrator.mapping import AttributeValue, RowValue
    from tests.support.migration import Migration

pytestmark = pytest.mark.uncovered

DROPPED = next(bug for bug in BUGS if bug.name == "microseconds dropped")
# Each takes the fraction of every instant away before it says anything.
ROWS_WITHOUT = ("row witness", r"( +)(v0, .* = row\n)", r"\1\2\1v1, v2, v7, v8 = map(whole, (v1, v2, v7, v8))\n")
ITEMS_WITHOUT = ("item witness", r"\{s\[11:-1\]\}", "{s[11:19]}")
WHOLE = ("row witness", r"\A", "whole = lambda text: text and text[:19] + '+00'\n")


async def test_each_bug_of_the_encoder_is_found_by_the_testimonies(miyabi: Migration) -> None:
    # What a bug leaves out is still there where another copy has written it.
    for bug in reversed(BUGS):
        if bug.rows is not None:
            async with miyabi.session() as session:
                await session.execute(bug.rows)
        with in_encoder(bug.pattern, bug.replacement) as hit:
            await miyabi.copy(bug.table, restart=True)
        assert hit, bug.name
        report = await miyabi.verify(bug.table)
        found = {name for difference in report.differences for name in difference.attributes}
        assert found == bug.attributes, bug.name
        verdict = Verdict.DIFFERENT if bug.attributes else Verdict.MISSING
        assert {difference.verdict for difference in report.differences} == {verdict}, bug.name
        await miyabi.copy(bug.table, restart=True)
        assert (await miyabi.verify(bug.table)).clean, bug.name


async def test_a_bug_of_both_ways_to_encode_is_found(miyabi: Migration, monkeypatch: pytest.MonkeyPatch) -> None:
    """The readable path, by which differences are named, takes the item for right: the testimonies do not."""
    exact = Instant.to_attribute

    def cut(kind: Instant, value: RowValue, level: int) -> AttributeValue:
        (text,) = exact(kind, value, level).values()
        return {"S": text[:19] + "Z"}

    async with miyabi.session() as session:
        await session.execute(DROPPED.rows)
    monkeypatch.setattr(Instant, "to_attribute", cut)
    with in_encoder(r"\{(\w+_iso)\}\{[^}]*\}Z", r"{\1}Z") as hit:
        await miyabi.copy("agent_executions")
    assert hit
    report = await miyabi.verify("agent_executions")
    assert len(report.differences) >= report.rows["agent_executions"]
    assert {difference.verdict for difference in report.differences} == {Verdict.UNVERIFIABLE}


async def test_a_bug_of_one_testimony_is_told_from_a_difference(copied: Migration) -> None:
    with in_testimonies(ITEMS_WITHOUT) as hit:
        report = await copied.verify("agent_executions")
    assert hit
    assert report.differences
    assert {(each.verdict, each.reason) for each in report.differences} == {(Verdict.UNVERIFIABLE, DISAGREEMENT)}


async def test_a_bug_of_both_testimonies_is_found_by_the_inverse(
    miyabi: Migration, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What no testimony tells of, the items that access patterns give back do."""
    monkeypatch.setattr(asking, "PAUSES", (0.05,) * len(asking.PAUSES))
    async with miyabi.session() as session:
        await session.execute(DROPPED.rows)
    with in_encoder(DROPPED.pattern, DROPPED.replacement):
        await miyabi.copy("agent_executions")
    with in_testimonies(WHOLE, ROWS_WITHOUT, ITEMS_WITHOUT) as hit:
        report = await miyabi.verify("agent_executions", patterns=5)
    assert len(set(hit)) == 2
    assert report.differences == []
    assert not report.clean
    (texts,) = [parity.differing for parity in report.parities if parity.pattern == "AP3"]
    assert texts
    assert all("different in completed_at" in text for text in texts)
