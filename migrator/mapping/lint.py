"""What is wrong with a mapping, found before anything runs, each problem with a sentence that says what to change."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from itertools import combinations
from typing import TYPE_CHECKING, Literal

from migrator.mapping.errors import MappingError
from migrator.mapping.lint_entity import entity_problems, entity_warnings
from migrator.mapping.lint_key import foreign_problems
from migrator.mapping.lint_pattern import pattern_problems
from migrator.mapping.lint_table import table_problems
from migrator.mapping.overlap import can_meet

if TYPE_CHECKING:
    from collections.abc import Iterator

    from migrator.mapping.entity import Entity
    from migrator.mapping.model import Model
    from migrator.mapping.plan import BoundItem


@dataclass(frozen=True)
class Problem:
    """One finding: where, what, and what to change. An `error` keeps every command from running."""

    where: str
    sentence: str
    severity: Literal["error", "warning"] = "error"


def lint(model: Model) -> list[Problem]:
    """All problems of a model; an empty list, or warnings only, means that it can be used."""
    problems = [Problem(where, sentence) for where, sentence in _model_problems(model)]
    sound: list[Entity] = []
    for table in model.tables:
        problems += [Problem(f"table {table.name}", sentence) for sentence in table_problems(table)]
    for entity in model.entities:
        try:
            _ = entity.plan
        except MappingError as error:
            problems.append(Problem(entity.name, error.sentence.removeprefix(f"{entity.name}: ")))
            continue
        problems += [Problem(entity.name, sentence) for sentence in entity_problems(entity)]
        problems += [Problem(entity.name, sentence, "warning") for sentence in entity_warnings(entity)]
        sound.append(entity)
    problems += [Problem(where, sentence) for where, sentence in _collisions(sound)]
    problems += [Problem(entity.name, sentence) for entity in sound for sentence in foreign_problems(entity)]
    problems += [Problem(where, sentence) for where, sentence in _pattern_problems(model, sound)]
    return problems


def _model_problems(model: Model) -> Iterator[tuple[str, str]]:
    where = f"model {model.name}"
    if not model.entities:
        yield where, "It has no entities. List them in `entities`."
    for name, count in Counter(entity.name for entity in model.entities).items():
        if count > 1:
            yield where, f"{count} entities are called {name}. Give each a name of its own: items are told apart by it."
    for name, count in Counter(entity.source_name for entity in model.entities).items():
        if count > 1:
            yield where, f"{count} entities have the source {name}. Declare all items of its rows in one entity."
    for left, right in combinations({id(entity.table): entity.table for entity in model.entities}.values(), 2):
        if left.name == right.name and left != right:
            yield where, f"Table {left.name} is declared twice, and differently. Declare it once and share it."
    for name, count in Counter(pattern.id for pattern in model.patterns).items():
        if count > 1:
            yield where, f"{count} access patterns have the id {name}. Give each an id of its own."


def _collisions(entities: list[Entity]) -> Iterator[tuple[str, str]]:
    """Items of different templates that can have the same key."""
    items = [(entity, item) for entity in entities for item in entity.plan.items]
    for (entity, item), (other, second) in combinations(items, 2):
        if entity.table == other.table and _can_share_key(item, second):
            whom = "its own" if other is entity else f"{other.name}'s"
            both = f"Item {item.number} ({_key_text(item)}) and {whom} item {second.number} ({_key_text(second)})"
            advice = "Begin one of the templates with a literal that the other cannot begin with."
            yield entity.name, f"{both} can have the same key. {advice}"


def _can_share_key(item: BoundItem, other: BoundItem) -> bool:
    slots = list(zip(item.keys, other.keys, strict=True))
    return all(left.kind is not None or can_meet(left.template, right.template) for left, right in slots)


def _key_text(item: BoundItem) -> str:
    return " / ".join(slot.template.text for slot in item.keys)


def _pattern_problems(model: Model, sound: list[Entity]) -> Iterator[tuple[str, str]]:
    for pattern in model.patterns:
        where = f"access pattern {pattern.id}"
        if pattern.entity not in model.entities:
            yield where, f"It reads {pattern.entity.name}, which is not an entity of the model. Add it to `entities`."
        elif pattern.entity in sound:
            yield from ((where, sentence) for sentence in pattern_problems(pattern, sound))
