"""The reference of metrics and the dashboard name what there is, all of it and nothing else."""

from __future__ import annotations

import json
import re
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any

from prometheus_client import CollectorRegistry

from mappings.miyabi import MODEL
from migrator.app import DualWriter, Router
from migrator.app.metrics import register, register_reads
from migrator.cli.metrics.copying import CopyMetrics
from migrator.cli.metrics.relaying import RelayMetrics
from migrator.cli.metrics.verifying import VerifyMetrics

if TYPE_CHECKING:
    from collections.abc import Iterator

DOCS = Path(__file__).parents[2] / "docs"
NAME = re.compile(r"\bmigrator_[a-z_]+\b")


def metrics() -> dict[str, str]:
    """Each metric that there is, with its kind."""
    adapter = CollectorRegistry()
    register(DualWriter(MODEL), registry=adapter)
    register_reads(Router(MODEL), registry=adapter)
    registries = [made(["m"]).registry for made in (CopyMetrics, RelayMetrics, VerifyMetrics)]
    families = chain.from_iterable(each.collect() for each in [*registries, adapter])
    return {f"{each.name}_total" if each.type == "counter" else each.name: each.type for each in families}


def panels() -> Iterator[dict[str, Any]]:
    dashboard = json.loads((DOCS / "assets" / "grafana-dashboard.json").read_text(encoding="utf-8"))
    yield from dashboard["panels"]


def test_the_reference_lists_the_metrics_that_exist() -> None:
    text = (DOCS / "reference" / "metrics.md").read_text(encoding="utf-8")
    listed = dict(re.findall(r"^\| `(migrator_\w+)` \| (\w+) \|", text, re.MULTILINE))
    assert listed == metrics()


def test_names_are_as_prometheus_wants_them() -> None:
    for name, kind in metrics().items():
        assert name.endswith("_total") is (kind == "counter"), name
        assert not re.search(r"_(ms|millis|minutes|hours|kb|mb|percent)\b", name), name


def test_the_dashboard_shows_every_metric_and_no_other() -> None:
    expressions = [target["expr"] for panel in panels() for target in panel.get("targets", ())]
    shown = {name for expression in expressions for name in NAME.findall(expression)}
    assert shown == metrics().keys()
    for expression in expressions:
        assert expression.count("(") == expression.count(")"), expression
        for name in NAME.findall(expression):
            counted = re.search(rf"(?:rate|increase)\({name}", expression)
            assert not counted or name.endswith("_total"), expression


def test_the_dashboard_groups_by_labels_that_the_metrics_have() -> None:
    text = (DOCS / "reference" / "metrics.md").read_text(encoding="utf-8")
    labels = {
        name: set(re.findall(r"`(\w+)`", listed))
        for name, listed in re.findall(r"^\| `(migrator_\w+)` \| \w+ \| ([^|]*) \|", text, re.MULTILINE)
    }
    for target in (target for panel in panels() for target in panel.get("targets", ())):
        expression = target["expr"]
        grouped = {name for by in re.findall(r"\bby \(([^)]*)\)", expression) for name in by.split(", ")}
        used = grouped | set(re.findall(r"(\w+)=~", expression))
        for name in NAME.findall(expression):
            assert used <= labels[name], expression
        assert set(re.findall(r"{{(\w+)}}", target["legendFormat"])) <= grouped, expression


def test_the_panels_of_the_dashboard_stand_beside_each_other() -> None:
    places = [(panel["id"], panel["title"], panel["gridPos"]) for panel in panels()]
    assert len({number for number, _, _ in places}) == len(places)
    taken: set[tuple[int, int]] = set()
    for _, title, place in places:
        cells = {(place["x"] + x, place["y"] + y) for x in range(place["w"]) for y in range(place["h"])}
        assert place["x"] + place["w"] <= 24, title
        assert not cells & taken, title
        taken |= cells


def test_targets_of_a_panel_have_names_of_their_own() -> None:
    for panel in panels():
        names = [target["refId"] for target in panel.get("targets", ())]
        assert len(set(names)) == len(names), panel["title"]
