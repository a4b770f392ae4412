"""`migrate prepare`: what it creates, and that it changes nothing that is as it should be."""

from __future__ import annotations

import json
from contextlib import closing
from typing import TYPE_CHECKING

import pytest

from migrator.postgres import state
from tests.support.terminal import at_terminal

if TYPE_CHECKING:
    from tests.support.project import Project

CHANGES = (
    f"install the toolkit's schema migrator, version {state.LATEST}",
    "create table",
    "turn on point-in-time recovery",
)


def tables(project: Project) -> list[str]:
    with closing(project.dynamodb.client()) as client:
        return [name for name in client.list_tables()["TableNames"] if name.startswith(project.dynamodb.prefix)]


def test_everything_is_created_and_a_second_run_changes_nothing(project: Project) -> None:
    done = project.migrate("prepare").succeeded()
    for words in CHANGES:
        assert f"\n  {words}" in done.out
        assert f"\ndone: {words}" in done.err
    assert "capture is not installed on any table: changes made during a copy are not followed" in done.err
    assert "TTL of table" in done.err
    assert "next: migrate copy" in done.err
    with closing(project.dynamodb.client()) as client:
        table = client.describe_table(TableName=project.table)["Table"]
        ttl = client.describe_time_to_live(TableName=project.table)["TimeToLiveDescription"]
        tags = client.list_tags_of_resource(ResourceArn=table["TableArn"])["Tags"]
    assert table["TableStatus"] == "ACTIVE"
    assert [index["IndexName"] for index in table["GlobalSecondaryIndexes"]] == ["ByName"]
    assert table["StreamSpecification"]["StreamViewType"] == "NEW_AND_OLD_IMAGES"
    assert ttl["TimeToLiveStatus"] == "DISABLED"
    assert tags == [{"Key": "Team", "Value": "shop"}]
    again = project.here("prepare").succeeded()
    assert again.out == "Nothing to change: source and target are prepared.\n"
    assert "done:" not in again.err


def test_a_dry_run_shows_the_changes_and_makes_none(project: Project) -> None:
    done = project.here("prepare", "--dry-run").succeeded()
    assert done.out.startswith("Would change:\n  install")
    assert tables(project) == []
    assert [change["made"] for change in json.loads(project.here("prepare", "--dry-run", "--json").out)["changes"]] == [
        False
    ] * 3
    assert tables(project) == []


def test_only_what_is_missing_is_changed(project: Project) -> None:
    project.here("prepare").succeeded()
    project.edit("indexes=(Index(", 'indexes=(Index("ByToken", S("Token")), Index(')
    done = project.here("prepare", "--json").succeeded()
    (change,) = json.loads(done.out)["changes"]
    assert change["made"]
    assert change["sentence"].startswith("add index ByToken")
    assert json.loads(project.here("prepare", "--json").succeeded().out) == {
        "changes": [],
        "remarks": json.loads(done.out)["remarks"],
        "followed": {"customers": False, "orders": False},
    }


@pytest.mark.parametrize(("answer", "code", "made"), [("n", 1, 0), ("y", 0, 1)])
def test_whoever_is_there_is_asked(project: Project, answer: str, code: int, made: int) -> None:
    ended, shown = at_terminal(project, answer, "prepare")
    assert "Make these changes? [y/N]" in shown
    assert ended == code
    assert len(tables(project)) == made


def test_no_input_fails_where_a_question_would_be_asked(project: Project) -> None:
    project.here("prepare", "--no-input").failed(2, "Make these changes?", "Give --yes")
    assert tables(project) == []
    project.here("prepare", "--no-input", "--yes").succeeded()
    project.here("prepare", "--no-input").succeeded()
