"""Names as SQL text: the one place where a table's or a column's name becomes part of a statement."""

from __future__ import annotations

from dataclasses import dataclass


def quoted(name: str) -> str:
    """Return `name` as a quoted identifier: exact in case, and never read as anything but a name."""
    return '"' + name.replace('"', '""') + '"'


def literal(text: str) -> str:
    """Return `text` as a string literal, for statements that take no parameters; the same under every setting."""
    doubled = text.replace("'", "''")
    return f"'{doubled}'" if "\\" not in text else "E'" + doubled.replace("\\", "\\\\") + "'"


@dataclass(frozen=True, slots=True, order=True)
class TableName:
    """The name of a table; without a schema it is looked up on the `search_path`."""

    name: str
    schema: str | None = None

    def __str__(self) -> str:
        """The name as messages show it."""
        return self.name if self.schema is None else f"{self.schema}.{self.name}"

    @property
    def sql(self) -> str:
        """The quoted name, for a statement or for `to_regclass`."""
        return quoted(self.name) if self.schema is None else f"{quoted(self.schema)}.{quoted(self.name)}"
