"""What an application pays for the import of the adapter: in a fresh interpreter, so that nothing is there before."""

from __future__ import annotations

import subprocess
import sys

HEAVY = {"click", "rich", "rich_click", "pydantic", "pydantic_settings", "structlog", "alembic", "boto3", "fastapi"}
HEAVY |= {"prometheus_client", "jinja2"}


def test_importing_the_adapter_loads_neither_the_command_line_nor_the_engines() -> None:
    code = "import sys, migrator.app; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    loaded = done.stdout.split()
    assert "migrator.app.writer" in loaded
    assert HEAVY & set(loaded) == set()
    rooms = {name.split(".")[1] for name in loaded if name.startswith("migrator.")}
    assert rooms == {"app", "dynamodb", "errors", "mapping", "postgres", "reconcile"}
