"""The command line, `migrate`: it calls the library and shows the result."""

from __future__ import annotations

import sys

from migrator.cli.run import run

__all__ = ["main", "run"]


def main() -> None:
    """Run the command that the process was started with, and end the process with its exit code."""
    sys.exit(run(sys.argv[1:]))
