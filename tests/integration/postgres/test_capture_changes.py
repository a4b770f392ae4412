"""Every change of a captured table leaves a mark in the writer's own transaction, whatever statement makes it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import asyncpg
import pytest
import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncSession, create_async_engine
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from tests.integration.postgres.capturing import Marked, capture, deleted, inserted, marks, updated

if TYPE_CHECKING:
    from migrator.postgres.connection import Connection
    from tests.support.stores import Database

PEOPLE, TASKS = "public.people", "public.tasks"
TABLES = """
CREATE TABLE people (id bigint PRIMARY KEY, name text);
CREATE TABLE tasks (
    id bigint PRIMARY KEY,
    person_id bigint REFERENCES people ON DELETE CASCADE ON UPDATE CASCADE,
    title text,
    done boolean NOT NULL DEFAULT false
);
"""


class Base(DeclarativeBase):
    pass


class Person(Base):
    __tablename__ = "people"

    id: Mapped[int] = mapped_column(sa.BigInteger, primary_key=True)
    name: Mapped[str | None]


@pytest.fixture
async def captured(session: Connection) -> Connection:
    """A session on a database with two captured tables, one of which refers to the other."""
    await session.execute(TABLES)
    await capture(session, "people")
    await capture(session, "tasks", ["id", "person_id"])
    return session


async def test_the_orm_and_its_bulk_statements(captured: Connection, database: Database) -> None:
    engine = create_async_engine(database.url.replace("postgresql://", "postgresql+asyncpg://"))
    async with AsyncSession(engine) as orm:
        person = Person(id=1, name="Ada")
        orm.add_all([person, Person(id=2), Person(id=3)])
        await orm.flush()
        person.name = "Grace"
        await orm.flush()
        await orm.delete(person)
        await orm.flush()
        await orm.execute(sa.insert(Person), [{"id": number} for number in (4, 5)])
        await orm.execute(sa.update(Person).where(Person.id >= 4).values(name="many"))
        await orm.execute(sa.update(Person), [{"id": 2, "name": "by key"}])
        await orm.execute(sa.delete(Person).where(Person.id == 5))
        assert await marks(captured) == []
        await orm.commit()
    await engine.dispose()
    found = await marks(captured)
    # One INSERT of several rows takes them in any order.
    assert sorted(found[:3], key=str) == [inserted(PEOPLE, id=number) for number in "123"]
    assert found[3:] == [
        updated(PEOPLE, id="1"),
        deleted(PEOPLE, id="1"),
        inserted(PEOPLE, id="4"),
        inserted(PEOPLE, id="5"),
        updated(PEOPLE, id="4"),
        updated(PEOPLE, id="5"),
        updated(PEOPLE, id="2"),
        deleted(PEOPLE, id="5"),
    ]


async def test_core_statements(captured: Connection, database: Database) -> None:
    people = sa.table("people", sa.column("id", sa.BigInteger), sa.column("name", sa.Text))
    engine = create_async_engine(database.url.replace("postgresql://", "postgresql+asyncpg://"))
    async with engine.begin() as connection:
        await connection.execute(people.insert(), [{"id": 1}, {"id": 2}])
        await connection.execute(people.update().values(id=people.c.id + 10))
        await connection.execute(people.delete().where(people.c.id == 12))
    await engine.dispose()
    assert await marks(captured) == [
        inserted(PEOPLE, id="1"),
        inserted(PEOPLE, id="2"),
        updated(PEOPLE, {"id": "1"}, id="11"),
        updated(PEOPLE, {"id": "2"}, id="12"),
        deleted(PEOPLE, id="12"),
    ]


async def test_copy(captured: Connection) -> None:
    await captured.copy_records_to_table("people", records=[(1, "a"), (2, "b")], columns=["id", "name"])
    assert await marks(captured) == [inserted(PEOPLE, id="1"), inserted(PEOPLE, id="2")]


async def test_an_update_names_the_old_key_where_it_has_changed(captured: Connection) -> None:
    await captured.execute("INSERT INTO people VALUES (1), (2); INSERT INTO tasks VALUES (7, 1), (8, NULL)")
    await marks(captured)
    await captured.execute("UPDATE tasks SET title = 'same keys' WHERE id = 7")
    assert await marks(captured) == [updated(TASKS, id="7")]
    await captured.execute("UPDATE tasks SET person_id = 2 WHERE id = 7")
    assert await marks(captured) == [updated(TASKS, {"id": "7", "person_id": "1"}, id="7")]
    await captured.execute("UPDATE tasks SET id = 9, person_id = NULL WHERE id = 7")
    assert await marks(captured) == [updated(TASKS, {"id": "7", "person_id": "2"}, id="9")]
    # A change that changes nothing is marked too, and a NULL is never sure to be the same.
    await captured.execute("UPDATE tasks SET title = title WHERE id = 8")
    assert await marks(captured) == [updated(TASKS, {"id": "8", "person_id": None}, id="8")]
    await captured.execute("DELETE FROM tasks WHERE id = 8")
    assert await marks(captured) == [deleted(TASKS, id="8", person_id=None)]


async def test_keys_that_are_swapped(captured: Connection) -> None:
    await captured.execute(
        "ALTER TABLE people DROP CONSTRAINT people_pkey CASCADE, ADD PRIMARY KEY (id) DEFERRABLE;"
        "INSERT INTO people VALUES (1), (2)"
    )
    await marks(captured)
    await captured.execute("UPDATE people SET id = 3 - id")
    assert await marks(captured) == [updated(PEOPLE, {"id": "1"}, id="2"), updated(PEOPLE, {"id": "2"}, id="1")]


async def test_foreign_keys_cascade(captured: Connection) -> None:
    await captured.execute("INSERT INTO people VALUES (1), (2); INSERT INTO tasks VALUES (7, 1), (8, 2)")
    await marks(captured)
    await captured.execute("UPDATE people SET id = 3 WHERE id = 1")
    assert sorted(await marks(captured), key=str) == [
        updated(PEOPLE, {"id": "1"}, id="3"),
        updated(TASKS, {"id": "7", "person_id": "1"}, id="7"),
    ]
    await captured.execute("DELETE FROM people WHERE id = 2")
    assert sorted(await marks(captured), key=str) == [deleted(PEOPLE, id="2"), deleted(TASKS, id="8", person_id="2")]


async def test_upserts(captured: Connection) -> None:
    await captured.execute("INSERT INTO people VALUES (1, 'a')")
    await marks(captured)
    await captured.execute("INSERT INTO people VALUES (1, 'b'), (2, 'c') ON CONFLICT DO NOTHING")
    assert await marks(captured) == [inserted(PEOPLE, id="2")]
    await captured.execute(
        "INSERT INTO people VALUES (1, 'b'), (3, 'd') ON CONFLICT (id) DO UPDATE SET name = excluded.name"
    )
    assert await marks(captured) == [updated(PEOPLE, id="1"), inserted(PEOPLE, id="3")]
    await captured.execute(
        "INSERT INTO people VALUES (1, 'e') ON CONFLICT (id) DO UPDATE SET name = excluded.name WHERE people.id = 0"
    )
    assert await marks(captured) == []


async def test_merge(captured: Connection) -> None:
    await captured.execute("INSERT INTO people VALUES (1, 'a'), (2, 'b')")
    await marks(captured)
    await captured.execute(
        "MERGE INTO people USING (VALUES (1, 'new'), (2, NULL), (3, 'c')) AS given (id, name) ON people.id = given.id "
        "WHEN MATCHED AND given.name IS NULL THEN DELETE "
        "WHEN MATCHED THEN UPDATE SET name = given.name "
        "WHEN NOT MATCHED THEN INSERT VALUES (given.id, given.name)"
    )
    assert sorted(await marks(captured), key=str) == [
        deleted(PEOPLE, id="2"),
        inserted(PEOPLE, id="3"),
        updated(PEOPLE, id="1"),
    ]


async def test_what_is_rolled_back_leaves_no_mark(captured: Connection) -> None:
    transaction = captured.transaction()
    await transaction.start()
    await captured.execute("INSERT INTO people VALUES (1)")
    await transaction.rollback()
    assert await marks(captured) == []
    async with captured.transaction():
        await captured.execute("INSERT INTO people VALUES (1)")
        await captured.execute("SAVEPOINT one; INSERT INTO people VALUES (2); ROLLBACK TO SAVEPOINT one")
        await captured.execute("SAVEPOINT two; INSERT INTO people VALUES (3); RELEASE SAVEPOINT two")
    assert await marks(captured) == [inserted(PEOPLE, id="1"), inserted(PEOPLE, id="3")]
    with pytest.raises(asyncpg.UniqueViolationError):
        await captured.execute("INSERT INTO people VALUES (4), (1)")
    assert await marks(captured) == []


async def test_truncate(captured: Connection) -> None:
    await captured.execute("INSERT INTO people VALUES (1)")
    await marks(captured)
    await captured.execute("TRUNCATE tasks")
    assert await marks(captured) == [Marked(TASKS, "truncate", None, None)]
    await captured.execute("TRUNCATE people CASCADE")
    assert sorted(await marks(captured), key=str) == [
        Marked(PEOPLE, "truncate", None, None),
        Marked(TASKS, "truncate", None, None),
    ]
    await captured.execute("BEGIN; TRUNCATE tasks; ROLLBACK")
    assert await marks(captured) == []


async def test_rows_of_partitions(session: Connection) -> None:
    await session.execute(
        "CREATE TABLE logs (id bigint, day int, PRIMARY KEY (id, day)) PARTITION BY RANGE (day);"
        "CREATE TABLE logs_1 PARTITION OF logs FOR VALUES FROM (0) TO (10);"
        "CREATE TABLE logs_2 PARTITION OF logs FOR VALUES FROM (10) TO (20) PARTITION BY LIST (id);"
        "CREATE TABLE logs_2_rest PARTITION OF logs_2 DEFAULT;"
    )
    await capture(session, "logs")
    await session.execute("INSERT INTO logs VALUES (1, 5); INSERT INTO logs_2_rest VALUES (2, 15)")
    assert await marks(session) == [inserted("public.logs", id="1", day="5"), inserted("public.logs", id="2", day="15")]
    # A row that moves to another partition is a row deleted and a row inserted.
    await session.execute("UPDATE logs SET day = 11 WHERE id = 1")
    assert await marks(session) == [deleted("public.logs", id="1", day="5"), inserted("public.logs", id="1", day="11")]
    await session.execute("UPDATE logs_2 SET day = 12 WHERE id = 1")
    assert await marks(session) == [updated("public.logs", {"id": "1", "day": "11"}, id="1", day="12")]
    await session.execute("TRUNCATE logs_2_rest")
    assert await marks(session) == [Marked("public.logs", "truncate", None, None)]
    await session.execute("TRUNCATE logs")
    assert set(map(str, await marks(session))) == {str(Marked("public.logs", "truncate", None, None))}
    await session.execute("CREATE TABLE logs_3 PARTITION OF logs FOR VALUES FROM (20) TO (30)")
    await session.execute("INSERT INTO logs VALUES (3, 25)")
    assert await marks(session) == [inserted("public.logs", id="3", day="25")]
