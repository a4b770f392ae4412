"""What the gates of the phases ask of verifications: one of everything, clean, fresh, and of the mapping in use."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from migrator.postgres import verifications
from migrator.postgres.errors import OWN_TABLES, errors_explained
from migrator.postgres.queries import QUERIES

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from datetime import timedelta
    from typing import Any

    from migrator.postgres.connection import Connection
    from migrator.postgres.verifications import Verification

_NOTHING: Final = "nothing has been verified as a whole yet"


async def objections(
    connection: Connection, model: str, *, fingerprint: str, tables: Sequence[str], max_age: timedelta
) -> list[str]:
    """Return why the verifications on record do not prove a model's target equal, a clause each; none: they do.

    What counts is the latest verification of everything. One of a part can refute it, and cannot replace it.

    Args:
        connection: the source.
        model: the model's name.
        fingerprint: that of the mapping in use.
        tables: the names of all source tables of the model.
        max_age: how long ago it may have begun, by the server's clock.
    """
    found = await verifications.latest(connection, model, judged=True, whole=True)
    if not found:
        return [_NOTHING]
    (proof,) = found
    with errors_explained("read the verifications", connection=connection, privileges=OWN_TABLES):
        since = await connection.fetchrow(QUERIES["since_proof"], model, proof.id)
    return [*_own(proof, fingerprint, tables), *_since(since, max_age)]


async def unproven(connection: Connection, model: str, patterns: Sequence[str]) -> list[str]:
    """Return why the latest verification of everything does not prove access patterns, a clause each; none: it does.

    A pattern for which no row has values was asked for, and has nothing to differ in.
    """
    found = await verifications.latest(connection, model, judged=True, whole=True)
    if not found or not patterns:
        return [] if found else [_NOTHING]
    (proof,) = found
    when = f"{proof.started_at:%Y-%m-%d %H:%M:%S %Z}"
    known = proof.counts.get("patterns", {})
    missing = [name for name in patterns if name not in known]
    differing = [name for name in patterns if name in known and known[name]["asked"] != known[name]["equal"]]
    reasons = [f"the last verification of everything ({when}) did not ask {', '.join(missing)}"] if missing else []
    if differing:
        reasons.append(f"{', '.join(differing)} answered otherwise than the source ({when})")
    return reasons


def _own(proof: Verification, fingerprint: str, tables: Sequence[str]) -> Iterator[str]:
    """What is against a verification by itself."""
    when = f"{proof.started_at:%Y-%m-%d %H:%M:%S %Z}"
    if not proof.clean:
        yield f"the last verification of everything ({when}) found differences"
    if proof.mapping_fingerprint != fingerprint:
        yield f"the last verification of everything ({when}) was made under another mapping"
    without = [name for name in tables if name not in proof.scope["tables"]]
    if without:
        yield f"the last verification of everything ({when}) did not know {', '.join(without)}"


def _since(since: Mapping[str, Any], max_age: timedelta) -> Iterator[str]:
    """What has happened since it began."""
    if since["age"] > max_age:
        yield f"the last verification of everything is {_words(since['age'])} old, and {_words(max_age)} is the limit"
    if since["differing_at"] is not None:
        yield f"a later verification ({since['differing_at']:%Y-%m-%d %H:%M:%S %Z}) found differences"
    if since["copied"]:
        yield f"{', '.join(since['copied'])} copied since the last verification of everything"
    if since["open"]:
        yield f"{since['open']:,} divergences are open"


def _words(age: timedelta) -> str:
    return str(age).partition(".")[0]
