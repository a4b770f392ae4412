"""`migrate verify --every --metrics --report`: what one process that verifies again and again shows of it."""

from __future__ import annotations

import signal
import urllib.request
from contextlib import closing
from typing import TYPE_CHECKING

from tests.acceptance.test_relay import shown_until
from tests.acceptance.test_verify import corrupt

if TYPE_CHECKING:
    from tests.support.project import Project

SECONDS = 60


def shown(address: str) -> dict[str, float]:
    with urllib.request.urlopen(address) as answer:  # noqa: S310 - loopback
        lines = [line.rsplit(" ", 1) for line in answer.read().decode().splitlines() if line[0] != "#"]
    return {name: float(value) for name, value in lines}


def test_what_it_has_found_so_far_is_shown_and_reported(prepared: Project) -> None:
    prepared.here("copy").succeeded()
    report = prepared.directory / "report.html"
    with prepared.start("verify", "--every", "5s", "--metrics", "0", "--report", "report.html") as process:
        address = shown_until(process, "metrics: ").rpartition("metrics: ")[2].strip()
        shown_until(process, "verified: 1 equal")
        before = shown(address)
        assert "Source and target are equal." in report.read_text(encoding="utf-8")
        with closing(prepared.dynamodb.client()) as client:
            corrupt(client, prepared.table)
        shown_until(process, "1 different")
        after = shown(address)
        with urllib.request.urlopen(address.replace("/metrics", "/readyz")) as answer:  # noqa: S310 - loopback
            assert answer.read() == b"ready\n"
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=SECONDS)
    assert process.returncode == 0
    assert "3 differences between source and target." in report.read_text(encoding="utf-8")
    assert before['migrator_verify_runs_total{model="shop",outcome="different"}'] == 0
    assert before['migrator_verify_differences{model="shop",verdict="missing"}'] == 0
    assert after['migrator_verify_differences{model="shop",verdict="missing"}'] == 1
    assert after['migrator_verify_runs_total{model="shop",outcome="different"}'] == 1
    latest, equal = (f'migrator_verify_last_{which}_timestamp_seconds{{model="shop"}}' for which in ("run", "equal"))
    assert before[equal] <= before[latest] < after[latest]
    assert after[equal] < after[latest]
