"""When a schedule runs, in the words of each scheduler."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import time, timedelta
from typing import Final

from migrator.errors import UsageError

MINUTE: Final = timedelta(minutes=1)
HOUR: Final = timedelta(hours=1)
DAY: Final = timedelta(days=1)


@dataclass(frozen=True)
class Times:
    """Every so often, or daily at a time of a zone; schedulers know steps that divide an hour or a day."""

    every: timedelta = HOUR
    at: time | None = None
    zone: str = "UTC"

    def __post_init__(self) -> None:
        """Refuse what would not come at even distances.

        Raises:
            UsageError: the interval does not divide an hour or a day.
        """
        if self.at is None and (self.every % MINUTE or not (_divides(self.every, HOUR) or _divides(self.every, DAY))):
            raise UsageError(
                "a scheduler counts in minutes that divide an hour or in hours that divide a day",
                safe="Nothing was written.",
                next_step="Give --every 5m, 10m, 15m, 30m, 1h, 2h, 3h, 6h, 12h or 1d, for example; `migrate verify "
                "--every` takes any interval.",
            )

    @property
    def interval(self) -> timedelta:
        """From one run to the next."""
        return DAY if self.at is not None else self.every

    @property
    def jitter(self) -> timedelta:
        """By how much a run may be late, so that several schedules do not fall into step."""
        return min(self.interval / 10, 5 * MINUTE)

    @property
    def words(self) -> str:
        """When it runs, for a reader."""
        if self.at is not None:
            return f"daily at {self.at:%H:%M}"
        minutes = self.every // MINUTE
        return f"every {minutes} min" if minutes < HOUR // MINUTE else f"every {minutes // 60} h"

    @property
    def cron(self) -> str:
        """The five fields of cron."""
        if self.at is not None:
            return f"{self.at.minute} {self.at.hour} * * *"
        if self.every < HOUR:
            return f"*/{self.every // MINUTE} * * * *"
        return "0 0 * * *" if self.every == DAY else f"0 */{self.every // HOUR} * * *"

    @property
    def calendar(self) -> str:
        """What systemd's OnCalendar takes."""
        if self.at is not None:
            return f"*-*-* {self.at:%H:%M}:00 {self.zone}"
        if self.every < HOUR:
            return f"*:0/{self.every // MINUTE}"
        return "*-*-* 00:00:00" if self.every == DAY else f"*-*-* 0/{self.every // HOUR}:00:00"

    @property
    def expression(self) -> str:
        """What EventBridge Scheduler takes."""
        if self.at is not None:
            return f"cron({self.at.minute} {self.at.hour} * * ? *)"
        count, unit = (self.every // MINUTE, "minute") if self.every < HOUR else (self.every // HOUR, "hour")
        return f"rate({count} {unit}{'' if count == 1 else 's'})"


def _divides(part: timedelta, whole: timedelta) -> bool:
    # Hours are what divides a day; 90 minutes do, and no scheduler can say so.
    unit = MINUTE if whole == HOUR else HOUR
    return part <= whole and not part % unit and not whole % part
