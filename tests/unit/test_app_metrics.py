"""The mirror's counts, as the registry of an application shows them."""

from __future__ import annotations

import pytest
from prometheus_client import CollectorRegistry, generate_latest

from mappings.miyabi import MODEL
from migrator.app import DualWriter
from migrator.app.metrics import register


def test_counts_are_read_when_the_registry_is_asked() -> None:
    writer, registry = DualWriter(MODEL), CollectorRegistry()
    register(writer, registry=registry)
    assert registry.get_sample_value("migrator_adapter_touched_rows_total", {"model": "miyabi"}) == 0
    writer.close()
    writer.committed([], {"unnamed": 3})
    labels = {"model": "miyabi", "reason": "unnamed"}
    assert registry.get_sample_value("migrator_adapter_left_total", labels) == 3
    assert registry.get_sample_value("migrator_adapter_left_total", labels | {"reason": "queue_full"}) == 0
    assert b"# TYPE migrator_adapter_late_commits_total counter" in generate_latest(registry)


def test_a_second_registration_is_an_error() -> None:
    registry = CollectorRegistry(auto_describe=True)
    register(DualWriter(MODEL), registry=registry)
    with pytest.raises(ValueError, match="Duplicated timeseries"):
        register(DualWriter(MODEL), registry=registry)
