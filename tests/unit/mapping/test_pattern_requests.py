"""Access patterns as requests to DynamoDB and as statements to PostgreSQL, before either is asked."""

from __future__ import annotations

from datetime import UTC, date, datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any
from uuid import UUID

import pytest
import sqlalchemy as sa
from sqlalchemy.dialects import postgresql

from mappings.miyabi import MODEL
from migrator.errors import UsageError
from migrator.mapping import B, Entity, Get, Index, Item, N, Query, S, Table
from tests.unit.mapping.small import entity_of

if TYPE_CHECKING:
    from migrator.mapping import Pattern

PATTERNS = {pattern.id: pattern for pattern in MODEL.patterns}
USER = "550e8400-e29b-41d4-a716-446655440000"


def sql(statement: sa.Select[Any]) -> str:
    compiled = statement.compile(dialect=postgresql.dialect(), compile_kwargs={"literal_binds": True})  # type: ignore[no-untyped-call]
    text = " ".join(str(compiled).split())
    return text[text.index("WHERE") :]


def test_every_pattern_of_the_reference_is_declared() -> None:
    assert {f"AP{number}" for number in range(1, 11)} <= PATTERNS.keys()


@pytest.mark.parametrize(
    ("pattern", "parameters", "key"),
    [
        ("AP1", {"id": USER}, {"PK": {"S": f"USER#{USER}"}, "SK": {"S": "METADATA"}}),
        ("AP1", {"id": UUID(USER)}, {"PK": {"S": f"USER#{USER}"}, "SK": {"S": "METADATA"}}),
        ("AP4", {"id": "exec-1"}, {"PK": {"S": "EXEC#exec-1"}, "SK": {"S": "METADATA"}}),
        ("AP8", {"id": "ws-1"}, {"PK": {"S": "WS#ws-1"}, "SK": {"S": "METADATA"}}),
    ],
)
def test_get(pattern: str, parameters: dict[str, Any], key: dict[str, object]) -> None:
    assert PATTERNS[pattern].request(**parameters) == {"TableName": "miyabi-lambda-data", "Key": key}


@pytest.mark.parametrize(
    ("pattern", "parameters", "index", "names", "values", "forward"),
    [
        ("AP2", {"user_id": USER}, None, ("PK", "SK"), (f"USER#{USER}", "REPO#"), True),
        ("AP3", {"repository_id": "r"}, None, ("PK", "SK"), ("REPO#r", "EXEC#"), True),
        ("AP5", {"status": "failed"}, "GSI1", ("GSI1PK",), ("STATUS#failed",), False),
        ("AP6", {"user_id": USER}, None, ("PK", "SK"), (f"USER#{USER}", "TASK#"), True),
        ("AP7", {"task_id": "t"}, None, ("PK", "SK"), ("TASK#t", "DEP#"), True),
        ("AP9", {"org_id": "o"}, "GSI2", ("GSI2PK", "GSI2SK"), ("ORG#o", "USER#"), True),
        ("AP10", {"repository_id": "r"}, None, ("PK", "SK"), ("REPO#r", "WORKFLOW#"), True),
    ],
)
def test_query(
    pattern: str,
    parameters: dict[str, Any],
    index: str | None,
    names: tuple[str, ...],
    values: tuple[str, ...],
    forward: bool,  # noqa: FBT001 - a parameter of the case
) -> None:
    placeholders = ("p", "s")
    expected = {
        "TableName": "miyabi-lambda-data",
        "KeyConditionExpression": "#p = :p" + " AND begins_with(#s, :s)" * (len(names) - 1),
        "ExpressionAttributeNames": {f"#{one}": name for one, name in zip(placeholders, names, strict=False)},
        "ExpressionAttributeValues": {
            f":{one}": {"S": value} for one, value in zip(placeholders, values, strict=False)
        },
        "ScanIndexForward": forward,
        **({} if index is None else {"IndexName": index}),
    }
    query = PATTERNS[pattern]
    assert isinstance(query, Query)
    assert query.request(**parameters) == expected
    after = {"PK": {"S": "x"}}
    paged = {**expected, "Limit": 3, "ExclusiveStartKey": after}
    assert query.request(limit=3, start_key=after, **parameters) == paged


def test_the_same_question_in_sql() -> None:
    assert sql(PATTERNS["AP1"].statement(id=USER)) == f"WHERE users.id = CAST('{USER}' AS UUID)"
    assert sql(PATTERNS["AP3"].statement(repository_id="r")) == (
        "WHERE agent_executions.repository_id = CAST('r' AS TEXT) "
        "ORDER BY date_trunc('second', agent_executions.started_at) ASC, "
        'agent_executions.id COLLATE "C" ASC'
    )
    assert sql(PATTERNS["AP5"].statement(status="failed")).endswith(
        "ORDER BY date_trunc('second', agent_executions.started_at) DESC"
    )
    assert "users.org_id IS NOT NULL" in sql(PATTERNS["AP9"].statement(org_id="o"))


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({}, "AP3 takes repository_id; given: nothing"),
        ({"repository_id": "r", "status": "x"}, "AP3 takes repository_id; given: repository_id, status"),
        ({"repository_id": 5}, "AP3, parameter repository_id: a JSON string is expected here"),
        ({"repository_id": None}, "AP3, parameter repository_id: a JSON string is expected here"),
    ],
)
def test_parameters_that_the_pattern_does_not_take(parameters: dict[str, Any], message: str) -> None:
    for ask in (PATTERNS["AP3"].request, PATTERNS["AP3"].statement):
        with pytest.raises(UsageError, match=message):
            ask(**parameters)


def test_a_parameter_that_no_key_can_hold_is_refused_without_its_value() -> None:
    source = sa.Table("source", sa.MetaData(), sa.Column("id", sa.Integer, primary_key=True))
    get = Get("one", "one", Entity("E", source, Table("target", S("PK")), [Item("{id:03}")]))
    with pytest.raises(UsageError, match="one, PK: a key part of 3 digits") as caught:
        get.request(id=98765)
    assert "98765" not in str(caught.value)


def typed(**columns: Any) -> Entity:  # noqa: ANN401 - SQLAlchemy's types
    """An entity whose key is a number and bytes."""
    source = sa.Table("source", sa.MetaData(), *(sa.Column(n, t, primary_key=True) for n, t in columns.items()))
    table = Table("target", N("number"), B("bytes"), indexes=(Index("by-day", S("day"), N("number")),))
    items = [Item("{number}", "{bytes}", indexes={"by-day": ("{day}#{flag}", "{number}")})]
    return Entity("E", source, table, items)


def test_parameters_of_every_type() -> None:
    entity = typed(number=sa.Integer, bytes=sa.LargeBinary, day=sa.Date, flag=sa.Boolean)
    get = Get("one", "one", entity)
    assert get.request(number=5, bytes=b"\x00")["Key"] == {"number": {"N": "5"}, "bytes": {"B": "AA=="}}
    assert "CAST('\\x00' AS BYTEA)" in sql(get.statement(number=5, bytes=b"\x00")).replace("\\\\", "\\")
    query = Query("day", "of a day", entity, index="by-day")
    request = query.request(day=date(2025, 11, 29), flag=True)
    assert request["ExpressionAttributeValues"] == {":p": {"S": "2025-11-29#true"}}
    assert sql(query.statement(day="2025-11-29", flag=True)) == (
        "WHERE source.day = CAST('2025-11-29' AS DATE) AND source.flag = CAST('true' AS BOOLEAN) "
        "ORDER BY source.number ASC"
    )


def test_a_query_orders_as_its_sort_key_does() -> None:
    columns: dict[str, Any] = {
        "at": sa.DateTime(timezone=True),
        "kind": sa.Enum("b", "a", name="kind"),
        "count": sa.Integer,
    }
    required: list[sa.Column[Any]] = [
        sa.Column(name, column_type, nullable=False) for name, column_type in columns.items()
    ]
    entity = entity_of(*required)
    source = entity.source
    items = [Item("A", "{at:millis}#{kind:escape,unordered}#{count:05}#{id}", when=source.c.count != 3)]
    entity = entity_of(source=source, items=items, attributes=[])
    query: Pattern = Query("all", "all", entity)
    assert sql(query.statement()) == (
        "WHERE source.count != 3 ORDER BY date_trunc('milliseconds', source.at) ASC, "
        'CAST(source.kind AS TEXT) COLLATE "C" ASC, source.count ASC, source.id COLLATE "C" ASC'
    )


def test_an_instant_is_given_as_a_datetime() -> None:
    source = sa.Table("source", sa.MetaData(), sa.Column("at", sa.DateTime(timezone=True), primary_key=True))
    entity = Entity("E", source, Table("target", N("at")), [Item("{at:epoch}")])
    get = Get("one", "one", entity)
    assert get.request(at=datetime(1970, 1, 1, 0, 0, 1, 500_000, tzinfo=UTC))["Key"] == {"at": {"N": "1.5"}}


def test_a_value_that_its_column_is_too_short_for_is_not_cut_to_another() -> None:
    types: dict[str, Any] = {"code": sa.String(3), "price": sa.Numeric(8, 2), "size": sa.CHAR(2)}
    columns: list[sa.Column[Any]] = [sa.Column(name, each, primary_key=True) for name, each in types.items()]
    source = sa.Table("source", sa.MetaData(), *columns)
    table = Table("target", N("price"), S("SK"))
    get = Get("one", "one", Entity("E", source, table, [Item("{price}", "{code:escape}#{size}")]))
    assert sql(get.statement(code="abcd", price=Decimal("1.234"), size="XL")) == (
        "WHERE source.price = CAST('1.234' AS NUMERIC) AND source.code = CAST('abcd' AS VARCHAR) "
        "AND source.size = CAST('XL' AS CHAR(2))"
    )
