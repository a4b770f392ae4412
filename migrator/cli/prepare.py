"""`migrate prepare`."""

from __future__ import annotations

import asyncio
import sys
from contextlib import closing
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import rich_click as click

from migrator.cli.options import (
    change_options,
    common_options,
    confirm,
    json_option,
    mapping_options,
    target_options,
)
from migrator.cli.output import print_json
from migrator.cli.standing import capture_remarks
from migrator.cli.work import load_work, stores_of
from migrator.dynamodb import admin, control
from migrator.engines.stores import live_table
from migrator.postgres import capture, phases, state
from migrator.postgres.connection import connect
from migrator.postgres.identifiers import TableName
from migrator.postgres.rows import RowSource
from migrator.settings import load_settings

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from mypy_boto3_dynamodb import DynamoDBClient

    from migrator.cli.invocation import Invocation
    from migrator.cli.work import Work
    from migrator.dynamodb.changes import Change
    from migrator.engines.stores import Stores
    from migrator.mapping import Entity, Table
    from migrator.postgres.capture import Capture
    from migrator.postgres.phases import Standing


@dataclass
class _Plan:
    """What preparing would change, and what it found of the source.

    `captures` are how capture stands where the migration is not complete; `written` are the target tables that
    applications write to, `begun` whether anything has moved further than copies go.
    """

    version: int
    captures: dict[TableName, Capture]
    written: set[str] = field(default_factory=set)
    begun: bool = False
    tables: list[tuple[Table, list[Change]]] = field(default_factory=list)

    def heed(self, entities: Sequence[Entity], at: Mapping[str, Standing]) -> None:
        """Takes up where entities are: what has come to its end needs nothing more."""
        moved = {each: at[each.name].phase for each in entities if each.name in at}
        self.written |= {each.table.name for each, phase in moved.items() if phase in {"write_target", "complete"}}
        self.begun |= not {"prepare", "dual_write"}.issuperset(moved.values())
        for ended in (each.source for each, phase in moved.items() if phase == "complete"):
            self.captures.pop(TableName(ended.name, ended.schema), None)

    @property
    def sentences(self) -> list[str]:
        """The changes to be made."""
        installing = [] if self.version == state.LATEST else [_installing(self.version)]
        return installing + [change.sentence for change in self._changes if change.method is not None]

    @property
    def remarks(self) -> list[str]:
        """What is left as it is, and what comes later."""
        remarks = [change.sentence for change in self._changes if change.method is None]
        remarks += [
            f"TTL of table {table.name} (attribute {table.ttl}) is declared; it is enabled when writes move to "
            "DynamoDB, not before"
            for table, _ in self.tables
            if table.ttl is not None and table.name not in self.written
        ]
        return remarks + list(capture_remarks(self.captures.values()))

    @property
    def _changes(self) -> list[Change]:
        return [change for _, changes in self.tables for change in changes]


def _installing(version: int) -> str:
    if version == 0:
        return f"install the toolkit's schema migrator, version {state.LATEST}, in the source database"
    return f"bring the toolkit's schema migrator from version {version} to {state.LATEST} in the source database"


@click.command("prepare")
@mapping_options
@target_options
@change_options
@json_option
@common_options
@click.pass_obj
def command(invocation: Invocation, *, dry_run: bool, yes: bool, no_input: bool, as_json: bool) -> None:
    """Create or complete the target tables, and install the toolkit's own schema in the source.

    Tables get their indexes, stream, backups, encryption and tags. Nothing is taken away, and a second run changes
    nothing. What would be changed is shown first; on a terminal, confirmation is asked for.
    """
    settings = load_settings(**invocation.settings)
    works = load_work(settings)
    stores = stores_of(settings)
    plan = asyncio.run(_examine(works, stores))
    with closing(control.connect(stores.target())) as client:
        tables = {table.name: table for work in works for table in work.model.tables}
        plan.tables = [
            (table, admin.plan(client, table, written=table.name in plan.written)) for table in tables.values()
        ]
        _show(plan, dry_run=dry_run, as_json=as_json)
        if not dry_run:
            # Nothing is ever taken away here, so that a script need not say yes; whoever is there is asked.
            if plan.sentences and (no_input or sys.stdin.isatty()):
                confirm("Make these changes?", yes=yes, no_input=no_input)
            _make(plan, stores, client)
    if as_json:
        print_json(_as_json(plan, made=not dry_run))


async def _examine(works: Sequence[Work], stores: Stores) -> _Plan:
    """Sees that the source is what the mappings declare and may be read, and what is installed there."""
    connection = await connect(stores.database_url, purpose="prepare")
    try:
        for work in works:
            for entity in work.entities:
                live = await live_table(connection, entity)
                # Reads no row, and fails as reading one would.
                await RowSource(live, entity.projection).page(connection, None, None, 0)
        version = await state.installed_version(connection)
        if version > state.LATEST:
            await state.require(connection)
        plan = _Plan(version, dict(await capture.standing(connection, capture.wanted(work.model for work in works))))
        for work in works:
            plan.heed(work.entities, await phases.known(connection, work.model.name))
        return plan
    finally:
        await connection.close()


def _show(plan: _Plan, *, dry_run: bool, as_json: bool) -> None:
    """Shows what is to be changed; where stdout is for JSON, on stderr."""
    sentences = plan.sentences
    if not sentences:
        click.echo("Nothing to change: source and target are prepared.", err=as_json)
    else:
        click.echo("Would change:" if dry_run else "To be changed:", err=as_json)
    for sentence in sentences:
        click.echo(f"  {sentence}", err=as_json)
    for remark in plan.remarks:
        click.echo(f"note: {remark}", err=True)


def _make(plan: _Plan, stores: Stores, client: DynamoDBClient) -> None:
    if plan.version != state.LATEST:
        asyncio.run(_install(stores))
        _made(_installing(plan.version))
    for table, changes in plan.tables:
        # Without a change to make, it still waits for a table that somebody else is creating.
        admin.apply(client, table, changes, made=lambda change: _made(change.sentence))
    click.echo(f"next: migrate {'status' if plan.begun else 'copy'}", err=True)


def _made(sentence: str) -> None:
    click.echo(f"done: {sentence}", err=True)


async def _install(stores: Stores) -> None:
    connection = await connect(stores.database_url, purpose="prepare")
    try:
        await state.install(connection)
    finally:
        await connection.close()


def _as_json(plan: _Plan, *, made: bool) -> dict[str, Any]:
    return {
        "changes": [{"sentence": sentence, "made": made} for sentence in plan.sentences],
        "remarks": plan.remarks,
        "followed": {str(table): captured.stands for table, captured in plan.captures.items()},
    }
