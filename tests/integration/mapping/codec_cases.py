"""PostgreSQL's types of one value, with the values that are easily lost on the way to DynamoDB, written as SQL."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sqlalchemy import (
    ARRAY,
    CHAR,
    DATE,
    JSON,
    NUMERIC,
    REAL,
    TIMESTAMP,
    VARCHAR,
    BigInteger,
    Boolean,
    Integer,
    LargeBinary,
    SmallInteger,
    Text,
    Uuid,
)
from sqlalchemy.dialects import postgresql as pg
from sqlalchemy.types import UserDefinedType

from migrator.mapping import NATURAL, TEXT, Form
from tests.support.round_trip import SAME, SAME_DOCUMENT, SAME_TEXT, SAME_VALUE

if TYPE_CHECKING:
    from sqlalchemy.types import TypeEngine

TIMESTAMPTZ = TIMESTAMP(timezone=True)
MOOD = pg.ENUM("happy", "it's so-so", "très triste", name="mood")
CREATE_MOOD = "CREATE TYPE mood AS ENUM ('happy', 'it''s so-so', 'très triste')"


class Named(UserDefinedType[str]):
    """A type that SQLAlchemy has no class for."""

    cache_ok = True

    def __init__(self, name: str) -> None:
        self.name = name

    def get_col_spec(self, **_: object) -> str:
        return self.name


@dataclass(frozen=True)
class Case:
    """One type of column.

    Attributes:
        type: the type in SQL.
        declared: the type in the mapping's table.
        exact: values that come back the same.
        refused: values that the form has no place for.
        form: the form that the attribute is declared with.
        policy: the form that the refusal advises, with which every value comes back.
        same: the SQL that judges two values where both are stored in `form`.
        same_by_policy: likewise in `policy`.
        setup: statements that make the type.
    """

    type: str
    declared: TypeEngine[Any]
    exact: tuple[str, ...]
    refused: tuple[str, ...] = ()
    form: Form = NATURAL
    policy: Form = TEXT
    same: str = SAME
    same_by_policy: str = SAME
    setup: tuple[str, ...] = ()

    def __str__(self) -> str:
        return self.type if self.form is NATURAL else f"{self.type} as {self.form.name}"


def nested(levels: int, leaf: str = "1") -> str:
    return f"'{'[' * levels}{leaf}{']' * levels}'"


NUMBERS = (
    Case("smallint", SmallInteger(), ("-32768", "0", "32767")),
    Case("integer", Integer(), ("-2147483648", "0", "2147483647")),
    Case("bigint", BigInteger(), ("-9223372036854775808", "0", "9223372036854775807")),
    Case(
        "numeric",
        NUMERIC(),
        (
            *("0", "0.000", "1.50", "-1.50", "100", "1e3", "0.1", "123456789.987654321"),
            "12345678901234567890123456789012345678",
            "-0.12345678901234567890123456789012345678",
            "12345678901234567890123456789012345678000000000000",
            *("1e-130", "-1e-130", "9.99e125", "-9.99e125", "9.9999999999999999999999999999999999999e125"),
        ),
        (
            *("'NaN'", "'Infinity'", "'-Infinity'"),
            "123456789012345678901234567890123456789",
            "0.123456789012345678901234567890123456789",
            *("1e-131", "1e126", "-1e126", "1e1000"),
        ),
        same=SAME_VALUE,
    ),
    Case("numeric(5,2)", NUMERIC(5, 2), ("95.50", "0", "-999.99"), ("'NaN'",), same=SAME_VALUE),
    Case(
        "double precision",
        pg.DOUBLE_PRECISION(),
        (
            *("0", "0.1", "-0.1", "1.0 / 3", "2.0 / 3", "1e15", "1e16", "1e22", "123456789012345680", "0.1::real"),
            *("9007199254740993", "1.7976931348623157e100", "1e-5", "1e-130", "9.99e125", "5e-100"),
        ),
        ("'NaN'", "'Infinity'", "'-Infinity'", "1e308", "1.7976931348623157e308", "5e-324", "2.2250738585072014e-308"),
    ),
    # Both zeros are one value to PostgreSQL.
    Case("double precision", pg.DOUBLE_PRECISION(), ("'-0'",), same=SAME_VALUE),
    Case(
        "real",
        REAL(),
        ("0", "0.1", "-0.1", "1.0 / 3", "16777216", "16777217", "3.4028235e38", "1e-45", "1.17549435e-38", "1e10"),
        ("'NaN'", "'Infinity'", "'-Infinity'"),
    ),
    Case("boolean", Boolean(), ("true", "false")),
    Case("money", pg.MONEY(), ("'-$92,233,720,368,547,758.08'", "0", "'1234.56'::money"), form=TEXT),
    Case("oid", pg.OID(), ("0", "4294967295")),
)

INSTANTS = (
    Case(
        "timestamp with time zone",
        TIMESTAMPTZ,
        (
            *("'2025-11-29 10:30:00+00'", "'2025-11-29 10:30:00.5+09'", "'2025-11-29 10:30:00.000001-08:30'"),
            *("'0001-01-01 00:00:00+00'", "'9999-12-31 23:59:59.999999+00'", "'1969-12-31 23:59:59.1+00'"),
            "'2025-03-30 02:30:00 Europe/Berlin'",
        ),
        (
            *("'infinity'", "'-infinity'", "'0001-12-31 23:59:59+00 BC'", "'4713-01-01 00:00:00+00 BC'"),
            *("'10000-01-01 00:00:00+00'", "'294276-12-31 23:59:59.999999+00'"),
        ),
    ),
    Case(
        "timestamp without time zone",
        TIMESTAMP(),
        ("'2025-11-29 10:30:00'", "'2025-11-29 10:30:00.123456'", "'0001-01-01'", "'9999-12-31 23:59:59.999999'"),
        ("'infinity'", "'-infinity'", "'0044-03-15 12:00 BC'", "'10000-01-01'", "'12025-11-29 10:30:00.1'"),
    ),
    Case(
        "date",
        DATE(),
        ("'2025-11-29'", "'2024-02-29'", "'0001-01-01'", "'9999-12-31'"),
        ("'infinity'", "'-infinity'", "'0044-03-15 BC'", "'10000-01-01'", "'5874897-12-31'"),
    ),
    Case(
        "time without time zone", pg.TIME(), ("'00:00'", "'24:00:00'", "'23:59:59.999999'", "'10:30:00.5'", "'10:30'")
    ),
    Case(
        "time with time zone",
        pg.TIME(timezone=True),
        ("'00:00+00'", "'24:00:00+00'", "'10:30:00.5+09:30'", "'23:59:59.999999-15:59:59'"),
    ),
    Case(
        "interval",
        pg.INTERVAL(),
        (
            *("'1 mon'", "'30 days'", "'720 hours'", "'1 year 2 mons 3 days 04:05:06.789'", "'0'"),
            *("'-1 year -2 mons +3 days -04:05:06.000001'", "'1 mon -1 day'", "'-0.5 seconds'", "'1 day -1 second'"),
            *("'178000000 years'", "'-178000000 years'", "'0.000001 s'"),
        ),
    ),
)

DOCUMENTS = (
    Case(
        "jsonb",
        pg.JSONB(),
        (
            *("'true'", "'false'", "'0'", "'-0'", "'1.50'", "'\"\"'", "'\"text\"'", "'[]'", "'{}'"),
            *("'[null, [], {}, \"\", [[]]]'", '\'{"a": null, "b": {"c": [1, "1", 1.0, true]}}\''),
            *(
                "'12345678901234567890123456789012345678'",
                "'0.1'",
                "'1e-130'",
                "'9.99e125'",
                "'100000000000000000000.5'",
            ),
            "'[9007199254740993, 0.30000000000000004, 1e22, 123456789.123456789123456789]'",
            *(nested(30), nested(31, ""), '\'{"M": {"S": "no type of ours"}}\''),
            '\'"\\u00e9 e\\u0301 \\ud83d\\ude80 \\\\ / \\" \\n\\t\\u0001\\u001f\\u007f\\u2028"\'',
            '\'{"k\\u0301y": 1, "ky\\u0301": 2, "a.b[0]": 3, "#": 4, " ": 5, "\\"": 6, "\\\\": 7}\'',
            "to_jsonb(repeat('große Zeichenkette ', 15000))",
            "(SELECT jsonb_object_agg('key ' || n, n) FROM generate_series(1, 5000) AS n)",
        ),
        (
            *("'123456789012345678901234567890123456789'", "'1.23456789012345678901234567890123456789'"),
            *("'1e400'", "'1e-131'", "'[{\"deep\": [1e126]}]'", "'{\"\": 1}'", '\'[[{"a": {"": null}}]]\''),
            *(nested(31), nested(32, ""), nested(33), nested(40), nested(2000)),
        ),
        same=SAME_VALUE,
    ),
    Case(
        "json",
        JSON(),
        (
            *("'[null]'", '\' { "b" : 1,\n"a" : [ 1.0 , 1e2, -0 ] } \'', "'\"\\u00e9\"'", "'1E+5'", "'[0.10e-3]'"),
            *("'{}'", "' [ ] '", "'\"\\ud83d\\ude80\"'"),
        ),
        (
            *('\'{"a": 1, "a": 2}\'', '\'[{"a": 1, "a": 1}]\'', "'1e400'", "'{\"\": 1}'", nested(31)),
            *("'\"\\ud800\"'", "'{\"\\udc00\": 1}'", "'123456789012345678901234567890123456789'"),
        ),
        same=SAME_DOCUMENT,
        same_by_policy=SAME_TEXT,
    ),
    # jsonb, the judge above, takes no such character.
    Case("json", JSON(), ("'\"a\\u0000b\"'", "'{\"\\u0000\": 1}'"), same=SAME_TEXT, same_by_policy=SAME_TEXT),
)

TEXTS = (
    Case(
        "text",
        Text(),
        (
            *("''", "' '", "'it''s \"quoted\" \\ back\\\\slash'", "E'\\r\\n\\t\\b\\f'", "'{braces} {{}} %s $1 '"),
            *(
                "'NULL'",
                "'null'",
                "'é e\u0301 Å A\u030a ﬁ'",
                "'日本語 العربية עברית'",
                "'🚀 👩\u200d💻 🇯🇵 👍🏽 \U0010fffd \U00020000'",
            ),
            "(SELECT string_agg(chr(code), '') FROM generate_series(1, 55295) AS code)",
            "E'\\u2028\\u2029\\ufeff\\ufffe\\uffff\\u0001\\u007f\\u0085'",
            "repeat('\U0001f680', 90000)",
        ),
    ),
    Case("character(5)", CHAR(5), ("''", "'ab'", "'ab   '", "'abcde'", "'  a'", "'日本'")),
    Case("character varying(5)", VARCHAR(5), ("''", "'ab'", "'ab   '", "'日本語🚀'")),
    Case('"char"', Named('"char"'), ("'a'", "''", "' '"), form=TEXT),
    Case("name", VARCHAR(63), ("''", "'pg_class'", "'é'")),
    Case("uuid", Uuid(), ("'00000000-0000-0000-0000-000000000000'", "'A0EEBC99-9C0B-4EF8-BB6D-6BB9BD380A11'")),
    Case("mood", MOOD, ("'happy'", "'it''s so-so'", "'très triste'"), setup=(CREATE_MOOD,)),
    Case(
        "bytea",
        LargeBinary(),
        (
            *("''", "'\\x00'", "'\\x00ff'", "'\\xdeadbeef00'"),
            "(SELECT string_agg(set_byte('\\x00', 0, byte), '') FROM generate_series(0, 255) AS byte)",
        ),
    ),
    Case("tsvector", pg.TSVECTOR(), ("''", "'a fat cat'", "$$'it''s':1A,2B quick:3$$", "to_tsvector('simple', 'x y')")),
    Case("tsquery", pg.TSQUERY(), ("''", "'fat & (rat | !cat)'", "'a <-> b:*A'")),
)

OTHERS = (
    Case("inet", pg.INET(), ("'192.168.0.1'", "'192.168.0.1/24'", "'::1'", "'2001:db8::/32'", "'::ffff:1.2.3.4/96'")),
    Case("cidr", pg.CIDR(), ("'10.0.0.0/8'", "'2001:db8::/32'", "'0.0.0.0/0'")),
    Case("macaddr", pg.MACADDR(), ("'08:00:2b:01:02:03'",)),
    Case("macaddr8", pg.MACADDR8(), ("'08:00:2b:01:02:03:04:05'",)),
    Case("bit(5)", pg.BIT(5), ("B'00000'", "B'10101'")),
    Case("bit varying", pg.BIT(varying=True), ("B''", "B'0'", "B'000101'")),
    Case("int4range", pg.INT4RANGE(), ("'empty'", "'[1,10)'", "'(,)'", "'[5,5]'", "'(,7]'")),
    Case("numrange", pg.NUMRANGE(), ("'empty'", "'[1.50,NaN]'", "'(1e-200,1e200)'", "'[,Infinity]'")),
    Case(
        "daterange", pg.DATERANGE(), ("'[2025-01-01,infinity)'", "'[,2025-01-01)'", "'[0044-03-15 BC,0044-03-16 BC)'")
    ),
    Case(
        "tstzrange",
        pg.TSTZRANGE(),
        ("'empty'", "'[2025-01-01 00:00+09,2025-01-02 00:00:00.5+09)'", "'(-infinity,infinity)'", "'[,10000-01-01)'"),
    ),
    Case("int4multirange", pg.INT4MULTIRANGE(), ("'{}'", "'{[1,3),[5,7)}'", "'{(,)}'")),
    Case("tstzmultirange", pg.TSTZMULTIRANGE(), ("'{}'", "'{[2025-01-01,2025-01-02),[2025-02-01,infinity)}'")),
    Case("point", Named("point"), ("'(1,2)'", "'(-0.1,1e300)'", "'(NaN,Infinity)'"), form=TEXT, same=SAME_TEXT),
    Case("box", Named("box"), ("'((0,0),(1,1))'", "'((0.1,0.2),(1e-320,3))'"), form=TEXT, same=SAME_TEXT),
    Case("pg_lsn", Named("pg_lsn"), ("'0/0'", "'16/B374D848'"), form=TEXT),
    Case(
        "pair",
        Named("pair"),
        ("ROW(1, 'it''s, \"so\" (x) \\')", "ROW(NULL, '')", "ROW(NULL, NULL)", "'(7,)'"),
        form=TEXT,
        setup=("CREATE TYPE pair AS (number integer, word text)",),
    ),
    Case(
        "word",
        pg.DOMAIN("word", Text()),
        ("'x'", "'längeres Wort'", "'{}'"),
        setup=("CREATE DOMAIN word AS text CHECK (VALUE <> '')",),
    ),
    Case("amount", pg.DOMAIN("amount", Integer()), ("1", "-1"), setup=("CREATE DOMAIN amount AS integer",)),
    Case(
        "price",
        pg.DOMAIN("price", NUMERIC(10, 2)),
        ("1.50", "0"),
        ("'NaN'",),
        same=SAME_VALUE,
        setup=("CREATE DOMAIN price AS numeric(10,2)",),
    ),
    Case(
        "happiness",
        pg.DOMAIN("happiness", pg.DOMAIN("feeling", MOOD)),
        ("'happy'",),
        # PostgreSQL has no equality for a domain over an enum.
        same=SAME_TEXT,
        setup=(CREATE_MOOD, "CREATE DOMAIN feeling AS mood", "CREATE DOMAIN happiness AS feeling"),
    ),
    Case("words", pg.DOMAIN("words", ARRAY(Text())), ("'{a,NULL}'", "'{}'"), setup=("CREATE DOMAIN words AS text[]",)),
)

SCALARS = (*NUMBERS, *INSTANTS, *DOCUMENTS, *TEXTS, *OTHERS)
