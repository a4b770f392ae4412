"""Alembic operations that install capture: `op.create_capture("tasks")` and `op.drop_capture("tasks")`.

An `env.py` imports this module, which registers them. With `context.configure(..., capture=MODEL)` (a model or several)
`alembic revision --autogenerate` writes them into revisions and `alembic check` misses them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import sqlalchemy as sa
from alembic.autogenerate import comparators, renderers
from alembic.operations import MigrateOperation, Operations
from alembic.util import CommandError, DispatchPriority, PriorityDispatchResult
from sqlalchemy.exc import DBAPIError

from migrator.errors import SourceError
from migrator.mapping import Model
from migrator.postgres import capture, state
from migrator.postgres.identifiers import TableName

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from alembic.autogenerate.api import AutogenContext
    from alembic.operations.ops import UpgradeOps

_LOCK_NOT_AVAILABLE: Final = "55P03"
_INSTALLED: Final = "migrator_schema_printed"


class CaptureLockedError(SourceError, CommandError):
    """The table could not be locked in time; Alembic shows it as one line."""

    def __str__(self) -> str:
        return "; ".join(filter(None, (self.what, self.safe, self.next_step)))


@Operations.register_operation("create_capture")
class CreateCaptureOp(MigrateOperation):
    """Installs capture on a table."""

    def __init__(
        self,
        table: TableName,
        columns: Sequence[str] | None = None,
        *,
        replaces: Sequence[str] | None = None,
        lock_timeout: str = capture.PATIENCE,
    ) -> None:
        self.table = table
        self.columns = columns
        self.replaces = replaces
        self.lock_timeout = lock_timeout

    @classmethod
    def create_capture(
        cls,
        operations: Operations,
        table_name: str,
        columns: Sequence[str] | None = None,
        *,
        schema: str | None = None,
        replaces: Sequence[str] | None = None,
        lock_timeout: str = capture.PATIENCE,
    ) -> None:
        """Have every change of a table marked, or bring its capture to other columns.

        The toolkit's schema is installed with it where it is missing. Until the transaction ends, writers of the table
        wait; readers do not. On a busy database, give each table a revision, and each revision a transaction
        (`transaction_per_migration=True`).

        Args:
            operations: Alembic's own.
            table_name: the table; its partitions are covered.
            columns: the primary key and every column that an item's key uses; if not given, the primary key.
            schema: the table's schema.
            replaces: the columns that were captured before, to which the reverse operation returns.
            lock_timeout: how long to wait for writers in flight; writers that come later wait as long.

        Raises:
            CaptureLockedError: the table was not to be locked in time.
        """
        operation = cls(TableName(table_name, schema), columns, replaces=replaces, lock_timeout=lock_timeout)
        operations.invoke(operation)

    def reverse(self) -> MigrateOperation:
        """Return the operation that undoes this one."""
        if self.replaces is None:
            return DropCaptureOp(self.table, self.columns)
        return CreateCaptureOp(self.table, self.replaces, replaces=self.columns)

    def to_diff_tuple(self) -> tuple[str, str, tuple[str, ...]]:
        """Return the difference that `alembic check` prints."""
        return ("create_capture", str(self.table), tuple(self.columns or ()))


@Operations.register_operation("drop_capture")
class DropCaptureOp(MigrateOperation):
    """Takes capture off a table."""

    def __init__(
        self, table: TableName, columns: Sequence[str] | None = None, *, lock_timeout: str = capture.PATIENCE
    ) -> None:
        self.table = table
        self.columns = columns
        self.lock_timeout = lock_timeout

    @classmethod
    def drop_capture(
        cls,
        operations: Operations,
        table_name: str,
        columns: Sequence[str] | None = None,
        *,
        schema: str | None = None,
        lock_timeout: str = capture.PATIENCE,
    ) -> None:
        """Leave changes of a table unmarked from here on. Marks that are there stay, as does the toolkit's schema.

        Args:
            operations: Alembic's own.
            table_name: the table, which may be gone already.
            columns: the columns that were captured, to which the reverse operation returns.
            schema: the table's schema.
            lock_timeout: how long to wait for other users of the table.

        Raises:
            CaptureLockedError: the table was not to be locked in time.
        """
        operations.invoke(cls(TableName(table_name, schema), columns, lock_timeout=lock_timeout))

    def reverse(self) -> MigrateOperation:
        """Return the operation that undoes this one."""
        return CreateCaptureOp(self.table, self.columns)

    def to_diff_tuple(self) -> tuple[str, str]:
        """Return the difference that `alembic check` prints."""
        return ("drop_capture", str(self.table))


@Operations.implementation_for(CreateCaptureOp)
def _create(operations: Operations, operation: CreateCaptureOp) -> None:
    context = operations.get_context()
    # A script needs it once; on a server it finds out by itself that there is nothing left to do.
    if not context.opts.get(_INSTALLED):
        _execute(operations, [state.install_statement()], operation)
        context.opts[_INSTALLED] = context.as_sql
    statements = capture.create_statements(operation.table, operation.columns, lock_timeout=operation.lock_timeout)
    _execute(operations, statements, operation)


@Operations.implementation_for(DropCaptureOp)
def _drop(operations: Operations, operation: DropCaptureOp) -> None:
    statements = capture.drop_statements(operation.table, lock_timeout=operation.lock_timeout)
    _execute(operations, statements, operation)


def _execute(operations: Operations, statements: Iterable[str], operation: CreateCaptureOp | DropCaptureOp) -> None:
    context = operations.get_context()
    try:
        for statement in statements:
            if context.as_sql:
                # As it is: Alembic prints what a driver would take, with every percent sign doubled.
                context.impl.static_output(statement + context.impl.command_terminator)
            else:
                operations.execute(sa.text(statement.replace(":", "\\:")))
    except DBAPIError as error:
        if _LOCK_NOT_AVAILABLE not in {getattr(error.orig, name, None) for name in ("sqlstate", "pgcode")}:
            raise
        raise CaptureLockedError(
            f"table {operation.table} could not be locked within {operation.lock_timeout}: a transaction that has "
            "written to it has not ended",
            safe="the migration was rolled back",
            next_step="see pg_stat_activity for long transactions, then run the migration again",
        ) from error


@renderers.dispatch_for(CreateCaptureOp)
def _render_create(_context: AutogenContext, operation: CreateCaptureOp) -> str:
    replaces = "" if operation.replaces is None else f", replaces={list(operation.replaces)!r}"
    return f"op.create_capture({_rendered(operation)}{replaces})"


@renderers.dispatch_for(DropCaptureOp)
def _render_drop(_context: AutogenContext, operation: DropCaptureOp) -> str:
    return f"op.drop_capture({_rendered(operation)})"


def _rendered(operation: CreateCaptureOp | DropCaptureOp) -> str:
    table = operation.table
    columns = "" if operation.columns is None else f", columns={list(operation.columns)!r}"
    schema = "" if table.schema is None else f", schema={table.schema!r}"
    return f"{table.name!r}{columns}{schema}"


# After the tables themselves: capture is created on a new table, and dropped before a table that goes.
@comparators.dispatch_for("schema", priority=DispatchPriority.LAST)
def _compare(context: AutogenContext, upgrade: UpgradeOps, schemas: set[str | None]) -> PriorityDispatchResult:
    models = context.opts.get("capture")
    if models is None:
        return PriorityDispatchResult.CONTINUE
    wanted = capture.wanted([models] if isinstance(models, Model) else models)
    found = _captured(context, schemas)
    for table in sorted(found.keys() - wanted.keys(), key=str):
        upgrade.ops.insert(0, DropCaptureOp(table, found[table]))
    for table, columns in wanted.items():
        present = found.get(table)
        if present is None or set(present) != set(columns):
            upgrade.ops.append(CreateCaptureOp(table, columns, replaces=present))
    return PriorityDispatchResult.CONTINUE


def _captured(context: AutogenContext, schemas: set[str | None]) -> Mapping[TableName, Sequence[str]]:
    """The tables among those that Alembic looks at which have capture, and its columns."""
    connection: Any = context.connection
    if connection.exec_driver_sql(capture.SQL["captures_exist"]).scalar() is None:
        return {}
    default = connection.dialect.default_schema_name
    found = {
        TableName(row.name, None if row.schema == default else row.schema): tuple(row.columns)
        for row in connection.exec_driver_sql(capture.SQL["captured"])
    }
    return {
        table: columns
        for table, columns in found.items()
        if table.schema in schemas and context.run_name_filters(table.name, "table", {"schema_name": table.schema})
    }
