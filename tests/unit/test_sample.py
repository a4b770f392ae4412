"""The reference mix, as it comes out of its generator."""

from __future__ import annotations

import json
import unicodedata
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from itertools import islice
from typing import Any

import pytest

from mappings.miyabi.sample import BATCH, FEWEST, SHARES, counts, rows
from mappings.miyabi.schema import metadata

START = datetime(2025, 11, 29, 10, 30, 0, 250_000, tzinfo=UTC)


def mix(total: int, seed: int = 1, start: datetime = START) -> dict[str, list[dict[str, Any]]]:
    """The rows of a mix by table, each as column name -> value."""
    tables: dict[str, list[dict[str, Any]]] = {}
    for table, columns, records in rows(total, seed, start):
        tables.setdefault(table, []).extend(dict(zip(columns, record, strict=True)) for record in records)
    return tables


@pytest.fixture(scope="module")
def sample() -> dict[str, list[dict[str, Any]]]:
    return mix(5_000)


def test_the_same_seed_and_start_give_the_same_rows() -> None:
    assert list(rows(500, 7, START)) == list(rows(500, 7, START))


def test_the_zone_in_which_the_start_is_given_changes_nothing() -> None:
    elsewhere = START.astimezone(tz=None)
    assert list(rows(200, 7, elsewhere)) == list(rows(200, 7, START))


def test_another_seed_gives_other_rows_with_other_keys() -> None:
    one, other = mix(500, seed=1), mix(500, seed=2)
    for table in metadata.sorted_tables:
        key = [column.name for column in table.primary_key]
        keys = [{tuple(row[name] for name in key) for row in tables[table.name]} for tables in (one, other)]
        assert not keys[0] & keys[1], table.name


def test_a_table_has_its_share_of_the_rows() -> None:
    assert sum(SHARES.values()) == 1000
    assert counts(100_000) == {table: 100 * share for table, share in SHARES.items()}


@pytest.mark.uncovered
@pytest.mark.parametrize("total", [FEWEST, 21, 99, 100, 101, 777, 1_000, 12_345])
def test_every_table_has_a_row_and_all_tables_have_the_total(total: int) -> None:
    by_table = counts(total)
    assert list(by_table) == list(SHARES)
    assert min(by_table.values()) >= 1
    assert sum(by_table.values()) == total
    assert {table: len(records) for table, records in mix(total).items()} == by_table


def test_too_few_rows_for_every_table_are_refused() -> None:
    with pytest.raises(ValueError, match="at least 20 rows"):
        next(rows(FEWEST - 1, 1, START))


def test_a_start_without_a_time_zone_is_refused() -> None:
    with pytest.raises(ValueError, match="time zone"):
        next(rows(100, 1, START.replace(tzinfo=None)))


@pytest.mark.uncovered
def test_batches_are_bounded_and_come_without_the_rest_being_made() -> None:
    batches = list(islice(rows(10_000_000, 1, START), 4))
    assert [batch.table for batch in batches[:2]] == ["organizations", "organizations"]
    assert {len(batch.records) for batch in batches} == {BATCH}


def test_parents_come_before_their_children() -> None:
    order = list(SHARES)
    for table in metadata.sorted_tables:
        for key in table.foreign_keys:
            assert order.index(key.column.table.name) < order.index(table.name)


def test_keys_are_unique(sample: dict[str, list[dict[str, Any]]]) -> None:
    for table in metadata.sorted_tables:
        key = [column.name for column in table.primary_key]
        keys = {tuple(row[name] for name in key) for row in sample[table.name]}
        assert len(keys) == len(sample[table.name]), table.name


def test_what_the_schema_does_not_check_refers_to_rows_that_exist(sample: dict[str, list[dict[str, Any]]]) -> None:
    ids = {table: {row["id"] for row in records} for table, records in sample.items() if "id" in records[0]}
    users = {row["id"]: row for row in sample["users"]}
    for member in sample["organization_members"]:
        user = users[member["user_id"]]
        assert (member["org_id"], member["role"]) == (user["org_id"], user["org_role"])
    for task in sample["tasks"]:
        assert task["repository_id"] is None or task["repository_id"] in ids["repositories"]
    for dependency in sample["task_dependencies"]:
        assert {dependency["task_id"], dependency["depends_on_task_id"]} <= ids["tasks"]
        assert dependency["task_id"] != dependency["depends_on_task_id"]


def test_four_logs_of_five_have_metadata(sample: dict[str, list[dict[str, Any]]]) -> None:
    logs = sample["execution_logs"]
    assert sum(log["metadata"] is not None for log in logs) == len(logs) * 4 // 5


@pytest.mark.uncovered
def test_every_column_that_allows_null_has_some() -> None:
    sample = mix(50_000)
    for table in metadata.sorted_tables:
        for column in table.columns:
            nulls = sum(row[column.name] is None for row in sample[table.name])
            if column.nullable:
                assert 0 < nulls < len(sample[table.name]), f"{table.name}.{column.name}"
            else:
                assert nulls == 0, f"{table.name}.{column.name}"


def test_text_holds_what_breaks_careless_encoders(sample: dict[str, list[dict[str, Any]]]) -> None:
    text = "".join(log["message"] or "" for log in sample["execution_logs"])
    assert {'"', "'", "\\", "\n", "\t", "\r", "\x01", "\u2028", "é", "承", "🚀", "\U0010fffd"} <= set(text)
    assert any(unicodedata.combining(character) for character in text)
    assert unicodedata.normalize("NFC", text) != text
    assert "\0" not in text
    text.encode()


def test_documents_hold_nesting_decimals_and_numbers_beyond_a_float(sample: dict[str, list[dict[str, Any]]]) -> None:
    texts = [log["metadata"] for log in sample["execution_logs"] if log["metadata"] is not None]
    every = [json.loads(text, parse_float=Decimal) for text in texts]
    documents = [document for document in every if "detail" in document]
    assert 0.2 < len(documents) / len(every) < 0.3
    assert all(isinstance(document["durationMs"], Decimal) for document in documents)
    assert any(int(float(document["traceId"])) != document["traceId"] for document in documents)
    assert {type(document["detail"]) for document in documents} == {dict, list}
    assert {document["detail"]["retry"] for document in documents if "retry" in document["detail"]} == {None}


def test_instants_lie_before_the_start_and_follow_each_other(sample: dict[str, list[dict[str, Any]]]) -> None:
    for table, records in sample.items():
        for row in records:
            instants = {name: value for name, value in row.items() if isinstance(value, datetime)}
            assert all(START - timedelta(days=20, seconds=1) < value <= START for value in instants.values()), table
            begin = row.get("started_at") or row.get("connected_at") or row.get("created_at") or row["joined_at"]
            assert all(begin <= value for value in instants.values()), table
    started = {execution["id"]: execution["started_at"] for execution in sample["agent_executions"]}
    assert all(started[log["execution_id"]] < log["created_at"] for log in sample["execution_logs"])


def test_instants_have_fractions_of_every_width(sample: dict[str, list[dict[str, Any]]]) -> None:
    widths = {len(f"{log['created_at'].microsecond:06d}".rstrip("0")) for log in sample["execution_logs"]}
    assert {0, 1, 3, 6} <= widths


def test_no_expiry_is_past(sample: dict[str, list[dict[str, Any]]]) -> None:
    for connection in sample["websocket_connections"]:
        assert connection["ttl"] is None or connection["ttl"] > START.timestamp()
    for row in (*sample["line_messages"], *sample["execution_logs"]):
        assert row["created_at"] + timedelta(days=30) > START + timedelta(days=9)


def test_some_repositories_have_no_organization(sample: dict[str, list[dict[str, Any]]]) -> None:
    for table in ("users", "repositories"):
        with_organization = sum(row["org_id"] is not None for row in sample[table])
        assert 0 < with_organization < len(sample[table])
