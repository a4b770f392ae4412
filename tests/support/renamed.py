"""The reference model with a table of another name, as a mapping module: `MIGRATOR_TEST_TABLE` says which.

Tests that share a DynamoDB endpoint each have a table of their own, in this process and in those that they start.
"""

from __future__ import annotations

import os
from dataclasses import replace

from mappings.miyabi import MODEL as MIYABI
from migrator.mapping import Model

VARIABLE = "MIGRATOR_TEST_TABLE"


def renamed(model: Model, table_name: str) -> Model:
    """The model, with its one table under another name and without its access patterns."""
    (table,) = model.tables
    other = replace(table, name=table_name)
    return Model(model.name, [replace(entity, table=other) for entity in model.entities])


MODEL = renamed(MIYABI, os.environ.get(VARIABLE, "test-miyabi"))
