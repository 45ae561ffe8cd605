"""Streams of events end with what opened them: a token, what the provider signed, or a role taken for a while."""

import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import timedelta

import httpx
import pytest
from tests.server.identity.conftest import GROUP, LEAD, Serve, Served, browser_of
from tests.server.identity.issuer import Issuer
from tests.server.identity.test_callers import bearer, csrf, make_token

from fermata.domain.access import AccessBook, GranteeKind, GrantLine
from fermata.domain.identity import Grant, GrantLevel, Role
from fermata.server.identity import doorkeeper

PATIENCE = 20.0
A_LOOK = doorkeeper.LOOK_SECONDS + 2  # and the sign of life that it is taken at
EMERGENCY = Grant(role=Role.CONDUCTOR, level=GrantLevel.EVERYTHING)


@dataclass
class Stream:
    """What was heard of it. `ended` once the server has closed it."""

    begun: threading.Event = field(default_factory=threading.Event)
    ended: threading.Event = field(default_factory=threading.Event)

    def goes_on(self) -> bool:
        """Whether it is open after the server has looked again."""
        return self.begun.wait(PATIENCE) and not self.ended.wait(A_LOOK)

    def ends(self) -> bool:
        return self.begun.wait(PATIENCE) and self.ended.wait(PATIENCE)


@contextmanager
def listening(url: str, headers: Mapping[str, str]) -> Iterator[Stream]:
    """Hears the stream of the board in a thread of its own."""
    heard, over = Stream(), threading.Event()

    def listen() -> None:
        with httpx.stream("GET", f"{url}/board/stream", headers=headers, timeout=30) as answer:
            assert answer.status_code == 200
            for _ in answer.iter_lines():
                heard.begun.set()
                if over.is_set():
                    return
        heard.ended.set()

    thread = threading.Thread(target=listen, daemon=True)
    thread.start()
    try:
        yield heard
    finally:
        over.set()
        thread.join(PATIENCE)


def showing(browser: httpx.Client) -> dict[str, str]:
    """As a page asks for news by itself."""
    return {"Cookie": f"fermata={browser.cookies['fermata']}", "Sec-Fetch-Mode": "cors"}


def test_a_stream_ends_when_its_token_is_revoked(served: Served, signed_in: httpx.Client) -> None:
    made = make_token(signed_in)
    with listening(served.url, bearer(made["secret"])) as stream:
        assert stream.goes_on()
        signed_in.delete(f"/api/v1/tokens/{made['id']}", headers=csrf(signed_in)).raise_for_status()
        assert stream.ends()


def of_ours(browser: httpx.Client, _: Issuer) -> Mapping[str, str]:
    return bearer(make_token(browser, days=1)["secret"])


def of_the_provider(_: httpx.Client, issuer: Issuer) -> Mapping[str, str]:
    return bearer(issuer.access_token())


def of_a_session(browser: httpx.Client, _: Issuer) -> Mapping[str, str]:
    return {"Cookie": f"fermata={browser.cookies['fermata']}"}  # of a browser that does not say what it asks for


@pytest.mark.parametrize(
    ("shown", "lasts"),
    [
        (of_ours, timedelta(days=1)),
        (of_the_provider, timedelta(minutes=5)),
        (of_a_session, timedelta(minutes=60)),
    ],
)
def test_a_stream_ends_at_the_end_of_what_opened_it(
    served: Served,
    signed_in: httpx.Client,
    issuer: Issuer,
    shown: Callable[[httpx.Client, Issuer], Mapping[str, str]],
    lasts: timedelta,
) -> None:
    with listening(served.url, shown(signed_in, issuer)) as stream:
        assert stream.begun.wait(PATIENCE)
        served.clock.ahead = lasts * 0.9
        assert stream.goes_on()
        served.clock.ahead = lasts + timedelta(minutes=1)
        assert stream.ends()


@pytest.fixture
def glassy(serve: Serve, book: AccessBook) -> Served:
    """Where leads see one customer, and may take all in an emergency."""
    lines = tuple(line for line in book.lines if line.grant == LEAD)
    taken = GrantLine(kind=GranteeKind.GROUP, name=GROUP, grant=EMERGENCY)
    return serve(replace(book, lines=lines, emergencies=(taken,)))


def test_a_stream_that_was_opened_under_a_broken_glass_ends_with_it(glassy: Served, issuer: Issuer) -> None:
    with browser_of(glassy.url) as browser:
        browser.get("/sign-in/start").raise_for_status()

        def take() -> str:
            body = {"role": "conductor", "minutes": 5, "why": "fire"}
            answer = browser.post("/api/v1/break-glass", json=body, headers=csrf(browser))
            assert answer.status_code == 201, answer.text
            return str(answer.json()["id"])

        take()
        with listening(glassy.url, showing(browser)) as stream:
            assert stream.goes_on()
            glassy.campaign.at += timedelta(minutes=5)
            assert stream.ends(), "by the clock"
        name = take()
        with listening(glassy.url, showing(browser)) as stream:
            assert stream.begun.wait(PATIENCE)
            end = f"/api/v1/break-glass/{name}/end"
            browser.post(end, json={}, headers=csrf(browser)).raise_for_status()
            assert stream.ends(), "when it is given back"
        with listening(glassy.url, showing(browser)) as stream:
            assert stream.begun.wait(PATIENCE)
            take()
            assert stream.goes_on(), "of the own part, which is still in sight"
