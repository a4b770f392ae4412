"""JSON documents: typed, back, and equal in value; what DynamoDB cannot hold is refused."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given

from migrator.mapping import document
from migrator.mapping import kind as kinds
from migrator.mapping.errors import Unfit
from tests.unit.mapping.agreement import QUICK
from tests.unit.mapping.generated_rows import values


def typed(text: str, level: int = 0) -> document.AttributeValue:
    return document.to_attribute(document.parse(text), level)


@pytest.mark.uncovered
@QUICK
@given(values(kinds.Json(), ordinary=True))
def test_a_document_comes_back(text: str) -> None:
    back = document.from_attribute(typed(text))
    assert document.normal(document.parse(back)) == document.normal(document.parse(text))


@pytest.mark.uncovered
@QUICK
@given(values(kinds.Json(), ordinary=True))
def test_text_of_a_document_is_read_by_any_parser(text: str) -> None:
    parsed = document.parse(text)
    assert document.to_text(parsed) == text
    assert json.loads(text, parse_int=Decimal, parse_float=Decimal) == parsed


@pytest.mark.parametrize(
    ("text", "attribute"),
    [
        ("null", {"NULL": True}),
        ("true", {"BOOL": True}),
        ("1", {"N": "1"}),
        ("1.10", {"N": "1.10"}),
        ("-0", {"N": "0"}),
        ("1e2", {"N": "1E+2"}),
        ('""', {"S": ""}),
        ("[]", {"L": []}),
        ("{}", {"M": {}}),
        ('"\\u0000"', {"S": "\0"}),
        ("[true, 1]", {"L": [{"BOOL": True}, {"N": "1"}]}),
    ],
)
def test_scalars_and_empty_containers(text: str, attribute: dict[str, Any]) -> None:
    assert typed(text) == attribute


def test_numbers_keep_every_digit() -> None:
    digits = "12345678901234567890.12345678901234567"
    assert typed(digits) == {"N": digits}
    assert document.from_attribute({"N": "1E+20"}) == "1" + "0" * 20


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ('{"a": 1, "a": 2}', "one key twice"),
        ('{"": 1}', "an empty key"),
        ("NaN", "NaN is not JSON"),
        ("[Infinity]", "Infinity is not JSON"),
        ('"\\ud800"', "half of a surrogate pair"),
        ('{"\\udfff": 1}', "half of a surrogate pair"),
        ("1" * 39, "39 significant digits"),
        ("1e400", "a magnitude of"),
        ("1e99999999999999999999", "exponent"),
        ("[" * 2000 + "]" * 2000, "nested deeper"),
        ("[" * 33 + "]" * 33, "nested deeper"),
        (json.dumps({"k" * 65_536: 1}), "a key of over 65535 bytes"),
        (json.dumps({"\u00e9" * 32_768: 1}, ensure_ascii=False), "a key of over 65535 bytes"),
    ],
)
def test_what_dynamodb_cannot_hold_is_refused_with_the_policy(text: str, reason: str) -> None:
    with pytest.raises(Unfit, match=reason) as caught:
        typed(text)
    assert "form=TEXT" in str(caught.value.policy)


def test_a_key_of_the_longest_length_is_held() -> None:
    assert typed(json.dumps({"k" * 65_535: 1}))["M"]


@pytest.mark.parametrize("level", [0, 1])
def test_the_32nd_level_is_the_innermost_value(level: int) -> None:
    """As both emulators have it: a scalar in 31 lists is taken, in 32 it is not, and an empty list counts once."""
    room = 32 - level
    assert typed("[" * (room - 1) + "1" + "]" * (room - 1), level)
    assert typed("[" * room + "]" * room, level)
    for text in ("[" * room + "1" + "]" * room, '{"a":' * room + "1" + "}" * room, "[" * (room + 1) + "]" * (room + 1)):
        with pytest.raises(Unfit, match="32 levels"):
            typed(text, level)


@pytest.mark.parametrize("value", [1.5, {1: 2}, (1, 2), b"x", {"a": [1.5]}])
def test_python_values_that_no_document_has_are_refused(value: object) -> None:
    with pytest.raises(Unfit, match="in a JSON document"):
        document.to_attribute(value, 0)


@pytest.mark.parametrize("attribute", [{"B": "AA=="}, {"SS": ["a"]}, {"L": [{"NS": ["1"]}]}])
def test_attributes_that_no_document_becomes_are_refused(attribute: dict[str, Any]) -> None:
    with pytest.raises(Unfit, match="in a JSON document"):
        document.from_attribute(attribute)


def test_what_is_not_json_is_refused_without_its_text() -> None:
    with pytest.raises(Unfit) as caught:
        document.parse('{"password": hunter2}')
    assert "hunter2" not in str(caught.value)


def test_the_normal_form_tells_true_from_one_and_keeps_the_scale_out() -> None:
    assert document.normal(document.parse("[1.50, 1]")) == document.normal(document.parse("[1.5, 1.0]"))
    assert document.normal(document.parse("true")) != document.normal(document.parse("1"))
    assert document.normal(document.parse('"1"')) != document.normal(document.parse("1"))
