"""Whatever is written in DynamoDB in whatever order, the source ends with the rows that it stands for."""

from __future__ import annotations

import asyncio
from random import Random
from typing import TYPE_CHECKING, Any

import pytest

from tests.support.library import author, book

if TYPE_CHECKING:
    from tests.support.library import Library

BOOKS = 5
STEPS = 60


class Application:
    """Writes items of books one by one, and so leaves rows half moved and half deleted now and then."""

    def __init__(self, library: Library, random: Random) -> None:
        self.library = library
        self.random = random
        self.rows: dict[str, dict[str, Any]] = {}

    def step(self) -> None:
        """One change of one book; its items are written in any order, but new ones before old ones go."""
        name = f"b{self.random.randrange(BOOKS)}"
        before = self.rows.get(name)
        if before is not None and self.random.random() < 0.25:
            del self.rows[name]
        else:
            self.rows[name] = self._changed(name)
        old = {} if before is None else self._items(before)
        new = self._items(self.rows[name]) if name in self.rows else {}
        for key in self.random.sample(list(new), len(new)):
            self.library.put_item(new[key])
        self.library.bury(*self.random.sample(list(old.keys() - new.keys()), len(old.keys() - new.keys())))

    def _changed(self, name: str) -> dict[str, Any]:
        draw = self.random
        title = f"{draw.choice('xyz')} {name}"
        return book(name, title, shelf=draw.choice("AB"), lent_to=draw.choice([None, "Ann"]))

    def _items(self, row: dict[str, Any]) -> dict[tuple[str, str], Any]:
        items = self.library.items("BOOK", row)
        return {(item["PK"]["S"], item["SK"]["S"]): item for item in items}


@pytest.mark.parametrize("seed", range(2))
async def test_the_source_ends_as_the_target_is(library: Library, seed: int) -> None:
    random = Random(seed)  # noqa: S311 - repeatable, not secret
    application = Application(library, random)
    library.put("AUTHOR", author(1, "Jane"))

    def write() -> None:
        for _ in range(STEPS):
            application.step()

    writing = asyncio.create_task(asyncio.to_thread(write))
    while not writing.done():
        # Two at once, by as many keys at a time as it happens.
        await asyncio.gather(*(library.back(batch=random.choice([1, 3, 200])) for _ in range(2)))
    await writing
    assert (await library.back()).aside == 0
    expected = sorted((row["id"], row["title"], row["shelf"], row["lent_to"]) for row in application.rows.values())
    assert await library.rows("books", "id, title, shelf, lent_to") == expected
    assert await library.marks() == 0
