"""The mapping language: how rows become items, declared once. No store is touched here.

A mapping module declares an `Entity` with its `Item`s on a `Table`; a `Model` collects them. From the declaration
follow `forward` (the items of a row), `Encoder` (the same, compiled), `Inverse` (the row of its items), `claims` (the
row of a key), `lint`, and the access patterns `Get` and `Query`.
"""

from migrator.mapping.document import AttributeValue, to_text
from migrator.mapping.encoder import FOREVER, Encoded, Encoder
from migrator.mapping.entity import (
    ABSENT,
    ALL,
    EPOCH,
    NATURAL,
    NULL,
    SET,
    TEXT,
    Attribute,
    Computed,
    Counted,
    Embedded,
    Entity,
    Expiry,
    Item,
    Large,
    Null,
    Selection,
    only,
    without,
)
from migrator.mapping.errors import MappingError, Undecodable, Unencodable, Unfit
from migrator.mapping.fingerprint import entity_fingerprint
from migrator.mapping.forward import Row, WireItem, expiry, forward, owned_keys, row_key, told_keys
from migrator.mapping.inverse import Inverse, ItemInverse, differing_columns
from migrator.mapping.item_witness import ItemWitness
from migrator.mapping.kind import Form, RowValue
from migrator.mapping.lint import Problem, lint
from migrator.mapping.model import Model
from migrator.mapping.ownership import Claim, claims
from migrator.mapping.pattern import Get, Pattern, Query, living, row_asked
from migrator.mapping.plain import plain, plain_item
from migrator.mapping.plan import Projected
from migrator.mapping.row_witness import RowWitness
from migrator.mapping.rows import row_from_json
from migrator.mapping.table import (
    ON_DEMAND,
    B,
    Index,
    KeyAttribute,
    N,
    OnDemand,
    Provisioned,
    S,
    Table,
)

__all__ = [
    "ABSENT", "ALL", "EPOCH", "FOREVER", "NATURAL", "NULL", "ON_DEMAND", "SET", "TEXT",
    "Attribute", "AttributeValue", "B", "Claim", "Computed", "Counted", "Embedded", "Encoded", "Encoder", "Entity",
    "Expiry", "Form", "Get", "Index", "Inverse", "Item", "ItemInverse", "ItemWitness", "KeyAttribute", "Large",
    "MappingError", "Model", "N", "Null", "OnDemand", "Pattern", "Problem", "Projected", "Provisioned", "Query", "Row",
    "RowValue", "RowWitness", "S", "Selection", "Table", "Undecodable", "Unencodable", "Unfit", "WireItem",
    "claims", "differing_columns", "entity_fingerprint", "expiry", "forward", "lint", "living", "only", "owned_keys",
    "plain", "plain_item", "row_asked", "row_from_json", "row_key", "to_text", "told_keys", "without",
]  # fmt: skip
