"""The course of a read: what it asks, one step after the other, decided once for threads and event loops alike."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal, TypeAlias, TypeVar, cast

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Generator

_Answer = TypeVar("_Answer")
Step: TypeAlias = Literal["dynamodb", "dynamodb alone", "postgres", "record"]
"""What is asked next: DynamoDB, where PostgreSQL has the answer otherwise; DynamoDB, which is the master; PostgreSQL;
or the phase record, as it is now."""
Course: TypeAlias = "Generator[Step, Any, _Answer]"
"""Yields steps, is sent what each has said or thrown what it has raised, and returns the answer that counts."""


def follow(course: Course[_Answer], take: Callable[[Step], Any]) -> _Answer:
    """Takes the steps of a course."""
    try:
        step = next(course)
        while True:
            try:
                answer = take(step)
            except BaseException as error:  # noqa: BLE001 - whatever it is, the course decides
                step = course.throw(error)
            else:
                step = course.send(answer)
    except StopIteration as end:
        return cast("_Answer", end.value)


async def afollow(course: Course[_Answer], take: Callable[[Step], Awaitable[Any]]) -> _Answer:
    """As `follow`, for an event loop."""
    try:
        step = next(course)
        while True:
            try:
                answer = await take(step)
            except BaseException as error:  # noqa: BLE001 - whatever it is, the course decides
                step = course.throw(error)
            else:
                step = course.send(answer)
    except StopIteration as end:
        return cast("_Answer", end.value)
