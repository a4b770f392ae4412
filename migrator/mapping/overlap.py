"""Whether two key templates can give the same text: their languages intersected, as the two automata they are."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from migrator.mapping import kind as kinds

if TYPE_CHECKING:
    from migrator.mapping.template import Field, KeyTemplate

_DIGITS: Final = frozenset("0123456789")
_HEX: Final = frozenset("0123456789abcdef")
_MASKS: Final = {"0": _DIGITS, "x": _HEX}


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


def can_meet(left: KeyTemplate, right: KeyTemplate) -> bool:
    """Whether some text is of both templates (where unsure: yes)."""
    a, b = _tokens(left), _tokens(right)
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
            tokens += [_Token(frozenset(character)) for character in part]
        else:
            tokens += _field_tokens(part)
    return tokens


def _field_tokens(field: Field) -> list[_Token]:
    match field.kind:
        case kinds.Uuid():
            return _masked("xxxxxxxx-xxxx-xxxx-xxxx-xxxxxxxxxxxx")
        case kinds.Date():
            return _masked("0000-00-00")
        case kinds.Instant(zone=zone):
            fraction = {"millis": ".000", "micros": ".000000"}.get(field.spec, "")
            return _masked("0000-00-00T00:00:00" + fraction + "Z" * zone)
        case kinds.Integer() if field.spec[:1] == "0":
            return [_Token(_DIGITS)] * int(field.spec)
        case kinds.Integer():
            return [_Token(frozenset("-"), many=True), _Token(_DIGITS), _Token(_DIGITS, many=True)]
        case kinds.Boolean():
            return [_Token(frozenset("truefals"), many=True)]
        case kinds.Labelled(labels=labels):
            return [_Token(frozenset("".join(labels)), many=True)]
    if field.spec == "escape" and field.separator:
        return [_Token(frozenset(field.separator), out=True, many=True)]
    return [_Token(frozenset(), out=True, many=True)]


def _masked(mask: str) -> list[_Token]:
    return [_Token(_MASKS.get(character, frozenset(character))) for character in mask]
