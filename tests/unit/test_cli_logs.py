"""Logs on stderr: key=value lines for machines, words for a terminal, nothing secret from other packages."""

from __future__ import annotations

import io
import logging
import sys
from typing import TYPE_CHECKING

import pytest
import structlog

from migrator.cli.logs import configure_logs

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(autouse=True)
def restored() -> Iterator[None]:
    """Leave logging as it was found."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    root.handlers.clear()
    yield
    root.handlers[:] = handlers
    root.setLevel(level)
    structlog.reset_defaults()


def test_elsewhere_a_line_is_key_value(capsys: pytest.CaptureFixture[str]) -> None:
    configure_logs(verbose=False)
    structlog.get_logger().info("chunk settled", table="users", rows=250)
    structlog.get_logger().debug("request sent")
    out, shown = capsys.readouterr()
    assert out == ""
    assert shown.startswith("timestamp=2")
    assert shown.endswith('level=info event="chunk settled" table=users rows=250\n')


def test_verbose_shows_the_details(capsys: pytest.CaptureFixture[str]) -> None:
    configure_logs(verbose=True)
    structlog.get_logger().debug("request sent")
    assert 'level=debug event="request sent"' in capsys.readouterr().err


def test_other_packages_are_heard_from_a_warning_upwards(capsys: pytest.CaptureFixture[str]) -> None:
    configure_logs(verbose=True)
    logging.getLogger("botocore").debug("Authorization: AWS4-HMAC-SHA256 ...")
    logging.getLogger("asyncio").warning("slow callback")
    shown = capsys.readouterr().err
    assert "AWS4" not in shown
    assert 'level=warning event="slow callback"' in shown


class Terminal(io.StringIO):
    """A stderr that somebody reads."""

    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize(("no_color", "coloured"), [("", True), ("1", False)])
def test_a_terminal_shows_words_and_heeds_no_color(
    monkeypatch: pytest.MonkeyPatch, no_color: str, *, coloured: bool
) -> None:
    monkeypatch.setenv("NO_COLOR", no_color)
    monkeypatch.setattr(sys, "stderr", terminal := Terminal())
    configure_logs(verbose=False)
    structlog.get_logger().info("chunk settled", rows=250)
    assert "chunk settled" in terminal.getvalue()
    assert "event=" not in terminal.getvalue()
    assert ("\x1b[" in terminal.getvalue()) is coloured
