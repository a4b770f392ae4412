"""`migrate verify --report` and `--json`: the page and the document that a run leaves."""

from __future__ import annotations

import json
from contextlib import closing
from typing import TYPE_CHECKING, Any

import pytest

from tests.acceptance.following import following
from tests.acceptance.test_verify import corrupt

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.project import Done, Project


@pytest.fixture
def corrupted(prepared: Project) -> Project:
    prepared.here("copy").succeeded()
    with closing(prepared.dynamodb.client()) as client:
        corrupt(client, prepared.table)
    return prepared


def told(done: Done) -> dict[str, Any]:
    """The first model in the document that was printed."""
    document = json.loads(done.out)
    model: dict[str, Any] = document["models"][0]
    assert document["version"] == 1
    assert document["clean"] is model["clean"]
    return model


@pytest.mark.uncovered
def test_a_report_tells_what_was_found_without_values(corrupted: Project) -> None:
    done = corrupted.here("verify", "--report", "report.html")
    assert done.code == 3
    assert "report: report.html" in done.err
    page = (corrupted.directory / "report.html").read_text(encoding="utf-8")
    assert "<h1>3 differences between source and target.</h1>" in page
    for word in ("CUSTOMER#1", "ORDER#o-1", "Name", "token", corrupted.model.fingerprint, "migrate copy --restart"):
        assert word in page
    for value in ("forged", "stray value", "name 1", "secret 1"):
        assert value not in page
    assert "This is the first on record." in page


def test_values_are_shown_where_they_are_asked_for_but_secrets_never(corrupted: Project) -> None:
    done = corrupted.here("verify", "--report", "report.html", "--show-values", "--json")
    assert done.code == 3
    (different,) = [each for each in told(done)["differences"] if each["verdict"] == "different"]
    assert different["values"]["Name"] == {"expected": '{"S":"name 1"}', "found": '{"S":"forged name"}'}
    page = (corrupted.directory / "report.html").read_text(encoding="utf-8")
    assert "This file holds data of the application" in page
    assert "forged name" in page
    for secret in ("forged token", "secret 1"):
        assert secret not in page + done.out


def test_a_report_tells_of_earlier_runs_and_of_what_was_left_out(corrupted: Project) -> None:
    assert corrupted.here("verify").code == 3
    done = corrupted.here("verify", "orders", "--report", "report.html", "--json")
    model = told(done)
    assert model["scope"]["left_out"] == ["customers"]
    assert [(run["outcome"], run["differences"], run["whole"]) for run in model["earlier"]] == [("different", 3, True)]
    page = (corrupted.directory / "report.html").read_text(encoding="utf-8")
    assert "1 table of the model: customers." in page
    assert "3 differences</span>" in page


@pytest.mark.uncovered
def test_equal_stores_make_a_report_too(prepared: Project) -> None:
    prepared.here("copy").succeeded()
    done = prepared.here("verify", "--report", "report.html", "--json").succeeded()
    assert told(done)["differences"] == []
    page = (prepared.directory / "report.html").read_text(encoding="utf-8")
    assert "<h1>Source and target are equal.</h1>" in page
    assert "What to do next" not in page


def test_after_a_repair_the_report_is_of_what_stands_now(prepared: Project) -> None:
    followed = following(prepared)
    with closing(followed.dynamodb.client()) as client:
        corrupt(client, followed.table)
    done = followed.here("verify", "--repair", "--yes", "--report", "report.html", "--json").succeeded()
    assert told(done)["repair"]["written"] == 4
    page = (followed.directory / "report.html").read_text(encoding="utf-8")
    assert "<h1>Source and target are equal.</h1>" in page
    assert "An earlier verification in the same run found 3 differences." in page


@pytest.mark.uncovered
@pytest.mark.parametrize("path", ["absent/report.html", "."])
def test_a_path_that_cannot_be_written_is_refused_before_the_work(
    corrupted: Project, path: str, tmp_path: Path
) -> None:
    corrupted.here("verify", "--report", path).failed(2, "Name a file in a directory that is there")
    status = json.loads(corrupted.here("status", "--json").out)
    assert status["models"][0]["verification"] is None
    assert not list(tmp_path.glob("**/*.html"))
    corrupted.here("verify", "--show-values").failed(2, "--show-values is of --report and --json")


@pytest.mark.uncovered
def test_what_was_found_is_counted(corrupted: Project) -> None:
    done = corrupted.here("verify", "--metrics", "0", "--emf", "metrics.jsonl")
    assert done.code == 3
    assert "metrics: http://127.0.0.1:" in done.err
    told = [json.loads(line) for line in (corrupted.directory / "metrics.jsonl").read_text().splitlines()]
    (whole,) = [line for line in told if line["_aws"]["CloudWatchMetrics"][0]["Dimensions"] == [["model"]]]
    assert (whole["migrator_verify_rows_read_total"], whole["migrator_verify_items_read_total"]) == (120, 220)
    found = {line["verdict"]: line["migrator_verify_differences"] for line in told if "verdict" in line}
    assert found == {"missing": 1, "extra": 1, "different": 1, "unverifiable": 0, "unjudged": 0}
    runs = {line["outcome"]: line["migrator_verify_runs_total"] for line in told if "outcome" in line}
    assert runs == {"equal": 0, "different": 1, "failed": 0}
