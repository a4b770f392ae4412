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
    """The model, with its one table under another name."""
    (table,) = model.tables
    other = replace(table, name=table_name)
    entities = {entity.name: replace(entity, table=other) for entity in model.entities}
    patterns = [replace(pattern, entity=entities[pattern.entity.name]) for pattern in model.patterns]
    return Model(model.name, list(entities.values()), patterns)


MODEL = renamed(MIYABI, os.environ.get(VARIABLE, "test-miyabi"))
