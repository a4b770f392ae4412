"""What a page says in words: the verdict, how sure it is, and figures as a person reads them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from datetime import datetime

    from migrator.cli.report.document import Document, ModelVerified

_MINUTE: Final = 60.0
_HOUR: Final = 3600.0
_CENT: Final = 0.01


def count(number: int, singular: str, plural: str | None = None) -> str:
    """A number with its noun: `1 row`, `2,000 rows`."""
    return f"{number:,} {singular if number == 1 else plural or f'{singular}s'}"


def enumeration(names: list[str]) -> str:
    """Names as a sentence has them: `a`, `a and b`, `a, b and c`."""
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"


def moment(at: datetime) -> str:
    """An instant, to the minute."""
    return f"{at.day} {at:%B %Y, %H:%M} UTC"


def duration(seconds: float) -> str:
    """A duration: `0.8 s`, `3 min 20 s`, `2 h 5 min`."""
    if seconds < _MINUTE:
        return f"{seconds:.1f} s"
    if seconds < _HOUR:
        return f"{seconds // _MINUTE:.0f} min {seconds % _MINUTE:.0f} s"
    return f"{seconds // _HOUR:,.0f} h {seconds % _HOUR // _MINUTE:.0f} min"


def dollars(amount: float) -> str:
    """An amount in US dollars; one that is not worth counting is said to be so."""
    if not amount:
        return "$0.00"
    return "less than $0.01" if amount < _CENT else f"${amount:,.2f}"


def units(amount: float) -> str:
    """Read units."""
    return f"{amount:,.0f}" if amount >= 10 or amount == int(amount) else f"{amount:,.1f}"  # noqa: PLR2004 - of sense


def differences(model: ModelVerified) -> int:
    """How many there are, those that are not named included."""
    return len(model.differences) + model.unjudged


def narrowed(model: ModelVerified) -> bool:
    """Whether not every row and item of the model was looked at."""
    scope = model.scope
    return any((scope.left_out, scope.sample_percent, scope.since, scope.key_range))


def verdict(document: Document) -> str:
    """The verdict, in one sentence."""
    found = sum(map(differences, document.models))
    parted = sum(parity.differs for model in document.models for parity in model.patterns)
    moving = sum(len(model.moving) for model in document.models)
    if found:
        return f"{count(found, 'difference')} between source and target."
    if parted:
        return f"The data is equal, but {count(parted, 'query answers', 'queries answer')} otherwise."
    if moving:
        return f"Not proven: {count(moving, 'key kept', 'keys kept')} changing while the rest was equal."
    if not document.clean:
        return "Source and target are not shown to be equal."
    if any(map(narrowed, document.models)):
        return "No difference in what was looked at."
    return "Source and target are equal."


def state(model: ModelVerified) -> str:
    """The verdict on one model of several, in a word or two."""
    if differences(model):
        return count(differences(model), "difference")
    return "equal" if model.clean else "not proven"


def lead(model: ModelVerified) -> str:
    """What was compared, in one sentence."""
    scope, rows = model.scope, sum(model.rows.values())
    sides = f"{count(rows, 'row')} in PostgreSQL and {count(model.items_scanned, 'item')} in DynamoDB"
    tables = count(len(scope.tables), "table")
    if scope.sample_percent is not None:
        return f"{sides} were compared in both directions: a sample of {scope.sample_percent:g} % of {tables}."
    if scope.since is not None:
        return f"{sides} were compared in both directions: what changed in {tables} since {scope.since}."
    if scope.key_range is not None:
        return f"{sides} were compared in both directions: the keys {scope.key_range}."
    return f"{sides} were compared in both directions: all there is of {tables}."


def certainty(model: ModelVerified) -> str:
    """How sure the verdict is."""
    if model.scope.confidence is not None:
        return model.scope.confidence
    if model.unjudged:
        return "There were too many suspects to look at each by itself."
    if narrowed(model):
        return "Complete within its scope; it says nothing about the rest."
    return "Complete: every row and every item was read. What did not match was read again before it was judged."


def place(model: ModelVerified) -> str:
    """Which stores were compared."""
    targets = list(dict.fromkeys(entity.target for entity in model.entities))
    noun = "table" if len(targets) == 1 else "tables"
    stand = model.stand
    return f"{stand.source}, and DynamoDB {noun} {enumeration(targets)} in {stand.region} ({stand.endpoint})"
