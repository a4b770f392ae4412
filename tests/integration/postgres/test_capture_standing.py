"""How capture stands on a table: whatever may have changed rows without a mark is found and named."""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING

import pytest

from migrator.postgres import state
from migrator.postgres.capture import accept, create_statements, drop_statements, look, standing
from migrator.postgres.identifiers import TableName

if TYPE_CHECKING:
    from collections.abc import Sequence

    from migrator.postgres.capture import Capture
    from migrator.postgres.connection import Connection

TASKS, EVENTS = TableName("tasks"), TableName("events", "Log")
TABLES = """
CREATE TABLE tasks (id bigint PRIMARY KEY, user_id uuid, name text);
CREATE SCHEMA "Log";
CREATE TABLE "Log".events (id bigint, day date, note text, PRIMARY KEY (id, day)) PARTITION BY RANGE (day);
CREATE TABLE "Log".early PARTITION OF "Log".events FOR VALUES FROM ('2025-01-01') TO ('2025-07-01');
CREATE TABLE "Log".late PARTITION OF "Log".events FOR VALUES FROM ('2025-07-01') TO ('2026-01-01')
    PARTITION BY LIST (id);
CREATE TABLE "Log".late_one PARTITION OF "Log".late DEFAULT;
"""


@pytest.fixture
async def captured(session: Connection) -> Connection:
    """A session on a database with two captured tables, one of them partitioned."""
    await state.install(session)
    await session.execute(TABLES)
    await create(session, TASKS, ["id", "user_id"])
    await create(session, EVENTS)
    return session


async def create(session: Connection, table: TableName, columns: Sequence[str] | None = None) -> None:
    for statement in create_statements(table, columns):
        await session.execute(statement)


async def on(session: Connection, table: TableName, *columns: str) -> Capture:
    found = await standing(session, {table: columns or ("id",)})
    assert list(found) == [table]
    return found[table]


async def faults(session: Connection, table: TableName, *columns: str) -> list[str]:
    return [fault.kind for fault in (await on(session, table, *columns)).faults]


async def resynchronised(session: Connection, table: str) -> None:
    seen = await look(session, table)
    assert seen is not None
    await accept(session, seen)


async def test_capture_stands_once_it_is_installed(captured: Connection) -> None:
    for table, columns in ((TASKS, ("id", "user_id")), (EVENTS, ("id", "day"))):
        found = await on(captured, table, *columns)
        assert found.stands
        assert found.columns == columns
        assert found.installed_at is not None
        assert found.follows(found.installed_at)
    await captured.execute(
        "INSERT INTO tasks VALUES (1); UPDATE tasks SET name = 'x'; ANALYZE tasks; DELETE FROM tasks"
    )
    assert await faults(captured, TASKS) == []


async def test_before_the_schema_is_installed_no_table_has_capture(session: Connection) -> None:
    await session.execute("CREATE TABLE tasks (id bigint PRIMARY KEY)")
    found = await on(session, TASKS)
    assert not found.stands
    assert found.absent
    (fault,) = found.faults
    assert fault.sentence == "capture is not installed on tasks"
    assert fault.next_step == (
        "put op.create_capture('tasks', columns=['id']) into an Alembic revision, then run: alembic upgrade head"
    )


async def test_a_table_without_capture_or_without_existence(captured: Connection) -> None:
    await captured.execute("CREATE TABLE users (id bigint PRIMARY KEY)")
    assert await faults(captured, TableName("users")) == ["missing"]
    assert await faults(captured, TableName("nowhere")) == ["missing"]
    for statement in drop_statements(TASKS):
        await captured.execute(statement)
    assert await faults(captured, TASKS) == ["missing"]


@pytest.mark.parametrize("how", ["DISABLE", "ENABLE", "ENABLE REPLICA"])
async def test_a_trigger_that_does_not_fire_always(captured: Connection, how: str) -> None:
    await captured.execute(f"ALTER TABLE tasks {how} TRIGGER migrator_capture")
    found = await on(captured, TASKS)
    assert [fault.kind for fault in found.faults] == ["disabled", "altered"]
    assert "the trigger migrator_capture of public.tasks" in found.faults[0].sentence
    # Installing it again has it fire again; that nothing was written meanwhile, nobody can know.
    await create(captured, TASKS, ["id", "user_id"])
    assert await faults(captured, TASKS) == ["altered"]
    await resynchronised(captured, "public.tasks")
    assert await faults(captured, TASKS) == []


async def test_a_trigger_that_is_disabled_on_one_partition(captured: Connection) -> None:
    await captured.execute('ALTER TABLE "Log".late_one DISABLE TRIGGER ALL')
    found = await on(captured, EVENTS)
    assert [(fault.kind, "Log.late_one" in fault.sentence) for fault in found.faults] == [
        ("disabled", True),
        ("disabled", True),
        ("altered", True),
        ("altered", True),
    ]
    assert all(fault.resync for fault in found.faults)
    await resynchronised(captured, "Log.events")
    assert await faults(captured, EVENTS) == ["disabled", "disabled"]


async def test_a_trigger_that_was_dropped_and_one_of_the_same_name(captured: Connection) -> None:
    await captured.execute("DROP TRIGGER migrator_capture ON tasks")
    assert "missing" in await faults(captured, TASKS)
    await captured.execute(
        "CREATE FUNCTION nothing() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END';"
        "CREATE TRIGGER migrator_capture AFTER INSERT OR UPDATE OR DELETE ON tasks FOR EACH ROW "
        "EXECUTE FUNCTION nothing();"
        "ALTER TABLE tasks ENABLE ALWAYS TRIGGER migrator_capture"
    )
    assert "replaced" in await faults(captured, TASKS)
    await create(captured, TASKS, ["id", "user_id"])
    await resynchronised(captured, "public.tasks")
    assert await faults(captured, TASKS) == []


@pytest.mark.parametrize(
    "change",
    [
        (
            'CREATE OR REPLACE FUNCTION migrator."capture_public.tasks"() RETURNS trigger LANGUAGE plpgsql '
            "SECURITY DEFINER AS 'BEGIN RETURN NULL; END'"
        ),
        'ALTER FUNCTION migrator."capture_public.tasks"() SECURITY INVOKER',
        'ALTER FUNCTION migrator."capture_public.tasks"() SET search_path = public',
    ],
)
async def test_a_function_that_was_replaced(captured: Connection, change: str) -> None:
    await captured.execute(change)
    assert await faults(captured, TASKS) == ["replaced"]
    # What happened meanwhile may be unmarked, and stays a fault when the function is mended.
    await create(captured, TASKS, ["id", "user_id"])
    assert await faults(captured, TASKS) == ["altered"]
    await resynchronised(captured, "public.tasks")
    assert await faults(captured, TASKS) == []
    await create(captured, TASKS, ["id", "user_id"])
    assert await faults(captured, TASKS) == []


async def test_an_owner_who_may_no_longer_write_marks(captured: Connection) -> None:
    role = f"former_{uuid.uuid4().hex}"
    await captured.execute(f'CREATE ROLE {role}; ALTER FUNCTION migrator."capture_public.tasks"() OWNER TO {role}')
    try:
        found = await on(captured, TASKS)
        (fault,) = found.faults
        assert (fault.kind, fault.resync) == ("unprivileged", False)
        await captured.execute(fault.next_step.removeprefix("as a superuser run: "))
        assert await faults(captured, TASKS) == []
    finally:
        await captured.execute(f"REASSIGN OWNED BY {role} TO CURRENT_USER; DROP OWNED BY {role}; DROP ROLE {role}")


async def test_columns_that_the_mapping_needs_and_capture_does_not_hold(captured: Connection) -> None:
    found = await on(captured, TASKS, "id", "name", "user_id")
    (fault,) = found.faults
    assert (fault.kind, fault.resync) == ("unfit", True)
    assert "does not hold name, which" in fault.sentence
    installed = found.installed_at
    await create(captured, TASKS, ["id", "name", "user_id"])
    found = await on(captured, TASKS, "id", "name", "user_id")
    assert found.stands
    assert found.installed_at == installed


async def test_columns_that_the_table_no_longer_has(captured: Connection) -> None:
    await captured.execute("ALTER TABLE tasks RENAME user_id TO owner_id")
    (fault,) = (await on(captured, TASKS)).faults
    assert "capture of tasks needs user_id, which the table no longer has: every write fails" in fault.sentence
    with pytest.raises(Exception, match='has no field "user_id"'):
        await captured.execute("UPDATE tasks SET name = 'x'; INSERT INTO tasks VALUES (1); DELETE FROM tasks")
    await create(captured, TASKS, ["id", "owner_id"])
    assert await faults(captured, TASKS, "id", "owner_id") == []
    await captured.execute("INSERT INTO tasks VALUES (2)")


@pytest.mark.parametrize(
    "change",
    [
        "ALTER TABLE tasks ALTER user_id TYPE text",
        "ALTER TABLE tasks DROP CONSTRAINT tasks_pkey, ADD PRIMARY KEY (id, user_id)",
    ],
)
async def test_a_key_or_a_type_that_has_changed(captured: Connection, change: str) -> None:
    await captured.execute(change)
    assert "unfit" in await faults(captured, TASKS)
    await create(captured, TASKS, ["id", "user_id"])
    assert "unfit" not in await faults(captured, TASKS)


async def test_a_partition_that_was_attached(captured: Connection) -> None:
    await captured.execute(
        'CREATE TABLE "Log".next (id bigint, day date, note text, PRIMARY KEY (id, day));'
        "INSERT INTO \"Log\".next VALUES (1, '2026-02-01');"
        "ALTER TABLE \"Log\".events ATTACH PARTITION \"Log\".next FOR VALUES FROM ('2026-01-01') TO ('2027-01-01')"
    )
    found = await on(captured, EVENTS)
    # The row trigger came with it, enabled as on its parent; that of TRUNCATE did not.
    assert [fault.kind for fault in found.faults] == ["missing", "partitions"]
    assert found.faults[0].sentence == "Log.next has no trigger migrator_capture_truncate"
    assert "attached to Log.events since: Log.next" in found.faults[1].sentence
    await captured.execute("INSERT INTO \"Log\".events VALUES (2, '2026-02-02')")
    assert await captured.fetchval("SELECT row_key ->> 'id' FROM migrator.marks WHERE source = 'Log.events'") == "2"
    await create(captured, EVENTS)
    assert await faults(captured, EVENTS) == ["partitions"]
    await resynchronised(captured, "Log.events")
    assert await faults(captured, EVENTS) == []


async def test_a_partition_that_was_made_fires_always(captured: Connection) -> None:
    await captured.execute(
        "CREATE TABLE \"Log\".next PARTITION OF \"Log\".events FOR VALUES FROM ('2026-01-01') TO ('2027-01-01')"
    )
    assert await faults(captured, EVENTS) == ["missing", "partitions"]


@pytest.mark.parametrize("how", ['ALTER TABLE "Log".events DETACH PARTITION "Log".early', 'DROP TABLE "Log".early'])
async def test_a_partition_that_is_gone(captured: Connection, how: str) -> None:
    await captured.execute(how)
    (fault,) = (await on(captured, EVENTS)).faults
    assert "detached or dropped from Log.events since: Log.early" in fault.sentence
    assert fault.next_step.endswith("then run: migrate copy --restart Log.events")
    await create(captured, EVENTS)
    await resynchronised(captured, "Log.events")
    assert await faults(captured, EVENTS) == []
    assert await captured.fetchval("SELECT count(*) FROM pg_trigger WHERE tgrelid = to_regclass('\"Log\".early')") == 0


async def test_a_partition_that_was_away_for_a_while(captured: Connection) -> None:
    await captured.execute(
        'ALTER TABLE "Log".events DETACH PARTITION "Log".early;'
        "INSERT INTO \"Log\".early VALUES (1, '2025-02-01');"
        "ALTER TABLE \"Log\".events ATTACH PARTITION \"Log\".early FOR VALUES FROM ('2025-01-01') TO ('2025-07-01')"
    )
    assert "altered" in await faults(captured, EVENTS)


@pytest.mark.parametrize(
    ("change", "kinds"),
    [
        ("ALTER TABLE tasks ALTER name TYPE text USING upper(name)", ["rewritten"]),
        ("ALTER TABLE tasks ADD token uuid DEFAULT gen_random_uuid()", ["rewritten"]),
        ("VACUUM FULL tasks", []),
        ("CLUSTER tasks USING tasks_pkey", []),
        ("ALTER TABLE tasks SET UNLOGGED", []),
        ("ALTER TABLE tasks ADD note text DEFAULT 'none'", []),
        ("ALTER TABLE tasks ALTER name SET NOT NULL", []),
    ],
)
async def test_a_table_that_was_rewritten(captured: Connection, change: str, kinds: list[str]) -> None:
    await captured.execute("INSERT INTO tasks SELECT i, gen_random_uuid(), 'n' FROM generate_series(1, 10) i")
    await captured.execute(change)
    assert await faults(captured, TASKS) == kinds
    await resynchronised(captured, "public.tasks")
    assert await faults(captured, TASKS) == []


async def test_a_table_that_was_truncated(captured: Connection) -> None:
    await captured.execute("INSERT INTO tasks VALUES (1); TRUNCATE tasks; INSERT INTO tasks VALUES (2)")
    (fault,) = (await on(captured, TASKS)).faults
    assert fault.sentence == "tasks was truncated"
    seen = await look(captured, "public.tasks")
    assert seen is not None
    assert len(seen.unnamed) == 1
    await captured.execute("TRUNCATE tasks")
    await accept(captured, seen)
    assert await faults(captured, TASKS) == ["truncated"]
    await resynchronised(captured, "public.tasks")
    assert await faults(captured, TASKS) == []
    operations = await captured.fetch("SELECT operation::text FROM migrator.marks ORDER BY id")
    assert [row["operation"] for row in operations] == ["insert", "insert"]


async def test_a_partition_that_was_truncated(captured: Connection) -> None:
    await captured.execute('TRUNCATE "Log".late_one')
    assert await faults(captured, EVENTS) == ["truncated"]


async def test_a_table_of_the_same_name_is_another_table(captured: Connection) -> None:
    await captured.execute("DROP TABLE tasks; CREATE TABLE tasks (id bigint PRIMARY KEY)")
    assert await faults(captured, TASKS) == ["missing"]
    await create(captured, TASKS)
    assert await faults(captured, TASKS) == []
    await captured.execute("DROP TABLE tasks")
    for statement in drop_statements(TASKS):
        await captured.execute(statement)
    assert await captured.fetchval("SELECT count(*) FROM pg_proc WHERE proname = 'capture_public.tasks'") == 0


async def test_a_table_that_was_renamed_keeps_its_marks(captured: Connection) -> None:
    await captured.execute(
        "INSERT INTO tasks VALUES (1); ALTER TABLE tasks RENAME TO jobs; INSERT INTO jobs VALUES (2)"
    )
    jobs = TableName("jobs")
    (fault,) = (await on(captured, jobs)).faults
    assert fault.sentence == "public.tasks was renamed to public.jobs; marks still name the former"
    await create(captured, jobs, ["id", "user_id"])
    await captured.execute("INSERT INTO jobs VALUES (3)")
    found = await captured.fetch("SELECT source, row_key ->> 'id' AS id FROM migrator.marks ORDER BY id")
    assert [tuple(row) for row in found] == [("public.jobs", "1"), ("public.jobs", "2"), ("public.jobs", "3")]
    assert await faults(captured, jobs) == []


async def test_a_table_that_takes_the_name_of_a_captured_one(captured: Connection) -> None:
    await captured.execute("ALTER TABLE tasks RENAME TO jobs; CREATE TABLE tasks (id bigint PRIMARY KEY)")
    with pytest.raises(Exception, match="jobs had this name, and its capture still has; create or drop that one first"):
        await create(captured, TASKS)
    await create(captured, TableName("jobs"), ["id", "user_id"])
    await create(captured, TASKS)
    await captured.execute("INSERT INTO tasks VALUES (1); INSERT INTO jobs VALUES (2)")
    found = await captured.fetch("SELECT source, row_key ->> 'id' AS id FROM migrator.marks ORDER BY id")
    assert [tuple(row) for row in found] == [("public.tasks", "1"), ("public.jobs", "2")]


@pytest.mark.parametrize(
    ("table", "columns", "why"),
    [
        ("CREATE TABLE bare (id bigint)", None, "no primary key"),
        ("CREATE VIEW bare AS SELECT 1 AS id", None, "no ordinary or partitioned table"),
        ("CREATE TABLE bare (id bigint PRIMARY KEY); CREATE TABLE child () INHERITS (bare)", None, "INHERITS"),
        ("CREATE TABLE bare (id bigint PRIMARY KEY)", ["id", "absent"], "no column absent"),
    ],
)
async def test_what_cannot_be_captured_is_refused(
    session: Connection, table: str, columns: list[str] | None, why: str
) -> None:
    await state.install(session)
    await session.execute(table)
    with pytest.raises(Exception, match=why):
        await create(session, TableName("bare"), columns)
    assert await session.fetchval("SELECT count(*) FROM migrator.captures") == 0
