"""Names that are HTML, in a real browser: nothing of them becomes an element, and nothing runs."""

from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

import pytest
from playwright.sync_api import Browser, Dialog
from tests.cli.line import Line
from tests.formats import hostile
from tests.formats.hostile import SHOWN
from tests.server.test_browser import browser

from fermata.server.serving import BackgroundServer, bind_socket, url_of
from fermata.settings import read_settings
from fermata.store.database import Database
from fermata.wiring.clocks import UtcClock
from fermata.wiring.serving import make_app

__all__ = ["browser"]

pytestmark = [pytest.mark.browser, pytest.mark.slow, pytest.mark.timeout(240), pytest.mark.xdist_group("browser")]

TAG = SHOWN["html"].replace("/", "")  # a slash would end a path
PAGES = ("/", "/fleet", "/requests", "/updates", "/policy", "/capacity", "/journal", "/campaign")


@pytest.fixture
def url(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Iterator[str]:
    line = Line(tmp_path, capsys)
    hostile.turn(line.small, TAG)
    assert line.run("import", "scenario", str(line.small.folder)).code == 0
    database = Database(f"sqlite:///{line.store}")
    app = make_app(database, UtcClock(), simulated_at=None, settings=read_settings(store=str(line.store)))
    listener = bind_socket("127.0.0.1", 0)
    server = BackgroundServer(app, listener)
    server.start()
    yield url_of(listener)
    server.stop()
    database.close()


def test_no_page_runs_or_draws_what_a_name_says(url: str, browser: Browser) -> None:
    page = browser.new_page()
    asked: list[str] = []

    def heard(dialog: Dialog) -> None:
        asked.append(dialog.message)
        dialog.dismiss()

    page.on("dialog", heard)
    shown = 0
    cluster = quote(f"alpha{TAG}", safe="")
    more = (f"/nodes/{quote(f'alpha-n0{TAG}', safe='')}", f"/fleet?cluster={cluster}", f"/nodes/{cluster}")
    for path in (*PAGES, "/query?q=pendingupdates", *more):
        page.goto(url + path)
        page.wait_for_timeout(300)
        if path == "/requests":
            page.locator(".twist").first.click()
            page.wait_for_timeout(300)
        drawn = page.evaluate("[...document.querySelectorAll('img[src=x], script:not([src])')].map(e => e.outerHTML)")
        assert [each for each in drawn if "alert" in each or "src=" in each] == [], path
        shown += "<img src=x onerror=alert(1)>" in page.locator("body").inner_text()
    assert asked == []
    assert shown >= 4, "they were there, as text"
    page.close()
