"""What commands count, and the two ways out of the process."""

from __future__ import annotations

import json
import urllib.error
import urllib.request
from typing import TYPE_CHECKING, Any

import pytest
from jsonschema import Draft202012Validator

from migrator.cli.metrics import emf
from migrator.cli.metrics.copying import CopyMetrics, CountingCopy
from migrator.cli.metrics.emf import Lines, written
from migrator.cli.metrics.endpoint import served
from migrator.cli.metrics.exports import Exports
from migrator.cli.metrics.health import FAILING, STARTING
from migrator.cli.metrics.relaying import CountingRelay, RelayMetrics
from migrator.cli.metrics.verifying import VerifyMetrics
from migrator.engines.copy import Settled
from migrator.engines.copy.progress import Silent as SilentCopy
from migrator.engines.relay import Outcome
from migrator.engines.relay.job import Silent as SilentRelay
from migrator.engines.verify import Cost, Difference, Read, Report, Verdict
from migrator.errors import LockedError, SourceError, TargetError, UsageError
from migrator.postgres.checkpoints import Counts
from migrator.postgres.pending import Backlog

if TYPE_CHECKING:
    from pathlib import Path

    from migrator.cli.metrics.families import Families

# As the CloudWatch user guide gives it under "Specification: Embedded metric format".
EMF_SCHEMA = {
    "type": "object",
    "required": ["_aws"],
    "properties": {
        "_aws": {
            "type": "object",
            "required": ["Timestamp", "CloudWatchMetrics"],
            "properties": {
                "Timestamp": {"type": "integer"},
                "CloudWatchMetrics": {
                    "type": "array",
                    "items": {
                        "type": "object",
                        "required": ["Namespace", "Dimensions", "Metrics"],
                        "properties": {
                            "Namespace": {"type": "string", "minLength": 1, "maxLength": 1024},
                            "Dimensions": {
                                "type": "array",
                                "minItems": 1,
                                "items": {
                                    "type": "array",
                                    "minItems": 1,
                                    "maxItems": 30,
                                    "items": {"type": "string", "minLength": 1, "maxLength": 250},
                                },
                            },
                            "Metrics": {
                                "type": "array",
                                "maxItems": 100,
                                "items": {
                                    "type": "object",
                                    "required": ["Name"],
                                    "properties": {
                                        "Name": {"type": "string", "minLength": 1, "maxLength": 1024},
                                        "Unit": {"enum": ["Seconds", "Bytes", "Count", "None"]},
                                    },
                                },
                            },
                        },
                    },
                },
            },
        }
    },
}


def values(metrics: Families) -> dict[str, float]:
    """Each sample that is shown, as Prometheus writes its name."""
    return {
        f"{sample.name}{''.join(f',{each}' for each in sample.labels.values())}": sample.value
        for family in metrics.registry.collect()
        for sample in family.samples
    }


def copied() -> CopyMetrics:
    metrics = CopyMetrics(["shop"])
    listener = CountingCopy("shop", metrics, SilentCopy())
    listener.began({"orders": 1000, "users": 10}, {"orders": Counts(rows=300)})
    listener.settled(Settled("orders", Counts(rows=100, items=190, expired=4, set_aside=1)))
    return metrics


def test_a_copy_is_counted_by_table() -> None:
    shown = values(copied())
    assert shown["migrator_copy_rows_total,shop,orders"] == 100
    assert shown["migrator_copy_items_total,shop,orders"] == 190
    assert shown["migrator_copy_expired_rows_total,shop,orders"] == 4
    assert shown["migrator_copy_set_aside_rows_total,shop,orders"] == 1
    assert shown["migrator_copy_expected_rows,shop,orders"] == 1000
    assert shown["migrator_copy_settled_rows,shop,orders"] == 400
    assert shown["migrator_copy_rows_total,shop,users"] == 0


def test_a_relay_is_ready_when_its_stores_are_open_and_until_one_fails() -> None:
    metrics = RelayMetrics(["shop", "blog"])
    shop = CountingRelay("shop", metrics, SilentRelay())
    blog = CountingRelay("blog", metrics, SilentRelay())
    assert metrics.health.reasons == [f"shop: {STARTING}", f"blog: {STARTING}"]
    busy, idle = Backlog(3, None, 0, 100, 1.5, 50), Backlog(0, None, 0, 100)
    shop.looked(Outcome(), busy)
    blog.looked(Outcome(), idle)
    assert metrics.health.reasons == []
    shop.failed(TargetError("the target is away"), 1.0)
    shop.looked(Outcome(), busy)
    assert metrics.health.reasons == [f"shop: {FAILING}"]
    shop.progressed(Outcome(settled=3, written=4))
    shop.progressed(Outcome(settled=5, written=7))
    assert metrics.health.reasons == []
    shown = values(metrics)
    assert shown["migrator_relay_settled_total,shop"] == 5
    assert shown["migrator_relay_items_written_total,shop"] == 7
    assert shown["migrator_relay_failures_total,shop"] == 1
    assert shown["migrator_relay_lag_seconds,shop"] == 1.5
    assert shown["migrator_relay_marks_bytes,blog"] == 0


def test_verifications_are_counted_by_how_they_end() -> None:
    metrics = VerifyMetrics(["shop"])
    for _ in range(2):
        told = metrics.reading("shop", lambda _: None)
        told(Read(10, 20))
        told(Read(15, 30))
    found = [Difference(Verdict.MISSING, "t", {"PK": "secret"})]
    metrics.ended("shop", Report({"orders": 20}, items_scanned=30, differences=found, read_units=7.5, seconds=2.0))
    assert "migrator_verify_last_equal_timestamp_seconds,shop" not in values(metrics)
    metrics.reading("shop", lambda _: None)
    metrics.ended("shop", Report(cost=Cost(units=10, dollars=0.25), seconds=3.0))
    shown = values(metrics)
    assert shown["migrator_verify_rows_read_total,shop"] == 35
    assert shown["migrator_verify_items_read_total,shop"] == 60
    assert shown["migrator_verify_runs_total,shop,equal"] == shown["migrator_verify_runs_total,shop,different"] == 1
    assert shown["migrator_verify_differences,shop,missing"] == 0
    assert shown["migrator_verify_read_units_total,shop"] == 17.5
    assert shown["migrator_verify_cost_dollars_total,shop"] == 0.25
    assert shown["migrator_verify_last_run_timestamp_seconds,shop"] > 1.7e9
    assert not any("secret" in name for name in shown)


def test_an_attempt_that_fails_is_counted_and_one_that_is_left_out_is_not() -> None:
    metrics = VerifyMetrics(["shop"])

    def failing() -> bool:
        raise SourceError("the source is away")

    def locked() -> bool:
        raise LockedError("somebody else verifies")

    with pytest.raises(SourceError):
        metrics.attempted(failing)
    with pytest.raises(LockedError):
        metrics.attempted(locked)
    assert metrics.attempted(lambda: True)
    assert values(metrics)["migrator_verify_runs_total,shop,failed"] == 1
    assert metrics.health.reasons == [f"shop: {FAILING}"]


def answer(address: str) -> tuple[int, str]:
    try:
        with urllib.request.urlopen(address) as answered:  # noqa: S310 - loopback
            return answered.status, answered.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()


@pytest.mark.parametrize("host", ["127.0.0.1", "::1"])
def test_the_endpoint_answers_three_questions(host: str, capsys: pytest.CaptureFixture[str]) -> None:
    metrics = RelayMetrics(["shop"])
    with served(metrics.registry, metrics.health, (host, 0)):
        address = capsys.readouterr().err.removeprefix("metrics: ").strip().removesuffix("/metrics")
        assert answer(f"{address}/livez") == (200, "alive\n")
        assert answer(f"{address}/readyz") == (503, f"shop: {STARTING}\n")
        metrics.health.goes_on("shop")
        assert answer(f"{address}/readyz") == (200, "ready\n")
        status, text = answer(f"{address}/metrics")
        assert (status, 'migrator_relay_settled_total{model="shop"} 0.0' in text) == (200, True)
        assert answer(f"{address}/")[0] == 404
        request = urllib.request.Request(f"{address}/metrics", data=b"x", method="POST")  # noqa: S310 - loopback
        with pytest.raises(urllib.error.HTTPError, match="405"):
            urllib.request.urlopen(request)  # noqa: S310 - loopback


def test_lines_are_of_cloudwatchs_format_and_tell_how_much_counters_have_grown() -> None:
    metrics = copied()
    lines = Lines(metrics.registry)
    first = [json.loads(line) for line in lines.make(1_700_000_000.5)]
    metrics.rows.labels("shop", "orders").inc(5)
    second = [json.loads(line) for line in lines.make(1_700_000_060)]
    for line in first + second:
        check(line)
    (orders,) = [line for line in first if line["table"] == "orders"]
    assert orders["_aws"]["Timestamp"] == 1_700_000_000_500
    assert orders["_aws"]["CloudWatchMetrics"][0]["Dimensions"] == [["model", "table"]]
    assert (orders["migrator_copy_rows_total"], orders["migrator_copy_settled_rows"]) == (100, 400)
    (orders,) = [line for line in second if line["table"] == "orders"]
    assert (orders["migrator_copy_rows_total"], orders["migrator_copy_settled_rows"]) == (5, 400)


def check(line: dict[str, Any]) -> None:
    """See that a line is as the specification wants it, what it refers to included."""
    Draft202012Validator(EMF_SCHEMA).validate(line)
    (directive,) = line["_aws"]["CloudWatchMetrics"]
    assert all(isinstance(line[name], str) and line[name] for name in directive["Dimensions"][0])
    assert all(isinstance(line[metric["Name"]], int | float) for metric in directive["Metrics"])


def test_units_are_cloudwatchs(tmp_path: Path) -> None:
    metrics = RelayMetrics(["shop"])
    CountingRelay("shop", metrics, SilentRelay()).looked(Outcome(), Backlog(3, None, 0, 100, 1.5, 50))
    path = tmp_path / "metrics.jsonl"
    with written(metrics.registry, str(path)):
        pass
    (line,) = path.read_text().splitlines()
    units = {each["Name"]: each["Unit"] for each in json.loads(line)["_aws"]["CloudWatchMetrics"][0]["Metrics"]}
    assert units["migrator_relay_lag_seconds"] == "Seconds"
    assert units["migrator_relay_marks_bytes"] == "Bytes"
    assert units["migrator_relay_settled_total"] == "Count"


def test_lines_are_written_as_time_goes_by(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(emf, "SECONDS_BETWEEN", 0.01)
    path = tmp_path / "metrics.jsonl"
    with written(copied().registry, str(path)):
        while len(path.read_text().splitlines()) < 4:
            pass


def test_what_cannot_be_written_is_refused_at_once(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="metrics cannot be written to"), written(copied().registry, str(tmp_path)):
        pytest.fail("the work has begun")
    with pytest.raises(UsageError, match="both write to stdout"):
        Exports.asked(None, "-", as_json=True)


def test_a_disk_that_is_full_does_not_stop_the_work(capsys: pytest.CaptureFixture[str]) -> None:
    with written(copied().registry, "/dev/full"):
        pass
    assert "warning: metrics were not written: No space left on device" in capsys.readouterr().err
