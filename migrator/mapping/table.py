"""The target as DynamoDB names it: tables, key attributes, indexes and their settings."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, Literal, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Mapping

    from migrator.mapping.document import AttributeValue

KeyType: TypeAlias = Literal["S", "N", "B"]
Projection: TypeAlias = Literal["ALL", "KEYS_ONLY"] | tuple[str, ...]


@dataclass(frozen=True, slots=True)
class KeyAttribute:
    """An attribute that is part of a table's or an index's key: its name and its type (`S`, `N` or `B`)."""

    name: str
    type: KeyType


def S(name: str) -> KeyAttribute:  # noqa: N802 - DynamoDB's own name of the type
    """A key attribute of type String."""
    return KeyAttribute(name, "S")


def N(name: str) -> KeyAttribute:  # noqa: N802 - DynamoDB's own name of the type
    """A key attribute of type Number."""
    return KeyAttribute(name, "N")


def B(name: str) -> KeyAttribute:  # noqa: N802 - DynamoDB's own name of the type
    """A key attribute of type Binary."""
    return KeyAttribute(name, "B")


@dataclass(frozen=True, slots=True)
class Index:
    """A global secondary index. It is sparse: an item without its key attributes is not in it."""

    name: str
    partition_key: KeyAttribute
    sort_key: KeyAttribute | None = None
    projection: Projection = "ALL"

    @property
    def key_attributes(self) -> tuple[KeyAttribute, ...]:
        """The index's key: one attribute, or two."""
        return (self.partition_key,) if self.sort_key is None else (self.partition_key, self.sort_key)


@dataclass(frozen=True, slots=True)
class OnDemand:
    """Billing by request (`PAY_PER_REQUEST`)."""


@dataclass(frozen=True, slots=True)
class Provisioned:
    """Billing by provisioned throughput, in read and write capacity units per second, the same for each index."""

    read: int
    write: int


ON_DEMAND: Final = OnDemand()


@dataclass(frozen=True, slots=True)
class Table:
    """A DynamoDB table.

    Attributes:
        name: the table's name.
        partition_key: made by `S`, `N` or `B`.
        sort_key: likewise; None for a table with a partition key only.
        indexes: global secondary indexes.
        ttl: the attribute that holds an item's expiry in Unix seconds.
        discriminator: an attribute that each item carries with its entity's name.
        envelope: the map attribute that holds the attributes an entity lists as `data`.
        billing: `ON_DEMAND` or `Provisioned(read, write)`.
        stream: the stream's view type; None for no stream. The way back from DynamoDB needs a stream.
        point_in_time_recovery: whether continuous backups are on.
        encryption: server-side encryption with the KMS key that AWS manages; False leaves DynamoDB's own key.
        tags: the table's tags.
        foreign: what the partition keys of items begin with that are not of the model, and may stand in the table.
            Nothing reads or changes them; any other item that no row asks for is a difference.
    """

    name: str
    partition_key: KeyAttribute
    sort_key: KeyAttribute | None = None
    indexes: tuple[Index, ...] = ()
    ttl: str | None = None
    discriminator: str | None = None
    envelope: str | None = None
    billing: OnDemand | Provisioned = ON_DEMAND
    stream: Literal["NEW_AND_OLD_IMAGES", "NEW_IMAGE", "OLD_IMAGE", "KEYS_ONLY"] | None = "NEW_AND_OLD_IMAGES"
    point_in_time_recovery: bool = True
    encryption: bool = True
    tags: Mapping[str, str] = field(default_factory=dict, hash=False)
    foreign: tuple[str, ...] = ()

    @property
    def key_attributes(self) -> tuple[KeyAttribute, ...]:
        """The table's own key: one attribute, or two."""
        return (self.partition_key,) if self.sort_key is None else (self.partition_key, self.sort_key)

    @property
    def all_key_attributes(self) -> tuple[KeyAttribute, ...]:
        """The attributes of the table's key and of its indexes' keys; one that keys share comes once for each."""
        return (*self.key_attributes, *(key for index in self.indexes for key in index.key_attributes))

    def index(self, name: str) -> Index | None:
        """The index of this name, if the table has it."""
        return next((index for index in self.indexes if index.name == name), None)

    def is_foreign(self, key: Mapping[str, AttributeValue]) -> bool:
        """Whether an item of this key is declared not to be of the model."""
        text: str = key[self.partition_key.name].get("S", "")
        return text.startswith(self.foreign)
