"""Rows and items testify alike exactly where the item is the row's, on the readable and on the compiled path."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from migrator.mapping import FOREVER, ItemWitness, RowWitness, Unencodable, Unfit, forward
from migrator.mapping.number import canonical
from migrator.mapping.testimony import key_line, row_testimonies
from migrator.mapping.word import number
from tests.unit.mapping.agreement import QUICK
from tests.unit.mapping.generated_entities import entities
from tests.unit.mapping.generated_rows import projected, rows

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from migrator.mapping import AttributeValue, Entity, WireItem


def said_by_items(entity: Entity, items: list[WireItem]) -> dict[bytes, bytes | None]:
    """What the items say after a round trip over the wire."""
    return dict(ItemWitness(entity.table, [entity]).testify(json.loads(json.dumps(items)), FOREVER))


def names(item: WireItem, envelope: str | None) -> Iterator[str]:
    """The names of an item's attributes, and of the members of its envelope."""
    yield from item
    yield from item.get(envelope or "", {}).get("M", {})


@given(data=st.data())
@QUICK
def test_a_row_and_its_items_testify_alike(data: st.DataObject) -> None:
    entity = data.draw(entities())
    row = data.draw(rows(entity, ordinary=False))
    heard = RowWitness(entity).testify([projected(entity, row)], FOREVER)
    try:
        items = forward(entity, row)
    except Unencodable:
        # What the compiled path does not see, such as an item that is too large, comes out as missing.
        assert all(reason for _, reason in heard.failures)
        return
    said = dict(heard.testimonies)
    assert said == dict(row_testimonies(entity, row))
    assert said == said_by_items(entity, items)
    assert list(said) == [key_line(item, entity.table.key_attributes) for item in items]


@given(data=st.data())
@QUICK
def test_ordinary_rows_and_items_leave_no_doubt(data: st.DataObject) -> None:
    entity = data.draw(entities())
    row = data.draw(rows(entity, ordinary=True))
    try:
        items = forward(entity, row)
    except Unencodable:
        assume(False)  # noqa: FBT003 - hypothesis' own signature
        raise
    heard = RowWitness(entity).testify([projected(entity, row)], FOREVER)
    witness = ItemWitness(entity.table, [entity])
    witness.testify(items, FOREVER)
    envelope = entity.table.envelope
    # An attribute's name with a quote, a backslash or a control character has no form.
    doubted = sum(
        any(json.dumps(name, ensure_ascii=False) != f'"{name}"' for name in names(item, envelope)) for item in items
    )
    assert (heard.doubted, witness.doubted) == (0, doubted)
    assert heard.failures == []


@given(data=st.data())
@QUICK
def test_numbers_of_one_value_testify_alike(data: st.DataObject) -> None:
    entity = data.draw(entities())
    row = data.draw(rows(entity, ordinary=False))
    try:
        items = forward(entity, row)
    except Unencodable:
        assume(False)  # noqa: FBT003 - as above
        raise
    respelt = [{name: canonical_value(value) for name, value in item.items()} for item in items]
    assert said_by_items(entity, respelt) == said_by_items(entity, items)


def canonical_value(value: AttributeValue) -> AttributeValue:
    """The same value with every number spelt another way."""
    ((kind, content),) = value.items()
    match kind:
        case "N":
            return {"N": canonical(content)}
        case "NS":
            return {"NS": [canonical(member) for member in reversed(content)]}
        case "SS" | "BS":
            return {kind: content[::-1]}
        case "L":
            return {"L": [canonical_value(member) for member in content]}
        case "M":
            return {"M": {name: canonical_value(content[name]) for name in reversed(content)}}
    return value


@given(data=st.data())
@QUICK
def test_whatever_is_changed_in_an_item_changes_what_it_says(data: st.DataObject) -> None:
    entity = data.draw(entities())
    row = data.draw(rows(entity, ordinary=True))
    try:
        item = data.draw(st.sampled_from(forward(entity, row) or [{}]))
    except Unencodable:
        assume(False)  # noqa: FBT003 - as above
        raise
    assume(item)
    changed = json.loads(json.dumps(item))
    mutate(changed, data)
    assume(canonical_of(changed) != canonical_of(item))
    (before,) = said_by_items(entity, [item]).items()
    try:
        after = list(said_by_items(entity, [changed]).items())
    except (KeyError, Unfit):
        # The key itself is gone or of another type, which no table takes.
        return
    assert after != [before]


def canonical_of(item: WireItem) -> object:
    return json.dumps({name: sorted_value(canonical_value(value)) for name, value in item.items()}, sort_keys=True)


def sorted_value(value: AttributeValue) -> AttributeValue:
    return {kind: sorted(content) if kind in {"SS", "NS", "BS"} else content for kind, content in value.items()}


def mutate(item: WireItem, data: st.DataObject) -> None:
    """Changes one attribute: drops it, adds one, or gives it another type or value, at any depth."""
    holder: dict[str, Any] = item
    while True:
        nested = [name for name, value in holder.items() if value.get("M")]
        if not nested or data.draw(st.booleans()):
            break
        holder = holder[data.draw(st.sampled_from(nested))]["M"]
    how = data.draw(st.sampled_from(["drop", "add", "retype", "revalue"]))
    if how == "add" or not holder:
        holder["an attribute of nobody"] = data.draw(st.sampled_from(OTHERS))
        return
    name = data.draw(st.sampled_from(sorted(holder)))
    if how == "drop":
        del holder[name]
    elif how == "retype":
        holder[name] = data.draw(st.sampled_from(OTHERS))
    else:
        holder[name] = other_value(holder[name])


OTHERS: list[AttributeValue] = [
    {"S": ""},
    {"S": "1"},
    {"N": "1"},
    {"BOOL": True},
    {"NULL": True},
    {"B": "MQ=="},
    {"L": []},
    {"M": {}},
    {"L": [{"NULL": True}]},
    {"SS": ["1"]},
    {"NS": ["1"]},
]


def other_value(value: AttributeValue) -> AttributeValue:
    """A value of the same type that is nearly the same."""
    ((kind, content),) = value.items()
    changes: dict[str, Callable[[Any], Any]] = {
        "S": lambda text: text[:-1] if text.endswith("Z") else f"{text} ",
        "N": lambda text: f"{text}1" if "." in text else f"{text}.{'0' * 20}1",
        "B": lambda text: f"AAAA{text}",
        "BOOL": lambda truth: not truth,
        "L": lambda members: [*members, {"NULL": True}],
        "SS": lambda members: [*members, "one more"],
        "NS": lambda members: [*members, "7e3"],
        "BS": lambda members: [*members, "Nw=="],
    }
    return {kind: changes[kind](content)} if kind in changes else {"NULL": True}


@pytest.mark.parametrize("text", ["1E2", "100.0", "0100", "1e+2"])
def test_a_number_has_one_text(text: str) -> None:
    assert number(text) == "100"
