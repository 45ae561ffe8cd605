"""The tree of a request of work orders: its nodes by cluster and rack, and a word on the part that was chosen."""

from collections.abc import Iterator

import httpx
import pytest
from playwright.sync_api import Browser, Page, expect
from tests.doors import world
from tests.doors.conftest import Doors, db, doors
from tests.server.test_browser import Watched, browser

from fermata.domain.request_kinds import RequestKind
from fermata.domain.work_orders import Target, TargetLevel
from fermata.services import work_orders
from fermata.services.work_orders import NewOrder
from fermata.store import work_orders as rows

__all__ = ["browser", "db", "doors"]

pytestmark = [pytest.mark.browser, pytest.mark.timeout(120), pytest.mark.xdist_group("browser")]

REPAIR = "req_sc-1_repair"


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    opened = browser.new_page(viewport={"width": 1440, "height": 900})
    watched = Watched(opened)
    yield opened
    opened.close()
    assert [told for told in watched.complaints if "Failed to load resource" not in told] == []


def ask(doors: Doors, *names: str) -> None:
    """A repair on each."""
    numbers = iter(range(1, 99))
    orders = [
        NewOrder(kind=RequestKind.REPAIR, target=Target(level=TargetLevel.NODE, name=name), cause=f"{name} is broken")
        for name in names
    ]
    work_orders.open_orders(
        doors.db, orders, now=doors.clock.at, actor="operator-1", new_id=lambda kind: f"{kind}_{next(numbers)}"
    )


def words_on_record(doors: Doors) -> list[tuple[str, str, tuple[str, ...]]]:
    with doors.db.read() as conn:
        return [(word.word.value, str(word.scope), tuple(sorted(word.orders))) for word in rows.load_words(conn)]


def test_the_nodes_of_its_orders_stand_in_the_tree_and_a_word_is_on_what_was_chosen(page: Page, doors: Doors) -> None:
    names = ["alpha-n0", "alpha-n1"]
    ask(doors, *names)
    page.goto(f"{doors.url}/requests?request={REPAIR}")
    expect(page.locator("#choose")).to_have_attribute("data-ready", "true")
    for key in ("sc-1/alpha", "sc-1/alpha/alpha-r0"):
        page.locator(f'[data-key="{key}"] > .branch > .twist').click()
    leaves = page.locator('[aria-level="4"]')
    expect(leaves).to_have_count(2)
    expect(page.locator('[data-key="sc-1"] .says').first).to_contain_text("2 nodes: 2 wait")
    page.locator('[data-key="sc-1/alpha/alpha-r0/alpha-n1"] > .branch > .tick').click()
    expect(page.locator('[data-key="sc-1"]')).to_have_attribute("aria-checked", "mixed")
    expect(page.locator("#cost")).to_contain_text("1 node of the work orders")
    expect(page.locator("#send")).to_have_text("Approve 1 node as lumen-capacity")
    page.locator("#send").click()
    expect(page.locator("#outcome")).to_contain_text("Recorded.")
    (said,) = words_on_record(doors)
    assert said[:2] == ("approved", "node alpha-n1")
    assert len(said[2]) == 1
    expect(page.locator('[data-key="sc-1"] .says').first).to_contain_text("2 nodes: 1 may go, 1 wait")


def test_who_is_second_is_told_what_the_first_said_and_nothing_is_recorded(page: Page, doors: Doors) -> None:
    ask(doors, "alpha-n0", "alpha-n1")
    page.goto(f"{doors.url}/requests?request={REPAIR}")
    expect(page.locator("#choose")).to_have_attribute("data-ready", "true")
    page.locator('[data-key="sc-1"] > .branch > .tick').click()
    body = {"words": [{"word": "approved", "actor": "lumen-capacity", "scope": {"level": "node", "name": "alpha-n0"}}]}
    assert httpx.post(f"{doors.url}/api/v1/requests/{REPAIR}/words", json=body, timeout=60).status_code == 201
    page.locator("#send").click()
    expect(page.locator("#outcome")).to_contain_text("Nothing was recorded.")
    expect(page.locator("#outcome")).to_contain_text("lumen-capacity approved node alpha-n0")
    assert len(words_on_record(doors)) == 1


def test_branches_of_orders_hold_no_node_that_is_not_asked_for(doors: Doors) -> None:
    ask(doors, "alpha-n1")

    def below(level: str, name: str, cluster: str = "") -> list[str]:
        asked = {"level": level, "name": name, "cluster": cluster, "orders": REPAIR}
        return [
            one["name"]
            for one in httpx.get(f"{doors.url}/requests/branches", params=asked, timeout=60).json()["branches"]
        ]

    assert below("supercomputer", "sc-1") == ["alpha"]
    assert below("cluster", "alpha") == ["alpha-r0"]
    assert below("rack", "alpha-r0", "alpha") == ["alpha-n1"]
    unknown = {"level": "cluster", "name": "alpha", "orders": "req_nowhere_repair"}
    assert httpx.get(f"{doors.url}/requests/branches", params=unknown, timeout=60).status_code == 409
    assert world.said(doors.db) == []
