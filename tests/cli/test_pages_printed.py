"""Pages that travel: one file, opened by a browser that may ask nobody, printed to PDF."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Request, Route
from tests.cli.line import Line
from tests.cli.test_pages import planned
from tests.server.test_browser import browser
from tests.services.test_report import troubled

from fermata.domain.report import Report
from fermata.server.web.report import render_report

__all__ = ["browser", "planned", "troubled"]


@pytest.fixture
def made(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Path]:
    """The plan's page or the report's, as the parameter says."""
    page = tmp_path / "page.html"
    if request.param == "plan":
        line, folder, _ = request.getfixturevalue("planned")
        assert isinstance(line, Line)
        assert line.run("plan", str(folder), "--html", str(page), store=False).code == 0
    else:
        report = request.getfixturevalue("troubled")
        assert isinstance(report, Report)
        page.write_text(render_report(report), encoding="utf-8")
    return page


@pytest.mark.browser
@pytest.mark.xdist_group("browser")
@pytest.mark.parametrize("made", ["plan", "report"], indirect=True)
def test_a_page_asks_for_nothing_but_itself_and_prints(browser: Browser, made: Path) -> None:
    page = browser.new_page()
    asked: list[str] = []
    complaints: list[str] = []

    def judge(route: Route, request: Request) -> None:
        asked.append(request.url)
        if request.url == made.as_uri():
            route.continue_()
        else:
            route.abort()

    page.route("**/*", judge)
    page.on("console", lambda message: complaints.append(message.text))
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.goto(made.as_uri())
    page.wait_for_load_state("networkidle")
    assert asked == [made.as_uri()]
    assert complaints == []
    page.emulate_media(media="print", color_scheme="dark")
    white = "getComputedStyle(document.documentElement).colorScheme"
    assert page.evaluate(white) == "light"
    assert page.evaluate("getComputedStyle(document.body).printColorAdjust") == "exact", "bars are printed, too"
    printed = page.pdf(format="A4")
    assert printed.startswith(b"%PDF")
    assert len(printed) > 10_000
    page.close()
