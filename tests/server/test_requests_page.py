"""The page of requests in a browser: choosing in the tree, what it would cost, and a word that is recorded once."""

import json
from collections.abc import Iterator
from dataclasses import replace

import httpx
import pytest
from playwright.sync_api import Browser, Locator, Page, Route, expect
from tests.doors import world
from tests.doors.conftest import Doors, HandClock, db, doors
from tests.server.test_browser import Watched, browser

from fermata.domain.fleet import Fleet
from fermata.domain.ids import NodeId, RackId
from fermata.domain.policy import ScopeLevel, Verdict
from fermata.server.app import create_app
from fermata.server.live import Timing
from fermata.server.serving import BackgroundServer, bind_socket, url_of
from fermata.services import inventory
from fermata.store import inventory as rows
from fermata.store.database import Database

__all__ = ["browser", "db", "doors"]

pytestmark = [pytest.mark.browser, pytest.mark.timeout(120), pytest.mark.xdist_group("browser")]

REQUEST = "req_sc-1_deployment"
APPROVED = "approved supercomputer sc-1"


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    opened = browser.new_page(viewport={"width": 1440, "height": 900})
    watched = Watched(opened)
    yield opened
    opened.close()
    assert [told for told in watched.complaints if "Failed to load resource" not in told] == []


def opened(page: Page, doors: Doors, path: str = "/requests") -> None:
    page.goto(doors.url + path)
    expect(page.locator("#choose")).to_have_attribute("data-ready", "true")


def branch(page: Page, key: str) -> Locator:
    return page.locator(f'[data-key="{key}"]')


def tick(page: Page, key: str) -> None:
    branch(page, key).locator("> .branch > .tick").click()


def open_branch(page: Page, key: str) -> None:
    branch(page, key).locator("> .branch > .twist").click()
    expect(branch(page, key)).to_have_attribute("aria-expanded", "true")


def test_a_supercomputer_is_approved_in_two_clicks_and_the_button_says_for_whom(page: Page, doors: Doors) -> None:
    opened(page, doors)
    expect(page.locator("#send")).to_be_disabled()
    tick(page, "sc-1")
    expect(page.locator("#cost")).to_contain_text("3 and 1 shared device")
    expect(page.locator("#cost")).to_contain_text("3 more may go")
    expect(page.locator("#cost")).to_contain_text("3 nodes without a date until the next plan")
    expect(page.locator("#send")).to_have_text("Approve 3 nodes as lumen-capacity")
    page.locator("#send").click()
    expect(page.locator("#outcome")).to_contain_text("Recorded.")
    expect(page.locator("#outcome")).to_contain_text("The ledger has 1 new word, on 3 nodes.")
    assert world.said(doors.db) == [APPROVED]
    expect(branch(page, "sc-1").locator(".says").first).to_contain_text("3 may go")


def test_what_a_plan_takes_is_told_with_its_dates(page: Page, doors: Doors) -> None:
    world.publish(doors.db, world.with_steps())
    opened(page, doors)
    tick(page, "sc-1")
    expect(page.locator("#cost")).to_contain_text("1, Sun 25 Jan; 1 node without a date")


def test_leaving_out_a_node_of_a_chosen_supercomputer_names_all_others(page: Page, doors: Doors) -> None:
    opened(page, doors)
    tick(page, "sc-1")
    open_branch(page, "sc-1")
    open_branch(page, "sc-1/alpha")
    open_branch(page, "sc-1/alpha/alpha-r0")
    tick(page, "sc-1/alpha/alpha-r0/alpha-n1")
    for key, state in {
        "sc-1": "mixed",
        "sc-1/alpha": "mixed",
        "sc-1/alpha/alpha-r0": "mixed",
        "sc-1/alpha/alpha-r0/alpha-n0": "true",
        "sc-1/alpha/alpha-r0/alpha-n1": "false",
        "sc-1/alpha/alpha-r1": "true",
    }.items():
        expect(branch(page, key)).to_have_attribute("aria-checked", state)
    # the leaf switch serves all three nodes, so that two of them wait for the third
    expect(page.locator("#cost")).to_contain_text("2 nodes would still wait. alpha-su0-leaf also carries")
    expect(page.locator("#send")).to_have_text("Approve 2 nodes as lumen-capacity")
    page.locator("#send").click()
    expect(page.locator("#outcome")).to_contain_text("Recorded.")
    assert sorted(world.said(doors.db)) == ["approved node alpha-n0", "approved rack alpha-r1"]
    tick(page, "sc-1/alpha/alpha-r0/alpha-n0")
    tick(page, "sc-1/alpha/alpha-r0/alpha-n1")
    expect(branch(page, "sc-1/alpha/alpha-r0")).to_have_attribute("aria-checked", "true")


def test_the_tree_is_walked_by_keyboard(page: Page, doors: Doors) -> None:
    opened(page, doors)
    branch(page, "sc-1").focus()
    for key in ("ArrowRight", "ArrowRight", "ArrowRight", "ArrowRight", "ArrowDown", "Space"):
        page.keyboard.press(key)
        page.wait_for_timeout(150)
    expect(branch(page, "sc-1/alpha/alpha-r1")).to_have_attribute("aria-checked", "true")
    page.keyboard.press("Home")
    expect(branch(page, "sc-1")).to_be_focused()
    page.keyboard.press("ArrowLeft")
    expect(branch(page, "sc-1")).to_have_attribute("aria-expanded", "false")
    expect(branch(page, "sc-1/alpha")).to_have_count(0)
    expect(branch(page, "sc-1")).to_have_attribute("aria-checked", "mixed")
    page.keyboard.type("sc-2")
    expect(branch(page, "sc-2")).to_be_focused()
    assert page.locator('#tree [tabindex="0"]').count() == 1


def test_what_another_holds_cannot_be_chosen_and_says_who_speaks(page: Page, doors: Doors) -> None:
    opened(page, doors)
    expect(branch(page, "sc-2")).to_contain_text("nobody speaks for it")
    tick(page, "sc-2")
    expect(branch(page, "sc-2")).to_have_attribute("aria-checked", "false")
    page.get_by_label("All that you may speak for").check()
    expect(branch(page, "sc-1")).to_have_attribute("aria-checked", "true")
    expect(branch(page, "sc-2")).to_have_attribute("aria-checked", "false")


def test_who_was_second_sees_what_the_first_did_and_nothing_is_half_approved(page: Page, doors: Doors) -> None:
    opened(page, doors)
    tick(page, "sc-1")
    expect(page.locator("#send")).to_be_enabled()
    decline = {"scope": {"level": "rack", "name": "alpha-r0"}, "until": "2026-01-26T00:00:00Z", "reason": "a demo"}
    body = {"actor": "lumen-capacity", "orders": [decline]}
    assert httpx.post(f"{doors.url}/api/v1/declines", json=body).status_code == 201
    page.locator("#send").click()
    outcome = page.locator("#outcome")
    expect(outcome).to_contain_text("Nothing was recorded.")
    expect(outcome).to_contain_text("lumen-capacity declined rack alpha-r0 until 2026-01-26 00:00Z")
    expect(outcome).to_contain_text("(a demo)")
    assert world.said(doors.db) == ["declined rack alpha-r0"]
    expect(branch(page, "sc-1")).to_contain_text("2 held")
    expect(branch(page, "sc-1")).to_have_attribute("aria-checked", "true")
    expect(page.locator("#send")).to_be_enabled()
    page.locator("#send").click()
    expect(outcome).to_contain_text("Recorded.")
    assert world.said(doors.db) == ["declined rack alpha-r0", APPROVED]


def test_what_came_into_the_request_meanwhile_is_named(page: Page, doors: Doors) -> None:
    opened(page, doors)
    tick(page, "sc-1")
    expect(page.locator("#send")).to_be_enabled()
    with doors.db.read() as conn:
        fleet = rows.load_fleet(conn)
    one = replace(fleet.nodes[NodeId("alpha-n0")], name=NodeId("alpha-n9"), rack=RackId("alpha-r1"))
    more = Fleet(clusters=fleet.clusters, nodes={**fleet.nodes, one.name: one}, devices=fleet.devices)
    inventory.import_fleet(doors.db, more, now=world.NOW, actor="tests")
    page.locator("#send").click()
    expect(page.locator("#outcome")).to_contain_text("Nothing was recorded.")
    expect(page.locator("#outcome")).to_contain_text("is at incarnation 2, not 1")
    expect(page.locator("#outcome")).to_contain_text("host-os-2026.1 is due on 3 nodes and was on 2")
    assert world.said(doors.db) == []
    expect(page.locator("#send")).to_have_text("Approve 4 nodes as lumen-capacity")


def test_words_of_others_are_shown_while_the_page_is_open(page: Page, doors: Doors) -> None:
    page.clock.install()
    opened(page, doors)
    world.approve(doors.db, ScopeLevel.CLUSTER, "alpha")
    page.clock.run_for(10_000)
    expect(page.locator("#news")).to_contain_text("lumen-capacity approved cluster alpha")
    page.get_by_role("button", name="Show what stands now").click()
    expect(branch(page, "sc-1")).to_contain_text("3 may go")
    expect(page.locator("#news")).to_be_empty()


def served(db: Database, port: int) -> BackgroundServer:
    numbers = iter(range(1, 1000))
    app = create_app(
        db, HandClock(world.NOW), new_id=lambda prefix: f"{prefix}_{port}_{next(numbers)}", timing=Timing(refresh=0.0)
    )
    server = BackgroundServer(app, bind_socket("127.0.0.1", port))
    server.start()
    return server


def test_a_server_that_is_lost_between_choice_and_click_loses_no_word(page: Page, db: Database) -> None:
    listener = bind_socket("127.0.0.1", 0)
    port, url = listener.getsockname()[1], url_of(listener)
    listener.close()
    first = served(db, port)
    page.goto(f"{url}/requests")
    tick(page, "sc-1")
    expect(page.locator("#send")).to_be_enabled()
    first.stop()
    page.locator("#send").click()
    expect(page.locator("#outcome")).to_contain_text("The server does not answer.")
    expect(page.locator("#outcome")).to_contain_text("Kept in this tab")
    second = served(db, port)
    expect(page.locator("#outcome")).to_contain_text("Recorded.", timeout=20_000)
    assert world.said(db) == [APPROVED]
    page.goto("about:blank")
    second.stop()


def test_an_answer_that_is_lost_is_asked_for_again_and_the_word_stands_once(page: Page, doors: Doors) -> None:
    keys: list[str] = []

    def lose(route: Route) -> None:
        keys.append(route.request.headers["idempotency-key"])
        answer = route.fetch()
        if len(keys) == 1:
            route.abort()  # it was carried out, and nobody heard
        else:
            assert answer.headers["idempotency-replayed"] == "true"
            route.fulfill(response=answer)

    page.route("**/api/v1/approvals", lose)
    opened(page, doors)
    tick(page, "sc-1")
    page.locator("#send").click()
    expect(page.locator("#outcome")).to_contain_text("Recorded.", timeout=20_000)
    assert len(keys) == 2
    assert keys[0] == keys[1]
    assert world.said(doors.db) == [APPROVED]


def test_a_page_that_is_loaded_anew_goes_on_with_the_word_it_had_sent(page: Page, doors: Doors) -> None:
    page.route("**/api/v1/approvals", lambda route: route.abort())
    opened(page, doors)
    tick(page, "sc-1")
    page.locator("#send").click()
    expect(page.locator("#outcome")).to_contain_text("The server does not answer.")
    page.unroute("**/api/v1/approvals")
    page.reload()
    expect(page.locator("#outcome")).to_contain_text("Recorded.")
    assert world.said(doors.db) == [APPROVED]
    assert page.evaluate("sessionStorage.getItem('fermata.word')") is None


def test_a_no_an_offer_and_a_withdrawal_have_their_fields(page: Page, doors: Doors) -> None:
    opened(page, doors, f"/requests?request={REQUEST}")
    tick(page, "sc-1")
    page.get_by_label("Decline until").check()
    expect(page.locator("#not-before")).to_be_hidden()
    page.locator("#until").fill("2026-01-26T06:00")
    page.locator("#send").click()
    expect(page.locator("#outcome")).to_be_empty()  # the browser asks for the reason first
    page.get_by_label("Why (needed)").fill("a launch")
    page.locator("#send").click()
    expect(page.locator("#outcome")).to_contain_text("Recorded.")
    tick(page, "sc-1")
    page.get_by_label("Offer another time").check()
    page.locator("#not-before").fill("2026-01-25T20:00")
    page.locator("#not-after").fill("2026-01-26T06:00")
    page.locator("#send").click()
    expect(page.locator("#outcome")).to_contain_text("Recorded.Offer another time for 3 nodes")
    tick(page, "sc-1")
    page.get_by_label("Withdraw").check()
    page.locator("#send").click()
    expect(page.locator("#outcome")).to_contain_text("Recorded.Withdraw what was said of 3 nodes")
    said = world.ledger(doors.db)
    assert [entry.verdict for entry in said] == [Verdict.DECLINED, Verdict.OFFERED, Verdict.WITHDRAWN]
    assert f"{said[0].until:%Y-%m-%d %H:%M}" == "2026-01-26 06:00"
    assert f"{said[1].conditions.not_before:%d %H:%M}" == "25 20:00"


def test_without_script_a_whole_request_is_approved_by_a_form(browser: Browser, doors: Doors) -> None:
    context = browser.new_context(java_script_enabled=False)
    page = context.new_page()
    page.goto(f"{doors.url}/requests")
    page.get_by_role("link", name="sc-1", exact=True).click()
    page.get_by_label("Why").fill("by hand")
    page.get_by_role("button", name=f"Say it for all of {REQUEST}").click()
    expect(page.locator("#said")).to_have_text("Your word is recorded.")
    (entry,) = world.ledger(doors.db)
    assert (str(entry.scope), entry.verdict, entry.reason) == ("supercomputer sc-1", Verdict.APPROVED, "by hand")
    page.get_by_label("Approve").check()
    page.get_by_role("button", name=f"Say it for all of {REQUEST}").click()
    expect(page.locator("#said")).to_have_text("It stood so already: nothing was added.")
    context.close()


FORM = {"request": REQUEST, "incarnation": "1", "since": "0", "actor": "lumen-capacity", "verdict": "approved"}


def test_a_form_that_is_older_than_the_last_word_records_nothing(doors: Doors) -> None:
    world.withdraw(doors.db, ScopeLevel.CLUSTER, "alpha")
    world.approve(doors.db, ScopeLevel.RACK, "alpha-r1")
    answer = httpx.post(f"{doors.url}/requests/word", data=FORM)
    assert answer.status_code == 409
    assert "Nothing was recorded." in answer.text
    assert "SAID_MEANWHILE" in answer.text
    assert "lumen-capacity approved rack alpha-r1" in answer.text
    assert APPROVED not in world.said(doors.db)


@pytest.mark.parametrize(
    ("change", "status"),
    [
        ({"request": "req_none"}, 404),
        ({"verdict": "maybe"}, 422),
        ({"incarnation": "x"}, 422),
        ({"actor": "nobody"}, 409),
        ({"verdict": "declined"}, 409),
        ({"verdict": "declined", "until": "soon", "reason": "no"}, 409),
        ({"verdict": "offered"}, 409),
    ],
)
def test_a_form_with_something_wrong_changes_nothing(doors: Doors, change: dict[str, str], status: int) -> None:
    answer = httpx.post(f"{doors.url}/requests/word", data={**FORM, **change})
    assert answer.status_code == status
    assert world.said(doors.db) == []


def test_a_form_on_another_site_changes_nothing(doors: Doors) -> None:
    headers = {"Sec-Fetch-Site": "cross-site"}
    assert httpx.post(f"{doors.url}/requests/word", data=FORM, headers=headers).status_code == 403
    assert world.said(doors.db) == []


@pytest.mark.parametrize(
    ("params", "status"),
    [
        ({"level": "supercomputer", "name": "nowhere"}, 409),
        ({"level": "rack", "name": "alpha-r0"}, 409),
        ({"level": "mood", "name": "x"}, 422),
    ],
)
def test_branches_that_are_not_there_are_refused(doors: Doors, params: dict[str, str], status: int) -> None:
    assert httpx.get(f"{doors.url}/requests/branches", params=params).status_code == status


def test_a_wide_branch_is_told_in_parts(doors: Doors, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("fermata.services.request_tree.BRANCHES_MAX", 1)
    asked = {"level": "cluster", "name": "alpha"}
    first = httpx.get(f"{doors.url}/requests/branches", params=asked).json()
    second = httpx.get(f"{doors.url}/requests/branches", params={**asked, "start": 1}).json()
    assert ([b["name"] for b in first["branches"]], first["rest"]) == (["alpha-r0"], 1)
    assert ([b["name"] for b in second["branches"]], second["rest"]) == (["alpha-r1"], 0)


def test_a_parent_of_branches_told_in_parts_is_left_out_of_whole(
    page: Page, doors: Doors, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("fermata.services.request_tree.BRANCHES_MAX", 1)
    opened(page, doors)
    tick(page, "sc-1")
    open_branch(page, "sc-1")
    open_branch(page, "sc-1/alpha")
    expect(page.locator(".more")).to_have_text("Show more: 1 are left")
    tick(page, "sc-1/alpha/alpha-r0")
    expect(branch(page, "sc-1/alpha/alpha-r1")).to_have_attribute("aria-checked", "true")
    sent: list[str] = []
    page.on("request", lambda request: sent.append(request.post_data or "") if "cost" in request.url else None)
    page.get_by_label("All that you may speak for").check()
    expect(page.locator("#send")).to_have_text("Approve 3 nodes as lumen-capacity")
    assert json.loads(sent[-1])["scopes"] == [{"level": "supercomputer", "name": "sc-1"}]
