"""A report in a real browser: it asks for nothing, fits a phone, can be read in both modes, and prints whole."""

from __future__ import annotations

import re
import zlib
from itertools import pairwise
from typing import TYPE_CHECKING, Literal

import pytest

from migrator.cli.report.page import rendered
from tests.support.browser import chromium
from tests.support.invented import different, document

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from playwright.sync_api import Browser, Page

PHONE = (320, 640)
DESK = (1280, 800)
LEAST_CONTRAST = 4.5

# The contrast of each text with what is behind it, by the formula of WCAG 2; all backgrounds here are opaque or none.
CONTRASTS = """
() => {
  const light = (colour) => {
    const [r, g, b] = colour.match(/[\\d.]+/g).slice(0, 3).map(Number)
      .map(v => v / 255).map(v => v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4);
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const behind = (element) => {
    for (let at = element; at; at = at.parentElement) {
      const colour = getComputedStyle(at).backgroundColor;
      if (!/, 0\\)$/.test(colour) && colour !== 'transparent') return colour;
    }
    return 'rgb(255, 255, 255)';
  };
  const texts = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  const found = [];
  while (texts.nextNode()) {
    const element = texts.currentNode.parentElement;
    if (!texts.currentNode.data.trim() || element.closest('svg')) continue;
    const [a, b] = [light(getComputedStyle(element).color), light(behind(element))].sort((x, y) => y - x);
    found.push([texts.currentNode.data.trim().slice(0, 40), (a + 0.05) / (b + 0.05)]);
  }
  return found;
}
"""


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as browser:
        yield browser


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A report of many differences, with values: there is no more on any."""
    found = [different(number, values=True) for number in range(120)]
    found += [different(number, verdict="missing", entity="AGENT_EXECUTION") for number in range(120)]
    found += [different(200, verdict="unverifiable"), different(201, verdict="extra", entity="USER")]
    long = {"PK": "REPO#" + "x" * 200, "SK": "ISSUE#" + "y" * 200}
    found.append(different(300).model_copy(update={"key": long, "attributes": ["Data." + "z" * 100]}))
    path = tmp_path_factory.mktemp("report") / "report.html"
    path.write_text(rendered(document(found, values=True)), encoding="utf-8")
    return path


def opened(
    browser: Browser, path: Path, size: tuple[int, int], scheme: Literal["light", "dark"] = "light"
) -> tuple[Page, list[str]]:
    """The page, and what it asked for or complained of."""
    page = browser.new_page(viewport={"width": size[0], "height": size[1]}, color_scheme=scheme)
    noted: list[str] = []
    page.on("request", lambda request: noted.append(request.url))
    page.on("console", lambda message: noted.append(message.text))
    page.on("pageerror", lambda error: noted.append(str(error)))
    page.goto(path.as_uri())
    return page, noted


@pytest.mark.parametrize("size", [PHONE, DESK])
def test_it_asks_for_nothing_and_nothing_is_wider_than_the_screen(
    browser: Browser, report: Path, size: tuple[int, int]
) -> None:
    page, noted = opened(browser, report, size)
    assert noted == [report.as_uri()]
    assert page.evaluate("document.documentElement.scrollWidth") == size[0]
    wide = "[...document.querySelectorAll('body *')].filter(e => e.getBoundingClientRect().right > innerWidth + 1)"
    assert page.evaluate(f"{wide}.map(e => e.outerHTML.slice(0, 80))") == []
    page.close()


@pytest.mark.parametrize("size", [PHONE, DESK])
def test_the_verdict_is_seen_at_once(browser: Browser, report: Path, size: tuple[int, int]) -> None:
    page, _ = opened(browser, report, size)
    box = page.locator("h1").bounding_box()
    assert box is not None
    assert box["y"] + box["height"] < size[1]
    assert "243 differences" in page.locator("h1").inner_text()
    lead = page.locator(".lead").bounding_box()
    assert lead is not None
    assert lead["y"] + lead["height"] < size[1]
    page.close()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_every_text_can_be_read(browser: Browser, report: Path, scheme: Literal["light", "dark"]) -> None:
    page, _ = opened(browser, report, DESK, scheme)
    measured: list[tuple[str, float]] = page.evaluate(CONTRASTS)
    assert len(measured) > 500
    assert [each for each in measured if each[1] < LEAST_CONTRAST] == []
    colours = page.evaluate("getComputedStyle(document.body).backgroundColor")
    assert (colours == "rgb(23, 23, 21)") is (scheme == "dark")
    page.close()


def test_it_is_built_for_whoever_does_not_see_it(browser: Browser, report: Path) -> None:
    page, _ = opened(browser, report, PHONE)
    assert page.evaluate("document.documentElement.lang") == "en"
    for landmark in ("header", "main", "footer"):
        assert page.locator(landmark).count() == 1
    levels = page.evaluate("[...document.querySelectorAll('h1,h2,h3,h4')].map(e => +e.tagName[1])")
    assert levels.count(1) == 1
    assert all(after - before <= 1 for before, after in pairwise(levels))
    assert page.evaluate("[...document.querySelectorAll('table')].every(e => e.caption.innerText)")
    assert page.evaluate("[...document.querySelectorAll('svg')].every(e => e.ariaLabel || e.ariaHidden === 'true')")
    # Small screens turn rows into blocks; to a screen reader they stay a table.
    assert page.get_by_role("table").count() == page.locator("table").count()
    page.close()


def test_it_prints_whole(browser: Browser, report: Path) -> None:
    page, _ = opened(browser, report, DESK, "dark")
    page.emulate_media(media="print")
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
    assert page.evaluate("[...document.querySelectorAll('tr')].every(e => getComputedStyle(e).breakInside === 'avoid')")
    rows = page.locator("tbody tr").count()
    assert page.evaluate("[...document.querySelectorAll('tbody tr')].every(e => e.checkVisibility())")
    printed = page.pdf(prefer_css_page_size=True)
    page.close()
    sheets = re.findall(rb"/MediaBox \[0 0 ([\d.]+) ([\d.]+)\]", printed)
    assert {(round(float(width)), round(float(height))) for width, height in sheets} == {(595, 842)}
    # Each row is drawn somewhere: as many lines of text stand on the sheets as there are rows, at the least.
    assert lines(printed) > rows > 240


def lines(pdf: bytes) -> int:
    """How many pieces of text are drawn."""
    streams = re.findall(rb"stream\r?\n(.*?)\r?\nendstream", pdf, re.DOTALL)
    drawn = 0
    for stream in streams:
        try:
            drawn += len(re.findall(rb"T[jJ]\b", zlib.decompress(stream)))
        except zlib.error:
            continue
    return drawn
