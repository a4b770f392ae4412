"""Arrays: as a List, or as a Set where their order does not matter."""
# ruff: noqa: D102 - what an overriding method does is said once, at Kind's own

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Final

from migrator.mapping.errors import Unfit
from migrator.mapping.kind import Form, Json, Kind, RowValue, Text, take
from migrator.mapping.number import canonical

if TYPE_CHECKING:
    from migrator.mapping.document import AttributeValue

POLICY: Final = "Declare the attribute with form=TEXT to store the array as PostgreSQL prints it."
_TEXT: Final = Text()
_LIST_POLICY: Final = "Declare the attribute without form=SET to store a List."


@dataclass(frozen=True)
class Array(Kind):
    """Arrays of any number of dimensions, as a List; a NULL element is a NULL in the List."""

    type: ClassVar[str] = "L"
    ordered: ClassVar[bool] = False
    element: Kind = _TEXT

    @property
    def array_select(self) -> str:
        """The SQL that fetches it: each cast of the element's kind applied to the array."""
        base, *casts = self.element.select.split("::")
        return "::".join([base, *(f"{cast}[]" for cast in casts)])

    def to_attribute(self, value: RowValue, level: int) -> AttributeValue:
        return {"L": [self._element(element, level + 1) for element in value]}

    def _element(self, element: RowValue, level: int) -> AttributeValue:
        if element is None:
            return {"NULL": True}
        if not isinstance(element, list):
            attribute = self.element.to_attribute(element, level)
            if "NULL" in attribute:
                raise Unfit("JSON null in an array would read back as SQL NULL", POLICY)
            return attribute
        if isinstance(self.element, Json):
            raise Unfit("an array of documents in several dimensions would read back as lists in one", POLICY)
        return self.to_attribute(element, level)

    def from_attribute(self, attribute: AttributeValue) -> RowValue:
        return [self._from_element(element) for element in take(attribute, "L")]

    def _from_element(self, attribute: AttributeValue) -> RowValue:
        if "NULL" in attribute:
            return None
        nested = "L" in attribute and not isinstance(self.element, Json)
        return self.from_attribute(attribute) if nested else self.element.from_attribute(attribute)

    def from_user(self, value: object) -> RowValue:
        if not isinstance(value, list):
            raise Unfit("a JSON array is expected here")
        lengths = {len(one) if isinstance(one, list) else -1 for one in value}
        if not isinstance(self.element, Json) and len(lengths) > 1:
            raise Unfit("an array whose parts differ in length, which PostgreSQL does not hold")
        return [self._from_user_element(element) for element in value]

    def _from_user_element(self, value: object) -> RowValue:
        if value is None:
            return None
        nested = isinstance(value, list) and not isinstance(self.element, Json)
        return self.from_user(value) if nested else self.element.from_user(value)

    def normal(self, value: RowValue) -> object:
        return [
            None if one is None else self.normal(one) if isinstance(one, list) else self.element.normal(one)
            for one in value
        ]

    def formed(self, form: Form) -> Kind:
        if form is Form.SET and self.element.type in {"S", "N", "B"}:
            return Set(element=self.element)
        return super().formed(form)


@dataclass(frozen=True)
class Set(Array):
    """An array whose order does not matter, as a Set. What no Set holds (nothing, NULL, one value twice) is refused."""

    def to_attribute(self, value: RowValue, level: int) -> AttributeValue:
        if not value:
            raise Unfit("an empty array, a DynamoDB Set holds at least one value", _LIST_POLICY)
        if any(element is None or isinstance(element, list) for element in value):
            raise Unfit("an array with NULL or of several dimensions, which a DynamoDB Set does not hold", _LIST_POLICY)
        kind = self.element.type
        members = [self.element.to_attribute(element, level)[kind] for element in value]
        if len({canonical(member) if kind == "N" else member for member in members}) != len(members):
            raise Unfit("an array with one value twice, which a DynamoDB Set holds once", _LIST_POLICY)
        return {f"{kind}S": sorted(members)}

    def from_attribute(self, attribute: AttributeValue) -> RowValue:
        kind = self.element.type
        return [self.element.from_attribute({kind: member}) for member in take(attribute, f"{kind}S")]

    def normal(self, value: RowValue) -> object:
        return frozenset(map(self.element.normal, value))


def check_bounds(bounds: str | None) -> None:
    """Refuses an array whose elements are not counted from 1: a List could not give the lower bounds back.

    `bounds` is what PostgreSQL's `array_dims` gives; None for an empty array.
    """
    if bounds is not None and bounds.count("[") != bounds.count("[1:"):
        raise Unfit("an array whose lower bound is not 1, which a DynamoDB List does not hold", POLICY)
