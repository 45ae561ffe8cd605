"""The pages of a campaign in a real browser: charts, keyboard, a question left and found again, no script, widths."""

from collections.abc import Iterator

import httpx
import pytest
from playwright.sync_api import Browser, Page, expect
from tests.server import campaign_world as world
from tests.server.test_browser import CONTRAST, SIZES, Watched, browser

from fermata.store.database import Database

__all__ = ["browser"]

PAGES = ("/campaign", "/campaign/what-if", "/campaign/replan", "/policy")


@pytest.fixture
def served(db: Database) -> Iterator[world.Served]:
    plan = world.put_in_force(db)
    with world.serving(db, plan, world.ran(db, plan)) as made:
        yield made


@pytest.fixture
def client(served: world.Served) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=served.url, timeout=60, follow_redirects=True) as opened:
        yield opened


pages = pytest.mark.xdist_group("browser")


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    opened = browser.new_page(viewport={"width": 1440, "height": 900})
    yield opened
    opened.close()


@pages
@pytest.mark.browser
def test_the_page_draws_its_charts_and_is_walked_by_keyboard(page: Page, served: world.Served) -> None:
    watched = Watched(page)
    page.goto(f"{served.url}/campaign")
    expect(page.locator("#plot-limit canvas")).to_be_visible()
    expect(page.locator("#plot-burn canvas")).to_be_visible()
    page.locator("#limit").focus()
    page.keyboard.press("ArrowDown")
    page.locator(".cell-link").first.focus()
    page.keyboard.press("Enter")
    expect(page.locator("#windows-table")).to_have_attribute("open", "")
    bar = page.locator(".gantt-bar a").first
    label = bar.get_attribute("aria-label") or ""
    assert "overrun" in label
    assert "behind by 20 min" in label
    bar.focus()
    page.keyboard.press("Enter")
    expect(page.locator("h1")).to_have_text("gamma")
    assert "/windows/" in page.url
    assert watched.complaints == []


@pages
@pytest.mark.browser
def test_a_question_is_asked_left_and_found_again(page: Page, served: world.Served) -> None:
    watched = Watched(page)
    page.goto(f"{served.url}/campaign/what-if")
    page.get_by_label("Cap, nodes out at once").fill("8")
    page.get_by_role("button", name="Plan both").click()
    expect(page.locator("#answer-title")).to_contain_text("limits[0].at_once=8", timeout=60_000)
    address = page.url
    page.goto(f"{served.url}/campaign")
    page.goto(address)
    expect(page.locator("#answer-title")).to_contain_text("limits[0].at_once=8")
    assert watched.complaints == []


@pages
@pytest.mark.browser
def test_pages_read_and_ask_without_script(browser: Browser, served: world.Served) -> None:
    context = browser.new_context(java_script_enabled=False)
    page = context.new_page()
    page.goto(f"{served.url}/campaign")
    page.locator("#progress summary").click()
    expect(page.locator("#progress table")).to_be_visible()
    page.goto(f"{served.url}/campaign/replan")
    page.get_by_label("Your name").fill("ann")
    page.get_by_role("button", name="Plan again now").click()
    expect(page.get_by_text("Look once more, and publish")).to_be_visible(timeout=60_000)
    page.get_by_text("Look once more, and publish").click()
    page.get_by_label("Your name").fill("ann")
    page.get_by_role("button", name="Publish it").click()
    expect(page.locator(".done")).to_contain_text("is in force")
    context.close()


@pages
@pytest.mark.browser
@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("size", ["desk", "small phone"])
def test_text_is_legible_and_nothing_runs_off_the_side(
    browser: Browser, served: world.Served, client: httpx.Client, size: str, scheme: str
) -> None:
    number = world.proposal_of(world.plan_again(client))
    client.post("/campaign/what-if", data={"campaign": "small", "nodes_out": "8"})
    world.wait_over(client, "/campaign/what-if?campaign=small&nodes_out=8")
    width, height = SIZES[size]
    page = browser.new_page(
        viewport={"width": width, "height": height}, color_scheme="dark" if scheme == "dark" else "light"
    )
    watched = Watched(page)
    more = (
        "/campaign/what-if?campaign=small&nodes_out=8",
        f"/campaign/replan/publish?campaign=small&proposal={number}",
    )
    for path in (*PAGES, *more):
        page.goto(served.url + path)
        page.wait_for_load_state("networkidle")
        page.evaluate("document.querySelectorAll('details').forEach((one) => { one.open = true; })")
        assert page.evaluate(CONTRAST.read_text()) == [], f"{path} {size} {scheme}"
        over = "document.documentElement.scrollWidth - document.documentElement.clientWidth"
        assert page.evaluate(over) == 0, f"{path} {size} {scheme}"
    assert watched.complaints == []
    page.close()
