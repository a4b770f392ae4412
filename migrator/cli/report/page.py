"""A page made of a document: one file that asks for nothing else, without scripts."""

from __future__ import annotations

import base64
import hashlib
import re
from importlib.resources import files
from typing import TYPE_CHECKING

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup, escape

from migrator.cli.report import words
from migrator.cli.report.drawing import bars, timeline
from migrator.cli.report.groups import groups

if TYPE_CHECKING:
    from migrator.cli.report.document import Document


def rendered(document: Document) -> str:
    """The page of a document."""
    style = files("migrator.cli.report").joinpath("templates/report.css").read_text(encoding="utf-8").strip()
    environment = Environment(
        loader=PackageLoader("migrator.cli.report"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {
        "code": _code,
        "dollars": words.dollars,
        "duration": words.duration,
        "moment": words.moment,
        "units": words.units,
    }
    return environment.get_template("report.html.jinja").render(
        document=document,
        words=words,
        bars=bars,
        groups=groups,
        timeline=timeline,
        style=Markup(style),  # noqa: S704 - the stylesheet that is part of the package
        style_hash=base64.b64encode(hashlib.sha256(style.encode()).digest()).decode(),
        commands=_commands,
    )


def _code(sentence: str) -> Markup:
    """A sentence in which what stands between backticks is code."""
    parts = [escape(part) for part in sentence.split("`")]
    marked = [Markup("<code>{}</code>").format(part) if number % 2 else part for number, part in enumerate(parts)]
    return Markup().join(marked)


def _commands(steps: list[str]) -> list[str]:
    """The commands that steps name."""
    return [command for step in steps for command in re.findall("`([^`]+)`", step)]
