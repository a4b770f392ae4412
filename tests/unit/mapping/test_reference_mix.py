"""Rows of the reference mix: ordinary, so that none of them leaves the compiled path."""

from __future__ import annotations

from collections import defaultdict
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest

from mappings.miyabi import MODEL, sample
from migrator.mapping import Encoder
from migrator.mapping.plan import BOUNDS
from tests.unit.mapping.agreement import check_paths_agree, check_way_back
from tests.unit.mapping.generated_rows import postgres_text, projected

if TYPE_CHECKING:
    from migrator.mapping import Entity, Row

START = datetime(2025, 11, 29, 10, 30, tzinfo=UTC)


@pytest.fixture(scope="module")
def mix() -> dict[str, list[Row]]:
    """Rows by table, as the source edge yields them."""
    rows: dict[str, list[Row]] = defaultdict(list)
    for batch in sample.rows(1_000, 3, START):
        for record in batch.records:
            row = dict(zip(batch.columns, map(postgres_text, record), strict=True))
            bounds = {
                name + BOUNDS: f"[1:{len(value)}]" if value else None
                for name, value in row.items()
                if value is None or isinstance(value, list)
            }
            rows[batch.table].append({**row, **bounds})
    return rows


@pytest.mark.parametrize("entity", MODEL.entities, ids=lambda entity: entity.name)
def test_no_row_is_doubted(entity: Entity, mix: dict[str, list[Row]]) -> None:
    rows = mix[entity.source.name]
    encoded = Encoder(entity).encode([projected(entity, row) for row in rows])
    assert (encoded.doubted, encoded.failures) == (0, [])
    assert len(encoded.items) == len(rows) * len(entity.items)


@pytest.mark.parametrize("entity", MODEL.entities, ids=lambda entity: entity.name)
def test_paths_agree_there_and_back(entity: Entity, mix: dict[str, list[Row]]) -> None:
    rows = mix[entity.source.name][:40]
    check_paths_agree(entity, rows)
    for row in rows:
        check_way_back(entity, row)
