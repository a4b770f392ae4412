"""Capture: triggers that mark every change of a source table in the writer's own transaction, and how they stand."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Literal, TypeAlias

from migrator.mapping.captured import captured_columns
from migrator.postgres.errors import OWN_TABLES, errors_explained
from migrator.postgres.identifiers import TableName, literal, quoted
from migrator.postgres.queries import named_statements

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence
    from datetime import datetime

    from migrator.mapping import Model
    from migrator.postgres.connection import Connection, Record

SQL: Final[Mapping[str, str]] = named_statements("capture.sql")
PATIENCE: Final = "5s"
"""How long installing waits for a table's lock: as long, every other writer waits behind it."""
_ROW, _TRUNCATE = "migrator_capture", "migrator_capture_truncate"

Kind: TypeAlias = Literal[
    "missing",
    "disabled",
    "replaced",
    "unprivileged",
    "unfit",
    "renamed",
    "truncated",
    "rewritten",
    "partitions",
    "altered",
    "promoted",
]
_HEALED: Final[frozenset[Kind]] = frozenset({"truncated", "rewritten", "partitions", "altered", "promoted"})
"""What is over when the target has been brought up to date, with nothing to install."""


@dataclass(frozen=True, slots=True)
class Fault:
    """One reason why capture does not stand on a table: a sentence, and what to do.

    `resync`: rows may have changed without a mark, so that the target has to be brought up to date (`accept`).
    """

    kind: Kind
    sentence: str
    next_step: str
    resync: bool = False


@dataclass(frozen=True, slots=True)
class Capture:
    """How capture stands on a table: since `installed_at` (None: it is not on record) every change is marked, or not.

    `columns` is what its marks hold of an old row; `faults` say why changes are not marked, or not marked whole.
    """

    table: TableName
    faults: tuple[Fault, ...]
    columns: tuple[str, ...] = ()
    installed_at: datetime | None = None

    @property
    def stands(self) -> bool:
        """Whether every change since it was installed is marked, with all that the mapping needs."""
        return not self.faults

    @property
    def in_the_way(self) -> tuple[Fault, ...]:
        """The faults that have to be mended before the table can be accepted as it is (`accept`)."""
        return tuple(fault for fault in self.faults if fault.kind not in _HEALED)

    @property
    def absent(self) -> bool:
        """Whether there is none at all."""
        return self.installed_at is None

    def follows(self, since: datetime) -> bool:
        """Whether every change since then is marked."""
        return self.stands and self.installed_at is not None and self.installed_at <= since


@dataclass(frozen=True, slots=True)
class Seen:
    """A source as it was when somebody began to bring its target up to date.

    Attributes:
        source: `schema.table`.
        state: its tables (`migrator.capture_state`).
        timeline: the timeline that the server was on.
        unnamed: its marks that do not name all keys they are about: of TRUNCATE, and of before capture noted a column.
    """

    source: str
    state: str
    unnamed: tuple[int, ...]
    timeline: int


def wanted(models: Iterable[Model]) -> dict[TableName, tuple[str, ...]]:
    """Return the source tables of models, with the columns that capture has to hold of each: the primary key first."""
    columns: dict[TableName, dict[str, None]] = {}
    for model in models:
        for entity in model.entities:
            table = TableName(entity.source.name, entity.source.schema)
            columns.setdefault(table, {}).update(dict.fromkeys(captured_columns(model, entity.source_name)))
    return {table: tuple(names) for table, names in columns.items()}


def create_statements(
    table: TableName, columns: Sequence[str] | None = None, *, lock_timeout: str = PATIENCE
) -> list[str]:
    """Return the statements that install capture on a table, or bring it to other columns.

    They need the toolkit's schema (`state.install_statement`) and, until the transaction ends, keep writers out.

    Args:
        table: the table; its partitions are covered.
        columns: what a mark holds of an old row (see `captured_columns`); None: the primary key.
        lock_timeout: how long to wait for writers in flight, such as `5s`.
    """
    names = "NULL" if columns is None else f"ARRAY[{', '.join(map(literal, columns))}]::text[]"
    return [f"SELECT migrator.create_capture({literal(table.sql)}::regclass, {names}, {literal(lock_timeout)})"]


def drop_statements(table: TableName, *, lock_timeout: str = PATIENCE) -> list[str]:
    """Return the statements that take capture off a table, which may be gone already; its marks stay."""
    schema = "current_schema()" if table.schema is None else literal(table.schema)
    source = f"concat({schema}, '.', {literal(table.name)})"
    return [f"SELECT migrator.drop_capture(to_regclass({literal(table.sql)}), {source}, {literal(lock_timeout)})"]


async def standing(connection: Connection, tables: Mapping[TableName, Sequence[str]]) -> dict[TableName, Capture]:
    """Return how capture stands on tables, given the columns that the mapping needs of each (see `wanted`).

    Raises:
        SourceError: PostgreSQL cannot be reached, or the role may not read the toolkit's schema.
    """
    with errors_explained("see how capture stands", connection=connection, privileges=OWN_TABLES):
        if await connection.fetchval(SQL["captures_exist"]) is None:
            return {table: Capture(table, (_missing(table, columns),)) for table, columns in tables.items()}
        found = await connection.fetch(SQL["standing"], [table.sql for table in tables])
    return {
        table: Capture(table, tuple(_faults(table, columns, row)), tuple(row["columns"] or ()), row["installed_at"])
        for (table, columns), row in zip(tables.items(), found, strict=True)
    }


async def look(connection: Connection, source: str) -> Seen | None:
    """Return what `accept` takes, or None where the source (`schema.table`) has no capture.

    To be called before the first row is read of whoever brings the target up to date.
    """
    with errors_explained(f"look at {source}", connection=connection, privileges=OWN_TABLES):
        row = await connection.fetchrow(SQL["look"], source)
    return row and Seen(source, row["state"], tuple(row["unnamed"]), row["timeline"])


async def accept(connection: Connection, seen: Seen) -> None:
    """Record that the target holds every row as it was when `look` was called, or a later state of it.

    Faults that only a resync heals end with it: TRUNCATE, partitions that came or went, a table rewritten, a trigger
    that was off for a while, a standby that was promoted, marks that do not name all their keys. What has happened
    since `look` stays a fault.
    Nothing may arrive any more that carries a state of before `look` and that no mark is there for: a copy's request.
    """
    with errors_explained(f"accept {seen.source} as it is", connection=connection, privileges=OWN_TABLES):
        await connection.execute(SQL["accept"], seen.source, seen.state, seen.unnamed, seen.timeline)


def _faults(table: TableName, columns: Sequence[str], row: Record) -> Iterator[Fault]:
    """What is wrong with the capture of a table, what has to be installed before what has to be resynchronised."""
    if not row["exists"] or row["source"] is None:
        yield _missing(table, columns)
        return
    install = _install(table, columns)
    present, recorded = json.loads(row["present"]), json.loads(row["recorded"])
    yield from _trigger_faults(present, install)
    if row["source"] != row["name"]:
        yield Fault("renamed", f"{row['source']} was renamed to {row['name']}; marks still name the former", install)
    yield from _column_faults(table, columns, row)
    if row["own_function"] is False:
        sentence = f"the trigger function of {table} was replaced since it was installed"
        yield Fault("replaced", sentence, install, resync=True)
    if row["privileged"] is False:
        yield Fault(
            "unprivileged",
            f"the owner of the trigger function of {table}, {row['owner']}, may not write marks: every write fails",
            f"as a superuser run: GRANT USAGE ON SCHEMA migrator TO {quoted(row['owner'])}; "
            f"GRANT INSERT ON migrator.marks TO {quoted(row['owner'])}",
        )
    yield from _unmarked(table, recorded, present, truncated=row["truncated"])
    if row["timeline"] is not None and row["present_timeline"] not in {None, row["timeline"]}:
        sentence = (
            f"the source was promoted since {table} was in order (timeline {row['present_timeline']} after "
            f"{row['timeline']}); commits that were carried over before may be missing from it"
        )
        yield Fault("promoted", sentence, _resync(table), resync=True)


def _missing(table: TableName, columns: Sequence[str]) -> Fault:
    return Fault("missing", f"capture is not installed on {table}", _install(table, columns))


def _install(table: TableName, columns: Sequence[str]) -> str:
    schema = "" if table.schema is None else f", schema={table.schema!r}"
    call = f"op.create_capture({table.name!r}, columns={list(columns)!r}{schema})"
    return f"put {call} into an Alembic revision, then run: alembic upgrade head"


def _resync(table: TableName) -> str:
    return (
        f"run: migrate verify --repair {table}; before dual_write, drop its capture and create it anew "
        f"(op.drop_capture, op.create_capture), then run: migrate copy --restart {table}"
    )


def _trigger_faults(present: Mapping[str, Any], install: str) -> Iterator[Fault]:
    for part in _by_name(present):
        for name in (_ROW, _TRUNCATE):
            trigger = part["triggers"].get(name)
            if trigger is None:
                yield Fault("missing", f"{part['name']} has no trigger {name}", install, resync=True)
            elif not trigger["whole"]:
                sentence = f"the trigger {name} of {part['name']} is not the one that was installed"
                yield Fault("replaced", sentence, install, resync=True)
            elif not trigger["always"]:
                sentence = f"the trigger {name} of {part['name']} is disabled, or not enabled ALWAYS"
                yield Fault("disabled", sentence, install, resync=True)


def _column_faults(table: TableName, columns: Sequence[str], row: Record) -> Iterator[Fault]:
    gone = [name for name in row["columns"] if name not in row["existing"]]
    lacking = [name for name in columns if name not in row["columns"]]
    install = _install(table, columns)
    if gone:
        sentence = f"capture of {table} needs {', '.join(gone)}, which the table no longer has: every write fails"
        yield Fault("unfit", sentence, install)
    elif row["fitting"] is False and row["own_function"]:
        sentence = f"the primary key of {table}, or a captured column's type, has changed since capture was installed"
        yield Fault("unfit", sentence, install)
    if lacking:
        sentence = f"capture of {table} does not hold {', '.join(lacking)}, which the mapping's item keys use"
        yield Fault("unfit", sentence, install, resync=True)


def _unmarked(
    table: TableName, recorded: Mapping[str, Any], present: Mapping[str, Any], *, truncated: bool
) -> Iterator[Fault]:
    """What has happened to the rows of a table that left no mark by itself."""
    step = _resync(table)
    if truncated:
        yield Fault("truncated", f"{table} was truncated", step, resync=True)
    attached = [part["name"] for part in _by_name(present, without=recorded)]
    if attached:
        sentence = f"attached to {table} since: {', '.join(attached)}; rows may have come with it unmarked"
        yield Fault("partitions", sentence, step, resync=True)
    detached = [part["name"] for part in _by_name(recorded, without=present)]
    if detached:
        sentence = f"detached or dropped from {table} since: {', '.join(detached)}; its rows went unmarked"
        yield Fault("partitions", sentence, step, resync=True)
    for oid in recorded.keys() & present.keys():
        before, now = recorded[oid], present[oid]
        # Without a change of any column, what writes a new file leaves the rows as they are: VACUUM FULL, CLUSTER.
        if before["file"] != now["file"] and before["columns"] != now["columns"] and not truncated:
            sentence = f"{now['name']} was rewritten by ALTER TABLE since; values may have changed unmarked"
            yield Fault("rewritten", sentence, step, resync=True)
        for name, trigger in sorted(now["triggers"].items()):
            if trigger["version"] != before["triggers"].get(name, {}).get("version"):
                sentence = f"the trigger {name} of {now['name']} was changed since, and may have been off for a while"
                yield Fault("altered", sentence, step, resync=True)


def _by_name(parts: Mapping[str, Any], *, without: Mapping[str, Any] | None = None) -> list[Any]:
    """The tables of a state in the order of their names."""
    return sorted((part for oid, part in parts.items() if oid not in (without or {})), key=lambda part: part["name"])
