"""Every page of the board at two widths in two themes: judged by axe-core, no complaint of the browser, no call beyond
loopback.
"""

from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Browser, Page, Request
from tests.doors import world
from tests.doors.conftest import Doors, db, doors
from tests.npm.clients import FOLDER, MISSING
from tests.server.test_browser import Watched, browser
from tests.server.test_fleet import conducted

__all__ = ["browser", "conducted", "db", "doors"]

pytestmark = [
    pytest.mark.browser,
    pytest.mark.slow,
    pytest.mark.timeout(240),
    pytest.mark.xdist_group("browser"),
]

AXE = FOLDER / "node_modules" / "axe-core" / "axe.min.js"
GRAVE = {"serious", "critical"}
REQUEST = "req_sc-1_deployment"
KQL = "pendingupdates | summarize units = count() by updateId"
PAGES = {
    "today": "/",
    "fleet": "/fleet",
    "fleet by version": "/fleet?shade=version",
    "cluster": "/fleet?cluster=alpha",
    "node": "/nodes/alpha-n0",
    "window": f"/windows/{world.WINDOW}",
    "room": f"/windows/{world.WINDOW}/room",
    "campaign": "/campaign",
    "what if": "/campaign/what-if",
    "replan": "/campaign/replan",
    "policy": "/policy",
    "capacity": "/capacity",
    "requests": "/requests",
    "request": f"/requests?request={REQUEST}",
    "updates": "/updates",
    "journal": "/journal",
    "query": "/query",
    "answer": f"/query?q={KQL.replace(' ', '+').replace('|', '%7C')}",
    "no answer": "/query?q=nowhere",
    "no access": "/sign-in/no-access",
    "back again": "/session/back",
}
STATUS = {"no answer": 400, "no access": 403}
SIZES = {"desk": (1440, 900), "phone": (390, 844)}
READY = {"requests": "#choose[data-ready=true]", "request": "#choose[data-ready=true]", "updates": "#durations"}


@pytest.fixture(scope="module")
def axe() -> str:
    assert AXE.is_file(), MISSING
    return AXE.read_text()


@pytest.fixture(params=["light", "dark"])
def scheme(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(params=list(SIZES))
def page(request: pytest.FixtureRequest, browser: Browser, scheme: str) -> Iterator[Page]:
    width, height = SIZES[request.param]
    opened = browser.new_page(
        viewport={"width": width, "height": height}, color_scheme="dark" if scheme == "dark" else "light"
    )
    yield opened
    opened.close()


def findings(page: Page, axe: str) -> list[str]:
    """Serious and critical ones, by rule, with the first places."""
    page.evaluate(axe)  # past the page's own policy, as a person's tools are
    told: dict[str, Any] = page.evaluate(
        "axe.run(document, {runOnly: ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa', 'best-practice']})"
    )
    return [
        f"{one['impact']} {one['id']}: {[node['target'] for node in one['nodes'][:3]]} {one['help']}"
        for one in told["violations"]
        if one["impact"] in GRAVE
    ]


def test_no_page_has_a_grave_finding_complains_or_calls_out(page: Page, conducted: Doors, axe: str) -> None:
    watched = Watched(page)
    outside: list[str] = []

    def note(request: Request) -> None:
        if urlsplit(request.url).hostname not in (None, "127.0.0.1"):
            outside.append(request.url)

    page.on("request", note)
    found: dict[str, list[str]] = {}
    for name, path in PAGES.items():
        answer = page.goto(conducted.url + path)
        assert answer is not None
        assert answer.status == STATUS.get(name, 200), name
        if name in READY:
            page.locator(READY[name]).wait_for()
        if name == "requests":
            page.locator(".tick").first.click()
            page.locator(".twist").first.click()
            page.locator("#cost dl").wait_for()
        told = findings(page, axe)
        over = page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
        if over:
            told.append(f"{over} px run off the side")
        if told:
            found[name] = told
    assert found == {}
    assert outside == []
    assert [told for told in watched.complaints if not any(str(known) in told for known in STATUS.values())] == []


def test_a_finding_would_be_found(page: Page, conducted: Doors, axe: str) -> None:
    page.goto(conducted.url + "/journal")
    page.evaluate("document.querySelector('main').insertAdjacentHTML('beforeend', '<button></button>')")
    assert any("button-name" in told for told in findings(page, axe))


def test_every_screen_of_the_board_is_judged() -> None:
    from fermata.server.app import SCREENS

    paths = {
        route.path
        for screen in SCREENS
        for route in screen.router.routes
        if "GET" in (getattr(route, "methods", None) or ())
    }
    data = {"/board/stream", "/board/days", "/board/tail", "/fleet/cells", "/fleet/names", "/query.csv"}
    data |= {"/requests/grove", "/requests/branches", "/updates/known"}
    data |= {"/campaign/curves", "/campaign/what-if/work", "/campaign/replan/work", "/windows/{window_id}/room/body"}
    data |= {"/session", "/sign-in/program", "/sign-in/start", "/sign-in/callback"}  # or lead elsewhere
    data |= {"/sign-in"}  # where somebody can: one template with those two, see identity/test_browser
    alone = {"/campaign/replan/publish"}  # only with a proposal, see test_campaign_browser
    alone |= {"/plans/{plan_id}", "/nodes/{name}/why"}  # files that travel, with tests of their own
    judged = {urlsplit(path).path for path in PAGES.values()}
    judged = {path.replace("/nodes/alpha-n0", "/nodes/{name}") for path in judged}
    judged = {path.replace(f"/windows/{world.WINDOW}", "/windows/{window_id}") for path in judged}
    assert paths - data - alone == judged
