"""Invented documents of a verification: what a report shows, without any store."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from migrator.cli.report.document import (
    CostSeen,
    DifferenceFound,
    Document,
    EarlierRun,
    EntityCoverage,
    ModelVerified,
    PatternParity,
    ScopeSeen,
    Stand,
    Values,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

AT = datetime(2026, 11, 21, 9, 30, 12, tzinfo=UTC)
ROWS = {"users": 48_210, "repositories": 9_644, "issues": 120_377, "agent_executions": 310_952, "sessions": 6_018}
ITEMS = ROWS | {"repositories": 19_288, "issues": 120_377, "agent_executions": 621_904, "sessions": 5_706}
ENTITIES = {"users": "USER", "repositories": "REPOSITORY", "issues": "ISSUE"} | {
    "agent_executions": "AGENT_EXECUTION",
    "sessions": "SESSION",
}
TABLE = "miyabi-lambda-data"


def different(
    number: int, *, values: bool = False, verdict: str = "different", entity: str = "ISSUE"
) -> DifferenceFound:
    """A difference at a key of its own."""
    attributes = ["Data.title", "GSI1SK"] if verdict == "different" else []
    return DifferenceFound.model_validate(
        {
            "verdict": verdict,
            "table": TABLE,
            "key": {"PK": f"REPO#migrations-{number % 7}", "SK": f"{entity}#{number:06}"},
            "entity": entity,
            "row_key": [str(number)],
            "attributes": attributes,
            "index_keys": [name for name in attributes if name == "GSI1SK"],
            "ttl": False,
            "reason": "column details: 39 significant digits; DynamoDB holds 38" if verdict == "unverifiable" else None,
            "cause": {"different": "stale version", "extra": "foreign writer", "missing": "no mark"}.get(verdict),
            "values": {name: Values(expected='{"S":"open"}', found='{"S":"<b>closed</b>"}') for name in attributes}
            if values
            else None,
        }
    )


def earlier(count: int = 12) -> list[EarlierRun]:
    """Runs of the days before."""
    outcomes = ["equal", "equal", "equal", "different", "equal", "interrupted"]
    return [
        EarlierRun.model_validate(
            {
                "started_at": AT - timedelta(hours=11 * number + number % 3),
                "finished_at": AT - timedelta(hours=11 * number + number % 3, minutes=-2),
                "outcome": outcomes[number % len(outcomes)],
                "differences": 4 if outcomes[number % len(outcomes)] == "different" else 0,
                "whole": number % 5 != 1,
                "same_mapping": number < 10,
            }
        )
        for number in range(1, count + 1)
    ]


def document(differences: Sequence[DifferenceFound] = (), *, values: bool = False, unjudged: int = 0) -> Document:
    """A verification of five tables that has found these differences."""
    clean = not differences and not unjudged
    model = ModelVerified(
        name="miyabi",
        fingerprint="9f86d081884c7d659a2feaa0c55ad015",
        clean=clean,
        followed=True,
        carried_back=[],
        started_at=AT,
        finished_at=AT + timedelta(seconds=97),
        stand=Stand(
            source="PostgreSQL at db.internal:5432 (miyabi)",
            server_version="16.4",
            endpoint="dynamodb.eu-central-1.amazonaws.com",
            region="eu-central-1",
        ),
        scope=ScopeSeen(
            tables=list(ROWS),
            left_out=[],
            sample_percent=None,
            since=None,
            key_range=None,
            confidence=None,
            not_verified=["Access patterns were asked with 200 sets of parameters each, not with all."],
        ),
        rows=ROWS,
        entities=[
            EntityCoverage(
                entity=ENTITIES[source],
                source=source,
                target=TABLE,
                rows=rows,
                items=ITEMS[source],
                expired=312 if source == "sessions" else 0,
                differences=sum(each.entity == ENTITIES[source] for each in differences),
            )
            for source, rows in ROWS.items()
        ],
        items_expected=sum(ITEMS.values()),
        items_scanned=sum(ITEMS.values()),
        expired=312,
        read_units=51_204.5,
        foreign=0,
        suspects=len(differences) + 18,
        unjudged=unjudged,
        seconds=97.3,
        differences=list(differences),
        moving=[],
        patterns=[
            _parity("AP1", "User by id", 200),
            _parity("AP2", "Issues of a repository, newest first", 200 if clean else 198),
        ],
        cost=CostSeen(foreseen_units=52_000, units=51_204.5, dollars=0.0064),
        repair=None,
        accepted=[],
        next_steps=[] if clean else ["`migrate verify --repair issues` brings what differs in order, beside relays"],
        earlier=earlier(),
    )
    return Document(migrator="0.1.0", clean=clean, values_shown=values, models=[model])


def _parity(pattern: str, question: str, equal: int) -> PatternParity:
    return PatternParity(
        pattern=pattern,
        question=question,
        asked=200,
        equal=equal,
        differs=200 - equal,
        differing=[f"repository_id {number}" for number in range(200 - equal)],
        unsettled=0,
        reason=None,
    )
