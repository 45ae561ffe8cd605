"""The fleet's pages: read without script, drawn with it, and walked by mouse, keyboard and search."""

import re
from collections.abc import Iterator
from dataclasses import replace

import httpx
import pytest
from playwright.sync_api import Browser, Page, expect
from tests.doors import world
from tests.doors.conftest import Doors, db, doors
from tests.server.test_browser import CONTRAST, SIZES, Watched, browser

from fermata.domain.ids import NodeId, RackId
from fermata.domain.node_states import UnitState
from fermata.domain.run_states import WindowState
from fermata.services import inventory
from fermata.store import inventory as rows
from fermata.store import journal, plans

__all__ = ["browser", "db", "doors"]

PAGES = ("/fleet", "/fleet?shade=version", "/nodes/alpha-n0", "/capacity", "/requests", "/journal", "/query")
HOSTILE = "<img src=x onerror=alert(1)>"


@pytest.fixture
def conducted(doors: Doors) -> Doors:
    """A window of two nodes, one at work, one not back."""
    made = world.publish(doors.db, world.with_steps())
    units = {"alpha-n0": UnitState.FAILED, "alpha-n1": UnitState.APPLYING}
    world.conduct(doors.db, WindowState.OPEN, units, planned=world.with_steps())
    with doors.db.begin() as conn:
        plans.save_snapshot(conn, made.inputs.fleet, rows.load_fleet(conn))
    return doors


@pytest.fixture
def client(conducted: Doors) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=conducted.url, timeout=20) as opened:
        yield opened


def test_the_wall_is_a_table_of_clusters_for_browsers_without_script(client: httpx.Client) -> None:
    text = client.get("/fleet").text
    assert "alpha" in text
    assert "1 being updated" in text
    assert client.get("/fleet", params={"cluster": "alpha"}).status_code == 200


@pytest.mark.parametrize("shade", ["state", "pending", "consent", "version"])
def test_every_colour_has_a_digit_for_every_node(client: httpx.Client, shade: str) -> None:
    names = client.get("/fleet/names").json()
    told = client.get("/fleet/cells", params={"shade": shade}).json()
    assert told["shape"] == names["shape"]
    for one in told["clusters"]:
        assert len(one["cells"]) == len(names["clusters"][one["name"]])
        counts = [one["cells"].count("0123456789abcdef"[index]) for index in range(len(told["marks"]))]
        assert counts == one["counts"]


@pytest.mark.parametrize(
    ("path", "status", "word"),
    [
        ("/fleet?cluster=nowhere", 404, "no cluster nowhere"),
        ("/fleet/cells?cluster=nowhere", 404, "no cluster nowhere"),
        ("/fleet?shade=loud", 422, ""),
        ("/nodes/nobody", 404, "no node 'nobody'"),
        ("/nodes/nobody/why", 404, ""),
        ("/fleet/names?cluster=nowhere", 404, "no cluster nowhere"),
    ],
)
def test_what_is_not_there_is_refused(client: httpx.Client, path: str, status: int, word: str) -> None:
    answer = client.get(path)
    assert answer.status_code == status
    assert word in answer.text


def test_a_node_shows_what_lacks_for_its_return(client: httpx.Client) -> None:
    text = client.get("/nodes/alpha-n0").text
    assert "It may not go back" in text
    assert "not back" in text
    assert world.WINDOW in text


def test_hostile_names_are_text(conducted: Doors, client: httpx.Client) -> None:
    with conducted.db.read() as conn:
        fleet = rows.load_fleet(conn)
    node = replace(fleet.nodes[NodeId("alpha-n1")], name=NodeId(HOSTILE), rack=RackId(HOSTILE))
    given = replace(fleet, nodes={**fleet.nodes, node.name: node})
    inventory.import_fleet(conducted.db, given, now=world.NOW, actor="tests")
    page = client.get(f"/nodes/{HOSTILE}".replace("/img", "%2Fimg"))
    assert page.status_code == 200
    assert HOSTILE not in page.text
    assert HOSTILE not in client.get("/fleet").text


@pytest.mark.parametrize("by", ["customer", "supercomputer", "sku", "region", "window"])
def test_the_ledger_is_added_up_by_what_is_asked_for(client: httpx.Client, by: str) -> None:
    answer = client.get("/capacity", params={"by": by})
    assert answer.status_code == 200
    assert f'href="/capacity?by={by}" aria-current="true"' in answer.text
    assert client.get("/capacity?by=mood").status_code == 422


def test_the_ledger_before_any_run_says_so(doors: Doors) -> None:
    text = httpx.get(f"{doors.url}/capacity").text
    assert "Nothing was taken yet" in text
    assert "Not back" not in text


def test_the_journal_is_read_from_its_end_and_page_by_page(conducted: Doors, client: httpx.Client) -> None:
    with conducted.db.begin() as conn:
        lines = [
            journal.Entry(
                at=world.NOW, actor="ann", event="test.done", subject=f"node:n{number % 2}", why=f"because-{number}-",
                data={"number": number, "names": ["a", "b"], "many": list("abcde"), "sure": True, "deep": {"no": 1}},
            )
            for number in range(230)
        ]  # fmt: skip
        journal.append_many(conn, lines)
    first = client.get("/journal", params={"subject": "node:n1"}).text
    assert "because-229-" in first
    assert "because-31-" in first
    assert "because-29-" not in first, "a hundred lines a page"
    assert "because-228-" not in first, "of that subject alone"
    assert "number 229, names a, b, many 5 of them, sure yes" in first
    older = re.search(r'href="(/journal[^"]*before=\d+)" id="older"', first)
    assert older is not None
    second = client.get(older.group(1).replace("&amp;", "&")).text
    assert "because-29-" in second
    assert "because-31-" not in second
    assert "because-1-" in second
    assert 'id="older"' not in second
    assert "No line is about node:nobody" in client.get("/journal", params={"subject": "node:nobody"}).text
    assert client.get("/journal?before=0").status_code == 422


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    opened = browser.new_page(viewport={"width": 1440, "height": 900})
    yield opened
    opened.close()


pages = pytest.mark.xdist_group("browser")


@pages
@pytest.mark.browser
def test_the_wall_is_walked_by_keyboard_and_searched(page: Page, conducted: Doors) -> None:
    watched = Watched(page)
    page.goto(f"{conducted.url}/fleet")
    expect(page.locator("#wall-conn")).to_have_attribute("data-state", "live")
    hall = page.locator(".hall[data-name=alpha] canvas")
    label = hall.get_attribute("aria-label") or ""
    assert "1 being updated" in label
    assert "1 not back" in label
    hall.focus()
    page.keyboard.press("ArrowDown")
    expect(page.locator("#spoken")).to_contain_text("alpha")
    first = page.locator("#tip b").text_content()
    page.keyboard.press("ArrowDown")
    expect(page.locator("#tip b")).not_to_have_text(first or "")
    page.locator("#find").fill("alpha-n2")
    expect(page.locator("#found a")).to_have_count(1)
    page.locator("#found a").click()
    expect(page.locator("h1")).to_have_text("alpha-n2")
    assert watched.complaints == []


@pages
@pytest.mark.browser
def test_a_browser_without_script_waits_for_counts_that_take_a_while(browser: Browser, conducted: Doors) -> None:
    page = browser.new_page(java_script_enabled=False)
    page.goto(f"{conducted.url}/fleet?shade=consent")
    expect(page.locator("#marks")).to_contain_text("waits for an approval 3")
    page.close()


@pages
@pytest.mark.browser
def test_a_cell_says_what_it_is_and_opens_its_node(page: Page, conducted: Doors) -> None:
    page.goto(f"{conducted.url}/fleet?cluster=alpha")
    expect(page.locator("#wall-conn")).to_have_attribute("data-state", "live")
    box = page.locator(".hall canvas")
    box.hover(position={"x": 4, "y": 4})
    name = page.locator("#tip b").text_content() or ""
    assert name.startswith("alpha-")
    box.click(position={"x": 4, "y": 4})
    expect(page.locator("h1")).to_have_text(name)


@pages
@pytest.mark.browser
def test_the_wall_follows_the_work_and_admits_that_it_does_not(page: Page, conducted: Doors) -> None:
    page.clock.install()
    page.goto(f"{conducted.url}/fleet")
    expect(page.locator("#wall-conn")).to_have_attribute("data-state", "live")
    returned = page.locator("#marks li", has_text="returned, proven").locator("b")
    expect(returned).to_have_text("0")
    world.move(conducted.db, "alpha-n1", UnitState.RETURNED)
    for _ in range(20):
        page.clock.run_for(5_000)
        page.wait_for_timeout(500)
        if returned.text_content() == "1":
            break
    expect(returned).to_have_text("1")
    page.route("**/fleet/cells*", lambda route: route.abort())
    page.clock.run_for(30_000)
    expect(page.locator("#wall-conn")).to_have_attribute("data-state", "stale")


@pages
@pytest.mark.browser
@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("size", ["desk", "small phone"])
def test_text_is_legible_and_nothing_runs_off_the_side(
    browser: Browser, conducted: Doors, size: str, scheme: str
) -> None:
    width, height = SIZES[size]
    page = browser.new_page(
        viewport={"width": width, "height": height}, color_scheme="dark" if scheme == "dark" else "light"
    )
    for path in PAGES:
        page.goto(conducted.url + path)
        page.wait_for_load_state("networkidle")
        assert page.evaluate(CONTRAST.read_text()) == [], f"{path} {size} {scheme}"
        over = "document.documentElement.scrollWidth - document.documentElement.clientWidth"
        assert page.evaluate(over) == 0, f"{path} {size} {scheme}"
    page.close()
