"""The board in a real browser: live without reload, honest when it is not, usable by keyboard, readable by all."""

import shutil
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from playwright.sync_api import Browser, ConsoleMessage, Page, expect, sync_playwright
from tests.server import world
from tests.server.conftest import HandClock, make_app
from tests.server.test_board_held import lose

from fermata.domain.ids import WindowId
from fermata.domain.run_states import Desired
from fermata.server.serving import BackgroundServer, bind_socket
from fermata.server.web.assets import STATIC
from fermata.services.intents import Wanted, say
from fermata.store import runs
from fermata.store.database import Database

pytestmark = [
    pytest.mark.browser,
    pytest.mark.slow,
    pytest.mark.timeout(120),
    pytest.mark.xdist_group("browser"),  # one browser for all
]

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
ARGUMENTS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
]
SIZES = {"desk": (1440, 900), "tablet": (820, 1100), "phone": (390, 844), "small phone": (320, 640)}
CONTRAST = Path(__file__).parent / "contrast.js"


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    path = next(filter(None, map(shutil.which, NAMES)), None)
    if path is None:
        pytest.skip(f"no browser found (looked for {', '.join(NAMES)})")
    if not (STATIC / "vendor" / "htmx.min.js").is_file():
        pytest.fail("the board's vendored assets are missing: run `make setup`", pytrace=False)
    with sync_playwright() as playwright:
        launched = playwright.chromium.launch(executable_path=path, args=ARGUMENTS)
        yield launched
        launched.close()


class Watched:
    """A page that remembers what the browser complained about."""

    def __init__(self, page: Page) -> None:
        self.page = page
        self.complaints: list[str] = []
        page.on("console", self._heard)
        page.on("pageerror", lambda error: self.complaints.append(str(error)))

    def _heard(self, message: ConsoleMessage) -> None:
        if message.type in {"error", "warning"}:
            self.complaints.append(message.text)

    def opened(self, url: str) -> Page:
        self.page.goto(url)
        expect(self.page.locator("#conn")).to_have_attribute("data-state", "live")
        return self.page


@pytest.fixture
def watched(browser: Browser) -> Iterator[Watched]:
    page = browser.new_page(viewport={"width": 1440, "height": 900})
    yield Watched(page)
    page.close()


def test_page_is_live_draws_its_charts_and_breaks_no_policy(watched: Watched, url: str, in_progress: object) -> None:
    page = watched.opened(url)
    expect(page.locator("#chart-out canvas")).to_be_visible()
    expect(page.locator("#chart-share canvas")).to_be_visible()
    expect(page.locator(".lane")).to_have_count(4)
    expect(page.locator(".chip")).to_have_count(24)
    page.locator("#chart-out canvas").hover()
    assert watched.complaints == []


def test_change_in_the_store_shows_without_reload(
    watched: Watched, url: str, db: Database, clock: HandClock, in_progress: object
) -> None:
    page = watched.opened(url)
    page.evaluate("window.kept = 'not reloaded'")
    expect(page.locator(".chip.mk-waiting")).to_have_count(1)
    with db.begin() as conn:
        waiting = next(w for w in runs.load_windows(conn, world.RUN) if w.state.value == "waiting")
        runs.save_window(conn, world.opened(waiting, clock.at))
    clock.at += timedelta(minutes=5)
    expect(page.locator(".chip.mk-waiting")).to_have_count(0)
    expect(page.locator(".clock")).to_contain_text("14:45")
    assert page.evaluate("window.kept") == "not reloaded"
    assert watched.complaints == []


def test_lost_server_is_admitted_and_its_return_noticed(
    watched: Watched, db: Database, clock: HandClock, in_progress: object
) -> None:
    listener = bind_socket("127.0.0.1", 0)
    port = listener.getsockname()[1]
    first = BackgroundServer(make_app(db, clock), listener)
    first.start()
    page = watched.opened(f"http://127.0.0.1:{port}")
    first.stop()
    expect(page.locator("#conn")).to_have_attribute("data-state", "reconnecting", timeout=15000)
    expect(page.locator("#banner")).to_contain_text("The connection to the server is lost")
    clock.at += timedelta(minutes=11)
    second = BackgroundServer(make_app(db, clock), bind_socket("127.0.0.1", port))
    second.start()
    expect(page.locator("#conn")).to_have_attribute("data-state", "live", timeout=20000)
    expect(page.locator("#banner")).to_be_hidden()
    expect(page.locator(".clock")).to_contain_text("14:51")
    page.goto("about:blank")
    second.stop()


def test_tail_is_paged_by_keyboard_and_stays_on_its_page(
    watched: Watched, url: str, db: Database, clock: HandClock, in_progress: object
) -> None:
    page = watched.opened(url)
    page.locator("#tail-next").focus()
    page.keyboard.press("Enter")
    expect(page.locator(".pager")).to_contain_text("page 2 of 2")
    expect(page.locator("#tail tbody tr")).to_have_count(3)
    before = page.locator("#tail tbody .num").first.inner_text()
    clock.at += timedelta(hours=3)
    expect(page.locator("#tail tbody .num").first).not_to_have_text(before)
    expect(page.locator(".pager")).to_contain_text("page 2 of 2")


def test_first_page_of_the_tail_is_pushed_without_asking(
    watched: Watched, url: str, clock: HandClock, in_progress: object
) -> None:
    page = watched.opened(url)
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    for _ in range(3):
        before = page.locator("#tail tbody .num").first.inner_text()
        clock.at += timedelta(hours=3)
        expect(page.locator("#tail tbody .num").first).not_to_have_text(before)
    assert asked == []


def test_focus_survives_a_live_update(watched: Watched, url: str, clock: HandClock, in_progress: object) -> None:
    page = watched.opened(url)
    chip = WindowId("w017")
    page.locator(f"#chip-{chip}").focus()
    clock.at += timedelta(hours=5)
    expect(page.locator(".chip.mk-overrun").nth(3)).to_be_visible()
    assert page.evaluate("document.activeElement.id") == f"chip-{chip}"
    page.keyboard.press("Enter")
    expect(page.locator("h1")).to_contain_text("-")
    assert page.url.endswith(f"/windows/{chip}")


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_text_is_legible_and_nothing_runs_off_the_side(
    browser: Browser, url: str, db: Database, in_progress: object, size: str, scheme: str
) -> None:
    lose(db)
    say(db, Wanted(fleet=True), Desired.PAUSE, now=world.NOW, actor="ann", why="a-storm-that-lasts" * 9)
    width, height = SIZES[size]
    page = browser.new_page(
        viewport={"width": width, "height": height}, color_scheme="dark" if scheme == "dark" else "light"
    )
    watched = Watched(page)
    for path in ("/", "/windows/w017"):
        page.goto(url + path)
        expect(page.locator(".held li")).to_have_count(2 if path == "/" else 0)
        faint = page.evaluate(CONTRAST.read_text())
        assert faint == [], f"{path} {size} {scheme}"
        over = "document.documentElement.scrollWidth - document.documentElement.clientWidth"
        assert page.evaluate(over) == 0, f"{path} {size} {scheme}"
    assert watched.complaints == []
    page.close()


def test_page_reads_without_script(browser: Browser, url: str, in_progress: object) -> None:
    context = browser.new_context(java_script_enabled=False)
    page = context.new_page()
    page.goto(url)
    expect(page.locator(".says")).to_contain_text("Day 5 of 6")
    page.locator("#tail-next").click()
    expect(page.locator(".pager")).to_contain_text("page 2 of 2")
    context.close()
