"""Whether two key templates can give the same text: their languages intersected, as the two automata they are."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from migrator.mapping import kind as kinds

if TYPE_CHECKING:
    from migrator.mapping.field import Field
    from migrator.mapping.template import KeyTemplate


@dataclass(frozen=True)
class _Token:
    """A set of characters (`out`: all but these), once or any number of times."""

    characters: frozenset[str]
    out: bool = False
    many: bool = False

    def meets(self, other: _Token) -> bool:
        """Whether one character is in both."""
        if self.out and other.out:
            return True
        if self.out or other.out:
            inside, outside = (other, self) if self.out else (self, other)
            return bool(inside.characters - outside.characters)
        return bool(self.characters & other.characters)


_DIGITS: Final = frozenset("0123456789")
_ANYTHING: Final = _Token(frozenset(), out=True, many=True)
_MASKS: Final = {"0": _DIGITS, "x": frozenset("0123456789abcdef")}


def can_meet(left: KeyTemplate, right: KeyTemplate) -> bool:
    """Whether some text is of both templates (where unsure: yes)."""
    return _meet(_tokens(left), _tokens(right))


def can_begin(template: KeyTemplate, prefix: str) -> bool:
    """Whether some text of the template begins with the prefix (where unsure: yes)."""
    return _meet(_tokens(template), [*_literal(prefix), _ANYTHING])


def _meet(a: list[_Token], b: list[_Token]) -> bool:
    seen: set[tuple[int, int]] = set()
    waiting = [(0, 0)]
    while waiting:
        i, j = waiting.pop()
        if (i, j) in seen:
            continue
        seen.add((i, j))
        if i == len(a) and j == len(b):
            return True
        waiting += _steps(a, b, i, j)
    return False


def _steps(a: list[_Token], b: list[_Token], i: int, j: int) -> list[tuple[int, int]]:
    steps = []
    if i < len(a) and a[i].many:
        steps.append((i + 1, j))
    if j < len(b) and b[j].many:
        steps.append((i, j + 1))
    if i < len(a) and j < len(b) and a[i].meets(b[j]):
        steps.append((i if a[i].many else i + 1, j if b[j].many else j + 1))
    return steps


def _tokens(template: KeyTemplate) -> list[_Token]:
    tokens: list[_Token] = []
    for part in template.parts:
        if isinstance(part, str):
            tokens += _literal(part)
        else:
            tokens += _field_tokens(part)
    return tokens


def _literal(text: str) -> list[_Token]:
    return [_Token(frozenset(character)) for character in text]


def _field_tokens(field: Field) -> list[_Token]:
    if field.mask:
        return [_Token(_MASKS.get(character, frozenset(character))) for character in field.mask]
    if field.texts:
        return [_Token(frozenset("".join(field.texts)), many=True)]
    if isinstance(field.kind, kinds.Integer):
        return [_Token(frozenset("-"), many=True), _Token(_DIGITS), _Token(_DIGITS, many=True)]
    if field.spec == "escape" and field.separator:
        return [_Token(frozenset(field.separator), out=True, many=True)]
    return [_ANYTHING]
