"""Programs that no Python package brings, and that a test wants a file to be checked by."""

from __future__ import annotations

import os
import shutil

import pytest

from tests.support.browser import REQUIRED


def program(name: str, package: str) -> str:
    """Return where a program is; where there is none the test is skipped, unless one was promised."""
    path = shutil.which(name)
    if path is not None:
        return path
    reason = f"{name} is not installed: nothing is checked by it (Debian's package is {package})"
    if os.environ.get(REQUIRED):
        pytest.fail(reason)
    pytest.skip(reason)
