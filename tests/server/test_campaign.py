"""The pages of a campaign: their figures are the services' own, questions and proposals survive whoever leaves, two who
publish learn of each other.
"""

import re
import threading
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime

import httpx
import pytest
from playwright.sync_api import Browser, Page, expect
from tests.constraints import world as w
from tests.server import campaign_world as world
from tests.server.test_browser import CONTRAST, SIZES, Watched, browser

from fermata.domain.campaign import Limit
from fermata.planning.inputs import Planned
from fermata.planning.stages import Stage
from fermata.planning.why_load import Loads
from fermata.server.errors import ServerBusy
from fermata.server.kept_work import Kept, KeptWork, State
from fermata.server.long_work import LongWork
from fermata.services import freezes, records, runs
from fermata.services.campaigns import CampaignDesk
from fermata.services.plans import load_plan_inputs
from fermata.services.what_if import WhatIf, ask_what_if
from fermata.store.database import Database

__all__ = ["browser"]

PAGES = ("/campaign", "/campaign/what-if", "/campaign/replan", "/policy")
SECONDS_MAX = 60


@pytest.fixture
def served(db: Database) -> Iterator[world.Served]:
    plan = world.put_in_force(db)
    with world.serving(db, plan, world.ran(db, plan)) as made:
        yield made


@pytest.fixture
def client(served: world.Served) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=served.url, timeout=60, follow_redirects=True) as opened:
        yield opened


def wait_over(client: httpx.Client, address: str) -> str:
    """Asks as the page does until the work is over; the page then."""
    path, _, query = address.partition("?")
    for _ in range(SECONDS_MAX * 10):
        if "HX-Refresh" in client.get(f"{path}/work?{query}").headers:
            return client.get(address).text
        time.sleep(0.1)
    raise AssertionError(f"{address} goes on for too long")


def plan_again(client: httpx.Client) -> str:
    client.post("/campaign/replan", data={"campaign": "small", "actor": "ann"})
    return wait_over(client, "/campaign/replan?campaign=small")


def proposal_of(text: str) -> int:
    found = re.search(r"proposal=(\d+)", text)
    assert found is not None, "no link to the second look"
    return int(found.group(1))


# The overview


def test_the_most_planned_of_a_limit_is_what_the_planner_counts(db: Database) -> None:
    plan = world.put_in_force(db)
    view = CampaignDesk(db).look(world.SMALL, w.NOW)
    _, inputs = load_plan_inputs(db, plan.id)
    loads = Loads(inputs, plan)
    counted = {resource.source: peaks for resource, peaks in loads.list_peaks() if isinstance(resource.source, Limit)}
    assert len(counted) == len(world.LIMITS)
    for line in view.limits:
        by_day = {day.day: day.planned for day in line.days}
        for day, peak in zip(loads.days, counted.get(line.limit, ()), strict=False):
            assert by_day.get(day.date, 0) == peak, (line.limit, day.date)


def test_what_was_used_stands_at_the_time_at_which_it_was_used(served: world.Served, client: httpx.Client) -> None:
    told = client.get("/campaign/curves?campaign=small").json()
    first = min(window.start for window in served.plan.windows)
    bucket = int(
        (first.timestamp() * 1000 - 8 * 3600e3 - told["start"]) // told["step"]
    )  # -8 h: Los Angeles in January
    used = told["limits"][0]["used"]
    assert used[bucket] == 1
    assert not any(used[:bucket])


def test_figures_are_those_of_the_status(served: world.Served, client: httpx.Client) -> None:
    status = runs.status(served.db, world.SMALL)
    text = client.get("/campaign").text
    assert f"{status.nodes_returned} of " in text
    done = sum(window.closed_at is not None for window in status.windows)
    assert f"{done} of {len(status.windows)} windows over" in text
    assert text.count('class="gantt-row"') == len({window.cluster for window in served.plan.windows})
    for window in served.plan.windows:
        assert f'href="/windows/{window.id}"' in text
    assert "1 missed" in text
    assert "1 overrun" in text


def test_a_campaign_is_chosen_by_its_id_and_an_unknown_one_refused(client: httpx.Client) -> None:
    assert client.get("/campaign?campaign=small").status_code == 200
    answer = client.get("/campaign?campaign=smal")
    assert answer.status_code == 404
    assert answer.json()["code"] == "CAMPAIGN_UNKNOWN"
    assert "small" in answer.json()["detail"]


def test_the_page_before_any_campaign_or_plan_says_what_to_do(db: Database) -> None:
    with world.serving(db, None, w.NOW) as made:  # type: ignore[arg-type]
        assert "fermata import scenario" in httpx.get(f"{made.url}/campaign").text
        assert httpx.get(f"{made.url}/campaign/what-if").headers["location"] == "/campaign"
        world.import_set(
            db, world.ImportSet(fleet=w.fleet(), catalogue=w.catalogue(), campaign=world.SCENARIO.campaign), now=w.NOW,
            actor="tests",
        )  # fmt: skip
        assert "fermata plan" in httpx.get(f"{made.url}/campaign").text
        assert "No run conducts" in httpx.get(f"{made.url}/campaign/replan").text
        assert "No policy is on record" in httpx.get(f"{made.url}/policy").text


# What if


def test_the_answer_is_the_service_s_and_a_reload_finds_it(served: world.Served, client: httpx.Client) -> None:
    begun = client.post("/campaign/what-if", data={"campaign": "small", "nodes_out": "8", "weekends": "never"})
    address = str(begun.url.raw_path, "ascii")
    assert "nodes_out=8" in address
    text = wait_over(client, address)
    answer = ask_what_if(served.db, world.SMALL, WhatIf(nodes_out=8, weekends=False), now=served.clock.at)
    assert isinstance(answer.now, Planned)
    assert isinstance(answer.then, Planned)
    assert "limits[0].at_once=8, weekends=never" in text
    for outcome in (answer.now, answer.then):
        assert f"<dt>windows</dt><dd>{len(outcome.plan.windows)}</dd>" in text
    assert answer.comparison is not None
    assert f"What changes <b>{len(answer.comparison.moved) + len(answer.comparison.recut)}</b>" in text
    assert client.get(address).text.count("What if <code>") == 1
    assert len(records.list_plans(served.db, world.SMALL)) == 1, "a question is not a plan"


def test_without_a_plan_the_page_says_which_rules_clash(client: httpx.Client) -> None:
    client.post("/campaign/what-if", data={"campaign": "small", "nodes_out": "1"})
    text = wait_over(client, "/campaign/what-if?campaign=small&nodes_out=1")
    assert "No plan exists" in text
    assert "nodes_out" in text or "nodes out" in text


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"nodes_out": "many"}, "whole number of nodes"),
        ({"nodes_out": "0"}, "at least one node"),
        ({"deadline": "soon"}, "such as 2026-01-16"),
        ({"deadline": "2020-01-01"}, "before the first day"),
        ({"deadline": "2040-01-01"}, "days after the first day"),
        ({"weekends": "perhaps"}, "staffed or never"),
        ({"rolling": "0"}, "more than 0"),
        ({"rolling": "nan"}, "more than 0"),
        ({"rolling": "400"}, "at most 1"),
        ({}, "at least one of the four"),
    ],
)
def test_a_question_that_makes_no_sense_is_refused_with_what_would(
    client: httpx.Client, fields: dict[str, str], words: str
) -> None:
    answer = client.post("/campaign/what-if", data={"campaign": "small", **fields})
    assert answer.status_code == 422
    assert words in answer.text
    assert 'role="alert"' in answer.text
    for value in fields.values():
        assert value in answer.text, "what was typed stays"
    assert client.post("/campaign/what-if", data={"campaign": "none", "nodes_out": "3"}).status_code == 404
    assert client.post("/campaign/what-if", data={"nodes_out": "3"}).json()["code"] == "BAD_INPUT"


# Work that is kept


def wait_for(done: Callable[[], bool]) -> None:
    for _ in range(SECONDS_MAX * 100):
        if done():
            return
        time.sleep(0.01)
    raise AssertionError("it never came")


def test_work_is_found_again_cancelled_and_leaves_room_for_others() -> None:
    place = LongWork()
    kept, go_on = KeptWork(place), threading.Event()

    def work(watch: Callable[[Stage, str], None], is_overdue: Callable[[], bool]) -> int:
        watch(Stage.FIRST, "as it is")
        assert go_on.wait(SECONDS_MAX)
        assert is_overdue()
        watch(Stage.BETTER, "")
        return 7

    begun = kept.begin("one", work)
    assert kept.begin("one", work) is begun, "the same question is not asked twice"
    with pytest.raises(ServerBusy):
        kept.begin("two", work)
    assert not place.take(), "the API's work has no room either"
    wait_for(lambda: begun.steps == 1)
    assert begun.told == "a first plan, as it is"
    begun.cancel()
    go_on.set()
    wait_for(lambda: begun.state is State.CANCELLED)
    assert begun.value is None
    assert kept.begin("two", lambda _watch, _late: 7) is not None
    wait_for(lambda: found(kept, "two").state is State.DONE)
    assert found(kept, "two").value == 7
    assert found(kept, "one").state is State.CANCELLED


def found(kept: KeptWork, name: str) -> Kept:
    there = kept.find(name)
    assert there is not None
    return there


def test_work_that_breaks_is_told_without_its_cause_and_gives_its_room_back() -> None:
    kept = KeptWork(LongWork())
    kept.begin("one", lambda _watch, _late: 1 // 0)
    wait_for(lambda: found(kept, "one").state is State.FAILED)
    assert "in its log" in found(kept, "one").why
    kept.begin("two", lambda _watch, _late: 2)
    wait_for(lambda: found(kept, "two").state is State.DONE)


def test_only_the_last_answers_are_kept() -> None:
    kept = KeptWork(LongWork())
    for number in range(30):
        kept.begin(str(number), lambda _watch, _late: 1)
        wait_for(lambda number=number: found(kept, str(number)).state is State.DONE)  # type: ignore[misc]
    assert kept.find("5") is None
    assert kept.find("6") is not None


# Planning again


def test_a_proposal_tells_which_dates_move_for_whom_and_why(served: world.Served, client: httpx.Client) -> None:
    assert "Nobody has planned again yet" in client.get("/campaign/replan").text
    text = plan_again(client)
    made = runs.status(served.db, world.SMALL).last_replan
    assert made is not None
    assert made.plan is not None
    assert f"Proposed: {made.plan}" in text
    assert "<b>lumen</b>" in text
    for line in made.lines:
        assert line.cause.sentence.split("{")[0][:30] in text
    assert f"<b>{len(made.lines)}</b> published date" in text
    assert runs.status(served.db, world.SMALL).plan == served.plan.id, "nothing is in force before it is published"


def test_publishing_takes_a_second_look_and_a_name(served: world.Served, client: httpx.Client) -> None:
    number = proposal_of(plan_again(client))
    look = client.get(f"/campaign/replan/publish?campaign=small&proposal={number}")
    assert "Publish it" in look.text
    assert "Back, publish nothing" in look.text
    order = {"campaign": "small", "proposal": str(number)}
    nameless = client.post("/campaign/replan/publish", data=order)
    assert nameless.status_code == 409
    assert "Your name is missing" in nameless.text
    assert runs.status(served.db, world.SMALL).plan == served.plan.id
    done = client.post("/campaign/replan/publish", data={**order, "actor": "ann", "why": "missed one"})
    assert "is in force" in done.text
    status = runs.status(served.db, world.SMALL)
    assert status.plan != served.plan.id, "the run went over to it"
    entry = records.look_back(served.db, before=None, limit=1, subject=f"plan:{status.plan}")[0]
    assert (entry.actor, entry.why) == ("ann", "missed one")


def test_of_two_who_publish_the_second_sees_what_the_first_did(served: world.Served, client: httpx.Client) -> None:
    number = proposal_of(plan_again(client))
    order = {"campaign": "small", "proposal": str(number)}
    client.post("/campaign/replan/publish", data={**order, "actor": "ann"})
    in_force = runs.status(served.db, world.SMALL).plan
    second = client.post("/campaign/replan/publish", data={**order, "actor": "bob"})
    assert second.status_code == 409
    assert f"{in_force} is in force (by ann" in second.text
    assert f"Published: {in_force}" in second.text
    late = client.get(f"/campaign/replan/publish?campaign=small&proposal={number}")
    assert late.status_code == 409
    assert "none any more" in late.text
    assert runs.status(served.db, world.SMALL).plan == in_force


def test_a_newer_proposal_takes_the_place_of_the_one_that_was_looked_at(
    served: world.Served, client: httpx.Client
) -> None:
    old = proposal_of(plan_again(client))
    new = proposal_of(plan_again(client))
    assert new != old
    answer = client.post("/campaign/replan/publish", data={"campaign": "small", "proposal": str(old), "actor": "bob"})
    assert answer.status_code == 409
    assert "is the newest proposal" in answer.text
    assert runs.status(served.db, world.SMALL).plan == served.plan.id


# Policies and freezes


def freeze(**other: str) -> dict[str, str]:
    typed = {"level": "cluster", "name": "alpha", "start": "2026-01-03T00:00", "end": "2026-01-09T00:00"}
    return {"campaign": "small", **typed, "reason": "a model launch", **other}


def test_a_freeze_is_added_from_the_page_and_tells_which_windows_it_meets(
    served: world.Served, client: httpx.Client
) -> None:
    served.clock.at = w.NOW
    text = client.post("/policy/freezes", data=freeze()).text
    (made,) = (view.freeze for view in freezes.list_freezes(served.db, now=w.NOW))
    assert made.start == datetime(2026, 1, 3, 8, tzinfo=UTC), "midnight in Los Angeles"
    assert f"{made.id} is in force." in text
    met = sum(window.cluster == "alpha" for window in served.plan.windows)
    assert f"{met} window" in text
    assert "frozen Sat 3 Jan 00:00 to Fri 9 Jan 00:00" in text
    assert "a model launch" in text
    ended = client.post("/policy/freezes/end", data={"campaign": "small", "freeze": made.id, "why": "over"}).text
    assert "its scope is open again" in ended
    assert freezes.list_freezes(served.db, now=w.NOW) == ()


@pytest.mark.parametrize(
    ("typed", "status", "words"),
    [
        ({"name": "alfa"}, 409, "the nearest is alpha"),
        ({"reason": ""}, 409, "needs a reason"),
        ({"end": "2026-01-02T00:00"}, 409, "its end must come after its start"),
        ({"start": ""}, 422, "first moment of the freeze is missing"),
        ({"end": "soon"}, 422, "last moment of the freeze is missing"),
        ({"actor": "nobody-known"}, 409, "nobody-known"),
    ],
)
def test_a_freeze_that_cannot_be_is_refused_and_what_was_typed_stays(
    served: world.Served, client: httpx.Client, typed: dict[str, str], status: int, words: str
) -> None:
    answer = client.post("/policy/freezes", data=freeze(**typed))
    assert answer.status_code == status
    assert words in answer.text
    assert f'value="{freeze(**typed)["name"]}"' in answer.text
    assert freezes.list_freezes(served.db, now=w.NOW) == ()
    assert client.post("/policy/freezes", data=freeze(level="mood")).status_code == 422


def test_the_calendar_of_policies_is_of_one_customer_and_kind_of_work(client: httpx.Client) -> None:
    text = client.get("/policy", params={"work": "repair", "customer": "lumen", "first": "2026-02-01"}).text
    assert "Sun 1 Feb to Sat 28 Feb" in text
    assert "Its policy in words" in text
    assert "at any time, unasked" in text
    assert client.get("/policy?work=magic").status_code == 422
    assert client.get("/policy?customer=nobody").text.count("Its policy in words") == 0


def test_hostile_words_are_text(served: world.Served, client: httpx.Client) -> None:
    hostile = "<img src=x onerror=alert(1)>"
    client.post("/policy/freezes", data=freeze(reason=hostile, end="2027-01-01T00:00"))
    for address in ("/policy", f"/campaign/what-if?nodes_out={hostile}", "/campaign/what-if"):
        assert hostile not in client.get(address).text
    assert hostile not in client.post("/campaign/what-if", data={"campaign": "small", "nodes_out": hostile}).text


# In a browser


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
    expect(page.locator("h1")).to_contain_text("-")
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
    number = proposal_of(plan_again(client))
    client.post("/campaign/what-if", data={"campaign": "small", "nodes_out": "8"})
    wait_over(client, "/campaign/what-if?campaign=small&nodes_out=8")
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
