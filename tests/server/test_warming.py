"""A server that has just started reads ahead what its first pages need, and until then says so at once."""

import threading
from collections.abc import Iterator

import httpx
import pytest
from playwright.sync_api import Browser, expect
from tests.constraints import world as w
from tests.server.conftest import HandClock, make_app
from tests.server.test_browser import browser

from fermata.server import first_look, warming
from fermata.server.live import Timing
from fermata.server.serving import BackgroundServer, bind_socket, url_of
from fermata.services import requests
from fermata.services.inventory import ImportSet, import_set
from fermata.store.database import Database

__all__ = ["browser"]

PERSON = {"Accept": "text/html"}
READING = "still reading"


@pytest.fixture
def imported(db: Database) -> Database:
    given = w.scenario()
    wanted = ImportSet(fleet=given.fleet, catalogue=given.catalogue, policy=given.policy, campaign=given.campaign)
    import_set(db, wanted, now=w.NOW, actor="operator-1")
    return db


@pytest.fixture
def let_go(monkeypatch: pytest.MonkeyPatch) -> threading.Event:
    """Until it is set, the fleet is being read."""
    gate, list_requests = threading.Event(), requests.list_requests

    def slowly(*args: object, **given: object) -> object:
        assert gate.wait(120)
        return list_requests(*args, **given)  # type: ignore[arg-type]

    monkeypatch.setattr(requests, "list_requests", slowly)
    monkeypatch.setattr(first_look, "PATIENCE_SECONDS", 0.05)
    return gate


@pytest.fixture
def url(imported: Database, clock: HandClock, let_go: threading.Event) -> Iterator[str]:
    listener = bind_socket("127.0.0.1", 0)
    server = BackgroundServer(make_app(imported, clock, Timing(refresh=0.05, warms=True)), listener)
    server.start()
    yield url_of(listener)
    let_go.set()
    server.stop()


@pytest.mark.parametrize("page", ["/requests", "/updates", "/policy", "/nodes/n0"])
def test_a_page_of_the_whole_fleet_says_that_it_is_being_read_and_when_it_looks_again(url: str, page: str) -> None:
    answer = httpx.get(url + page, headers=PERSON)
    assert answer.status_code == 202
    assert READING in answer.text
    assert answer.headers["Refresh"] == str(warming.AGAIN_SECONDS)


def test_pages_that_need_no_fleet_stand_meanwhile(url: str, let_go: threading.Event) -> None:
    for page in ("/journal", "/fleet"):
        answer = httpx.get(url + page, headers=PERSON)
        assert (page, answer.status_code, READING in answer.text) == (page, 200, False)
    assert not let_go.is_set()


def test_a_waiting_page_shows_itself_once_all_is_read(url: str, let_go: threading.Event, browser: Browser) -> None:
    page = browser.new_page()
    answer = page.goto(f"{url}/updates", wait_until="commit")
    assert answer is not None
    assert READING in answer.text()
    let_go.set()
    expect(page.get_by_role("heading", level=1)).to_contain_text("in the catalogue", timeout=60_000)
    page.close()


def test_what_cannot_be_read_ahead_keeps_no_page_waiting(
    imported: Database, clock: HandClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_args: object, **_given: object) -> None:
        raise RuntimeError("a fault of the reader")

    monkeypatch.setattr(requests, "list_requests", fail)
    listener = bind_socket("127.0.0.1", 0)
    server = BackgroundServer(make_app(imported, clock, Timing(refresh=0.05, warms=True)), listener)
    server.start()
    try:
        assert httpx.get(f"{url_of(listener)}/updates", headers=PERSON, timeout=20).status_code == 200
    finally:
        server.stop()
