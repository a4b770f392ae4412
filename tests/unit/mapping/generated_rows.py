"""Values of every kind, as the source edge yields them: ordinary ones, and awkward ones."""

from __future__ import annotations

import json
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any
from uuid import UUID

from hypothesis import strategies as st

from migrator.mapping import kind as kinds
from migrator.mapping import to_text
from migrator.mapping.array import Array, Set
from migrator.mapping.plan import BOUNDS

if TYPE_CHECKING:
    from hypothesis.strategies import SearchStrategy

    from migrator.mapping import Entity, Row, RowValue
    from migrator.mapping.kind import Kind

NASTY = "aZ09 '\"\\/{}[]%#:|-_\n\r\t\x01\x7f\u00e9\u0301\u2028\u65e5\U0001f680"
LABELS = ("plain", "with # and %", "caf\u00e9", "UPPER")
BIGINT = 2**63

_CHARACTERS = st.characters(exclude_categories=["Cs"], exclude_characters="\0")
_ORDINARY_TEXT = st.text(st.sampled_from(NASTY), min_size=1, max_size=12)
_ANY_TEXT = (
    st.text(_CHARACTERS, max_size=20)
    | st.text(st.sampled_from(NASTY), max_size=12)
    | st.builds(str.__mul__, st.sampled_from("x%\u00e9\U0001f680"), st.sampled_from((0, 255, 256, 512, 1024, 2049)))
)


def postgres_text(value: Any) -> Any:  # noqa: ANN401 - whatever a driver takes
    """What PostgreSQL prints of an instant in the pinned session; other values as the source edge yields them."""
    match value:
        case datetime():
            fraction = f".{value.microsecond:06d}".rstrip("0") if value.microsecond else ""
            naive = value.astimezone(UTC).replace(tzinfo=None) if value.tzinfo else value
            return naive.replace(microsecond=0).isoformat(" ") + fraction + ("+00" if value.tzinfo else "")
        case date():
            return value.isoformat()
        case UUID():
            return str(value)
    return value


def _documents(texts: SearchStrategy[str], numbers: SearchStrategy[Decimal]) -> SearchStrategy[str]:
    scalars = st.none() | st.booleans() | texts | numbers
    documents = st.recursive(
        scalars,
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
        max_leaves=8,
    )
    return documents.map(to_text)


_ORDINARY_NUMBERS = st.decimals(-(10**20), 10**20, places=8)
_ANY_NUMBERS = (
    _ORDINARY_NUMBERS
    | st.decimals(allow_nan=False, allow_infinity=False)
    | st.builds(
        lambda digits, exponent: Decimal(digits).scaleb(exponent),
        st.integers(-(10**39), 10**39),
        st.integers(-135, 130),
    )
)
# JSON null is refused wherever it would read back as SQL NULL.
_ORDINARY_DOCUMENTS = _documents(_ORDINARY_TEXT, _ORDINARY_NUMBERS).filter(lambda text: text != "null")
_ANY_DOCUMENTS = _documents(_ANY_TEXT, _ANY_NUMBERS) | st.builds(
    lambda depth, end: "[" * depth + end + "]" * depth,
    st.sampled_from((23, 25, 29, 30, 31, 32, 33, 600)),
    st.sampled_from(("", "1", '{"a": null}')),
)
_ANY_JSON = _ANY_DOCUMENTS | st.sampled_from(
    (
        '{"a": 1, "a": 2}',
        '"\\ud800"',
        '{"\\udfff": 1}',
        '"\\ud83d\\ude80"',
        "1e5",
        "-0",
        "[-0.0]",
        "1E400",
        "-1e-131",
        '"\\u0000"',
        '{"": 1}',
        ' { "a" : [ ] } ',
        "1e99999999999999999999",
        json.dumps({"k" * 65536: 1}),
    )
)


def _instants(*, zone: bool, ordinary: bool) -> SearchStrategy[str]:
    moments = st.datetimes(datetime(1, 1, 1), datetime(9999, 12, 31), timezones=st.just(UTC) if zone else st.none())  # noqa: DTZ001 - the years that ISO 8601 has
    texts = moments.map(postgres_text)
    if ordinary:
        return texts
    beyond = ("0044-03-15 12:00:00{} BC", "10000-01-01 00:00:00{}", "294276-12-31 23:59:59.999999{}")
    offset = "+00" if zone else ""
    return texts | st.sampled_from(("infinity", "-infinity", *(text.format(offset) for text in beyond)))


def _dates(*, ordinary: bool) -> SearchStrategy[str]:
    texts = st.dates().map(postgres_text)
    beyond = ("infinity", "-infinity", "0044-03-15 BC", "10000-01-01", "5874897-12-31")
    return texts if ordinary else texts | st.sampled_from(beyond)


def values(kind: Kind, *, ordinary: bool) -> SearchStrategy[RowValue]:
    """Values of a kind, NULL apart."""
    match kind:
        case kinds.Labelled(labels=labels):
            return st.sampled_from(labels)
        case kinds.Uuid():
            return st.uuids().map(str)
        case kinds.Date():
            return _dates(ordinary=ordinary)
        case kinds.Instant(zone=zone):
            return _instants(zone=zone, ordinary=ordinary)
        case Set(element=element) | Array(element=element):
            return _arrays(element, ordinary=ordinary)
    strategies: dict[type[Kind], tuple[SearchStrategy[RowValue], SearchStrategy[RowValue]]] = {
        kinds.Text: (_ORDINARY_TEXT, _ANY_TEXT),
        kinds.Printed: (_ORDINARY_TEXT, _ANY_TEXT),
        kinds.Boolean: (st.booleans(), st.booleans()),
        kinds.Integer: (st.integers(0, 10**9), st.integers(-BIGINT, BIGINT - 1)),
        kinds.Numeric: (_ORDINARY_NUMBERS, _ANY_NUMBERS | st.decimals()),
        kinds.Float: (st.floats(-1e100, 1e100).filter(_normal), st.floats()),
        kinds.Real: (st.floats(-(2.0**100), 2.0**100, width=32).filter(_normal), st.floats(width=32)),
        kinds.Binary: (st.binary(min_size=1, max_size=20), st.binary(max_size=20) | st.just(b"x" * 2049)),
        kinds.Json: (_ORDINARY_DOCUMENTS, _ANY_DOCUMENTS if getattr(kind, "binary", True) else _ANY_JSON),
    }
    usual, every = strategies[type(kind)]
    return usual if ordinary else every


def _normal(value: float) -> bool:
    """Whether a Number can hold it: no magnitude below 1E-130."""
    return value == 0 or abs(value) > 1e-100


def _arrays(element: Kind, *, ordinary: bool) -> SearchStrategy[list[RowValue]]:
    one = values(element, ordinary=ordinary)
    if ordinary:
        return st.lists(one, max_size=4)
    matrices = st.lists(st.lists(one | st.none(), min_size=2, max_size=2), min_size=1, max_size=2)
    return st.lists(one | st.none(), max_size=4) | matrices


def _bounds(value: list[RowValue] | None, lower: int) -> str | None:
    """What `array_dims` gives."""
    if not value:
        return None
    inner = _bounds(value[0], 1) if isinstance(value[0], list) else None
    return f"[{lower}:{lower + len(value) - 1}]{inner or ''}"


@st.composite
def rows(draw: st.DrawFn, entity: Entity, *, ordinary: bool) -> Row:
    """A row of an entity, the pseudo columns included."""
    row: Row = {}
    for name, kind in entity.plan.kinds.items():
        # One awkward value may set a row aside, whatever the others are: most are ordinary, so that they are seen too.
        usual = ordinary or draw(st.integers(0, 2)) > 0
        nullable = name in entity.plan.nullable
        null = draw(st.integers(0, 3)) == 0 if nullable else not usual and draw(st.integers(0, 9)) == 0
        row[name] = None if null else draw(values(entity.plan.compared[name], ordinary=usual))
        if isinstance(kind, Array):
            if usual and isinstance(entity.plan.compared[name], Set):
                row[name] = None if nullable and null else _as_members(row[name] or [], draw, kind)
            lower = 1 if usual else draw(st.sampled_from((1, 1, 1, 0)))
            row[name + BOUNDS] = _bounds(row[name], lower)
    return row


def _as_members(members: list[RowValue], draw: st.DrawFn, kind: Array) -> list[RowValue]:
    """Members such as a Set can hold: at least one, each once."""
    members = members or [draw(values(kind.element, ordinary=True))]
    return list({repr(kind.element.normal(member)): member for member in members}.values())


def projected(entity: Entity, row: Row) -> list[RowValue]:
    """The row as the source edge hands it to the encoder."""
    return [row[each.name] for each in entity.projection]
