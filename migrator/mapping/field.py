"""One field of a key template: a column's value as key text, and back.

A field is `{column}` or `{column:spec}`. Specs: `seconds` (default), `millis`, `micros` for an instant; `012` for an
integer padded with zeros to 12 digits; `escape` for text that may hold the character behind the field; `epoch` for an
instant in a key of type Number; `unordered`, alone or after a comma, where it does not matter that the order of the
texts is not the order of the values.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from migrator.mapping import instant
from migrator.mapping import kind as kinds
from migrator.mapping.errors import MappingError, Unfit
from migrator.mapping.kind import Form, Kind

if TYPE_CHECKING:
    from migrator.mapping.kind import RowValue

ESCAPE: Final = "%"
_CLASSES: Final = {"0": "[0-9]", "x": "[0-9a-f]", ".": "[.]"}
UNORDERED: Final = "unordered"
_PADDED: Final = re.compile(r"0[1-9]\d*", re.ASCII)
_LOW: Final = re.compile("[\x00-%]")
_ESCAPED: Final = re.compile("(?:%[0-9A-F]{2})+")
_FITTING: Final[tuple[tuple[type[Kind], frozenset[str]], ...]] = (
    (kinds.Instant, frozenset({*instant.FRACTION_DIGITS, "epoch"})),
    (kinds.Text, frozenset({"", "escape"})),
    (kinds.Printed, frozenset({"", "escape"})),
    (kinds.Integer, frozenset({""})),
    (kinds.Date, frozenset({""})),
    (kinds.Boolean, frozenset({""})),
    (kinds.Numeric, frozenset({""})),
    (kinds.Binary, frozenset({""})),
)


@dataclass(frozen=True)
class Field:
    """A column's place in a template.

    `separator` is the character that follows it: empty where another field does, None at the end of the template.
    `unordered` says that the order of its text is declared not to matter.
    """

    column: str
    kind: Kind
    spec: str = ""
    separator: str | None = None
    unordered: bool = False

    @property
    def lossless(self) -> bool:
        """Whether the text holds the whole value."""
        return not isinstance(self.kind, kinds.Instant) or self.spec in {"micros", "epoch"}

    @property
    def padded(self) -> int:
        """The number of digits of a padded integer; 0 for any other field."""
        return int(self.spec) if isinstance(self.kind, kinds.Integer) and self.spec else 0

    @property
    def mask(self) -> str:
        """The form of the text, where all values have the same (else empty): `0` for a digit, `x` for a hex digit."""
        match self.kind:
            case kinds.Uuid():
                return "xxxxxxxx-xxxx-xxxx-xxxx-xxxxxxxxxxxx"
            case kinds.Date():
                return "0000-00-00"
            case kinds.Instant(zone=zone):
                digits = instant.FRACTION_DIGITS.get(self.spec, 0)
                return "0000-00-00T00:00:00" + ("." + "0" * digits) * (digits > 0) + "Z" * zone
        return "0" * self.padded

    @property
    def texts(self) -> tuple[str, ...]:
        """All its texts, where there are few."""
        match self.kind:
            case kinds.Labelled(labels=labels):
                return tuple(map(self.render, labels))
            case kinds.Boolean():
                return ("true", "false")
        return ()

    @property
    def ordered(self) -> bool:
        """Whether the order of the texts is the order of the values, or is declared not to matter."""
        if self.unordered or self.mask or isinstance(self.kind, kinds.Boolean):
            return True
        ends_low = self.separator is None or (self.spec == "escape" and "" < self.separator < ESCAPE)
        return self.kind.ordered and ends_low

    @property
    def bounded(self) -> bool:
        """Whether where the field ends can be told from the text alone."""
        if self.separator is None or self.mask or isinstance(self.kind, kinds.Boolean):
            return True
        if not self.separator:
            return False
        if isinstance(self.kind, kinds.Integer):
            return not self.separator.isdigit()
        if self.texts:
            return not any(self.separator in text for text in self.texts)
        return self.spec == "escape" and self.separator not in "%0123456789ABCDEF"

    @property
    def pattern(self) -> str:
        """A regular expression that the field's texts match."""
        if self.mask:
            return "".join(_CLASSES.get(character, character) for character in self.mask)
        if self.texts:
            return "|".join(map(re.escape, sorted(self.texts, key=len, reverse=True)))
        if isinstance(self.kind, kinds.Integer):
            return "-?[0-9]+"
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
                return self._digits(value)
        return escape(value, self.separator) if self.spec == "escape" else str(value)

    def _digits(self, value: int) -> str:
        if not self.padded:
            return str(value)
        if value < 0 or len(str(value)) > self.padded:
            raise Unfit(f"a key part of {self.padded} digits cannot hold a negative or longer number")
        return f"{value:0{self.padded}}"

    def parse(self, text: str) -> RowValue:
        """The value from its text, whole or (of a lossy field) what is left of it; raises Unfit where it is none."""
        match self.kind:
            case kinds.Instant() | kinds.Date():
                return self.kind.from_attribute({"S": text})
            case kinds.Boolean():
                return text == "true"
            case kinds.Integer():
                return int(text)
        return unescape(text) if self.spec == "escape" else text


def escape(text: str, separator: str | None) -> str:
    """The text without the character that ends its field.

    `%` and the separator become `%` and two hexadecimal digits a byte. Where the separator sorts below `%`, so does
    every other character up to `%`: the order of the escaped texts, separator included, is then that of the texts.
    """
    if separator and separator < ESCAPE:
        return _LOW.sub(lambda match: f"%{ord(match[0]):02X}", text)
    escaped = text.replace(ESCAPE, "%25")
    if not separator or separator == ESCAPE:
        return escaped
    return escaped.replace(separator, "".join(f"%{byte:02X}" for byte in separator.encode()))


def unescape(text: str) -> str:
    """The text before `escape`; raises Unfit where no text has this form."""
    try:
        return _ESCAPED.sub(lambda match: bytes.fromhex(match[0].replace(ESCAPE, "")).decode(), text)
    except UnicodeDecodeError as error:
        raise Unfit("an escape that is not UTF-8") from error


def new_field(template: str, column: str, spec: str, separator: str | None, kind: Kind) -> Field:
    """A field of a template, its spec checked against the kind of its column.

    Raises:
        MappingError: the kind has no key text, or the spec is none of its kind's.
    """
    fitting = next((specs for base, specs in _FITTING if isinstance(kind, base)), None)
    if fitting is None:
        raise MappingError(
            f"column {column} in the key template '{template}' is of kind {type(kind).__name__}, which has no key text",
            next_step="Use another column, or store this one with form=TEXT.",
        )
    form, _, order = spec.partition(",")
    if form == UNORDERED and not order:
        form, order = "", UNORDERED
    if not form and isinstance(kind, kinds.Instant):
        form = "seconds"
    padded = isinstance(kind, kinds.Integer) and _PADDED.fullmatch(form) is not None
    if (form not in fitting and not padded) or order not in {"", UNORDERED}:
        known = sorted({*fitting, UNORDERED} - {""}) + ["digits like 012"] * isinstance(kind, kinds.Integer)
        raise MappingError(
            f"'{spec}' in the key template '{template}' does not fit column {column} of kind {type(kind).__name__}",
            next_step=f"Use one of: {', '.join(known)}.",
        )
    kind = kind.formed(Form.EPOCH) if form == "epoch" else kind
    return Field(column, kind, form, separator, order == UNORDERED)
