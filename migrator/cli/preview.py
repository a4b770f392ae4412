"""`migrate preview`."""

from __future__ import annotations

import asyncio
import csv
import json
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Final, NoReturn

import rich_click as click

from migrator.cli.items import print_row
from migrator.cli.options import common_options, json_option, mapping_options
from migrator.cli.work import load_work, stores_of
from migrator.engines.stores import live_table
from migrator.errors import MigratorError, UsageError
from migrator.mapping import Unencodable, forward, plain_item, row_from_json, row_key, to_text
from migrator.postgres.connection import connect
from migrator.postgres.rows import RowSource
from migrator.settings import load_settings

if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import TextIO

    from migrator.cli.invocation import Invocation
    from migrator.engines.stores import Stores
    from migrator.mapping import Entity, Row
    from migrator.postgres.connection import Record
    from migrator.postgres.rows import Key

ROWS: Final = 5


@click.command("preview")
@click.argument("table")
@click.option(
    "--key",
    "keys",
    multiple=True,
    metavar="KEY",
    help="The row of this primary key, as PostgreSQL writes it; of several columns: a,b. May be repeated.",
)
@click.option("--limit", type=click.IntRange(min=1), help=f"How many rows, in the order of the key.  [default: {ROWS}]")
@click.option(
    "--row",
    "file",
    type=click.File(encoding="utf-8"),
    metavar="FILE",
    help="One row as a JSON object, instead of rows of the source; - for stdin.",
)
@mapping_options
@json_option
@common_options
@click.pass_obj
def command(
    invocation: Invocation, *, table: str, keys: tuple[str, ...], limit: int | None, file: TextIO | None, as_json: bool
) -> None:
    """Show the items that rows become.

    The rows come from the source, or one from --row, for which no store is needed. Nothing is written. --json prints
    plain JSON, one line with the list of its items for each row.
    """
    if (keys and limit is not None) or (file is not None and (keys or limit is not None)):
        raise click.UsageError("--key, --limit and --row exclude each other.")
    settings = load_settings(**invocation.settings)
    for work in load_work(settings, [table]):
        (entity,) = work.entities
        if file is not None:
            rows = [_given(entity, file)]
        else:
            rows = asyncio.run(_fetched(entity, stores_of(settings), _keys(entity, keys), limit or ROWS))
        _show(entity, rows, as_json=as_json)


def _given(entity: Entity, file: TextIO) -> Row:
    """The row that a person wrote."""
    try:
        document: Any = json.loads(file.read(), parse_float=Decimal, parse_constant=_refuse_constant)
    except UnicodeDecodeError as error:
        raise _no_row(f"{file.name} is not UTF-8 text") from error
    except (ValueError, RecursionError) as error:
        # The decoder's own text names the place, and no value.
        raise _no_row(f"{file.name} is not JSON: {error}") from error
    if not isinstance(document, dict):
        raise _no_row(f"{file.name} holds no JSON object")
    return row_from_json(entity, document)


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON")


def _no_row(why: str) -> UsageError:
    return UsageError(
        f"--row: {why}",
        next_step='Give one row as a JSON object of columns and values, such as {"id": 1, "name": "a"}.',
    )


def _keys(entity: Entity, texts: Sequence[str]) -> list[Key]:
    """The keys as the source edge takes them. Only a key of several columns is taken apart."""
    if len(entity.key_columns) == 1:
        return [(text,) for text in texts]
    return [_composite(entity, text) for text in texts]


def _composite(entity: Entity, text: str) -> Key:
    try:
        key = tuple(next(csv.reader([text], strict=True)))
    except csv.Error:
        key = ()
    if len(key) != len(entity.key_columns):
        raise UsageError(
            f"--key: the primary key of {entity.source_name} is ({', '.join(entity.key_columns)})",
            next_step="Give one value for each column, separated by commas; a value with a comma in double quotes.",
        )
    return key


async def _fetched(entity: Entity, stores: Stores, keys: Sequence[Key], limit: int) -> list[Row]:
    connection = await connect(stores.database_url, purpose="preview", read_only=True)
    try:
        source = RowSource(await live_table(connection, entity), entity.projection)
        records: list[Record | None]
        if keys:
            records = await source.by_keys(connection, keys)
        else:
            records = (await source.page(connection, None, None, limit)).records
    finally:
        await connection.close()
    missing = [", ".join(key) for key, record in zip(keys, records, strict=False) if record is None]
    if missing:
        raise MigratorError(
            f"{entity.source_name} has no row with the key ({'), ('.join(missing)})",
            next_step=f"See which rows there are: migrate preview {entity.source_name}",
        )
    names = [projected.name for projected in entity.projection]
    return [dict(zip(names, record, strict=False)) for record in records if record is not None]


def _show(entity: Entity, rows: Sequence[Row], *, as_json: bool) -> None:
    """Shows the items of each row that has some, then fails if there was one that has none."""
    failures: list[Unencodable] = []
    for row in rows:
        try:
            items = forward(entity, row)
        except Unencodable as failure:
            failures.append(failure)
            continue
        if as_json:
            click.echo(to_text([plain_item(item) for item in items]))
        else:
            print_row(entity, row_key(entity, row), items)
    if not rows:
        click.echo(f"{entity.source_name} is empty.", err=True)
    if failures:
        first, *others = failures
        more = f" ({len(others)} other rows shown here have no exact items either)" if others else ""
        raise MigratorError(first.what + more, safe=first.safe, next_step=first.next_step) from first
