"""What an item may not be: one case for each way in which nearly the same is not the same."""

from __future__ import annotations

import pytest
import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import ARRAY, JSONB

from migrator.mapping import FOREVER, NULL, SET, Attribute, Expiry, Item, ItemWitness, RowWitness, WireItem, forward
from tests.unit.mapping.small import TABLE, entity_of, table_of

SOURCE = table_of(
    sa.Column("at", sa.DateTime(timezone=True), nullable=False),
    sa.Column("until", sa.BigInteger, nullable=False),
    sa.Column("amount", sa.Numeric),
    sa.Column("document", JSONB),
    sa.Column("labels", ARRAY(sa.Text)),
    sa.Column("remark", sa.Text),
)
C = SOURCE.c
ENTITY = entity_of(
    source=SOURCE,
    items=[Item("ROW#{id}", "METADATA", indexes={"GSI1": ("LATEST", "{at}"), "GSI2": ("{remark}",)})],
    attributes=[Attribute("at", C.at), Attribute("labels", C.labels, form=SET)],
    data=[Attribute("amount", C.amount, null=NULL), Attribute("document", C.document), Attribute("remark", C.remark)],
    ttl=Expiry(C.until),
)
ROW = {
    "id": "1",
    "at": "2025-11-29 10:30:00.5+00",
    "until": 4_000_000_000,
    "amount": None,
    "document": '{"n": 12345678901234567890123456789012345.678, "list": [1, "1", null]}',
    "labels": ["a", "b"],
    "labels:bounds": "[1:2]",
    "remark": "é",
}
(WHOLE,) = forward(ENTITY, dict(ROW))
DATA = WHOLE["Data"]["M"]
DOCUMENT = DATA["document"]["M"]
LIST = DOCUMENT["list"]["L"]


def inside(**changes: object) -> WireItem:
    return {**WHOLE, "Data": {"M": {**DATA, **changes}}}


def in_document(**changes: object) -> WireItem:
    return inside(document={"M": {**DOCUMENT, **changes}})


def without(*names: str) -> WireItem:
    return {name: value for name, value in WHOLE.items() if name not in names}


def agree(item: WireItem) -> bool:
    said_by_row = RowWitness(ENTITY).testify([[ROW[each.name] for each in ENTITY.projection]], FOREVER).testimonies
    return ItemWitness(TABLE, [ENTITY]).testify([item], FOREVER) == said_by_row


@pytest.mark.parametrize(
    "item",
    [
        WHOLE,
        {**WHOLE, "_v": {"N": "7"}},
        {**WHOLE, "labels": {"SS": ["b", "a"]}},
        {**WHOLE, "TTL": {"N": "4E9"}},
        in_document(n={"N": "12345678901234567890123456789012345.6780"}),
        dict(reversed(WHOLE.items())),
    ],
)
def test_what_dynamodb_holds_for_the_same_is_the_same(item: WireItem) -> None:
    assert agree(item)


@pytest.mark.parametrize(
    "item",
    [
        {**WHOLE, "at": {"S": "2025-11-29T10:30:00.50Z"}},
        {**WHOLE, "at": {"S": "2025-11-29T10:30:00.5"}},
        {**WHOLE, "at": {"S": "2025-11-29 10:30:00.5+00"}},
        {**WHOLE, "labels": {"L": [{"S": "a"}, {"S": "b"}]}},
        {**WHOLE, "labels": {"SS": ["a", "b", "c"]}},
        {**WHOLE, "TTL": {"N": "4000000001"}},
        {**WHOLE, "TTL": {"S": "4000000000"}},
        without("TTL"),
        without("GSI1PK"),
        without("GSI1PK", "GSI1SK"),
        without("GSI2PK"),
        without("Type"),
        without("Data"),
        {**WHOLE, "GSI1SK": {"S": "2025-11-29T10:30:01Z"}},
        {**WHOLE, "Type": {"S": "OTHER"}},
        {**WHOLE, "PK": {"S": "ROW#2"}},
        {**WHOLE, "stray": {"NULL": True}},
        inside(amount={"N": "0"}),
        inside(remark={"S": "e\u0301"}),
        inside(remark={"NULL": True}),
        inside(stray={"S": ""}),
        {**WHOLE, "Data": {"M": {name: value for name, value in DATA.items() if name != "amount"}}},
        in_document(n={"N": "12345678901234567890123456789012345.679"}),
        in_document(n={"S": "12345678901234567890123456789012345.678"}),
        in_document(list={"L": LIST[::-1]}),
        in_document(list={"L": LIST[:2]}),
        in_document(stray={"NULL": True}),
        inside(document={"NULL": True}),
        inside(document={"L": []}),
    ],
)
def test_what_is_nearly_the_same_is_not(item: WireItem) -> None:
    assert not agree(item)
