"""The ways in which a model moves: recorded at once, or, where writes move, in steps that take a while."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

import rich_click as click

from migrator.cli.work import stores_of, times_of
from migrator.phases import Course, complete, examine, examine_return, move, open_writes, return_writes

if TYPE_CHECKING:
    from collections.abc import Callable

    from migrator.cli.work import Work
    from migrator.phases import Plan, Terms
    from migrator.postgres.phases import Phase
    from migrator.settings import Settings


class Way(Protocol):
    """A move that can be looked at and made."""

    @property
    def work(self) -> Work:
        """The model."""

    async def look(self) -> Plan:
        """The move as it stands; nothing is changed."""

    async def go(self) -> Plan:
        """Makes it, or what is left of it."""


@dataclass(frozen=True)
class Recorded:
    """A move that is made when it is on record."""

    work: Work
    settings: Settings
    to: Phase
    terms: Terms
    waiting: Callable[[float], None] | None = None

    async def look(self) -> Plan:
        """As in `Way`."""
        url, life = stores_of(self.settings).database_url, times_of(self.settings).life
        return await examine(self.work.model, url, self.to, life=life, terms=self.terms)

    async def go(self) -> Plan:
        """As in `Way`."""
        url, life = stores_of(self.settings).database_url, times_of(self.settings).life
        return await move(self.work.model, url, self.to, life=life, terms=self.terms, waiting=self.waiting)


@dataclass(frozen=True)
class Opening:
    """Writes move to the target."""

    work: Work
    settings: Settings
    terms: Terms
    wait: bool

    async def look(self) -> Plan:
        """As in `Way`."""
        return await Recorded(self.work, self.settings, "write_target", self.terms).look()

    async def go(self) -> Plan:
        """As in `Way`."""
        return await open_writes(course_of(self.work, self.settings, self.terms), wait=self.wait)


@dataclass(frozen=True)
class Returning:
    """Writes return to the source."""

    work: Work
    settings: Settings
    terms: Terms

    async def look(self) -> Plan:
        """As in `Way`."""
        return await examine_return(course_of(self.work, self.settings, self.terms))

    async def go(self) -> Plan:
        """As in `Way`."""
        return await return_writes(course_of(self.work, self.settings, self.terms))


@dataclass(frozen=True)
class Completing:
    """The way back is given up."""

    work: Work
    settings: Settings
    terms: Terms

    async def look(self) -> Plan:
        """As in `Way`."""
        return await Recorded(self.work, self.settings, "complete", self.terms).look()

    async def go(self) -> Plan:
        """As in `Way`."""
        return await complete(course_of(self.work, self.settings, self.terms))


def course_of(work: Work, settings: Settings, terms: Terms) -> Course:
    """What the moves of writes work with; their steps are told on stderr."""
    return Course(
        work.model,
        work.module,
        stores_of(settings),
        times_of(settings),
        settings.lease_seconds,
        terms,
        lambda sentence: click.echo(sentence, err=True),
    )
