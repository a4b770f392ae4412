"""Functions made at run time from a plan: their source text, the objects it names, and the function itself."""

from __future__ import annotations

import linecache
from dataclasses import dataclass, field
from typing import Any


def literal(text: str) -> str:
    """Text as it stands inside a single-quoted f-string."""
    escaped = text.encode("unicode_escape").decode("ascii")
    return escaped.replace("'", "\\'").replace("{", "{{").replace("}", "}}")


@dataclass
class Generated:
    """A module in the making. `names` are what its functions find beside Python's own."""

    title: str
    names: dict[str, Any]
    lines: list[str] = field(default_factory=list)

    def constant(self, value: object) -> str:
        """A name under which the functions find an object."""
        name = f"k{len(self.names)}"
        self.names[name] = value
        return name

    def add(self, indent: int, *lines: str) -> None:
        """Appends lines, `indent` levels deep."""
        self.lines += ["    " * indent + line for line in lines]

    @property
    def source(self) -> str:
        """The source text so far."""
        return "\n".join([*self.lines, ""])

    def function(self, name: str) -> Any:  # noqa: ANN401 - whatever the source defines
        """The function of this name, compiled; its lines stand in tracebacks."""
        source, file = self.source, f"<{self.title}>"
        linecache.cache[file] = (len(source), None, source.splitlines(keepends=True), file)
        exec(compile(source, file, "exec"), self.names)  # noqa: S102 - the source is made here, from the plan
        return self.names[name]
