"""Key templates: from values to text, back, and in the order of the values."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from migrator.mapping import MappingError
from migrator.mapping import kind as kinds
from migrator.mapping.errors import Unfit
from migrator.mapping.field import escape, unescape
from migrator.mapping.instant import iso_fixed
from migrator.mapping.template import KeyTemplate
from tests.unit.mapping.agreement import QUICK
from tests.unit.mapping.generated_entities import literal
from tests.unit.mapping.generated_rows import LABELS, NASTY, values

if TYPE_CHECKING:
    from migrator.mapping import Row

KINDS: dict[str, kinds.Kind] = {
    "text": kinds.Text(),
    "other": kinds.Text(),
    "integer": kinds.Integer(),
    "uuid": kinds.Uuid(),
    "date": kinds.Date(),
    "instant": kinds.Instant(),
    "local": kinds.Instant(zone=False),
    "flag": kinds.Boolean(),
    "label": kinds.Labelled(labels=LABELS),
    "printed": kinds.Printed(),
    "numeric": kinds.Numeric(),
    "document": kinds.Json(),
}
ORDERED = ("text:escape", "integer:010", "uuid", "date", "instant:micros", "local:micros", "flag")
SEPARATORS = ("#", "!", " ", "$", "|", ":", "\u2192", "\U0001f680", "##", "#A")
LOW = ("#", "!", " ", "$", "# ")


def template(text: str) -> KeyTemplate:
    return KeyTemplate(text, KINDS.__getitem__)


def row_values(fields: tuple[str, ...]) -> st.SearchStrategy[Row]:
    names = {field.partition(":")[0] for field in fields}
    texts = st.text(st.sampled_from(NASTY), max_size=5)
    return st.fixed_dictionaries(
        {name: texts if name == "text" else values(KINDS[name], ordinary=True) for name in sorted(names)}
    )


@st.composite
def templates(draw: st.DrawFn, fields: tuple[str, ...], separators: tuple[str, ...]) -> tuple[str, tuple[str, ...]]:
    """A template and its fields."""
    chosen = tuple(draw(st.lists(st.sampled_from(fields), min_size=1, max_size=4, unique=True)))
    text = literal(draw(st.sampled_from(("", "A#", "{x}"))))
    for field in chosen:
        text += f"{{{field}}}{literal(draw(st.sampled_from(separators)))}"
    return text, chosen


@pytest.mark.uncovered
@QUICK
@given(st.data())
def test_a_text_gives_its_values_back(data: st.DataObject) -> None:
    text, fields = data.draw(templates((*ORDERED, "integer", "label:escape"), SEPARATORS))
    assume(not {"integer", "integer:010"} <= set(fields))
    key = template(text)
    row = data.draw(row_values(fields))
    assert all(field.bounded for field in key.fields)
    assert key.parse(key.render(row)) == row


@pytest.mark.uncovered
@QUICK
@given(st.data())
def test_the_order_of_ordered_texts_is_that_of_the_values(data: st.DataObject) -> None:
    text, fields = data.draw(templates(ORDERED, LOW))
    key = template(text)
    assert all(field.ordered for field in key.fields)
    one, other = data.draw(row_values(fields)), data.draw(row_values(fields))
    assert (key.render(one).encode() < key.render(other).encode()) is (_values(one, fields) < _values(other, fields))


def _values(row: Row, fields: tuple[str, ...]) -> tuple[object, ...]:
    """The values in the order of the fields; an instant with all the digits of its fraction, to be compared as text."""
    names = [field.partition(":")[0] for field in fields]
    return tuple(iso_fixed(row[name], "micros") if name in {"instant", "local"} else row[name] for name in names)


@pytest.mark.parametrize(
    ("field", "ordered"),
    [
        ("{text}", True),
        ("{text}|x", False),
        ("{text:escape}#x", True),
        ("{text:escape}|x", False),
        ("{text:escape,unordered}|x", True),
        ("{integer}", False),
        ("{integer:012}", True),
        ("{integer:unordered}", True),
        ("{label}", False),
        ("{label:unordered}", True),
        ("{printed}", False),
        ("{instant}#x", True),
        ("{uuid}{date}", True),
    ],
)
def test_which_fields_sort_as_their_values_do(field: str, ordered: bool) -> None:  # noqa: FBT001 - a parameter of the case
    assert all(field.ordered for field in template(field).fields) is ordered


@pytest.mark.parametrize(
    ("text", "bounded"),
    [
        ("{text}", True),
        ("{text}#{uuid}", False),
        ("{text:escape}#{uuid}", True),
        ("{text:escape}{uuid}", False),
        ("{text:escape}%", False),
        ("{text:escape}A", False),
        ("{text:escape}2", False),
        ("{uuid}{date}{instant}{text}", True),
        ("{integer}-{text}", True),
        ("{integer}0{text}", False),
        ("{integer}{text}", False),
        ("{integer:05}{text}", True),
        ("{flag}{text}", True),
        ("{label}|{text}", True),
        ("{label}#{text}", False),
        ("{label:escape}#{text}", True),
        ("{printed}#{text}", False),
    ],
)
def test_which_templates_can_be_read_back(text: str, bounded: bool) -> None:  # noqa: FBT001 - a parameter of the case
    assert all(field.bounded for field in template(text).fields) is bounded


@QUICK
@given(st.text(st.sampled_from(NASTY + "\u2192")), st.sampled_from((*SEPARATORS, None)))
def test_an_escaped_text_lacks_the_separator_and_comes_back(text: str, separators: str | None) -> None:
    separator = separators[0] if separators else None
    escaped = escape(text, separator)
    assert separator is None or separator not in escaped
    assert unescape(escaped) == text


@pytest.mark.parametrize(
    ("text", "separator", "escaped"),
    [
        ("a#b%c", "#", "a%23b%25c"),
        ("a b!", "#", "a%20b%21"),
        ("a|b#c", "|", "a%7Cb#c"),
        ("a\u2192b", "\u2192", "a%E2%86%92b"),
        ("100%", None, "100%25"),
    ],
)
def test_escapes_by_example(text: str, separator: str | None, escaped: str) -> None:
    assert escape(text, separator) == escaped


def test_an_escape_that_is_not_utf_8_is_refused() -> None:
    with pytest.raises(Unfit):
        unescape("%FF")
    assert template("{text:escape}#").parse("%FF#") is None


@pytest.mark.parametrize(
    ("text", "other"),
    [
        ("A#{uuid}", "A#550E8400-E29B-41D4-A716-446655440000"),
        ("A#{integer}", "A#\u0663"),
        ("A#{integer:03}", "A#12"),
        ("A#{date}", "A#2025-1-1"),
        ("A#{instant:micros}", "A#2025-11-29T10:30:00Z"),
        ("A#{instant}", "A#2025-11-29 10:30:00Z"),
        ("A#{label}", "A#plainer"),
        ("A#{flag}", "A#yes"),
        ("A#{text}", "B#x"),
        ("{text:escape}#{text}", "a#b"),
    ],
)
def test_a_text_of_another_form_is_not_read(text: str, other: str) -> None:
    assert template(text).parse(other) is None


def test_what_a_lossy_field_leaves_out_is_not_given_back() -> None:
    key = template("A#{instant}#{text}")
    assert key.parse(key.render({"instant": "2025-11-29 10:30:00.5+00", "text": "a\nb"})) == {"text": "a\nb"}


def test_braces_written_twice_are_literal() -> None:
    key = template("a{{b}}{{{text}}}")
    assert (key.prefix, key.render({"text": "x"})) == ("a{b}{", "a{b}{x}")


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("{text", "malformed"),
        ("text}", "malformed"),
        ("{}", "without a column"),
        ("{text!r}", "conversion"),
        ("{text:012}", "does not fit column text of kind Text"),
        ("{integer:escape}", "does not fit column integer of kind Integer"),
        ("{integer:0}", "does not fit"),
        ("{integer:12}", "does not fit"),
        ("{instant:hours}", "does not fit"),
        ("{text:escape,ordered}", "does not fit"),
        ("{uuid:{text}}", "does not fit"),
        ("{document}", "no key text"),
    ],
)
def test_a_template_that_says_nothing_is_refused_with_advice(text: str, what: str) -> None:
    with pytest.raises(MappingError, match=what) as caught:
        template(text)
    assert caught.value.next_step


def test_a_padded_number_that_does_not_fit_is_refused_without_its_value() -> None:
    for value in (-1, 1000):
        with pytest.raises(Unfit, match="3 digits") as caught:
            template("{integer:03}").render({"integer": value})
        assert str(value) not in str(caught.value)
