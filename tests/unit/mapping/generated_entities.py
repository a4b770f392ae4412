"""Entities of every shape that the language allows and lint passes."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa
from hypothesis import strategies as st
from sqlalchemy.dialects import postgresql as pg

from migrator.mapping import (
    ALL,
    EPOCH,
    NATURAL,
    NULL,
    SET,
    TEXT,
    Attribute,
    B,
    Computed,
    Entity,
    Expiry,
    Form,
    Index,
    Inverse,
    Item,
    KeyAttribute,
    N,
    Null,
    S,
    Table,
    only,
)
from tests.unit.mapping.generated_rows import LABELS

if TYPE_CHECKING:
    from collections.abc import Callable

    from sqlalchemy.types import TypeEngine

TYPES: dict[str, Callable[[], TypeEngine[Any]]] = {
    "text": sa.Text,
    "char": lambda: sa.CHAR(10),
    "integer": sa.Integer,
    "bigint": sa.BigInteger,
    "numeric": sa.Numeric,
    "double": sa.Double,
    "real": sa.REAL,
    "boolean": sa.Boolean,
    "bytea": sa.LargeBinary,
    "timestamptz": lambda: sa.DateTime(timezone=True),
    "timestamp": sa.DateTime,
    "date": sa.Date,
    "uuid": sa.Uuid,
    "jsonb": pg.JSONB,
    "json": sa.JSON,
    "enum": lambda: sa.Enum(*LABELS, name="label"),
    "inet": pg.INET,
    "interval": sa.Interval,
    **{
        f"{name}[]": (lambda element=element: sa.ARRAY(element()))  # type: ignore[misc]
        for name, element in {
            "text": sa.Text,
            "integer": sa.Integer,
            "numeric": sa.Numeric,
            "double": sa.Double,
            "boolean": sa.Boolean,
            "bytea": sa.LargeBinary,
            "timestamptz": lambda: sa.DateTime(timezone=True),
            "date": sa.Date,
            "uuid": sa.Uuid,
            "jsonb": pg.JSONB,
        }.items()
    },
}
KEY_TYPES = ("text", "integer", "bigint", "uuid", "date", "enum", "boolean", "char", "numeric", "bytea")
_SETS = ("text[]", "integer[]", "numeric[]", "uuid[]", "bytea[]", "timestamptz[]", "date[]")
_LITERALS = ("A#", "PRE{FIX}#", 'quo"te\\#', "caf\u00e9\n#", "it's#")


@dataclass(frozen=True)
class Drawn:
    """A column that was drawn: its name and the name of its type."""

    name: str
    type: str


def doubled(value: int | None) -> object:
    """A computed attribute of one number."""
    return None if value is None else {"twice": [value * 2, Decimal("0.5")]}


def halved(value: Any) -> tuple[int | None]:  # noqa: ANN401 - whatever `doubled` gave
    return (None if value is None else int(value["twice"][0]) // 2,)


def joined(one: str | None, other: str | None) -> list[str | None]:
    """A computed attribute of two texts."""
    return [one, other]


def parted(value: list[str | None]) -> tuple[str | None, ...]:
    return tuple(value)


NAMES = (
    "id", "{", "}", "{{x}}", "'", '"', "\\", "\n", "\r\t", "\x00\x01\x7f",
    "caf\u00e9", "\u2028", "\U0001f680", "%s #", "f'{v0}'", "#",
)  # fmt: skip
"""Names that text inside quotes, f-strings and JSON could stumble over."""


def literal(text: str) -> str:
    """Text as it is written in a template."""
    return text.replace("{", "{{").replace("}", "}}")


def _field(draw: st.DrawFn, column: Drawn, *, last: bool, ordered: bool) -> str:
    """A field that can be read back, and that lint takes in a sort key where `ordered`."""
    spec = ""
    if column.type in {"integer", "bigint"}:
        spec = draw(st.sampled_from(("012", "unordered")))
    elif column.type in {"text", "char"}:
        spec = "" if last else "escape"
    elif column.type == "enum":
        spec = draw(st.sampled_from(("unordered", "escape,unordered"))) if last else "escape,unordered"
    elif column.type in {"timestamptz", "timestamp"}:
        spec = draw(st.sampled_from(("seconds", "millis", "micros")))
    if spec == "unordered" and not ordered:
        spec = ""
    return f"{{{column.name}:{spec}}}" if spec else f"{{{column.name}}}"


def _template(draw: st.DrawFn, columns: list[Drawn], *, ordered: bool) -> str:
    begin = literal(draw(st.sampled_from(_LITERALS)))
    fields = [_field(draw, c, last=number == len(columns), ordered=ordered) for number, c in enumerate(columns, 1)]
    # Only below `%` does a separator keep the order of an escaped text.
    separator = draw(st.sampled_from(("#", "! ") if ordered else ("#", "|", "\u2192", "}}{{")))
    return begin + separator.join(fields)


def _key(draw: st.DrawFn, name: str, columns: list[Drawn], *, ordered: bool) -> tuple[KeyAttribute, str]:
    """A key attribute and a template of these columns."""
    if len(columns) == 1:
        only_type = columns[0].type
        if only_type == "bytea":
            return B(name), f"{{{columns[0].name}}}"
        if only_type == "numeric" or (only_type in {"integer", "bigint"} and draw(st.booleans())):
            return N(name), f"{{{columns[0].name}}}"
    return S(name), _template(draw, columns, ordered=ordered)


_Condition = sa.ColumnElement[bool]


def _comparison(draw: st.DrawFn, column: sa.Column[Any], type_: str) -> _Condition:
    constants: dict[str, st.SearchStrategy[Any]] = {
        "text": st.sampled_from(("", "a", "it's")),
        "integer": st.integers(0, 3),
        "bigint": st.integers(-3, 3),
        "numeric": st.sampled_from((Decimal("1.50"), Decimal(0), 2)),
        "boolean": st.booleans(),
        "enum": st.sampled_from(LABELS),
    }
    null = draw(st.sampled_from((column.is_(None), column.is_not(None))))
    if type_ not in constants:
        return null
    constant = draw(constants[type_])
    several = draw(st.lists(constants[type_], max_size=3))
    choices: tuple[_Condition, ...] = (column == constant, column != constant, column.in_(several))
    choices += (column.not_in(several), null)
    choices += (column.is_(True), column.is_not(True), column.is_(False), column) if type_ == "boolean" else ()
    return draw(st.sampled_from(choices))


@st.composite
def conditions(draw: st.DrawFn, columns: list[tuple[sa.Column[Any], str]]) -> _Condition:
    """A condition on some of these columns, given with the names of their types."""
    parts = [_comparison(draw, *draw(st.sampled_from(columns))) for _ in range(draw(st.integers(1, 3)))]
    condition = draw(st.sampled_from((sa.and_, sa.or_)))(*parts) if len(parts) > 1 else parts[0]
    return ~condition if draw(st.booleans()) else condition


class _Maker:
    """Draws one entity, part by part."""

    def __init__(self, draw: st.DrawFn) -> None:
        self.draw = draw
        turn = draw(st.integers(0, len(NAMES) - 1))
        self.names = NAMES[turn:] + NAMES[:turn]
        self.key = [Drawn(f"k{i}", draw(st.sampled_from(KEY_TYPES))) for i in range(draw(st.integers(1, 2)))]
        types = st.sampled_from(sorted(TYPES))
        self.others = [Drawn(f"c{i}", draw(types)) for i in range(draw(st.integers(0, 5)))]
        nullable = [draw(st.booleans()) for _ in self.others]
        self.in_keys: set[str] = set()
        self.textual: set[str] = set()
        self.source = sa.Table(
            "source",
            sa.MetaData(),
            *(sa.Column(c.name, TYPES[c.type](), primary_key=True) for c in self.key),
            *(sa.Column(c.name, TYPES[c.type](), nullable=n) for c, n in zip(self.others, nullable, strict=True)),
        )

    def column(self, drawn: Drawn) -> sa.Column[Any]:
        return self.source.columns[drawn.name]

    def some(self, types: tuple[str, ...], *, required: bool) -> list[Drawn]:
        """One other column of these types (a NOT NULL one where `required`), or none."""
        usable = [c for c in self.others if c.type in types and not (required and self.column(c).nullable)]
        usable = [c for c in usable if c.name not in self.textual]
        chosen = self.draw(st.lists(st.sampled_from(usable), max_size=1)) if usable else []
        self.in_keys |= {c.name for c in chosen}
        return chosen

    def keys(self) -> tuple[tuple[KeyAttribute, KeyAttribute | None], tuple[str, str | None]]:
        """The table's key attributes, and the main item's templates."""
        partition, template = _key(self.draw, self.names[0], self.key[:1], ordered=False)
        more = self.key[1:]
        if not more and self.draw(st.booleans()):
            return (partition, None), (template, None)
        alone = any(column.type in {"numeric", "bytea"} for column in more)
        leading = [] if alone else self.some(("timestamptz", "timestamp", "text", "date", "uuid"), required=True)
        if not leading and not more:
            return (partition, S(self.names[1])), (template, literal(self.draw(st.sampled_from(_LITERALS))))
        sort, sort_template = _key(self.draw, self.names[1], [*leading, *more], ordered=True)
        return (partition, sort), (template, sort_template)

    def index(self, number: int) -> tuple[Index, tuple[str, ...]] | None:
        """An index, and the main item's templates for it."""
        usable = (*KEY_TYPES, "timestamptz", "timestamp")
        partition = self.some(usable, required=False)
        if not partition:
            return None
        sort = self.some(usable, required=False)
        if partition[0].type not in {"numeric", "bytea"}:
            partition += self.some(("text", "integer", "enum", "timestamptz"), required=False)
        name, other = self.names[2 + 2 * number : 4 + 2 * number]
        key, template = _key(self.draw, name, partition, ordered=False)
        if not sort:
            return Index(f"index-{number}", key), (template,)
        sort_key, sort_template = _key(self.draw, other, sort, ordered=True)
        return Index(f"index-{number}", key, sort_key), (template, sort_template)

    def attributes(self) -> list[Attribute | Computed]:
        """An attribute for each other column, or for most of them."""
        named = zip(self.names[8:], self.others, strict=False)
        return [self.attribute(name, drawn) for name, drawn in named if self.draw(st.integers(0, 5))]

    def attribute(self, name: str, drawn: Drawn) -> Attribute | Computed:
        column, null = self.column(drawn), self.draw(st.sampled_from((None, *Null)))
        if drawn.type in {"integer", "bigint"} and self.draw(st.booleans()):
            return Computed(name, (column,), doubled, halved, null=null)
        if drawn.type in {"text", "uuid"} and self.draw(st.integers(0, 3)) == 0:
            return Computed(name, (column, column), joined, parted, null=null)
        forms: tuple[Form, ...] = (NATURAL, NATURAL, TEXT)
        forms += (EPOCH,) if drawn.type in {"timestamptz", "timestamp"} else ()
        forms += (SET, SET) if drawn.type in _SETS else ()
        form = self.draw(st.sampled_from(forms))
        if form is TEXT and drawn.name in self.in_keys:
            form = NATURAL
        self.textual |= {drawn.name} if form is TEXT else set()
        return Attribute(name, column, form=form, null=null)

    def ttl(self) -> Expiry | None:
        drawn = self.some(("bigint", "integer", "timestamptz", "timestamp"), required=False)
        after = timedelta(days=self.draw(st.integers(-1, 30)))
        declared: bool = self.draw(st.booleans())
        return Expiry(self.column(drawn[0]), after) if drawn and declared else None

    def entity(self) -> Entity:
        (partition, sort), templates = self.keys()
        indexes = [index for index in map(self.index, range(self.draw(st.integers(0, 2)))) if index is not None]
        envelope, discriminator = (self.draw(st.sampled_from((None, name))) for name in self.names[6:8])
        table = Table(
            "target",
            partition,
            sort,
            indexes=tuple(index for index, _ in indexes),
            ttl="T T L",
            envelope=envelope,
            discriminator=discriminator,
        )
        made = self.attributes()
        inside = [one for one in made if envelope is not None and self.draw(st.booleans())]
        outside = [one for one in made if one not in inside]
        items = [Item(*templates, indexes={index.name: parts for index, parts in indexes})]
        return Entity(
            self.draw(st.sampled_from(NAMES)),
            source=self.source,
            table=table,
            items=[*items, *self.second(partition, sort, made)],
            attributes=outside,
            data=inside,
            ttl=self.ttl(),
            null=self.draw(st.sampled_from(tuple(Null))),
        )

    def second(
        self, partition: KeyAttribute, sort: KeyAttribute | None, made: list[Attribute | Computed]
    ) -> list[Item]:
        """A second item, which no other can share a key with, sometimes under a condition."""
        if partition.type != "S" or (sort is not None and sort.type != "S") or self.draw(st.booleans()):
            return []
        if any(column.type in {"numeric", "bytea"} for column in self.key):
            return []
        template = "SECOND" + _template(self.draw, self.key, ordered=False)
        usable = [(column, type_) for column, type_ in self.typed() if type_ != "char"]
        condition = self.draw(st.none() | conditions(usable)) if usable else None
        selected = only(*(one.name for one in made[:2])) if self.draw(st.booleans()) else ALL
        return [Item(template, None if sort is None else "METADATA", data=selected, when=condition)]

    def typed(self) -> list[tuple[sa.Column[Any], str]]:
        return [(self.column(drawn), drawn.type) for drawn in self.others if drawn.name not in self.textual]


@st.composite
def entities(draw: st.DrawFn) -> Entity:
    """An entity; columns that no item holds are declared dropped."""
    entity = _Maker(draw).entity()
    lost = Inverse(entity).lost
    return replace(entity, dropped=[entity.source.columns[name] for name in lost]) if lost else entity


__all__ = ["LABELS", "NULL", "TYPES", "conditions", "doubled", "entities", "halved", "joined", "literal", "parted"]
