"""The document of a verification: its form is what `verification.schema.json` publishes.

Fields are only added within a version; one that is taken away, or means something else, makes a new version.
"""

from __future__ import annotations

from datetime import datetime  # noqa: TC003  (pydantic reads the annotations)
from typing import TYPE_CHECKING, Any, Final, Literal

from pydantic import BaseModel, ConfigDict, Field

if TYPE_CHECKING:
    from pydantic import JsonValue

VERSION: Final = 1
SCHEMA: Final = "verification.schema.json"


class _Part(BaseModel):
    """A part of the document: it has these fields, always all of them, and no others."""

    model_config = ConfigDict(extra="forbid", frozen=True, json_schema_serialization_defaults_required=True)


class Values(_Part):
    """What an attribute should be and what it is, as DynamoDB JSON, which may be cut; null where there is none."""

    expected: str | None
    found: str | None


class DifferenceFound(_Part):
    """One key that is not as it should be, named by key and attributes."""

    verdict: Literal["missing", "extra", "different", "unverifiable"]
    table: str = Field(description="The target table.")
    key: dict[str, str] = Field(description="The item's key, or the row's where the row has no item.")
    entity: str | None
    row_key: list[str] | None = Field(description="The primary key of the row that owns the item, as text.")
    attributes: list[str] = Field(description="The attributes that differ; a member of the envelope as Data.status.")
    index_keys: list[str] = Field(description="Those of the attributes that are keys of an index.")
    ttl: bool = Field(description="Whether the expiry is among the attributes.")
    reason: str | None
    cause: str | None = Field(description="Why the key differs, where that can be known.")
    values: dict[str, Values] | None = Field(
        default=None, description="The values of the attributes; null unless --show-values asked for them."
    )


class ScopeSeen(_Part):
    """What was looked at, and what was not."""

    tables: list[str] = Field(description="The source tables that were compared.")
    left_out: list[str] = Field(description="Source tables of the model that were not.")
    sample_percent: float | None
    since: str | None
    key_range: str | None
    confidence: str | None = Field(description="What a sample says of the whole, in one sentence.")
    not_verified: list[str] = Field(description="What the verification says nothing about, a sentence each.")


class EntityCoverage(_Part):
    """An entity: its rows that were read, and its keys that differ."""

    entity: str
    source: str
    target: str
    rows: int
    items: int = Field(description="Items that the rows ask for.")
    expired: int = Field(description="Rows past their expiry: their items may be there or not.")
    differences: int = Field(description="Those that are named.")


class PatternParity(_Part):
    """How one access pattern answered, in DynamoDB and by its SQL."""

    pattern: str
    question: str
    asked: int
    equal: int
    differs: int = Field(description="How often the answers differ.")
    differing: list[str] = Field(description="With which parameters they do, as far as they are named.")
    unsettled: int = Field(description="How often rows or items moved for as long as they were looked at.")
    reason: str | None = Field(description="Why it was not asked, where it was not.")


class CostSeen(_Part):
    """Read units, foreseen and consumed, and US dollars on demand."""

    foreseen_units: float
    units: float
    dollars: float


class EarlierRun(_Part):
    """A verification on record."""

    started_at: datetime
    finished_at: datetime | None
    outcome: Literal["equal", "different", "failed", "interrupted", "running"]
    differences: int
    whole: bool = Field(description="Whether everything of the model was compared.")
    same_mapping: bool


class Stand(_Part):
    """What was compared: by which software, where."""

    source: str = Field(description="Host and database of the source, without user and password.")
    server_version: str = Field(description="PostgreSQL's.")
    endpoint: str = Field(description="Where DynamoDB answered.")
    region: str


class LeftAlone(_Part):
    """An item that a repair does not touch."""

    table: str
    key: dict[str, Any]


class RepairDone(_Part):
    """What a repair has done between two verifications."""

    found: dict[str, int]
    examined: int
    repaired: dict[str, int]
    settled: int
    written: int
    tried: int = Field(description="Changes that had been set aside and were tried again.")
    set_aside: dict[str, int]
    waiting: int
    left_alone: int
    left_alone_keys: list[LeftAlone]
    seconds: float


class ModelVerified(_Part):
    """The verification of one model."""

    name: str
    fingerprint: str = Field(description="The mapping's.")
    clean: bool = Field(description="Whether target and source hold the same.")
    followed: bool = Field(description="Whether PostgreSQL's changes are carried over in the phase.")
    carried_back: list[str] = Field(description="Entities that applications write in the target; their rows follow.")
    started_at: datetime = Field(description="By the source's clock.")
    finished_at: datetime | None
    stand: Stand
    scope: ScopeSeen
    rows: dict[str, int] = Field(description="Rows read, by source table.")
    entities: list[EntityCoverage]
    items_expected: int
    items_scanned: int
    expired: int
    read_units: float
    foreign: int = Field(description="Items that are declared not to be of the model.")
    suspects: int
    unjudged: int
    seconds: float
    differences: list[DifferenceFound]
    moving: list[DifferenceFound] = Field(
        description="Keys that differed whenever they were looked at, while changes of them were on their way."
    )
    patterns: list[PatternParity]
    cost: CostSeen
    repair: RepairDone | None
    accepted: list[str] = Field(description="Tables that a repair has found equal, and that count as followed again.")
    next_steps: list[str] = Field(description="What may be done about the differences, commands between backticks.")
    earlier: list[EarlierRun] = Field(description="Earlier verifications on record, the latest first.")


class Document(_Part):
    """All of `migrate verify`."""

    version: Literal[1] = VERSION
    migrator: str = Field(description="The version of the toolkit.")
    clean: bool
    values_shown: bool = Field(description="Whether the document holds values of the application.")
    models: list[ModelVerified]


def schema() -> dict[str, JsonValue]:
    """The JSON Schema of a document, as it is published."""
    made: dict[str, JsonValue] = Document.model_json_schema(mode="serialization")
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", "$id": SCHEMA, **made}
