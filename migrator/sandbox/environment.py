"""The environment in which embedded stores are used: none of the variables that point at a store of the user's."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

_AMBIENT = ("AWS_", "PG", "MIGRATOR_")
_KEPT = "MIGRATOR_TEST_"


def scrub(environ: Mapping[str, str]) -> dict[str, str]:
    """Return a copy of `environ` without `AWS_*`, `PG*`, `DATABASE_URL` and `MIGRATOR_*`.

    The demo and the tests write and corrupt; what they reach must be named to them, never inherited. `MIGRATOR_TEST_*`,
    which names the stores of the tests, stays.
    """
    return {
        name: value
        for name, value in environ.items()
        if name.startswith(_KEPT) or not (name == "DATABASE_URL" or name.startswith(_AMBIENT))
    }
