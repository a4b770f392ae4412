"""Which requests a rule of the fault proxy takes."""

from __future__ import annotations

from random import Random

from tests.support.fault_proxy import Rule
from tests.support.faults import Cut, Unprocessed, throttle


def taken(rule: Rule, operations: list[str], seed: int = 0) -> list[bool]:
    random = Random(seed)  # noqa: S311 - repeatable, not secret
    return [rule.takes(operation, random) for operation in operations]


def test_a_rule_takes_its_operation_after_some_and_only_so_often() -> None:
    rule = Rule(throttle(), "PutItem", rate=1.0, skip=1, times=2)
    operations = ["PutItem", "GetItem", "PutItem", "PutItem", "PutItem"]
    assert taken(rule, operations) == [False, False, True, True, False]
    assert rule.applied == 2


def test_a_rule_without_an_operation_takes_all() -> None:
    assert taken(Rule(Cut("before"), None, rate=1.0, skip=0, times=None), ["PutItem", "Scan"]) == [True, True]


def test_a_rate_is_kept_and_a_seed_repeats_it() -> None:
    def draw(seed: int) -> list[bool]:
        return taken(Rule(throttle(), None, rate=0.2, skip=0, times=None), ["PutItem"] * 1000, seed)

    assert 150 < sum(draw(1)) < 250
    assert draw(1) == draw(1)
    assert draw(1) != draw(2)


def test_only_batches_have_unprocessed_members() -> None:
    rule = Rule(Unprocessed(), None, rate=1.0, skip=0, times=None)
    operations = ["PutItem", "BatchWriteItem", "Scan", "BatchGetItem"]
    assert taken(rule, operations) == [False, True, False, True]
