"""One target table in a verification: whose items are verified there, and which keys of it are suspects."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from migrator.engines.stores import live_table
from migrator.engines.verify.findings import Difference, Verdict
from migrator.engines.verify.judging.expected import SEVERAL_ROWS
from migrator.engines.verify.judging.judge import BATCH, Judge, Looked
from migrator.mapping import claims
from migrator.mapping.testimony import key_of_line
from migrator.postgres import catalog
from migrator.reconcile import Lookup

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from migrator.engines.verify.findings import Report
    from migrator.engines.verify.reading.spill import Mismatch
    from migrator.engines.verify.suspects import Suspects
    from migrator.mapping import Entity, Model, Table
    from migrator.postgres.connection import Connection

MAX_JUDGED: Final = 10_000
"""Suspects that are judged one by one; where there are more, something is wrong as a whole."""


@dataclass(frozen=True)
class Party:
    """One target table, the entities in it that are verified, and about how many rows and items there are.

    `every` are all entities whose items stand in the table.
    """

    table: Table
    lookups: Mapping[str, Lookup]
    every: Sequence[Entity]
    rows: Mapping[str, int]
    items: int

    @classmethod
    async def of(cls, control: Connection, model: Model, table: Table, entities: Sequence[Entity]) -> Party:
        """Looks at the source tables of those of these entities whose items stand in a table.

        Raises:
            ConfigurationError: a source table is not what the mapping declares.
            SourceError: PostgreSQL cannot be reached, or a table cannot be read.
        """
        mine = [entity for entity in entities if entity.table.name == table.name]
        lookups = {entity.name: Lookup(entity, await live_table(control, entity)) for entity in mine}
        rows = {name: await catalog.estimated_rows(control, lookup.live) for name, lookup in lookups.items()}
        items = sum(rows[entity.name] * len(entity.plan.items) for entity in mine)
        return cls(table, lookups, model.of_table(table), rows, items)

    async def judge(
        self,
        mismatches: Iterable[Mismatch],
        judge: Judge,
        report: Report,
        differing: Suspects | None,
        *,
        narrowed: bool,
    ) -> None:
        """Judges what the two sides do not hold alike; `differing` is given what differs or was not judged.

        Where not everything is looked at (`narrowed`), a row may be read twice, and say another thing the second time.
        """
        suspects: list[bytes] = []
        looked = Looked()
        judged = 0
        for mismatch in mismatches:
            if not self._concerns(mismatch, report):
                continue
            report.suspects += 1
            if len(mismatch.source) > 1 and not narrowed:
                report.found(self._collision(mismatch))
            elif judged + len(suspects) >= MAX_JUDGED:
                report.unjudged += 1
                if differing is not None:
                    differing.add(self.table.name, mismatch.key)
            else:
                suspects.append(mismatch.key)
            if len(suspects) == BATCH:
                looked.add(await judge.look(suspects))
                judged += len(suspects)
                suspects.clear()
        looked.add(await judge.look(suspects))
        settled = await judge.settle(looked, followed=report.followed)
        for difference in settled.found.values():
            report.found(difference)
        report.moving += settled.moving.values()
        for key, difference in (settled.found | settled.moving).items():
            if differing is not None and difference.verdict is not Verdict.UNVERIFIABLE:
                differing.add(self.table.name, key)

    def _concerns(self, mismatch: Mismatch, report: Report) -> bool:
        """Whether a key is of the entities that are verified: not of another one in the table, nor declared foreign."""
        if mismatch.source:
            return True
        key = self._key(mismatch)
        if self.table.is_foreign(key):
            report.foreign += 1
            return False
        owners = {claim.entity.name for claim in claims(self.every, key)}
        return len(self.lookups) == len(self.every) or bool(owners & self.lookups.keys())

    def _key(self, mismatch: Mismatch) -> dict[str, dict[str, str]]:
        return key_of_line(mismatch.key, self.table.key_attributes)

    def _collision(self, mismatch: Mismatch) -> Difference:
        key = {name: next(iter(value.values())) for name, value in self._key(mismatch).items()}
        return Difference(Verdict.UNVERIFIABLE, self.table.name, key, reason=SEVERAL_ROWS)
