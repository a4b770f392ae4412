"""Changes of DynamoDB become rows: written, moved, deleted, whichever of a row's items a record names."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.support.library import author, book

if TYPE_CHECKING:
    from tests.support.library import Library


async def test_rows_are_written_changed_and_deleted(library: Library) -> None:
    library.put("BOOK", book("b", "Emma", lent_to="Ann"), book("c", "Persuasion", sequel_to="b"))
    library.put("AUTHOR", author(1, "Jane"))
    first = await library.back()
    assert (first.applied, first.deleted, first.refused, first.aside, first.lag) == (3, 0, 0, 0, 0.0)
    assert await library.rows("authors") == [(1, "Jane")]
    assert await library.rows("books", "id, sequel_to, title, lent_to, note") == [
        ("b", None, "Emma", "Ann", "none"),
        ("c", "b", "Persuasion", None, "none"),
    ]
    library.put("AUTHOR", author(1, "Jane A."))
    library.bury(("BOOK#c", "METADATA"), ("SHELF#A", "BOOK#c"))
    second = await library.back()
    assert (second.applied, second.deleted) == (1, 1)
    assert await library.rows("authors") == [(1, "Jane A.")]
    assert await library.rows("books", "id") == [("b",)]
    assert await library.marks() == 0
    assert await library.rows("migrator.carriers") == []
    again = await library.back()
    assert (again.applied, again.deleted, again.skipped) == (0, 0, 0)


@pytest.mark.uncovered
async def test_a_row_that_moves_to_another_key_and_back_is_never_lost(library: Library) -> None:
    library.put("AUTHOR", author(1, "Jane"))
    library.put("BOOK", book("b", "Emma"))
    await library.back()
    library.put("BOOK", book("b", "Emma", shelf="B"))
    library.bury(("SHELF#A", "BOOK#b"))
    moved = await library.back()
    assert (moved.applied, moved.deleted) == (1, 0)
    assert await library.rows("books", "id, shelf") == [("b", "B")]
    library.put("BOOK", book("b", "Emma", shelf="A"))
    library.bury(("SHELF#B", "BOOK#b"))
    await library.back(batch=1)
    assert await library.rows("books", "id, shelf") == [("b", "A")]


async def test_a_tombstone_deletes_no_row_that_stands_under_another_key(library: Library) -> None:
    library.put("AUTHOR", author(1, "Jane"))
    library.put("BOOK", book("b", "Emma", shelf="B"))
    await library.back()
    library.bury(("SHELF#A", "BOOK#b"))
    assert (await library.back()).deleted == 0
    assert await library.rows("books", "id") == [("b",)]


async def test_of_two_items_of_a_row_the_one_it_stands_under_counts_while_both_live(library: Library) -> None:
    library.put("AUTHOR", author(1, "Jane"))
    library.put("BOOK", book("b", "Emma"))
    await library.back()
    library.put("BOOK", book("b", "Emma", shelf="B"))
    await library.back()
    assert await library.rows("books", "id, shelf") == [("b", "A")]
    assert (await library.refused())['["SHELF#B","BOOK#b"]'].startswith("another item holds the row still")
    library.bury(("SHELF#A", "BOOK#b"))
    await library.back()
    assert await library.rows("books", "id, shelf") == [("b", "B")]
    assert await library.refused() == {}


async def test_an_item_that_some_rows_have_says_only_that_the_row_has_changed(library: Library) -> None:
    library.put("AUTHOR", author(1, "Jane"))
    library.put("BOOK", book("b", "Emma", lent_to="Ann"))
    await library.back()
    (whole,) = [item for item in library.items("BOOK", book("b", "Emma")) if item["PK"]["S"] == "SHELF#A"]
    library.put_item(whole)
    library.bury(("LENT", "BOOK#b"))
    await library.back()
    assert await library.rows("books", "id, lent_to") == [("b", None)]


@pytest.mark.uncovered
async def test_a_part_of_a_row_leads_to_the_item_that_holds_it_whole(library: Library) -> None:
    library.put("AUTHOR", author(1, "Jane"))
    library.put("BOOK", book("b", "Emma"))
    await library.back()
    # As by hand: the row alone has changed.
    await library.pass_fence("UPDATE books SET title = 'Enma'")
    outcome = await library.apply(library.key("LENT", "BOOK#b"), library.key("BOOK#b", "METADATA"))
    assert (outcome.applied, outcome.skipped) == (1, 0)
    assert await library.rows("books", "title") == [("Emma",)]


async def test_a_row_without_a_whole_item_comes_of_all_of_its_items(library: Library) -> None:
    left, right = library.items("PAIR", {"id": "p", "left": "l", "right": "r"})
    library.put_item(left)
    await library.back()
    assert await library.rows("pairs") == []
    assert "are missing" in (await library.refused())['["PAIR#p","LEFT"]']
    library.put_item(right)
    assert (await library.back()).aside == 0
    assert await library.rows("pairs") == [("p", "l", "r")]
    library.bury(("PAIR#p", "LEFT"), ("PAIR#p", "RIGHT"))
    assert (await library.back()).deleted == 1
    assert await library.rows("pairs") == []


async def test_parents_come_before_children_and_go_after_them(library: Library) -> None:
    library.put("BOOK", book("c", "Persuasion", sequel_to="b"))
    library.put("BOOK", book("b", "Emma"))
    library.put("AUTHOR", author(1, "Jane"))
    # Each in a transaction of its own: what a parent lacks is tried again when it has come.
    outcome = await library.back(batch=1)
    assert outcome.refused >= 2
    assert outcome.aside == 0
    assert await library.rows("books", "id") == [("b",), ("c",)]
    library.bury(("AUTHOR#1", "PROFILE"))
    refused = await library.back()
    assert (refused.deleted, refused.aside) == (0, 1)
    assert "ForeignKeyViolation" in (await library.refused())['["AUTHOR#1","PROFILE"]']
    # PostgreSQL would delete the sequel along with it.
    library.bury(("BOOK#b", "METADATA"), ("SHELF#A", "BOOK#b"))
    assert (await library.back()).deleted == 0
    assert "rows refer to it" in (await library.refused())['["SHELF#A","BOOK#b"]']
    library.bury(("BOOK#c", "METADATA"), ("SHELF#A", "BOOK#c"))
    last = await library.back()
    assert (last.deleted, last.aside) == (3, 0)
    assert await library.rows("books", "id") == await library.rows("authors", "id") == []


@pytest.mark.uncovered
async def test_what_the_source_does_not_take_is_set_aside_until_it_does(library: Library) -> None:
    library.put("AUTHOR", author(1, "Jane"))
    library.put("BOOK", book("b", "Emma"), book("c", "Emma"), book("d", "Sanditon"))
    outcome = await library.back()
    assert (outcome.applied, outcome.aside) == (3, 1)
    assert await library.rows("books", "id") == [("b",), ("d",)]
    ((key, reason),) = (await library.refused()).items()
    assert (key, reason) == ('["SHELF#A","BOOK#c"]', "PostgreSQL does not take it back (UniqueViolation of one_title)")
    assert "Emma" not in reason
    library.put("BOOK", book("b", "Lady Susan"))
    assert (await library.back()).aside == 0
    assert await library.rows("books", "id, title") == [("b", "Lady Susan"), ("c", "Emma"), ("d", "Sanditon")]
    library.put("BOOK", book("b", ""), book("d", "\0"))
    assert (await library.back()).aside == 2
    assert {reason.partition("(")[2] for reason in (await library.refused()).values()} == {
        "CheckViolation of a_title)",
        "CharacterNotInRepertoire)",
    }


async def test_rows_that_hand_a_unique_value_on_make_way_for_each_other(library: Library) -> None:
    library.put("AUTHOR", author(1, "Jane"))
    library.put("BOOK", book("b", "Emma"), book("c", "Persuasion"), book("d", "Sanditon"))
    await library.back()
    library.bury(("BOOK#b", "METADATA"), ("SHELF#A", "BOOK#b"))
    library.put("BOOK", book("d", "Persuasion"), book("c", "Emma"))
    assert (await library.back()).aside == 0
    assert await library.rows("books", "id, title") == [("c", "Emma"), ("d", "Persuasion")]


async def test_what_the_items_do_not_hold_stays_as_it_is(library: Library) -> None:
    library.put("AUTHOR", author(1, "Jane"))
    library.put("BOOK", book("b", "Emma"))
    await library.back()
    await library.pass_fence("UPDATE books SET note = 'worn'")
    library.put("BOOK", book("b", "Emma", lent_to="Ann"))
    await library.back()
    assert await library.rows("books", "lent_to, note") == [("Ann", "worn")]


async def test_items_that_are_none_of_the_mapping_are_refused_or_passed_over(library: Library) -> None:
    library.put_item({"PK": {"S": "NOTE#1"}, "SK": {"S": "x"}})
    library.put_item({"PK": {"S": "AUTHOR#1"}, "SK": {"S": "PROFILE"}, "Kind": {"S": "BOOK"}})
    library.put_item({"PK": {"S": "AUTHOR#2"}, "SK": {"S": "PROFILE"}, "Kind": {"S": "AUTHOR"}})
    outcome = await library.back()
    assert (outcome.skipped, outcome.aside) == (1, 2)
    refused = await library.refused()
    assert "Kind: it names another entity" in refused['["AUTHOR#1","PROFILE"]']
    assert "NotNullViolation of name" in refused['["AUTHOR#2","PROFILE"]']


async def test_keys_that_are_named_are_carried_back_without_a_record(library: Library) -> None:
    library.put("AUTHOR", author(1, "Jane"))
    library.put("BOOK", book("b", "Emma"))
    await library.back()
    await library.pass_fence(
        "UPDATE books SET title = 'Enma'", "INSERT INTO authors OVERRIDING SYSTEM VALUE VALUES (2, 'Nobody')"
    )
    outcome = await library.apply(library.key("SHELF#A", "BOOK#b"), library.key("AUTHOR#2", "PROFILE"))
    assert (outcome.applied, outcome.deleted, outcome.refused) == (1, 1, 0)
    assert await library.rows("authors", "id") == [(1,)]
    assert await library.rows("books", "title") == [("Emma",)]
