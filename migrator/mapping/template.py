"""Key templates: `REPO#{repository_id}`, `EXEC#{started_at}#{id}`; from a row to key text and back.

A field is `{column}` or `{column:spec}`. Specs: `seconds` (default), `millis`, `micros` for an instant; `012` for an
integer padded with zeros to 12 digits; `escape` for text that may hold the separator behind it; `unordered` where the
order of the key's text is known not to be the order of its values; `epoch` for an instant in a key of type Number.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from string import Formatter
from typing import TYPE_CHECKING, Final

from migrator.mapping import instant
from migrator.mapping import kind as kinds
from migrator.mapping.errors import MappingError, Unfit
from migrator.mapping.kind import Form, Kind, RowValue

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

_INSTANT_SPECS: Final = frozenset(instant.FRACTION_DIGITS)
_PADDED: Final = re.compile(r"0[1-9]\d*")
_FITTING: Final[tuple[tuple[type[Kind], frozenset[str]], ...]] = (
    (kinds.Date, frozenset({"", "unordered"})),
    (kinds.Instant, _INSTANT_SPECS | {"epoch", "unordered"}),
    (kinds.Integer, frozenset({"", "unordered"})),
    (kinds.Text, frozenset({"", "escape", "unordered"})),
    (kinds.Printed, frozenset({"", "escape", "unordered"})),
    (kinds.Boolean, frozenset({"", "unordered"})),
    (kinds.Numeric, frozenset({"", "unordered"})),
    (kinds.Binary, frozenset({""})),
)


@dataclass(frozen=True)
class Field:
    """A column's place in a template.

    `separator` is the character that follows it: empty where another field does, None at the end of the template.
    """

    column: str
    kind: Kind
    spec: str
    separator: str | None = None

    @property
    def lossless(self) -> bool:
        """Whether the text holds the whole value."""
        return not isinstance(self.kind, kinds.Instant) or self.spec in {"micros", "epoch"}

    @property
    def ordered(self) -> bool:
        """Whether the order of the texts is the order of the values, or is declared not to matter."""
        padded = isinstance(self.kind, kinds.Integer) and self.spec != ""
        return self.kind.ordered or padded or self.spec == "unordered"

    @property
    def bounded(self) -> bool:
        """Whether where the field ends can be told from the text alone."""
        if self.separator is None:
            return True
        match self.kind:
            case kinds.Uuid() | kinds.Instant() | kinds.Date() | kinds.Boolean():
                return True
            case kinds.Integer():
                return self.spec[:1] == "0" or (self.separator != "" and not self.separator.isdigit())
            case kinds.Labelled(labels=labels):
                return self.separator != "" and not any(self.separator in label for label in labels)
        return self.spec == "escape" and self.separator != ""

    @property
    def pattern(self) -> str:
        """A regular expression that the field's texts match."""
        match self.kind:
            case kinds.Uuid():
                return "[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}"
            case kinds.Labelled(labels=labels):
                return "|".join(map(re.escape, sorted(labels, key=len, reverse=True)))
            case kinds.Boolean():
                return "true|false"
            case kinds.Integer():
                return rf"\d{{{int(self.spec)}}}" if _PADDED.fullmatch(self.spec) else r"-?\d+"
            case kinds.Date():
                return r"\d{4}-\d\d-\d\d"
            case kinds.Instant(zone=zone):
                digits = instant.FRACTION_DIGITS.get(self.spec, 0)
                fraction = rf"\.\d{{{digits}}}" if digits else ""
                return rf"\d{{4}}-\d\d-\d\dT\d\d:\d\d:\d\d{fraction}{'Z' if zone else ''}"
        return f"[^{re.escape(self.separator)}]*" if self.spec == "escape" and self.separator else ".*"

    def render(self, value: RowValue) -> str:
        """The value's text in a key of type String."""
        match self.kind:
            case kinds.Instant():
                return instant.iso_fixed(value, self.spec)
            case kinds.Date():
                return str(self.kind.to_attribute(value, 0)["S"])
            case kinds.Boolean():
                return "true" if value else "false"
            case kinds.Integer():
                return self._padded(value)
        return escape(value, self.separator) if self.spec == "escape" else str(value)

    def _padded(self, value: int) -> str:
        if not _PADDED.fullmatch(self.spec):
            return str(value)
        if value < 0 or len(str(value)) > int(self.spec):
            raise Unfit(f"a key part of {int(self.spec)} digits cannot hold a negative or longer number")
        return f"{value:{self.spec}}"

    def parse(self, text: str) -> RowValue:
        """The value from its text; of a lossy field, what is left of it."""
        match self.kind:
            case kinds.Instant() | kinds.Date():
                return self.kind.from_attribute({"S": text})
            case kinds.Boolean():
                return text == "true"
            case kinds.Integer():
                return int(text)
        return unescape(text) if self.spec == "escape" else text


def escape(text: str, separator: str | None) -> str:
    """The text without the character that ends its field: `%` and the separator as `%` and two hexadecimal digits."""
    escaped = text.replace("%", "%25")
    return escaped.replace(separator, f"%{ord(separator):02X}") if separator else escaped


def unescape(text: str) -> str:
    """The text before `escape`."""
    return re.sub("%([0-9A-F]{2})", lambda match: chr(int(match[1], 16)), text)


class KeyTemplate:
    """A parsed template, bound to the kinds of its columns."""

    def __init__(self, text: str, kind_of: Callable[[str], Kind]) -> None:
        self.text = text
        self.parts = _parse(text, kind_of)
        self.fields = tuple(part for part in self.parts if isinstance(part, Field))
        self._pattern = re.compile(
            "".join(re.escape(part) if isinstance(part, str) else f"({part.pattern})" for part in self.parts), re.DOTALL
        )

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns it uses, each once."""
        return tuple(dict.fromkeys(field.column for field in self.fields))

    @property
    def prefix(self) -> str:
        """The literal text it begins with."""
        return self.parts[0] if self.parts and isinstance(self.parts[0], str) else ""

    @property
    def sole(self) -> Field | None:
        """Its field, where it is nothing but one field: the only form a key of type Number or Binary can have."""
        return self.fields[0] if len(self.parts) == 1 and self.fields else None

    def render(self, row: Mapping[str, RowValue]) -> str:
        """The key text of a row whose columns here are not NULL."""
        return "".join(part if isinstance(part, str) else part.render(row[part.column]) for part in self.parts)

    def parse(self, text: str) -> dict[str, RowValue] | None:
        """The values of the lossless fields, or None where the text is not of this template."""
        match = self._pattern.fullmatch(text)
        if match is None:
            return None
        values: dict[str, RowValue] = {}
        for field, found in zip(self.fields, match.groups(), strict=True):
            if not field.lossless:
                continue
            try:
                value = field.parse(found)
            except Unfit:
                return None
            if values.setdefault(field.column, value) != value:
                return None
        return values


def _parse(text: str, kind_of: Callable[[str], Kind]) -> tuple[str | Field, ...]:
    try:
        pieces = list(Formatter().parse(text))
    except ValueError as error:
        raise MappingError(f"the key template '{text}' is malformed: {error}") from error
    parts: list[str | Field] = []
    for index, (literal, column, spec, conversion) in enumerate(pieces):
        if literal:
            parts.append(literal)
        if column is None:
            continue
        if not column or conversion:
            raise MappingError(f"the key template '{text}' has a field without a column, or with a '!' conversion")
        following = pieces[index + 1][0][:1] if index + 1 < len(pieces) else None
        parts.append(_field(text, column, spec or "", following, kind_of(column)))
    return tuple(parts)


def _field(template: str, column: str, spec: str, separator: str | None, kind: Kind) -> Field:
    fitting = next((specs for base, specs in _FITTING if isinstance(kind, base)), None)
    if fitting is None:
        raise MappingError(
            f"column {column} in the key template '{template}' is of kind {type(kind).__name__}, which has no key text",
            next_step="Use another column, or store this one with form=TEXT.",
        )
    padded = isinstance(kind, kinds.Integer) and _PADDED.fullmatch(spec) is not None
    if spec == "" and isinstance(kind, kinds.Instant):
        spec = "seconds"
    if spec not in fitting and not padded:
        raise MappingError(
            f"'{spec}' in the key template '{template}' does not fit column {column} of kind {type(kind).__name__}",
            next_step=f"Use one of: {', '.join(sorted(fitting - {''}))}.",
        )
    if spec == "epoch":
        kind = kind.formed(Form.EPOCH)
    return Field(column, kind, spec, separator)
