"""The mirror's counts, as the registry of an application shows them."""

from __future__ import annotations

import pytest
from prometheus_client import CollectorRegistry, generate_latest

from mappings.miyabi import MODEL
from migrator.app import DualWriter, Router
from migrator.app.metrics import register, register_reads


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


def test_reads_are_shown_by_the_access_patterns_that_were_asked() -> None:
    router, registry = Router(MODEL), CollectorRegistry()
    register_reads(router, registry=registry)
    router.close()
    assert router.read("AP1", {"id": "550e8400-e29b-41d4-a716-446655440000"}, postgres=str, dynamodb=str) == ""
    labels = {"model": "miyabi", "pattern": "AP1"}
    assert registry.get_sample_value("migrator_reads_postgres_total", labels | {"cause": "closed"}) == 1
    assert registry.get_sample_value("migrator_reads_postgres_total", labels | {"cause": "slow"}) == 0
    assert registry.get_sample_value("migrator_reads_dynamodb_total", labels) == 0
    assert registry.get_sample_value("migrator_reads_sampled_total", labels | {"verdict": "equal"}) == 0
