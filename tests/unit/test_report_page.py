"""A page made of an invented document: what it says, what it keeps to itself, how large it grows."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from migrator.cli.report import words
from migrator.cli.report.document import SCHEMA, Document, schema
from migrator.cli.report.file import PageFile
from migrator.cli.report.groups import LISTED
from migrator.cli.report.page import rendered
from migrator.errors import MigratorError, UsageError
from tests.support.invented import different, document

PACKAGE = Path(__file__).parents[2] / "migrator" / "cli" / "report"


def test_the_published_schema_is_that_of_the_documents() -> None:
    assert json.loads((PACKAGE / SCHEMA).read_text(encoding="utf-8")) == schema()


def test_a_document_is_read_back_as_it_was() -> None:
    made = document([different(1, values=True), different(2, verdict="missing")], values=True)
    assert Document.model_validate_json(made.model_dump_json()) == made


def test_a_clean_verification_says_so() -> None:
    page = rendered(document())
    assert "<h1>Source and target are equal.</h1>" in page
    assert "495,201 rows in PostgreSQL and 815,485 items in DynamoDB" in page
    assert "migrate verify --repair" not in page


def test_of_several_models_each_has_its_verdict() -> None:
    (shop,), (blog,) = document().models, document([different(1), different(2)]).models
    both = document().model_copy(update={"clean": False, "models": [shop, blog.model_copy(update={"name": "blog"})]})
    page = rendered(both)
    assert "<h1>2 differences between source and target.</h1>" in page
    assert "<strong>miyabi</strong>, equal: 495,201 rows" in page
    assert "<strong>blog</strong>, 2 differences: 495,201 rows" in page
    assert '<h2 id="model-2">blog</h2>' in page


def test_differences_are_grouped_and_the_repair_is_named() -> None:
    found = [different(1), different(2), different(3, verdict="missing", entity="USER")]
    page = rendered(document(found))
    assert "<h1>3 differences between source and target.</h1>" in page
    assert '<span class="bad">Different</span> · ISSUE · stale version · 2' in page
    assert '<span class="bad">Missing</span> · USER · no mark · 1' in page
    assert ">migrate verify --repair issues</pre>" in page
    assert "values are not." in page


def test_index_keys_and_the_expiry_are_told_apart() -> None:
    page = rendered(document([different(1).model_copy(update={"ttl": True})]))
    assert '<span class="mono">GSI1SK</span> (index key); the expiry is among them' in page


def test_values_are_shown_where_they_were_asked_for_and_the_file_is_marked() -> None:
    page = rendered(document([different(1, values=True)], values=True))
    assert "This file holds data of the application" in page
    assert "&lt;b&gt;closed&lt;/b&gt;" in page
    assert "<b>" not in page


def test_what_names_hold_is_text_and_nothing_else() -> None:
    evil = different(1).model_copy(update={"key": {"PK": "<script>alert(1)</script>"}, "reason": '"><img src=x>'})
    page = rendered(document([evil]))
    assert "<script" not in page
    assert "<img" not in page
    assert "&lt;script&gt;" in page


def test_a_page_asks_for_nothing_else() -> None:
    page = rendered(document([different(1)]))
    assert not re.search(r"""(?:src|href|url)\s*[=(]""", page)
    assert "http" not in page.replace("http-equiv", "")
    assert "default-src 'none'" in page


def test_ten_thousand_differences_are_counted_and_the_first_of_each_kind_listed() -> None:
    found = [
        different(number, values=True, verdict=verdict, entity=entity).model_copy(
            update={"key": {"PK": f"{number}" * 300}, "attributes": [f"Data.{n}" for n in range(40)]}
        )
        for number in range(834)
        for verdict in ("missing", "different", "extra")
        for entity in ("USER", "ISSUE", "SESSION", "REPOSITORY")
    ][:10_000]
    page = rendered(document(found, unjudged=5_000, values=True))
    assert "15,000 differences" in page
    assert page.count('class="quiet">PK<') <= LISTED
    assert "The first 41 of 834 are listed" in page
    assert len(page.encode()) < 5_000_000


@pytest.mark.parametrize(
    ("scope", "verdict"),
    [
        ({"sample_percent": 5.0}, "No difference in what was looked at."),
        ({"left_out": ["users"]}, "No difference in what was looked at."),
        ({}, "Source and target are equal."),
    ],
)
def test_the_verdict_claims_no_more_than_was_looked_at(scope: dict[str, object], verdict: str) -> None:
    made = document()
    (model,) = made.models
    narrowed = model.model_copy(update={"scope": model.scope.model_copy(update=scope)})
    assert words.verdict(made.model_copy(update={"models": [narrowed]})) == verdict


def test_what_moved_is_neither_equal_nor_different() -> None:
    made = document()
    model = made.models[0].model_copy(update={"moving": [different(1)], "clean": False})
    moved = made.model_copy(update={"models": [model], "clean": False})
    page = rendered(moved)
    assert "<h1>Not proven: 1 key kept changing while the rest was equal.</h1>" in page
    assert "1 key that differed whenever it was looked at" in page


def test_queries_that_answer_otherwise_are_the_verdict_where_the_data_is_equal() -> None:
    made = document([different(1)])
    model = made.models[0].model_copy(update={"differences": []})
    assert words.verdict(made.model_copy(update={"models": [model]})) == (
        "The data is equal, but 2 queries answer otherwise."
    )


@pytest.mark.parametrize(("seconds", "text"), [(0.84, "0.8 s"), (200, "3 min 20 s"), (7_500, "2 h 5 min")])
def test_durations_read_as_a_person_says_them(seconds: float, text: str) -> None:
    assert words.duration(seconds) == text


def test_a_file_is_replaced_as_a_whole(tmp_path: Path) -> None:
    path = tmp_path / "report.html"
    path.write_text("old")
    path.chmod(0o640)
    PageFile.at(path).write("new")
    assert path.read_text() == "new"
    assert path.stat().st_mode & 0o777 == 0o640
    assert list(tmp_path.iterdir()) == [path]


def test_a_path_that_cannot_be_written_is_refused_before_anything_is_done(tmp_path: Path) -> None:
    for path in (tmp_path, tmp_path / "absent" / "report.html", Path("/proc/report.html")):
        with pytest.raises(UsageError):
            PageFile.at(path)
    assert list(tmp_path.iterdir()) == []


def test_a_directory_that_went_away_is_told_of(tmp_path: Path) -> None:
    directory = tmp_path / "reports"
    directory.mkdir()
    file = PageFile.at(directory / "report.html")
    directory.rmdir()
    with pytest.raises(MigratorError, match=r"the report was not written to .*report\.html"):
        file.write("page")
