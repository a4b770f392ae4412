"""The declarations a mapping module is written in. They state; `migrator.mapping.bind` binds them to columns."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import timedelta
from enum import Enum
from functools import cached_property
from typing import TYPE_CHECKING, Any, Final, TypeAlias

from migrator.mapping.kind import Form

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    import sqlalchemy as sa

    from migrator.mapping.plan import Plan, Projected
    from migrator.mapping.table import Table

    Column: TypeAlias = "sa.Column[Any]"


class Null(Enum):
    """What SQL NULL becomes: no attribute, or an attribute of type NULL."""

    ABSENT = "absent"
    NULL = "null"


ABSENT: Final = Null.ABSENT
NULL: Final = Null.NULL
NATURAL: Final = Form.NATURAL
TEXT: Final = Form.TEXT
EPOCH: Final = Form.EPOCH
SET: Final = Form.SET


class Large(Enum):
    """Where a value goes that would exceed an item's 400 KB: an object in S3 with a pointer, or further items."""

    S3 = "s3"
    CHUNKS = "chunks"


@dataclass(frozen=True)
class Attribute:
    """A column's value under a name.

    `null` None takes the entity's policy. With `form=TEXT` a column of a number, boolean, bytea or array type is read
    as text wherever the entity uses it. `encrypted` marks a secret: with a data key it is encrypted on the client,
    without one it is stored as the source has it, and lint warns.
    """

    name: str
    column: Column
    form: Form = NATURAL
    null: Null | None = None
    encrypted: bool = False
    large: Large | None = None


@dataclass(frozen=True)
class Computed:
    """A value computed from columns.

    `forward` takes the row's values of `columns`, None for NULL, and returns a plain value (str, bool, int, Decimal,
    list, dict), or None for none. `inverse` takes that value (numbers as Decimal) and returns the columns' values as a
    tuple; without it the columns must be recoverable elsewhere. Both must be pure functions defined in a module: their
    source text, though not that of what they call, is part of the mapping's fingerprint.
    """

    name: str
    columns: tuple[Column, ...]
    forward: Callable[..., Any]
    inverse: Callable[[Any], tuple[Any, ...]] | None = None
    null: Null | None = None


@dataclass(frozen=True)
class Embedded:
    """An aggregate's children, as a List (or, by `key`, a Map) in the parent's item."""

    name: str
    source: sa.Table
    on: Mapping[Column, Column]
    attributes: tuple[Attribute, ...]
    key: Column | None = None


@dataclass(frozen=True)
class Counted:
    """An aggregate's number of children, as a Number in the parent's item."""

    name: str
    source: sa.Table
    on: Mapping[Column, Column]


Member: TypeAlias = Attribute | Computed | Embedded | Counted


@dataclass(frozen=True)
class Selection:
    """Which of an entity's attributes an item holds: all, the named ones, or all but the named ones."""

    names: tuple[str, ...]
    excluded: bool

    def holds(self, name: str) -> bool:
        """Whether the attribute of this name is selected."""
        return (name in self.names) is not self.excluded


ALL: Final = Selection((), excluded=True)


def only(*names: str) -> Selection:
    """The named attributes."""
    return Selection(names, excluded=False)


def without(*names: str) -> Selection:
    """All attributes but the named ones."""
    return Selection(names, excluded=True)


@dataclass(frozen=True)
class Item:
    """One item that a row becomes.

    Attributes:
        partition_key: key template.
        sort_key: key template; None where the table has no sort key.
        data: which of the entity's `data` it holds.
        attributes: which of the entity's top-level `attributes` it holds.
        indexes: by index name, the templates of the index's keys. Where a column in them is NULL, the item is not in
            the index.
        when: a condition on the row, as a SQLAlchemy expression; None for always.
        shards: over how many partitions the partition key is spread (write sharding).
    """

    partition_key: str
    sort_key: str | None = None
    data: Selection = ALL
    attributes: Selection = ALL
    indexes: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    when: sa.ColumnElement[bool] | None = None
    shards: int | None = None


@dataclass(frozen=True)
class Expiry:
    """When DynamoDB may delete an item: Unix seconds from a column of an integer type, or an instant, plus `after`.

    `after` is of whole seconds; a fraction of a second in the column is cut off. A row whose column is NULL does not
    expire.
    """

    column: Column
    after: timedelta = timedelta(0)


@dataclass(frozen=True, eq=False)
class Entity:
    """How the rows of one source table become items.

    Attributes:
        name: the entity's name, the value of the table's discriminator.
        source: the source table.
        table: the target table.
        items: the items of one row, the main one first.
        attributes: attributes at the top level of the item.
        data: attributes inside the table's envelope.
        ttl: when the row's items expire.
        null: the NULL policy of attributes that declare none.
        unique: sets of columns that identify a row, besides its primary key and the source's unique constraints.
        dropped: columns that are left behind on purpose; the way back cannot restore them.
        atomic: whether the items of a row change together for who reads them in one transaction: relays, mirrors and
            repairs write them by TransactWriteItems then, which takes twice the write units.
    """

    name: str
    source: sa.Table
    table: Table
    items: Sequence[Item]
    attributes: Sequence[Member] = ()
    data: Sequence[Member] = ()
    ttl: Expiry | None = None
    null: Null = ABSENT
    unique: Sequence[tuple[Column, ...]] = ()
    dropped: Sequence[Column] = ()
    atomic: bool = False

    @cached_property
    def plan(self) -> Plan:
        """The declaration bound to columns and kinds; raises MappingError where it cannot be."""
        from migrator.mapping.bind import bind  # noqa: PLC0415 - declarations stand below their binding

        return bind(self)

    @property
    def key_columns(self) -> tuple[str, ...]:
        """The source's primary key, in order."""
        return tuple(column.name for column in self.source.primary_key.columns)

    @property
    def source_name(self) -> str:
        """The source table's name, with its schema where it has one."""
        return self.source.fullname

    @property
    def projection(self) -> tuple[Projected, ...]:
        """What to select from the source, in the order that the encoder takes it."""
        return self.plan.projection
