"""Measurements in processes of their own, on which nothing weighs that others have left behind."""

from __future__ import annotations

import multiprocessing
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable
    from multiprocessing.connection import Connection


def apart(measured: Callable[[str, str], float], database_url: str, url: str) -> float:
    """What a function of a module returns, called with these in a new process."""
    spawn = multiprocessing.get_context("spawn")
    answer, theirs = spawn.Pipe()
    process = spawn.Process(target=_measure, args=(measured, database_url, url, theirs))
    process.start()
    theirs.close()
    try:
        found: float = answer.recv()
    finally:
        process.join()
    return found


def _measure(measured: Callable[[str, str], float], database_url: str, url: str, answer: Connection) -> None:
    """The process of one measurement."""
    answer.send(measured(database_url, url))
