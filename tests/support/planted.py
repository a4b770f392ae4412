"""Bugs planted in generated code: in what copies rows, and in what testifies of rows and of items."""

from __future__ import annotations

import re
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING
from unittest.mock import patch

from migrator.mapping import encoder
from migrator.mapping.generated import Generated

if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

    from migrator.mapping import Entity


@dataclass(frozen=True)
class Bug:
    """A bug of the encoder: `pattern` in its source becomes `replacement`, and these attributes are wrong then.

    `rows` makes rows of `table` on which it matters.
    """

    name: str
    table: str
    pattern: str
    replacement: str
    attributes: frozenset[str]
    rows: str | None = None


def _agents(name: str, pattern: str, replacement: str, *attributes: str, rows: str | None = None) -> Bug:
    return Bug(name, "agent_executions", pattern, replacement, frozenset(attributes), rows)


BUGS = (
    _agents(
        "microseconds dropped",
        r"completedAt\":\{\{\"S\":\"\{(\w+)\}\{[^}]*\}Z",
        r'completedAt":{{"S":"{\1}Z',
        "Data.completedAt",
        rows="UPDATE agent_executions SET completed_at = started_at + interval '1.25 seconds'",
    ),
    _agents(
        "sign lost",
        r'"issueNumber":\{\{"N":"\{(\w+)\}"',
        r'"issueNumber":{{"N":"{abs(\1)}"',
        "Data.issueNumber",
        rows="UPDATE agent_executions SET issue_number = -7 WHERE issue_number IS NOT NULL",
    ),
    _agents(
        "zero taken for NULL",
        r"if (\w+) is None else (f',\"prNumber\")",
        r"if not \1 else \2",
        "Data.prNumber",
        rows="UPDATE agent_executions SET pr_number = 0",
    ),
    _agents(
        "columns of one type swapped",
        r'"agentType":\{\{"S":(\{\w+\})\}\},"status":\{\{"S":(\{\w+\})\}\}',
        r'"agentType":{{"S":\2}},"status":{{"S":\1}}',
        "Data.agentType",
        "Data.status",
    ),
    _agents("index key of another column", r"STATUS#\{\w+\}", "STATUS#{v5_escaped}", "GSI1PK"),
    _agents("number as text", r'"qualityScore":\{\{"N":', r'"qualityScore":{{"S":', "Data.qualityScore"),
    _agents("fraction cut off", r"\{numeric\((\w+)\)\}", r"{int(\1)}", "Data.qualityScore"),
    _agents(
        "an attribute left out",
        r'\{(\w+)\}\}\}\}\},"CreatedAt"',
        '}}}},"CreatedAt"',
        "Data.prNumber",
        "Data.issueNumber",
    ),
    Bug(
        "text trimmed",
        "tasks",
        r"= quote\((\w+)\) if",
        r"= quote(\1.strip()) if",
        frozenset({"Data.name"}),
        "UPDATE tasks SET name = 'a name '",
    ),
    Bug(
        "TTL of another second",
        "line_messages",
        r'"TTL":\{\{"N":"\{(\w+)\}"',
        r'"TTL":{{"N":"{\1 + 1}"',
        frozenset({"TTL"}),
    ),
    Bug("lookup item left out", "repositories", r"append\(t1\.encode\('latin-1'\)\)", "pass", frozenset()),
)
"""In the order in which they can be tried on one target: what is left out has to be new there."""


@contextmanager
def in_encoder(pattern: str, replacement: str) -> Iterator[list[str]]:
    """Plants a bug in encoders that are made in the block; yields the names of the entities whose encoders have it."""
    generate, hit = encoder._generate, list[str]()  # noqa: SLF001 - the seam at which the source is made

    def changed(entity: Entity, trailing: int) -> tuple[str, dict[str, Any]]:
        source, names = generate(entity, trailing)
        planted = re.sub(pattern, replacement, source)
        hit.extend([entity.name] * (planted != source))
        return planted, names

    with patch.object(encoder, "_generate", changed):
        yield hit


@contextmanager
def in_testimonies(*changes: tuple[str, str, str]) -> Iterator[list[str]]:
    """Plants bugs in witnesses that are made in the block: beginning of the title, pattern, replacement.

    Yields the titles of the witnesses that have one.
    """
    made, hit = vars(Generated)["source"].fget, list[str]()

    def changed(generated: Generated) -> str:
        source: str = made(generated)
        for title, pattern, replacement in changes:
            planted = re.sub(pattern, replacement, source) if generated.title.startswith(title) else source
            hit.extend([generated.title] * (planted != source))
            source = planted
        return source

    with patch.object(Generated, "source", property(changed)):
        yield hit
