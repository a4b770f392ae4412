"""Durations as they are written on a command line and shown: `90s`, `5m`, `1h30m`."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Final

import rich_click as click

_UNITS: Final = (("d", 86_400), ("h", 3_600), ("m", 60), ("s", 1))
_FORM: Final = re.compile("".join(rf"(?:(\d{{1,6}}){unit})?" for unit, _ in _UNITS), re.ASCII)


class Duration(click.ParamType[timedelta]):
    """A duration of whole days, hours, minutes and seconds, the larger unit first; more than nothing."""

    name = "DURATION"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> timedelta:
        """The duration that was written."""
        if isinstance(value, timedelta):
            return value
        written = _FORM.fullmatch(str(value))
        if not value or written is None:
            self.fail(f"{value!r} is no duration such as 90s, 5m, 1h30m or 1d", param, ctx)
        seconds = sum(int(number or 0) * size for number, (_, size) in zip(written.groups(), _UNITS, strict=True))
        if not seconds:
            self.fail(f"{value!r} is no time at all; a duration is at least 1s", param, ctx)
        return timedelta(seconds=seconds)


def duration_text(duration: timedelta) -> str:
    """A duration in its two largest units: `1h30m`."""
    left, words = max(0, int(duration.total_seconds())), []
    for unit, size in _UNITS:
        count, left = divmod(left, size)
        if count:
            words.append(f"{count}{unit}")
    return "".join(words[:2]) or "0s"
