"""The room's page and routes: what was told, without script and live with it, at every size and in both schemes."""

import re
import shutil
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from markupsafe import escape
from playwright.sync_api import Browser, expect
from tests.server.conftest import HandClock, make_app
from tests.server.test_browser import CONTRAST, SIZES, Watched, browser
from tests.simulation import small, stagehand
from tests.simulation.rooms import ROUGH, WINDOW, rig, told

from fermata.domain.ids import TeamId
from fermata.server.serving import BackgroundServer, bind_socket, url_of
from fermata.services.room_telling import StoreRooms
from fermata.services.rooms import AnswerOrder, GoOrder, HandoverOrder, NoteOrder, RoomOrder, Speaker, speak
from fermata.store.database import Database

__all__ = ["browser"]

PAGE = f"/windows/{WINDOW}/room"
API = f"/api/v1/windows/{WINDOW}/room"
HOSTILE = "<img src=x onerror=alert(1)>"


@pytest.fixture(scope="module")
def half_a_day(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store and its world in the middle of a day: four messages told."""
    folder = tmp_path_factory.mktemp("half")
    rig(folder, faults=ROUGH, bridge="https://meet.example/{window}").conduct(until=small.START + 91 * small.MINUTE)
    while stagehand.OPENED:
        stagehand.OPENED.pop().close()
    return folder


@pytest.fixture
def found(half_a_day: Path, tmp_path: Path) -> Iterator[stagehand.Rig]:
    """Then one team is there, another is not, and a no-go is said."""
    folder = tmp_path / "own"
    shutil.copytree(half_a_day, folder)
    made = stagehand.reopen(f"sqlite:///{folder / 'store.sqlite'}", folder, faults=ROUGH, seed=3)
    made.rooms = StoreRooms(made.database)
    say(made.database, HandoverOrder(to="ann", points=("rack 7 is warm",)), "bo", made)
    say(made.database, AnswerOrder(team=TeamId("hosts"), text="two of us"), "cy", made)
    say(made.database, GoOrder(topic="os", is_go=False, why="the image is not there yet"), "ann", made)
    say(made.database, NoteOrder(text=f"the vendor calls {HOSTILE}"), "ann", made)
    yield made
    while stagehand.OPENED:
        stagehand.OPENED.pop().close()


def say(database: Database, said: RoomOrder, actor: str, made: stagehand.Rig) -> None:
    speak(database, Speaker(window=WINDOW, actor=actor, at=made.clock.now()), said)


@pytest.fixture
def url(found: stagehand.Rig) -> Iterator[str]:
    listener = bind_socket("127.0.0.1", 0)
    server = BackgroundServer(make_app(found.database, HandClock(found.clock.now())), listener)
    server.start()
    yield url_of(listener)
    server.stop()


@pytest.fixture
def client(url: str) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=url, timeout=20) as opened:
        yield opened


def test_page_and_api_and_terminal_show_the_same_message(client: httpx.Client, found: stagehand.Rig) -> None:
    last = told(found)[-1]
    text = client.get(PAGE).text
    shown = client.get(API).json()["told"][0]
    assert last.title in text
    assert last.done in text
    assert last.forecast in text
    for name in ("title", "done", "left", "forecast"):
        assert shown[name] == getattr(last, name)
    assert shown["figures"]["returned"] == last.figures.returned
    listed = client.get("/api/v1/rooms").json()["rooms"]
    assert [one["last"]["title"] for one in listed] == [last.title]


def test_what_its_customer_was_told_stands_in_the_room_the_newest_word_first(
    client: httpx.Client, found: stagehand.Rig
) -> None:
    heard = [message.own for message in reversed(told(found)) if message.own is not None]
    assert len(heard) > 1, "a customer hears more than the opening"
    shown = client.get(PAGE).text.partition("What its customer was told")[2].partition("Roll-call")[0]
    assert all(str(escape(line)) in shown for own in heard for line in own.lines)
    titles = [shown.find(str(escape(own.lines[0]))) for own in heard]
    assert titles == sorted(titles)


def test_the_room_is_reached_from_today_and_from_its_window(client: httpx.Client) -> None:
    assert f'href="{PAGE}"' in client.get("/").text
    assert f'href="{PAGE}"' in client.get(f"/windows/{WINDOW}").text


def test_who_is_there_who_is_late_and_who_said_what_stands_on_the_page(client: httpx.Client) -> None:
    text = client.get(PAGE).text
    assert re.search(r"not yet, 7\d min late", text)
    assert "two of us" in text
    assert "the image is not there yet" in text
    assert "ann has the room" in text
    assert 'href="https://meet.example/win-c0"' in text
    assert HOSTILE not in text
    assert "&lt;img" in text


def test_the_live_part_is_sent_only_when_it_reads_otherwise(client: httpx.Client, found: stagehand.Rig) -> None:
    first = client.get(f"{PAGE}/body")
    assert first.status_code == 200
    seen = first.headers["X-Version"]
    assert client.get(f"{PAGE}/body", params={"seen": seen}).status_code == 204
    say(found.database, NoteOrder(text="coffee"), "ann", found)
    again = client.get(f"{PAGE}/body", params={"seen": seen})
    assert again.status_code == 200
    assert "coffee" in again.text


def test_a_window_that_no_run_has_is_refused(client: httpx.Client) -> None:
    assert client.get("/windows/nowhere/room").status_code == 404
    assert client.get("/windows/nowhere/room/body").status_code == 404
    answer = client.get("/api/v1/windows/win-c1/room")
    assert answer.status_code == 404
    assert answer.json()["code"] == "RUN_WINDOW_UNKNOWN"
    assert "win-c0" in answer.json()["detail"]


@pytest.mark.parametrize(
    ("method", "path", "body", "code"),
    [
        ("POST", "answers", {"actor": "ann", "team": "nobody"}, "TEAM_NOT_CALLED"),
        ("POST", "words", {"actor": "ann", "go": True, "why": ""}, "WHY_MISSING"),
        ("POST", "words", {"actor": "ann", "go": True, "why": "x"}, "GO_TOO_LATE"),
        ("POST", "words", {"actor": "ann", "go": True, "why": "x", "update": "x"}, "GO_OF_NOTHING"),
        ("POST", "words", {"actor": "ann", "go": "yes", "why": "x"}, None),
        ("POST", "notes", {"actor": "ann"}, None),
        ("POST", "notes", {"actor": "ann", "text": "x", "loud": True}, None),
        ("POST", "handovers", {"actor": "ann", "to": ""}, None),
        ("PUT", "bridge", {"actor": "ann", "url": "ftp://x"}, "BRIDGE_UNUSABLE"),
        ("PUT", "bridge", {"actor": "ann", "url": 7}, None),
    ],
)
def test_bad_words_are_problems_and_change_nothing(
    client: httpx.Client, method: str, path: str, body: dict[str, object], code: str | None
) -> None:
    before = client.get(API).json()["lines"]
    answer = client.request(method, f"{API}/{path}", json=body)
    assert 400 <= answer.status_code < 500
    assert answer.headers["content-type"].startswith("application/problem+json")
    if code is not None:
        assert answer.json()["code"] == code
    assert client.get(API).json()["lines"] == before


def test_a_word_sent_twice_under_one_key_is_said_once(client: httpx.Client) -> None:
    before = len(client.get(API).json()["lines"])
    for _ in range(2):
        sent = client.post(f"{API}/notes", json={"actor": "ann", "text": "x"}, headers={"Idempotency-Key": "k-1"})
        assert sent.status_code == 201
    assert len(client.get(API).json()["lines"]) == before + 1
    for _ in range(2):
        assert client.put(f"{API}/bridge", json={"actor": "ann", "url": "https://b.example"}).status_code == 200
    assert len(client.get(API).json()["lines"]) == before + 2


@pytest.mark.browser
@pytest.mark.slow
@pytest.mark.timeout(120)
@pytest.mark.xdist_group("browser")
@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_room_is_legible_and_nothing_runs_off_the_side(browser: Browser, url: str, size: str, scheme: str) -> None:
    width, height = SIZES[size]
    page = browser.new_page(
        viewport={"width": width, "height": height}, color_scheme="dark" if scheme == "dark" else "light"
    )
    watched = Watched(page)
    page.goto(url + PAGE)
    expect(page.locator("#room-conn")).to_have_text("live")
    page.locator("summary", has_text="How to speak here").click()
    assert page.evaluate(CONTRAST.read_text()) == []
    assert page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth") == 0
    assert watched.complaints == []
    page.close()


@pytest.mark.browser
@pytest.mark.slow
@pytest.mark.timeout(120)
@pytest.mark.xdist_group("browser")
def test_what_is_said_shows_without_reload_and_what_is_open_stays_open(
    browser: Browser, url: str, found: stagehand.Rig
) -> None:
    page = browser.new_page()
    page.goto(url + PAGE)
    page.evaluate("window.kept = 'not reloaded'")
    page.locator("details[data-key=m3] summary").click()
    page.locator("details[data-key=m3] summary").focus()
    say(found.database, NoteOrder(text="the switch is back"), "ann", found)
    found.conduct(until=small.START + 121 * small.MINUTE)
    StoreRooms(found.database).tend(found.run, found.clock.now())
    expect(page.locator(".entries").last).to_contain_text("the switch is back", timeout=15000)
    expect(page.locator("#told-title")).to_have_text(told(found)[-1].title, timeout=15000)
    assert page.evaluate("window.kept") == "not reloaded"
    assert page.locator("details[data-key=m3]").get_attribute("open") is not None
    assert page.evaluate("document.activeElement.closest('details').dataset.key") == "m3"
    page.close()


@pytest.mark.browser
@pytest.mark.slow
@pytest.mark.timeout(120)
@pytest.mark.xdist_group("browser")
def test_the_room_reads_without_script(browser: Browser, url: str, found: stagehand.Rig) -> None:
    context = browser.new_context(java_script_enabled=False)
    page = context.new_page()
    page.goto(url + PAGE)
    expect(page.locator("#told-title")).to_have_text(told(found)[-1].title)
    expect(page.locator("#room")).to_contain_text("Roll-call")
    context.close()
