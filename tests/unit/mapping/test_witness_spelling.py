"""A text is the same text in whichever way an answer escapes its characters."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import msgspec
import orjson
import pytest
import sqlalchemy as sa
from hypothesis import given
from hypothesis import strategies as st

from migrator.mapping import FOREVER, Attribute, Item, ItemWitness, RowWitness, forward
from migrator.mapping.testimony import spelled
from tests.unit.mapping.small import TABLE, entity_of, table_of

if TYPE_CHECKING:
    from collections.abc import Callable

SOURCE = table_of(sa.Column("remark", sa.Text))
ENTITY = entity_of(source=SOURCE, items=[Item("ROW#{id}", "METADATA")], data=[Attribute("remark", SOURCE.c.remark)])
ROWS = [{"id": str(number), "remark": f'{number}: a/b é 🚀 "quoted" C:\\u0041\n\x01\x1f\x7f'} for number in range(100)]
SHORT = {"\b": "b", "\f": "f", "\n": "n", "\r": "r", "\t": "t", '"': '"', "\\": "\\", "/": "/"}


def numbered(character: str) -> str:
    """A character as the numbers of its UTF-16 units, with capital digits."""
    units = character.encode("utf-16-be").hex(" ", 2).split()
    return "".join(f"\\u{unit.upper()}" for unit in units)


def slashed(text: str) -> str:
    """An answer whose slashes are escaped."""
    return text.replace("/", "\\/")


def numbered_beyond_ascii(text: str) -> str:
    """An answer in ASCII."""
    return "".join(character if character.isascii() else numbered(character) for character in text)


def numbered_control(text: str) -> str:
    """An answer in which no control character has a short form."""
    return text.replace("\\n", "\\u000a").replace("\\u001f", "\\u001F")


@pytest.mark.parametrize("spelling", [str, slashed, numbered_beyond_ascii, numbered_control])
def test_a_page_says_what_its_rows_say_however_it_is_spelled(spelling: Callable[[str], str]) -> None:
    items = [item for row in ROWS for item in forward(ENTITY, dict(row))]
    body = spelling(orjson.dumps(items).decode()).encode()
    assert orjson.loads(body) == items
    witness = ItemWitness(TABLE, [ENTITY])
    answered = msgspec.json.Decoder(list[witness.form]).decode(body)  # type: ignore[name-defined]
    said = witness.testify(answered, FOREVER)
    rows = [[row[each.name] for each in ENTITY.projection] for row in ROWS]
    assert said == RowWitness(ENTITY).testify(rows, FOREVER).testimonies
    assert witness.doubted == 0


def test_what_the_sample_misses_is_another_text_until_it_is_looked_at_by_itself() -> None:
    items = [item for row in ROWS for item in forward(ENTITY, dict(row))]
    first, second, *others = (orjson.dumps(item).decode() for item in items)
    body = f"[{','.join([first, slashed(second), *others])}]"
    witness = ItemWitness(TABLE, [ENTITY])
    answered = msgspec.json.Decoder(list[witness.form]).decode(body)  # type: ignore[name-defined]
    plain = witness.testify(items, FOREVER)
    said = witness.testify(answered, FOREVER)
    assert [number for number, each in enumerate(said) if each != plain[number]] == [1]
    assert witness.testify(items[1:2], FOREVER) == plain[1:2]


@given(data=st.data(), texts=st.lists(st.text(st.characters(exclude_categories=["Cs"]))))
def test_every_spelling_of_a_text_is_one(data: st.DataObject, texts: list[str]) -> None:
    plain = orjson.dumps((("ROW/0", None), *texts))[1:-1]
    other = ",".join(['["ROW/0",null]', *(f'"{_escaped(text, data)}"' for text in texts)])
    assert json.loads(f"[{other}]")[1:] == texts
    assert spelled(other.encode()) == plain == spelled(plain)


def _escaped(text: str, data: st.DataObject) -> str:
    """A text in JSON, each of its characters in one of the ways in which it may be written."""
    return "".join(data.draw(st.sampled_from(_ways(character))) for character in text)


def _ways(character: str) -> list[str]:
    ways = [numbered(character), numbered(character).replace("\\U", "\\u").lower()]
    if character in SHORT:
        ways.append(f"\\{SHORT[character]}")
    if character >= " " and character not in '"\\':
        ways.append(character)
    return ways
