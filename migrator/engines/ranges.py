"""How finely a table's keys are cut, so that workers who take one range after the other end together."""

from __future__ import annotations

from typing import Final

HANDS: Final = 4
"""Ranges that one process works on at once: enough that waiting for one store never stops the work on the other."""
_MOST_ROWS: Final = 20_000
_LEAST_ROWS: Final = 2_500
_RANGES_PER_HAND: Final = 16
"""At the end each hand is somewhere in its last range: what a worker has then left to do is the others' idle time."""
_MOST_RANGES: Final = 256


def parts(rows: int, total: int, workers: int) -> int:
    """Into how many ranges to cut a table, at least one.

    Args:
        rows: about how many rows it has.
        total: about how many rows there are to work on in all tables.
        workers: processes that share the work.
    """
    hands = workers * HANDS
    size = _MOST_ROWS if workers == 1 else min(_MOST_ROWS, max(_LEAST_ROWS, total // (hands * _RANGES_PER_HAND)))
    return max(1, min(-(-rows // size), max(_MOST_RANGES, hands * _RANGES_PER_HAND)))


def segments(items: int, workers: int) -> int:
    """Into how many segments to divide the scan of a table.

    Args:
        items: about how many items it has.
        workers: processes that share the work.
    """
    if workers == 1:
        return HANDS
    return max(HANDS, min(-(-items // _LEAST_ROWS), workers * HANDS * _RANGES_PER_HAND))
