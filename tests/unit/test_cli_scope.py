"""What the options of a scope come to."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from typing import TYPE_CHECKING

import pytest
import rich_click as click
from click.testing import CliRunner

from migrator.cli.scope import ScopeAsked, scope_options
from migrator.engines.verify import Scope
from migrator.settings import Settings

if TYPE_CHECKING:
    from pathlib import Path


def asked(*arguments: str) -> ScopeAsked | str:
    """What a command is given, or what it says is wrong."""
    given: list[ScopeAsked] = []

    @click.command()
    @scope_options
    def command(*, looked_at: ScopeAsked) -> None:
        given.append(looked_at)

    done = CliRunner().invoke(command, arguments)
    return given[0] if done.exit_code == 0 else done.output


def test_nothing_is_everything() -> None:
    nothing = asked()
    assert isinstance(nothing, ScopeAsked)
    assert not nothing.scope(Settings()).narrowed


@pytest.mark.parametrize(
    ("text", "since"),
    [
        ("last", "last"),
        ("1h30m", timedelta(minutes=90)),
        ("2025-11-29T10:30", datetime(2025, 11, 29, 10, 30, tzinfo=UTC)),
        ("2025-11-29 10:30+09:00", datetime(2025, 11, 29, 10, 30, tzinfo=timezone(timedelta(hours=9)))),
        ("2025-11-29", datetime(2025, 11, 29, tzinfo=UTC)),
    ],
)
def test_since_is_a_time_a_duration_or_the_last_one(text: str, since: object) -> None:
    found = asked("--since", text)
    assert isinstance(found, ScopeAsked)
    assert found.since == since
    assert found.scope(Settings()).narrowed


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--since", "yesterday"), "no time such as 2025-11-29T10:30, no duration such as 2h, and not `last`"),
        (("--sample", "0"), "0"),
        (("--sample", "101"), "101"),
        (("--after", '"a'), "is no key"),
    ],
)
def test_what_means_nothing_is_refused(arguments: tuple[str, ...], words: str) -> None:
    found = asked(*arguments)
    assert isinstance(found, str)
    assert words in " ".join(found.replace("│", " ").split())


def test_keys_are_taken_apart_as_csv() -> None:
    found = asked("--after", "org-1,u-1", "--until", '"a,b",2')
    assert isinstance(found, ScopeAsked)
    assert (found.after, found.until) == (("org-1", "u-1"), ("a,b", "2"))


def test_where_nothing_can_be_kept_that_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    found = asked()
    assert isinstance(found, ScopeAsked)
    assert found.kept(Scope(), Settings()).work_dir is not None
    (tmp_path / ".migrator").rename(tmp_path / "elsewhere")
    (tmp_path / ".migrator").write_text("a file")
    assert found.kept(Scope(), Settings()).work_dir is None
    assert "cannot be made" in capsys.readouterr().err
    given = asked("--work-dir", str(tmp_path / "given"))
    assert isinstance(given, ScopeAsked)
    assert given.kept(Scope(), Settings()).work_dir == tmp_path / "given"
