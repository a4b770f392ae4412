"""Whether two templates can give one text, against every text of a small alphabet."""

from __future__ import annotations

from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from migrator.mapping import kind as kinds
from migrator.mapping.overlap import can_begin, can_meet
from migrator.mapping.template import KeyTemplate
from tests.unit.mapping.agreement import QUICK

KINDS: dict[str, kinds.Kind] = {
    "text": kinds.Text(),
    "number": kinds.Integer(),
    "label": kinds.Labelled(labels=("a", "ab", "b1")),
    "uuid": kinds.Uuid(),
    "date": kinds.Date(),
    "instant": kinds.Instant(),
    "flag": kinds.Boolean(),
}
ALPHABET = "ab1"
TEXTS = ["".join(letters) for length in range(7) for letters in product(ALPHABET, repeat=length)]
EXACT = ("a", "b", "1", "{text}", "{text:escape}", "{number}", "{number:01}", "{number:02}")


def template(text: str) -> KeyTemplate:
    return KeyTemplate(text, KINDS.__getitem__)


def texts_of(key: KeyTemplate) -> set[str]:
    """The texts of the small alphabet that have the template's form."""
    return {text for text in TEXTS if key._pattern.fullmatch(text)}  # noqa: SLF001 - the form alone, not which values are equal


def parts(choices: tuple[str, ...]) -> st.SearchStrategy[KeyTemplate]:
    return st.lists(st.sampled_from(choices), max_size=3).map("".join).map(template)


@QUICK
@given(parts(EXACT), parts(EXACT))
def test_templates_meet_exactly_where_a_text_is_of_both(one: KeyTemplate, other: KeyTemplate) -> None:
    meeting = bool(texts_of(one) & texts_of(other))
    assert can_meet(one, other) is meeting
    assert can_meet(other, one) is meeting


@QUICK
@given(parts((*EXACT, "{label}", "{label:escape}")), parts((*EXACT, "{label}")))
def test_no_meeting_is_overlooked(one: KeyTemplate, other: KeyTemplate) -> None:
    assert can_meet(one, other) or not texts_of(one) & texts_of(other)


@QUICK
@given(parts(EXACT), st.text(ALPHABET, max_size=3))
def test_a_template_begins_exactly_as_one_of_its_texts(one: KeyTemplate, prefix: str) -> None:
    assert can_begin(one, prefix) is any(text.startswith(prefix) for text in texts_of(one))


@pytest.mark.parametrize(
    ("one", "other", "meet"),
    [
        ("USER#{text}", "REPO#{text}", False),
        ("USER#{text}", "USER#{uuid}", True),
        ("A#{uuid}", "A#{date}", False),
        ("A#{instant}", "A#{date}", False),
        ("A#{instant}", "A#{instant:millis}", False),
        ("A#{instant}", "A#{text}", True),
        ("{text}", "METADATA", True),
        ("{text:escape}#X", "A#B#X", False),
        ("A#{flag}", "A#{number}", False),
        ("", "{text}", True),
        ("", "A", False),
    ],
)
def test_meetings_by_example(one: str, other: str, meet: bool) -> None:  # noqa: FBT001 - a parameter of the case
    assert can_meet(template(one), template(other)) is meet
