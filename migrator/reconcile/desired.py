"""What the source asks for, in one snapshot: the item of each key, and the keys that rows own."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from migrator.mapping import claims
from migrator.postgres import catalog, phases
from migrator.postgres.errors import errors_explained
from migrator.reconcile.drafts import Draft, Drafts

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from migrator.mapping import Entity, Row, Table
    from migrator.postgres.connection import Connection
    from migrator.postgres.phases import Moment
    from migrator.reconcile.item_key import ItemKey
    from migrator.reconcile.lookup import Lookup

SEVERAL_ROWS = "several rows become items of this key"


@dataclass
class Desired:
    """One snapshot.

    Attributes:
        moment: when it was taken, with a version for what is written from it.
        items: by key, the item's text; a key that is asked for and not here is to hold nothing.
        reasons: by key, why it cannot be said what the key is to hold.
        owned: by number of the row asked for, the keys that the row owns now.
        unsaid: by number of the row asked for, why it cannot be said which keys it owns.
        changed: keys and numbers of which nothing can be said, since a table is another one than it was.
    """

    moment: Moment
    items: dict[ItemKey, bytes] = field(default_factory=dict)
    reasons: dict[ItemKey, str] = field(default_factory=dict)
    owned: dict[int, set[ItemKey]] = field(default_factory=lambda: defaultdict(set))
    unsaid: dict[int, str] = field(default_factory=dict)
    changed: set[ItemKey | int] = field(default_factory=set)


class Snapshots:
    """Takes snapshots of what the source asks for. Holds what the latest rows became.

    Args:
        model: the model's name.
        tables: the target tables by name.
        lookups: the rows of each entity, by its name.
    """

    def __init__(self, model: str, tables: Mapping[str, Table], lookups: Mapping[str, Lookup]) -> None:
        self._model = model
        self._tables = tables
        self._lookups = lookups
        self._entities = [lookup.entity for lookup in lookups.values()]
        self._drafts = {name: Drafts(lookup.entity) for name, lookup in lookups.items()}

    async def changed(self, connection: Connection, names: Iterable[str]) -> set[str]:
        """Those of these entities whose tables are others than they were when their lookups were made.

        Raises:
            SourceError: PostgreSQL cannot be reached.
        """
        asked = list(names)
        lookups = [self._lookups[name] for name in asked]
        changed = await catalog.changed(connection, [(lookup.live, lookup.used) for lookup in lookups])
        return {name for name, is_changed in zip(asked, changed, strict=True) if is_changed}

    async def take(
        self, connection: Connection, keys: Iterable[ItemKey], rows: Sequence[tuple[int, Entity, Row]]
    ) -> Desired:
        """One snapshot on the primary.

        Args:
            connection: a session that is in no transaction.
            keys: the item keys to tell of.
            rows: rows to tell the owned keys of: any number, entity, and values of the primary key.

        Raises:
            SourceError: PostgreSQL cannot be reached, or a table is gone.
        """
        with errors_explained("take a snapshot", connection=connection):
            async with connection.transaction(isolation="repeatable_read"):
                wanted = self._wanted(keys, rows)
                if wanted:
                    await catalog.hold(connection, (self._lookups[name].live for name in wanted))
                desired = Desired(await phases.moment(connection, self._model))
                changed = await self.changed(connection, wanted)
                for name, asked in wanted.items():
                    if name in changed:
                        desired.changed |= {asker for asker, _ in asked}
                        continue
                    found = await self._lookups[name].rows(connection, [values for _, values in asked])
                    # A row that several ask for is one list, and becomes its drafts once.
                    distinct = {id(some): some for some in found}
                    made = {place: list(map(self._drafts[name].of, some)) for place, some in distinct.items()}
                    for (asker, _), some in zip(asked, found, strict=True):
                        self._tell(desired, asker, made[id(some)])
        return desired

    def _wanted(
        self, keys: Iterable[ItemKey], rows: Sequence[tuple[int, Entity, Row]]
    ) -> dict[str, list[tuple[ItemKey | int, Row]]]:
        """By entity, the rows to look for, and what for."""
        wanted: dict[str, list[tuple[ItemKey | int, Row]]] = defaultdict(list)
        for key in keys:
            for claim in claims(self._entities_of(key.table), key.wire(self._tables[key.table])):
                wanted[claim.entity.name].append((key, claim.values))
        for number, entity, values in rows:
            wanted[entity.name].append((number, values))
        return wanted

    def _entities_of(self, table: str) -> Sequence[Entity]:
        return [entity for entity in self._entities if entity.table.name == table]

    @staticmethod
    def _tell(desired: Desired, asker: ItemKey | int, drafts: Sequence[Draft]) -> None:
        if isinstance(asker, int):
            for draft in drafts:
                desired.owned[asker] |= draft.owned
                if draft.unsaid is not None:
                    desired.unsaid[asker] = draft.unsaid
        elif len(drafts) > 1:
            desired.reasons[asker] = SEVERAL_ROWS
        elif drafts:
            (draft,) = drafts
            if draft.why is not None:
                desired.reasons[asker] = draft.why
            elif asker in draft.items:
                desired.items[asker] = draft.items[asker]
