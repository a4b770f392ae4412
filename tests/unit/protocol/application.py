"""What the application does: it commits changes of rows, and with them, in the same transaction, their marks."""

from __future__ import annotations

from itertools import combinations
from typing import TYPE_CHECKING

from tests.unit.protocol.invariants import MARKED, MASTER, uncovered
from tests.unit.protocol.rules import DUAL_WRITE, PREPARE
from tests.unit.protocol.state import Mark, Row, Source, Step, Transaction, World, key_name, row_name

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.unit.protocol.rules import Configuration, Model, Rules

Changes = tuple[tuple[int, Row | None], ...]


def steps(world: World, model: Model) -> Iterator[Step]:
    """Yield what the application may do next: commit, or begin a transaction or end one where they may stay open."""
    # An open transaction ends without anybody's doing.
    yield from (end(world, transaction, model)._replace(by="system") for transaction in world.transactions)
    # Whoever knows no phase, as a script does, would write whatever the phase is.
    if not world.writes_left or (world.phase not in (PREPARE, DUAL_WRITE) and model.switch.fence):
        return
    at_once = not model.configuration.open_transactions
    if not at_once and len(world.transactions) == model.configuration.open_transactions:
        return
    # A row that an open transaction has changed is locked.
    locked = {row for transaction in world.transactions for row, _ in transaction.after}
    for story, after in changes(world.source.rows, model.configuration):
        if locked.isdisjoint(row for row, _ in after):
            begun = begin(world, story, after)
            if at_once:
                yield end(begun, begun.transactions[-1], model)
            else:
                numbers = numbered("takes mark", begun.transactions[-1])
                yield Step(f"application: begins to {story}, {numbers}", begun, "application")


def changes(rows: tuple[Row | None, ...], configuration: Configuration) -> Iterator[tuple[str, Changes]]:
    """Yield what one transaction may do to the rows: a story, and what the rows it changes are afterwards."""
    taken = {row.key for row in rows if row is not None}
    free = [key for key in range(configuration.keys) if key not in taken]
    operations = configuration.operations
    for index, row in enumerate(rows):
        if row is not None:
            yield from changes_of(index, row, free, configuration)
        elif "insert" in operations:
            yield from ((f"insert {row_name(index)} at {key_name(key)}", ((index, Row(key, 0)),)) for key in free)
    if "swap" in operations:
        for (one, first), (two, second) in combinations(enumerate(rows), 2):
            if first is not None and second is not None:
                story = f"swap the keys of {row_name(one)} and {row_name(two)}"
                yield story, ((one, Row(second.key, first.value)), (two, Row(first.key, second.value)))


def changes_of(index: int, row: Row, free: list[int], configuration: Configuration) -> Iterator[tuple[str, Changes]]:
    """Yield what one transaction may do to a row that is there. `free` are the item keys that no row has."""
    name = row_name(index)
    if "update" in configuration.operations:
        value = 1 - row.value
        yield f"update {name} to {value}", ((index, Row(row.key, value)),)
    if "delete" in configuration.operations:
        yield f"delete {name}", ((index, None),)
    if "move" in configuration.operations:
        for key in free:
            yield f"move {name} from {key_name(row.key)} to {key_name(key)}", ((index, Row(key, row.value)),)


def begin(world: World, story: str, after: Changes) -> World:
    """Open a transaction: its marks take their numbers now, and become visible when it commits."""
    transaction = Transaction(story, after, world.next_mark)
    return world._replace(
        transactions=(*world.transactions, transaction),
        next_mark=world.next_mark + len(after),
        writes_left=world.writes_left - 1,
    )


def end(world: World, transaction: Transaction, model: Model) -> Step:
    """Commit: rows and marks become visible together."""
    after = world._replace(
        source=committed(world.source, transaction, model.rules),
        transactions=tuple(other for other in world.transactions if other is not transaction),
    )
    story = f"application: commits: {transaction.story}, {numbered('mark', transaction)}"
    bare = [key for key in uncovered(after) if after.source.changed[key] > world.source.changed[key]]
    broken = f"{MARKED}: {key_name(bare[0])}" if bare else ""
    if world.target_is_master:
        broken = f"{MASTER}: {transaction.story} in PostgreSQL"
    return Step(story, after, "application", broken)


def committed(source: Source, transaction: Transaction, rules: Rules) -> Source:
    """Return the source after a transaction."""
    rows, marks, changed = list(source.rows), list(source.marks), list(source.changed)
    touched = set()
    for number, (index, row) in enumerate(transaction.after, transaction.first_mark):
        before = rows[index]
        rows[index] = row
        touched |= {each.key for each in (before, row) if each is not None}
        named = before is not None and (rules.old_key_marked or row is None)
        if not rules.old_key_kept:
            marks = [mark for mark in marks if mark.row != index]
        marks.append(Mark(number, index, (before.key,) if before is not None and named else ()))
    for key in touched:
        changed[key] += 1
    return Source(tuple(rows), tuple(sorted(marks)), tuple(changed))


def numbered(word: str, transaction: Transaction) -> str:
    """Return the numbers that a transaction's marks have taken, in words."""
    first, last = transaction.first_mark, transaction.first_mark + len(transaction.after) - 1
    return f"{word} {first}" if first == last else f"{word}s {first} and {last}"
