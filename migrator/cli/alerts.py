"""Who is told of a verification: a webhook hears of differences, failures and recoveries; of keys it gets counts."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final

import rich_click as click

from migrator.cli import webhook
from migrator.errors import MigratorError
from migrator.settings import load_webhook

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from pydantic import SecretStr

    from migrator.postgres.verifications import Verification

VERDICTS: Final = ("missing", "extra", "different", "unverifiable", "moving", "unjudged", "answers")
FAILURES: Final = {
    2: "its command line cannot be used",
    4: "settings or credentials cannot be used",
    5: "the source cannot be reached or used",
    6: "the target cannot be reached or used",
    7: "another run holds the lock",
    8: "a gate refuses it",
}
"""What an exit code stands for. The message itself may name a key, and is for the log alone."""
_SCOPE: Final = ("tables", "whole", "sample_percent", "since")
_BROKEN: Final = frozenset({"different", "failed"})


def judged(records: Mapping[str, Sequence[Verification]], *, failed_before: bool) -> dict[str, Any] | None:
    """What to tell of verifications that came to a verdict; None: that target and source are equal is no news.

    Args:
        records: the latest verifications of each model that have ended, the latest first.
        failed_before: whether the attempt before this one has failed without leaving a record.
    """
    latest = [of_model[0] for of_model in records.values() if of_model]
    differing = [each for each in latest if each.outcome == "different"]
    if differing:
        sentences = [f"{each.model}: {_found(each)}" for each in differing]
        return _document("differences", "; ".join(sentences), latest, exit_code=3)
    recovered = [
        of_model[0].model
        for of_model in records.values()
        if of_model and (failed_before or any(each.outcome in _BROKEN for each in of_model[1:2]))
    ]
    if recovered:
        return _document("recovery", f"{', '.join(recovered)}: target and source are equal again", latest, exit_code=0)
    return None


def failed(models: Sequence[str], error: MigratorError) -> dict[str, Any]:
    """What to tell of an attempt that failed, or of one that could not begin, of models that are not known then."""
    why = FAILURES.get(error.exit_code, "its log says why")
    of = f"{', '.join(models)}: " if models else ""
    return _document("failure", f"{of}not verified: {why}", [], exit_code=error.exit_code)


def tell(url: SecretStr | None, document: Mapping[str, Any]) -> None:
    """Send it where there is somebody to be told; where that fails it is said. A verdict never depends on it."""
    if url is None:
        return
    try:
        webhook.send(url.get_secret_value(), document)
    except MigratorError as error:
        click.echo(f"warning: {error.what}", err=True)


@contextmanager
def told_unbegun() -> Iterator[None]:
    """Tell of a failure in the block, which prepares a verification: it is not made."""
    try:
        yield
    except MigratorError as error:
        tell(load_webhook(), failed([], error))
        raise


def _found(done: Verification) -> str:
    found = [f"{done.counts[verdict]:,} {verdict}" for verdict in VERDICTS if done.counts.get(verdict)]
    return f"differences: {', '.join(found)}" if found else "differences"


def _document(event: str, sentence: str, done: Sequence[Verification], *, exit_code: int) -> dict[str, Any]:
    return {
        "event": event,
        "text": f"migrate verify: {sentence}",
        "exit_code": exit_code,
        "models": [
            {
                "name": each.model,
                "fingerprint": each.mapping_fingerprint,
                "outcome": each.outcome,
                "started_at": each.started_at,
                "finished_at": each.finished_at,
                "scope": {name: each.scope.get(name) for name in _SCOPE},
                "counts": each.counts,
                "cost": each.cost,
            }
            for each in done
        ],
    }
