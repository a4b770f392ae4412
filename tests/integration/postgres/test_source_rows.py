"""Reading in the order of the primary key, whatever its type."""

from __future__ import annotations

import asyncio
import random
from dataclasses import dataclass
from decimal import Decimal
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import asyncpg
import pytest

from migrator.errors import SourceError, UsageError
from migrator.postgres import catalog
from migrator.postgres.identifiers import TableName
from migrator.postgres.rows import RowSource

if TYPE_CHECKING:
    from migrator.postgres.connection import Connection, Pool, Record
    from migrator.postgres.rows import Key

LINGUISTIC = ("en-x-icu", "und-x-icu", "unicode", "en_US.utf8", "en_US.UTF-8", "pg_unicode_fast", "C")
WORDS = "('a'), ('A'), ('b'), ('B'), ('ä'), ('z'), ('Z'), ('_'), ('a b'), ('a''\"b'), (''), ('\U0001f600'), (E'tab\\t')"


@dataclass(frozen=True)
class Selected:
    column: str
    expression: str


@dataclass(frozen=True)
class Case:
    """A table `source` by its definition, the rows that go in, and the columns of its key in order."""

    definition: str
    values: str
    key: tuple[str, ...] = ("id",)
    before: str = "SELECT 1"


CASES = {
    "text under C": Case('id text COLLATE "C" PRIMARY KEY', WORDS),
    "text as people sort it": Case("id text COLLATE {linguistic} PRIMARY KEY", WORDS),
    "text of the database's collation": Case("id text PRIMARY KEY", WORDS),
    "varchar": Case("id varchar(40) PRIMARY KEY", WORDS),
    "bpchar": Case("id char(4) PRIMARY KEY", "('a'), ('a b'), ('abcd'), (''), ('B'), ('ab')"),
    "one character": Case("id char PRIMARY KEY", "('a'), ('B'), (''), ('z')"),
    "internal char": Case('id "char" PRIMARY KEY', "('a'), ('B'), ('z'), ('9')"),
    "name": Case("id name PRIMARY KEY", "('a'), ('B'), ('z'), ('9')"),
    "int": Case("id int PRIMARY KEY", "(-2147483648), (-1), (0), (1), (9), (10), (2147483647)"),
    "bigint": Case("id bigint PRIMARY KEY", "(-9223372036854775808), (-1), (0), (9), (10), (9223372036854775807)"),
    "numeric": Case(
        "id numeric PRIMARY KEY",
        "(-1e40), (0), (0.1), (0.10000000000000000000000000000000000000001), (9), (10), ('NaN'), ('Infinity')",
    ),
    "float": Case("id float8 PRIMARY KEY", "(0.1), (0.30000000000000004), (1e300), ('NaN'), ('-Infinity'), (-0.5)"),
    "bool": Case("id bool PRIMARY KEY", "(true), (false)"),
    "uuid": Case("id uuid PRIMARY KEY", "('00000000-0000-4000-8000-000000000000'), " + ", ".join(
        f"('{random.Random(seed).getrandbits(128):032x}')" for seed in range(12)  # noqa: S311 - test data
    )),
    "timestamptz": Case(
        "id timestamptz PRIMARY KEY",
        "('2025-11-29 10:30:00.123456+09'), ('2025-11-29 10:30:00+00'), ('infinity'), ('-infinity'), "
        "('0044-03-15 12:00:00+00 BC'), ('1999-12-31 23:59:60+00')",
    ),
    "date": Case("id date PRIMARY KEY", "('2025-01-02'), ('0044-03-15 BC'), ('infinity'), ('2025-02-01')"),
    "time": Case("id time PRIMARY KEY", "('24:00'), ('00:00'), ('23:59:59.999999'), ('10:30')"),
    "interval": Case("id interval PRIMARY KEY", "('1 mon'), ('-1 mon +2 days -3.5s'), ('29 days'), ('0.1s')"),
    "bytea": Case("id bytea PRIMARY KEY", r"('\x'), ('\x00'), ('\x00ff'), ('\xff'), ('\x5c78')"),
    "inet": Case("id inet PRIMARY KEY", "('10.0.0.1'), ('10.0.0.0/8'), ('9.255.255.255'), ('::1')"),
    "enum": Case(
        'id "Mood" PRIMARY KEY', "('sad'), ('ok'), ('very happy'), ('Ok')",
        before="""CREATE TYPE "Mood" AS ENUM ('very happy', 'ok', 'Ok', 'sad')""",
    ),
    "domain with a collation": Case(
        "id code COLLATE {linguistic} PRIMARY KEY", WORDS,
        before="""CREATE DOMAIN code AS text COLLATE "POSIX" CHECK (VALUE <> 'forbidden')""",
    ),
    "array": Case("id int[] PRIMARY KEY", "('{{1,2}}'), ('{{1,10}}'), ('{{}}'), ('{{1,NULL}}')"),
    "composite": Case(
        "a text COLLATE {linguistic}, b int, PRIMARY KEY (b, a)",
        "('a', 1), ('B', 1), ('b', 1), ('a', 2), ('a', 10), ('A', 10), ('b', -1), ('C', 10)",
        key=("b", "a"),
    ),
    "names that need quotes": Case('"Order ""Id""" text PRIMARY KEY', WORDS, key=('Order "Id"',)),
}  # fmt: skip


async def table_of(session: Connection, case: Case) -> catalog.LiveTable:
    linguistic = await session.fetchval(
        "SELECT quote_ident(collname) FROM pg_collation WHERE collname = ANY($1) "
        "AND collencoding IN (-1, pg_char_to_encoding('UTF8')) AND (collprovider <> 'i' OR $2) "
        "ORDER BY array_position($1, collname::text) LIMIT 1",
        list(LINGUISTIC),
        await _has_icu(session),
    )
    await session.execute(case.before)
    await session.execute(f"CREATE TABLE source ({case.definition.format(linguistic=linguistic)}, extra jsonb)")
    columns = case.definition.count(" PRIMARY KEY (") + 1
    names = "(a, b)" if columns == 2 else f'("{case.key[0].replace(chr(34), chr(34) * 2)}")'
    await session.execute(f"INSERT INTO source {names} VALUES {case.values.replace('{{', '{').replace('}}', '}')}")  # noqa: S608
    return await catalog.require(session, TableName("source"))


async def _has_icu(session: Connection) -> bool:
    try:
        await session.fetchval("""SELECT 'a' < 'B' COLLATE "unicode" """)
    except (asyncpg.FeatureNotSupportedError, asyncpg.UndefinedObjectError):
        return False
    return True


async def pages_of(session: Connection, source: RowSource, limit: int, until: Key | None = None) -> list[list[Record]]:
    pages, after = [], None
    while True:
        page = await source.page(session, after, until, limit)
        pages.append(page.records)
        if len(page.records) < limit:
            return pages
        after = page.last


@pytest.mark.parametrize("case", CASES.values(), ids=CASES.keys())
async def test_each_row_is_read_once_in_the_order_of_the_key(session: Connection, case: Case) -> None:
    live = await table_of(session, case)
    assert live.key == case.key
    source = RowSource(live, [Selected("extra", "{}")])
    quoted = [f'source."{name.replace(chr(34), chr(34) * 2)}"' for name in case.key]
    texts = ", ".join(f"{name}::text" for name in quoted)
    rows = await session.fetch(f"SELECT {texts} FROM source ORDER BY {', '.join(quoted)}")  # noqa: S608
    expected = [tuple(row) for row in rows]

    pages = await pages_of(session, source, 3)
    assert [source.key_of(record) for page in pages for record in page] == expected
    assert all(len(page) == 3 for page in pages[:-1])

    # Any key is a bound: what is up to it and what is after it are the whole.
    for number, key in enumerate(expected, start=1):
        lower = await source.page(session, None, key, 100)
        upper = await source.page(session, key, None, 100)
        assert [source.key_of(record) for record in lower.records] == expected[:number]
        assert [source.key_of(record) for record in upper.records] == expected[number:]

    wanted = list(reversed(expected))
    found = await source.by_keys(session, wanted)
    assert [record and source.key_of(record) for record in found] == wanted


@pytest.mark.parametrize("case", [CASES["composite"], CASES["uuid"], CASES["text as people sort it"]])
async def test_a_page_is_served_by_the_index_of_the_key(session: Connection, case: Case) -> None:
    live = await table_of(session, case)
    # The planner's worst case: many rows that it has no statistics about.
    await session.execute("ALTER TABLE source SET (autovacuum_enabled = off)")
    generated = {
        ("b", "a"): "INSERT INTO source SELECT 'x' || i, i % 100 FROM generate_series(1, 20000) AS i",
        ("id",): "INSERT INTO source SELECT md5(i::text)::uuid FROM generate_series(1, 20000) AS i"
        if case is CASES["uuid"]
        else "INSERT INTO source SELECT md5(i::text) FROM generate_series(1, 20000) AS i",
    }
    await session.execute(generated[case.key])
    source = RowSource(live, [Selected("extra", "{}")])
    first, last = await source.split(session, 3)

    for after, until in ((None, None), (first, None), (None, last), (first, last)):
        seen: list[Any] = []
        session.add_query_logger(seen.append)
        await source.page(session, after, until, 500)
        # asyncpg calls its loggers from the event loop.
        await asyncio.sleep(0)
        session.remove_query_logger(seen.append)
        (query,) = seen
        plan = "\n".join(row[0] for row in await session.fetch(f"EXPLAIN {query.query}", *query.args))
        assert "Index Scan using source_pkey" in plan
        assert "Sort" not in plan
        if after is not None:
            assert "Index Cond" in plan
            assert "Filter" not in plan


async def test_a_record_holds_the_projection_then_the_key(session: Connection) -> None:
    await session.execute(
        """CREATE TABLE source
               (id uuid PRIMARY KEY, at timestamptz, doc jsonb, price numeric, tags text[], "Odd Name" int);
           INSERT INTO source VALUES ('00000000-0000-4000-8000-000000000000', '2025-11-29 10:30:00.5+00',
               '{"n": 0.10}', 1.50, '{a,NULL}', 7)"""
    )
    live = await catalog.require(session, TableName("source"))
    selected = [
        ("at", "{}::text"),
        ("doc", "{}"),
        ("price", "{}"),
        ("tags", "{}"),
        ("Odd Name", "{}"),
        ("id", "{}::text"),
    ]
    source = RowSource(live, [Selected(column, expression) for column, expression in selected])
    (record,) = (await source.page(session, None, None, 10)).records
    key = "00000000-0000-4000-8000-000000000000"
    assert tuple(record) == ("2025-11-29 10:30:00.5+00", '{"n": 0.10}', Decimal("1.50"), ["a", None], 7, key, key)
    assert source.key_of(record) == (key,)
    assert source.named_key((key,)) == {"id": key}


async def test_an_empty_table_has_an_empty_page_and_no_split(session: Connection) -> None:
    await session.execute("CREATE TABLE source (id int PRIMARY KEY)")
    source = RowSource(await catalog.require(session, TableName("source")), [Selected("id", "{}")])
    page = await source.page(session, None, None, 10)
    assert (page.records, page.last) == ([], None)
    assert await source.split(session, 8) == []
    assert await source.by_keys(session, []) == []


async def test_a_partitioned_table_is_read_in_the_order_of_its_key(session: Connection) -> None:
    await session.execute(
        """CREATE TABLE source (id int, region text, PRIMARY KEY (id, region)) PARTITION BY LIST (region);
           CREATE TABLE source_a PARTITION OF source FOR VALUES IN ('a');
           CREATE TABLE source_b PARTITION OF source FOR VALUES IN ('b');
           INSERT INTO source SELECT i, CASE WHEN i % 2 = 0 THEN 'a' ELSE 'b' END FROM generate_series(1, 100) AS i"""
    )
    live = await catalog.require(session, TableName("source"))
    source = RowSource(live, [Selected("id", "{}")])
    pages = await pages_of(session, source, 7)
    assert [record[0] for page in pages for record in page] == list(range(1, 101))
    assert len(await source.split(session, 4)) == 3


async def test_keys_without_a_row_are_none_in_their_place(session: Connection) -> None:
    await session.execute("CREATE TABLE source (a int, b text, PRIMARY KEY (a, b)); INSERT INTO source VALUES (1, 'x')")
    source = RowSource(await catalog.require(session, TableName("source")), [Selected("b", "{}")])
    missing, found, again = await source.by_keys(session, [("1", "y"), ("1", "x"), ("1", "x")])
    assert missing is None
    assert found is not None
    assert found == again


@pytest.mark.parametrize("key", [("one",), ("99999999999999999999",), ("1", "2"), (), ("\0",)])
async def test_a_key_that_is_none_of_the_table_is_refused_without_repeating_it(session: Connection, key: Key) -> None:
    await session.execute("CREATE TABLE source (id int PRIMARY KEY)")
    source = RowSource(await catalog.require(session, TableName("source")), [Selected("id", "{}")])
    with pytest.raises(UsageError, match=r"a key given for public\.source cannot be read as \(id integer\)") as caught:
        await source.by_keys(session, [key])
    assert "one" not in caught.value.what.replace("none", "")


async def test_reading_a_table_that_was_dropped_or_changed_says_so(session: Connection) -> None:
    await session.execute("CREATE TABLE source (id int PRIMARY KEY, name text)")
    source = RowSource(await catalog.require(session, TableName("source")), [Selected("name", "{}")])
    await session.execute("ALTER TABLE source DROP COLUMN name")
    with pytest.raises(SourceError, match=r"cannot read public\.source: a column that the mapping names is missing"):
        await source.page(session, None, None, 10)
    await session.execute("DROP TABLE source")
    with pytest.raises(SourceError, match=r"cannot read public\.source: a table is missing"):
        await source.page(session, None, None, 10)


async def test_pages_go_on_after_a_column_was_added_meanwhile(session: Connection) -> None:
    await session.execute("CREATE TABLE source (id int PRIMARY KEY); INSERT INTO source SELECT generate_series(1, 20)")
    source = RowSource(await catalog.require(session, TableName("source")), [Selected("id", "{}")])
    page = await source.page(session, None, None, 10)
    await session.execute("ALTER TABLE source ADD COLUMN name text DEFAULT 'x'")
    page = await source.page(session, page.last, None, 10)
    assert [record[0] for record in page.records] == list(range(11, 21))


async def test_rows_written_and_deleted_between_pages_disturb_no_other_row(sessions: Pool) -> None:
    async with sessions.acquire() as session, sessions.acquire() as writer:
        await session.execute("CREATE TABLE source (id int PRIMARY KEY)")
        await session.execute("INSERT INTO source SELECT i * 2 FROM generate_series(1, 200) AS i")
        source = RowSource(await catalog.require(session, TableName("source")), [Selected("id", "{}")])
        seen: list[int] = []
        after = None
        while True:
            page = await source.page(session, after, None, 9)
            seen += [record[0] for record in page.records]
            if len(page.records) < 9:
                break
            after = page.last
            await writer.execute("DELETE FROM source WHERE id = $1", seen[-1])
            await writer.execute("INSERT INTO source VALUES ($1), ($2)", seen[-1] - 1, seen[-1] + 3)
        assert seen == sorted(set(seen))
        assert set(range(2, 401, 2)) <= set(seen)


def sizes(boundaries: list[int], values: list[int]) -> list[int]:
    bounds = [float("-inf"), *boundaries, float("inf")]
    return [sum(lower < value <= upper for value in values) for lower, upper in pairwise(bounds)]


@pytest.mark.parametrize("parts", [2, 7, 16])
async def test_a_skewed_key_splits_evenly(session: Connection, parts: int) -> None:
    values = [*range(1000), *(10**9 + number for number in range(10)), *(10**12 + 7**3 * n for n in range(2000))]
    await session.execute("CREATE TABLE source (id bigint PRIMARY KEY)")
    await session.executemany("INSERT INTO source VALUES ($1)", [(value,) for value in values])
    source = RowSource(await catalog.require(session, TableName("source")), [Selected("id", "{}")])
    boundaries = [int(key[0]) for key in await source.split(session, parts)]
    shares = sizes(boundaries, values)
    assert len(shares) == parts
    assert max(shares) - min(shares) <= 1


async def test_fewer_rows_than_parts_make_fewer_ranges(session: Connection) -> None:
    await session.execute("CREATE TABLE source (id int PRIMARY KEY); INSERT INTO source VALUES (1), (2), (3)")
    source = RowSource(await catalog.require(session, TableName("source")), [Selected("id", "{}")])
    assert await source.split(session, 8) == [("1",), ("2",)]
    assert await source.split(session, 1) == []


async def test_a_big_table_is_split_by_a_sample(session: Connection) -> None:
    await session.execute("CREATE TABLE source (a text, b int, PRIMARY KEY (a, b))")
    # Three tenants, one of which has almost everything; rows lie in the order they came, not in the key's.
    await session.execute(
        """INSERT INTO source
           SELECT CASE WHEN i % 50 = 0 THEN 'a' WHEN i % 50 = 1 THEN 'c' ELSE 'b' END, hashint4(i) FROM
           generate_series(1, 300000) AS i ON CONFLICT DO NOTHING"""
    )
    await session.execute("ANALYZE source")
    live = await catalog.require(session, TableName("source"))
    source = RowSource(live, [Selected("b", "{}")])
    assert await catalog.estimated_rows(session, live) > 250_000
    boundaries = await source.split(session, 8)
    assert len(boundaries) == 7
    bounds = [("", "-2147483648"), *boundaries, ("~", "0")]
    count = "SELECT count(*) FROM source WHERE (a, b) > ($1, $2::text::int) AND (a, b) <= ($3, $4::text::int)"
    shares = [await session.fetchval(count, *low, *high) for low, high in pairwise(bounds)]
    total = await session.fetchval("SELECT count(*) FROM source")
    assert sum(shares) == total
    assert max(shares) < 1.5 * total / 8
    assert min(shares) > 0.5 * total / 8


async def test_several_sessions_read_side_by_side(sessions: Pool) -> None:
    async with sessions.acquire() as session:
        await session.execute(
            "CREATE TABLE source (id int PRIMARY KEY); INSERT INTO source SELECT generate_series(1, 999)"
        )
        source = RowSource(await catalog.require(session, TableName("source")), [Selected("id", "{}")])
        bounds = [None, *await source.split(session, 4), None]

    async def read(after: Key | None, until: Key | None) -> list[int]:
        async with sessions.acquire() as connection:
            return [record[0] for record in (await source.page(connection, after, until, 1000)).records]

    parts = await asyncio.gather(*(read(low, high) for low, high in pairwise(bounds)))
    assert [value for part in parts for value in part] == list(range(1, 1000))
