"""The type citext on a server without contrib: as the extension defines it, its comparisons in SQL instead of C."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

    from migrator.postgres.connection import Connection

_OPERATORS = {"<": "lt", "<=": "le", "=": "eq", ">=": "ge", ">": "gt"}
_NEGATORS = {"<": ">=", "<=": ">", ">=": "<", ">": "<="}
_COMMUTATORS = {"<": ">", "<=": ">=", "=": "=", ">=": "<=", ">": "<"}


async def create_citext(connection: Connection) -> None:
    """Make the type, by its extension where the server has that."""
    if await connection.fetchval("SELECT count(*) FROM pg_available_extensions WHERE name = 'citext'"):
        await connection.execute("CREATE EXTENSION citext")
        return
    for statement in _statements():
        await connection.execute(statement)


def _statements() -> Iterator[str]:
    yield "CREATE TYPE citext"
    yield "CREATE FUNCTION citextin(cstring) RETURNS citext AS 'textin' LANGUAGE internal IMMUTABLE STRICT"
    yield "CREATE FUNCTION citextout(citext) RETURNS cstring AS 'textout' LANGUAGE internal IMMUTABLE STRICT"
    yield "CREATE TYPE citext (INPUT = citextin, OUTPUT = citextout, LIKE = text, CATEGORY = 'S', COLLATABLE = true)"
    yield "CREATE CAST (citext AS text) WITHOUT FUNCTION AS IMPLICIT"
    yield "CREATE CAST (text AS citext) WITHOUT FUNCTION AS ASSIGNMENT"
    yield (
        "CREATE FUNCTION citext_cmp(citext, citext) RETURNS integer LANGUAGE sql IMMUTABLE STRICT "
        "AS 'SELECT bttextcmp(lower($1::text), lower($2::text))'"
    )
    for operator, name in _OPERATORS.items():
        negated = f"NEGATOR = {_NEGATORS[operator]}" if operator in _NEGATORS else "MERGES"
        yield (
            f"CREATE FUNCTION citext_{name}(citext, citext) RETURNS boolean LANGUAGE sql IMMUTABLE STRICT "
            f"AS 'SELECT citext_cmp($1, $2) {operator} 0'"
        )
        yield (
            f"CREATE OPERATOR {operator} (LEFTARG = citext, RIGHTARG = citext, FUNCTION = citext_{name}, "
            f"COMMUTATOR = {_COMMUTATORS[operator]}, {negated})"
        )
    members = ", ".join(f"OPERATOR {number} {operator}" for number, operator in enumerate(_OPERATORS, 1))
    yield (
        "CREATE OPERATOR CLASS citext_ops DEFAULT FOR TYPE citext USING btree AS "
        f"{members}, FUNCTION 1 citext_cmp(citext, citext)"
    )
