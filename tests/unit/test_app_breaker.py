"""When the mirror rests, and when it tries again."""

from __future__ import annotations

from migrator.app.breaker import Breaker


class Clock:
    def __init__(self) -> None:
        self.at = 0.0

    def __call__(self) -> float:
        return self.at


def test_it_opens_after_failures_in_a_row_only() -> None:
    breaker = Breaker(3, 10.0, Clock())
    assert [breaker.failed(), breaker.failed()] == [False, False]
    breaker.succeeded()
    assert [breaker.failed(), breaker.failed(), breaker.resting] == [False, False, False]
    assert breaker.failed(), "this one opens it"
    assert breaker.resting
    assert not breaker.lets_through()


def test_after_its_rest_it_lets_one_attempt_through() -> None:
    clock = Clock()
    breaker = Breaker(1, 10.0, clock)
    breaker.failed()
    clock.at = 10.0
    assert [breaker.resting, breaker.lets_through(), breaker.lets_through()] == [False, True, False]
    assert [breaker.failed(), breaker.resting] == [False, True], "it was open before"
    clock.at = 20.0
    assert breaker.lets_through()
    assert breaker.succeeded(), "this closes it"
    assert [breaker.lets_through(), breaker.lets_through()] == [True, True]
