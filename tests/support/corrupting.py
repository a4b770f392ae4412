"""Corrupts a copied target in every way at once, and sees that a verification names each of them and nothing else."""

from __future__ import annotations

import base64
from collections import Counter
from itertools import islice
from random import Random
from typing import TYPE_CHECKING, TypeAlias

from migrator.mapping import claims, forward
from tests.support.corruption import KINDS, SET_KINDS, Corruption, Found, Target, swapped
from tests.support.edits import ENVELOPE
from tests.support.migration import Migration, canonical

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from mypy_boto3_dynamodb.type_defs import WriteRequestTypeDef

    from migrator.engines.verify import Report
    from migrator.mapping import AttributeValue, WireItem

Made: TypeAlias = "tuple[str, str, Corruption]"
"""A corruption, after its kind and the name of the entity whose item it is of."""

_PER_REQUEST = 25
SWAPPED = "swapped"
EVERYWHERE = (*KINDS, SWAPPED)
"""The kinds that some item of the reference model offers a place for."""

# More rows for the small tables, like those that are there but for these columns; `{}` is another text for each.
_MORE = {
    "organizations": "'id', {}, 'settings', jsonb_build_object('was', settings, 'n', repeat('12', 19)::numeric)",
    "users": "'id', {}::uuid, 'github_id', ('x' || left({}, 12))::bit(48)::bigint",
    "organization_members": "'org_id', {}",
    "workflows": "'id', {}",
    "task_dependencies": "'task_id', {}",
    "websocket_connections": "'id', {}",
}


async def targets(migration: Migration) -> dict[str, list[Target]]:
    """Every item as it should be, by entity."""
    return {
        entity.name: [
            Target(entity, row, claim.number, item)
            for row in await migration.rows(entity)
            for item in forward(entity, row)
            for claim in claims([entity], item)
        ]
        for entity in migration.model.entities
    }


def corruptions(random: Random, at: dict[str, list[Target]]) -> Iterator[Made]:
    """Each kind on an item of each entity that it applies to, no item twice."""
    free = {name: random.sample(each, len(each)) for name, each in at.items()}
    for kind, corrupt in {**KINDS, **SET_KINDS}.items():
        for entity, candidates in free.items():
            for target in candidates:
                corruption = corrupt(random, target)
                if corruption is not None:
                    candidates.remove(target)
                    yield kind, entity, corruption
                    break
    for entity, candidates in free.items():
        for one, other in islice(pairs(candidates), 1):
            yield SWAPPED, entity, swapped(one, other, members_that_differ(one.item, other.item))


def pairs(candidates: list[Target]) -> Iterator[tuple[Target, Target]]:
    """Items of the same kind whose envelopes differ."""
    for number, one in enumerate(candidates):
        for other in candidates[number + 1 :]:
            if one.number == other.number and members_that_differ(one.item, other.item):
                yield one, other


def members_that_differ(one: WireItem, other: WireItem) -> set[str]:
    mine, theirs = (each.get(ENVELOPE, {"M": {}})["M"] for each in (one, other))
    return {
        f"{ENVELOPE}.{name}"
        for name in mine.keys() | theirs.keys()
        if name not in mine or name not in theirs or canonical(mine[name]) != canonical(theirs[name])
    }


def apply(migration: Migration, *, put: list[WireItem], delete: list[WireItem]) -> None:
    """Write and delete items past the toolkit."""
    requests: list[WriteRequestTypeDef] = [{"DeleteRequest": {"Key": key}} for key in delete]
    requests += [{"PutRequest": {"Item": {name: _given(value) for name, value in item.items()}}} for item in put]
    with migration.boto3() as client:
        for start in range(0, len(requests), _PER_REQUEST):
            batch = requests[start : start + _PER_REQUEST]
            answer = client.batch_write_item(RequestItems={migration.table.name: batch})
            assert not answer["UnprocessedItems"]


def _given(value: AttributeValue) -> AttributeValue:
    """A typed value as boto3 takes it: bytes as such, where the wire has them in base64."""
    ((kind, content),) = value.items()
    match kind:
        case "B":
            return {"B": base64.b64decode(content)}
        case "BS":
            return {"BS": [base64.b64decode(member) for member in content]}
        case "L":
            return {"L": [_given(member) for member in content]}
        case "M":
            return {"M": {name: _given(member) for name, member in content.items()}}
    return value


async def add_rows(migration: Migration) -> None:
    """Add rows to the small tables, so that each entity has an item for each kind of corruption."""
    async with migration.session() as session:
        for table, change in _MORE.items():
            override = change.format(*["md5(one::text || n)"] * 2)
            await session.execute(
                f"INSERT INTO {table} SELECT (jsonb_populate_record(one, jsonb_build_object({override}))).* "  # noqa: S608
                f"FROM {table} AS one, generate_series(1, 30) AS n ORDER BY n, one.ctid LIMIT 60"
            )
        await session.execute("ANALYZE")


async def assert_all_found(migration: Migration, seed: int, kinds: Iterable[str] = EVERYWHERE) -> Counter[str]:
    """Corrupt a clean target, verify, and restore it; return how many corruptions of each kind were found.

    Raises:
        AssertionError: a corruption was not found, or not named rightly, or what is none was found; or one of these
            kinds could not be made.
    """
    at = await targets(migration)
    made = list(corruptions(Random(seed), at))  # noqa: S311 - repeatable, not secret
    assert {*kinds} - {kind for kind, _, _ in made} == set()
    assert {entity for _, entity, _ in made} == at.keys()
    corrupt(migration, made)
    assert_found(await migration.verify(), made)
    restore(migration, [target.item for each in at.values() for target in each], made)
    report = await migration.verify()
    assert report.differences == []
    assert report.clean
    return Counter(kind for kind, _, _ in made)


def corrupt(migration: Migration, made: Sequence[Made]) -> None:
    """Write and delete what corruptions consist of."""
    done = [corruption for _, _, corruption in made]
    apply(
        migration,
        put=[item for corruption in done for item in corruption.put],
        delete=[key for corruption in done for key in corruption.delete],
    )


def assert_found(report: Report, made: Sequence[Made]) -> None:
    """That a verification has found and rightly named each of the corruptions, and nothing else."""
    expected = {found: kind for kind, _, corruption in made for found in corruption.found}
    actual = {Found.of(difference) for difference in report.differences}
    unseen = [(kind, found) for found, kind in expected.items() if found not in actual]
    assert not unseen, unseen
    assert not actual - expected.keys(), actual - expected.keys()
    assert len(report.differences) == len(expected)
    assert not report.clean


def restore(migration: Migration, right: Iterable[WireItem], made: Sequence[Made]) -> None:
    """Write what should be there, and delete what should not."""
    items = {_key(item): item for item in right}
    written = [item for _, _, corruption in made for item in corruption.put]
    deleted = [key for _, _, corruption in made for key in corruption.delete]
    touched = {_key(item) for item in (*written, *deleted)} & items.keys()
    strays = [{name: item[name] for name in ("PK", "SK")} for item in written if _key(item) not in items]
    apply(migration, put=[items[key] for key in touched], delete=strays)


def _key(item: WireItem) -> tuple[str, str]:
    return item["PK"]["S"], item["SK"]["S"]
