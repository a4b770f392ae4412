"""Arrays as Lists and as Sets, with the values that are easily lost on the way to DynamoDB."""

from __future__ import annotations

from sqlalchemy import ARRAY, CHAR, DATE, NUMERIC, REAL, BigInteger, Boolean, Integer, LargeBinary, Text, Uuid
from sqlalchemy.dialects import postgresql as pg

from migrator.mapping import NATURAL, SET
from tests.integration.mapping.codec_cases import CREATE_MOOD, MOOD, TIMESTAMPTZ, Case, nested
from tests.support.round_trip import SAME_MEMBERS, SAME_VALUE

ARRAYS = (
    Case(
        "text[]",
        ARRAY(Text()),
        (
            *("'{}'", "'{a}'", '\'{a,NULL,"NULL",""}\'', "'{{a,b},{NULL,d}}'", "'{{{1},{2}},{{3},{4}}}'"),
            "ARRAY['it''s', '\"', '\\', '{', '}', ',', ' ', E'\\n', 'é🚀', '[1:2]={a}']",
        ),
        ("'[0:2]={a,b,c}'", "'[2:2]={a}'", "'[10:11]={a,b}'", "'[-1:0]={a,b}'", "'[1:1][0:1]={{a,b}}'"),
    ),
    Case("integer[]", ARRAY(Integer()), ("'{}'", "'{1,NULL,-2147483648}'", "'{{1,2},{3,4}}'"), ("'[0:0]={1}'",)),
    Case("bigint[]", ARRAY(BigInteger()), ("'{9223372036854775807,NULL}'",)),
    Case("boolean[]", ARRAY(Boolean()), ("'{t,f,NULL}'", "'{{t},{f}}'")),
    Case(
        "numeric[]",
        ARRAY(NUMERIC()),
        ("'{}'", "'{1.50,NULL,-0.1,1e-130}'", "'{12345678901234567890123456789012345678}'", "'{{1e100},{1e-9}}'"),
        ("'{1,NaN}'", "'{Infinity}'", "'{123456789012345678901234567890123456789}'", "'{1e126}'"),
        same=SAME_VALUE,
    ),
    Case("double precision[]", ARRAY(pg.DOUBLE_PRECISION()), ("'{0.1,1e22,NULL}'",), ("'{NaN}'", "'{1,1e308}'")),
    Case("real[]", ARRAY(REAL()), ("'{0.1,16777217,NULL,3.4028235e38}'", "'{{0.3},{0.7}}'"), ("'{NaN}'",)),
    Case("uuid[]", ARRAY(Uuid()), ("'{a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11,NULL}'", "'{}'")),
    Case(
        "timestamp with time zone[]",
        ARRAY(TIMESTAMPTZ),
        ("'{2025-11-29 10:30:00.5+09,NULL}'", "'{{2025-11-29},{0001-01-01}}'"),
        ("'{infinity}'", "'{10000-01-01,2025-01-01}'", "'{0044-03-15 BC}'"),
    ),
    Case("date[]", ARRAY(DATE()), ("'{2025-11-29,NULL}'",), ("'{infinity}'", "'{0044-03-15 BC}'")),
    Case("interval[]", ARRAY(pg.INTERVAL()), ("'{1 mon,30 days,-1 mon +1 day,NULL}'",)),
    Case("bytea[]", ARRAY(LargeBinary()), ("ARRAY['\\x00ff'::bytea, '', NULL]", "'{}'")),
    Case(
        "jsonb[]",
        ARRAY(pg.JSONB()),
        (
            *("'{}'", "ARRAY['{\"a\": [1.50, null]}'::jsonb, NULL, '1e-130', '\"\"', 'true']", "ARRAY[NULL::jsonb]"),
            *("ARRAY['[1, [2]]'::jsonb, '[]', '{}']", f"ARRAY[{nested(29)}::jsonb]"),
        ),
        (
            *("ARRAY['null'::jsonb]", "ARRAY['1'::jsonb, 'null', NULL]", "ARRAY['1e400'::jsonb]"),
            *("ARRAY[['1'::jsonb], ['[2]'::jsonb]]", f"ARRAY[{nested(30)}::jsonb]", "ARRAY['{\"\": 1}'::jsonb]"),
        ),
        same=SAME_VALUE,
    ),
    Case("mood[]", ARRAY(MOOD), ("'{happy,NULL,\"it''s so-so\"}'",), setup=(CREATE_MOOD,)),
    Case("word[]", ARRAY(pg.DOMAIN("word", Text())), ("'{x,NULL}'",), setup=("CREATE DOMAIN word AS text",)),
    Case("inet[]", ARRAY(pg.INET()), ("'{192.168.0.1/24,NULL,::1}'",)),
    Case("int4range[]", ARRAY(pg.INT4RANGE()), ("'{\"[1,3)\",empty,NULL}'",)),
    Case("character(3)[]", ARRAY(CHAR(3)), ("'{a,abc,NULL}'",)),
)

_LISTED = ("'{}'", "'{NULL}'")

SETS = (
    Case(
        "text[]",
        ARRAY(Text()),
        ("'{b,a}'", "'{\"\"}'", '\'{NULL_,"NULL",é,🚀,"\\""}\''),
        (*_LISTED, "'{a,a}'", "'{a,NULL}'", "'{{a,b},{c,d}}'"),
        form=SET,
        policy=NATURAL,
        same=SAME_MEMBERS,
    ),
    Case(
        "integer[]",
        ARRAY(Integer()),
        ("'{3,1,2}'",),
        (*_LISTED, "'{1,1}'"),
        form=SET,
        policy=NATURAL,
        same=SAME_MEMBERS,
    ),
    Case(
        "numeric[]",
        ARRAY(NUMERIC()),
        ("'{1.50,2,1e-130,-3}'", "'{10,1,100}'"),
        (*_LISTED, "'{1,1.0}'", "'{1.50,1.5,2}'", "'{100,1e2}'", "'{0,0.0}'"),
        form=SET,
        policy=NATURAL,
        same=SAME_MEMBERS,
        same_by_policy=SAME_VALUE,
    ),
    Case(
        "double precision[]",
        ARRAY(pg.DOUBLE_PRECISION()),
        ("'{0.1,1e22,5}'",),
        (*_LISTED, "'{1,1.0}'", "'{0,-0}'"),
        form=SET,
        policy=NATURAL,
        same=SAME_MEMBERS,
        same_by_policy=SAME_VALUE,
    ),
    Case("uuid[]", ARRAY(Uuid()), ("'{a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11}'",), _LISTED, SET, NATURAL, SAME_MEMBERS),
    Case("bytea[]", ARRAY(LargeBinary()), ("ARRAY['\\xff'::bytea, '\\x00', '']",), _LISTED, SET, NATURAL, SAME_MEMBERS),
    Case("text[]", ARRAY(Text()), ("'{a}'",), ("'[0:1]={a,b}'",), form=SET, same=SAME_MEMBERS),
    Case("numeric[]", ARRAY(NUMERIC()), ("'{1}'",), ("'{1,NaN}'", "'{1e126,2}'"), form=SET, same=SAME_MEMBERS),
)

COLLECTIONS = (*ARRAYS, *SETS)
