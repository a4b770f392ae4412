"""The published form of what `migrate verify --json` prints, which every document of any test has to be of."""

from __future__ import annotations

import json
from functools import cache
from importlib.resources import files
from typing import TYPE_CHECKING, Final

from jsonschema import Draft202012Validator

if TYPE_CHECKING:
    from collections.abc import Sequence

_VERDICTS: Final = frozenset({0, 3})
"""Exit codes with which a document is printed."""


def see_that_it_is_as_published(arguments: Sequence[str], code: int, out: str) -> None:
    """Validate the output of a command, if it is one that prints such a document."""
    # What a verification would cost is no verification.
    verified = "--every" not in arguments and ("--dry-run" not in arguments or "--repair" in arguments)
    if arguments[:1] == ("verify",) and "--json" in arguments and verified and code in _VERDICTS:
        _validator().validate(json.loads(out))


@cache
def _validator() -> Draft202012Validator:
    schema = json.loads(files("migrator.cli.report").joinpath("verification.schema.json").read_text(encoding="utf-8"))
    Draft202012Validator.check_schema(schema)
    return Draft202012Validator(schema)
