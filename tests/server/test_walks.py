"""Three walks of somebody who has never seen the board: every click is on words that stand on the page, and counted."""

import re
from collections.abc import Iterator
from dataclasses import replace

import pytest
from playwright.sync_api import Browser, Locator, Page, expect
from tests.doors import world
from tests.doors.conftest import Doors, db, doors
from tests.server.test_browser import Watched, browser

from fermata.domain.capacity_ledger import Entry, EntryKind
from fermata.domain.ids import NodeId
from fermata.domain.node_states import UnitState
from fermata.domain.reasons import Code, Reason
from fermata.domain.run_states import WindowState
from fermata.store import capacity, plans, runs, unit_ops
from fermata.store import inventory as rows

__all__ = ["browser", "db", "doors"]

pytestmark = [
    pytest.mark.browser,
    pytest.mark.slow,
    pytest.mark.timeout(120),
    pytest.mark.xdist_group("browser"),
]

WHY = "alpha-n0 reports nic_fw 28.39 after three tries to write 28.43: reseat the card or swap the node."


class Newcomer:
    """Clicks what can be read on the screen, and counts."""

    def __init__(self, page: Page) -> None:
        self.page = page
        self.clicks = 0

    def click(self, on: Locator) -> None:
        expect(on).to_be_visible()
        said = (on.inner_text() or on.get_attribute("aria-label") or "").strip()
        assert said, "a newcomer clicks on words"
        on.click()
        self.clicks += 1

    def reads(self, words: str | re.Pattern[str]) -> None:
        expect(self.page.get_by_text(words).first).to_be_visible()


@pytest.fixture(params=[(1440, 900), (390, 844)], ids=["desk", "phone"])
def newcomer(browser: Browser, doors: Doors, request: pytest.FixtureRequest) -> Iterator[Newcomer]:
    width, height = request.param
    page = browser.new_page(viewport={"width": width, "height": height})
    watched = Watched(page)
    yield Newcomer(page)
    page.close()
    assert watched.complaints == []


@pytest.fixture
def today(doors: Doors) -> Doors:
    """A window of two nodes is open an hour after its start: one node is at work, one did not come back."""
    planned = world.with_steps()
    made = world.publish(doors.db, planned)
    units = {"alpha-n0": UnitState.FAILED, "alpha-n1": UnitState.APPLYING}
    world.conduct(doors.db, WindowState.OPEN, units, planned=planned)
    with doors.db.begin() as conn:
        plans.save_snapshot(conn, made.inputs.fleet, rows.load_fleet(conn))
        (row,) = runs.load_windows(conn, world.RUN)
        taken = replace(row, opened_at=world.START, taken=2, in_service_at_open=2, behind_minutes=14)
        runs.save_window(conn, taken)
        failed = next(op for op in unit_ops.ops_of_window(conn, world.RUN, world.WINDOW) if op.unit == "alpha-n0")
        since = world.START.replace(minute=50)
        why = Reason(code=Code.REQUIREMENT_UNMET, sentence=WHY)
        lost = replace(failed, reason=why, tail_since=since, failed_at=since, locked_at=world.START)
        unit_ops.save_ops(conn, [(failed.version, replace(lost, version=failed.version + 1))])
        entries = [
            Entry(
                run=world.RUN,
                window=world.WINDOW,
                node=NodeId(name),
                kind=EntryKind.TAKEN,
                in_service_before=True,
                at=world.START,
            )
            for name in units
        ]
        capacity.add_entries(conn, entries)
    doors.clock.at = world.START.replace(hour=13, minute=30)
    return doors


def test_whether_today_is_on_time_is_read_without_a_click(newcomer: Newcomer, today: Doors) -> None:
    newcomer.page.goto(today.url)
    newcomer.reads("behind by 14 min")
    headline = newcomer.page.locator(".says")
    expect(headline).to_contain_text("behind by 14 min")
    box = headline.bounding_box()
    assert box is not None
    assert box["y"] + box["height"] < 400, "without scrolling"
    assert newcomer.clicks == 0


def test_why_one_node_is_not_back_is_found_in_two_clicks(newcomer: Newcomer, today: Doors) -> None:
    page = newcomer.page
    page.goto(today.url)
    newcomer.click(page.get_by_role("link", name="Tail", exact=True))
    newcomer.reads(WHY)
    newcomer.click(page.locator("#tail").get_by_role("link", name="alpha-n0"))
    expect(page.get_by_role("heading", level=1)).to_have_text("alpha-n0")
    newcomer.reads("not back")
    newcomer.reads("It may not go back")
    assert newcomer.clicks == 2


def test_a_supercomputer_is_approved_in_three_clicks(newcomer: Newcomer, doors: Doors) -> None:
    page = newcomer.page
    page.goto(doors.url)
    newcomer.click(page.get_by_role("link", name="Requests", exact=True))
    newcomer.reads("Nothing is chosen")
    newcomer.click(page.get_by_role("treeitem", name=re.compile(r"^\s*sc-1\b")).locator(".name"))
    newcomer.reads("3 more may go")
    newcomer.click(page.get_by_role("button", name="Approve 3 nodes as lumen-capacity"))
    newcomer.reads("Recorded.")
    assert newcomer.clicks == 3
    assert world.said(doors.db) == ["approved supercomputer sc-1"]
