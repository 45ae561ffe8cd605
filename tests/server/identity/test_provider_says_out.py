"""The provider ends sessions by its own word, signed, once, and by nothing else (OpenID Back-Channel Logout)."""

import time
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from tests.server.identity.conftest import Served, ask, browser_of, get
from tests.server.identity.issuer import CLIENT, OTHER_KEY, Issuer, signed_with_public_key, unsigned

EVENTS = {"http://schemas.openid.net/event/backchannel-logout": {}}


def word(issuer: Issuer, **claims: Any) -> dict[str, Any]:
    now = int(time.time())
    said = {"iss": issuer.url, "aud": CLIENT, "iat": now, "exp": now + 120, "events": EVENTS, "sub": "u-1"}
    said["jti"] = f"jti-{time.monotonic_ns()}"
    return {name: value for name, value in {**said, **claims}.items() if value is not None}


def send(served: Served, token: str) -> httpx.Response:
    return ask("POST", f"{served.url}/sign-out/provider", data={"logout_token": token})


def is_in(browser: httpx.Client) -> bool:
    return browser.get("/session", headers={"Sec-Fetch-Mode": "cors"}).status_code == 200


_OPENED: list[httpx.Client] = []


@pytest.fixture(autouse=True)
def closed_browsers() -> Iterator[None]:
    """What `sign_in` opened."""
    yield
    while _OPENED:
        _OPENED.pop().close()


def sign_in(served: Served, issuer: Issuer, sid: str = "", subject: str = "u-1") -> httpx.Client:
    issuer.person = {**issuer.person, "sub": subject}
    issuer.alter = lambda claims: claims.update({"sid": sid} if sid else {})
    browser = browser_of(served.url)
    _OPENED.append(browser)
    assert browser.get("/sign-in/start").status_code == 200
    return browser


def test_whoever_left_at_the_provider_is_out_here_everywhere(served: Served, issuer: Issuer) -> None:
    first, second = sign_in(served, issuer, "s-1"), sign_in(served, issuer, "s-2")
    other = sign_in(served, issuer, "s-3", "u-2")
    assert all(is_in(each) for each in (first, second, other))
    answer = send(served, issuer.sign(word(issuer)))
    assert (answer.status_code, answer.headers["cache-control"]) == (200, "no-store")
    assert [is_in(each) for each in (first, second, other)] == [False, False, True]


def test_one_session_of_the_provider_ends_alone(served: Served, issuer: Issuer) -> None:
    first, second = sign_in(served, issuer, "s-4"), sign_in(served, issuer, "s-5")
    assert send(served, issuer.sign(word(issuer, sub=None, sid="s-4"))).status_code == 200
    assert [is_in(each) for each in (first, second)] == [False, True]
    assert send(served, issuer.sign(word(issuer, sub="u-2", sid="s-5"))).status_code == 200
    assert is_in(second), "that session is not of that subject"


def test_a_word_counts_once(served: Served, issuer: Issuer) -> None:
    token = issuer.sign(word(issuer))
    assert send(served, token).status_code == 200
    again = sign_in(served, issuer)
    answer = send(served, token)
    assert answer.status_code == 400
    assert "jti" in answer.json()["error_description"]
    assert is_in(again)


def test_what_is_no_word_of_the_provider_ends_nothing(served: Served, issuer: Issuer) -> None:
    browser = sign_in(served, issuer, "s-6")
    now = int(time.time())
    bad = {
        "nonce": word(issuer, nonce="n"),
        "no event": word(issuer, events=None),
        "other event": word(issuer, events={"http://schemas.openid.net/event/else": {}}),
        "a list of events": word(issuer, events=list(EVENTS)),
        "another client": word(issuer, aud="else"),
        "another issuer": word(issuer, iss="https://else.example"),
        "no name": word(issuer, jti=None),
        "no time": word(issuer, iat=None),
        "old": word(issuer, iat=now - 1000, exp=now + 100),
        "over": word(issuer, exp=now - 1000),
        "of tomorrow": word(issuer, iat=now + 86_400, exp=now + 90_000),
        "nobody": word(issuer, sub=None),
        "no text": word(issuer, sub=None, sid=["s-6"]),
    }
    for why, claims in bad.items():
        assert send(served, issuer.sign(claims)).status_code == 400, why
    good = word(issuer)
    forged = (unsigned(good), signed_with_public_key(good), issuer.sign(good, OTHER_KEY), "", "a.b.c", "x" * 20_000)
    for token in forged:
        assert send(served, token).status_code in (400, 413, 422), token[:40]
    assert is_in(browser)
    assert get(f"{served.url}/sign-out/provider").status_code in (401, 405)


def test_a_word_without_an_end_is_good_as_long_as_any(served: Served, issuer: Issuer) -> None:
    browser = sign_in(served, issuer)
    assert send(served, issuer.sign(word(issuer, exp=None))).status_code == 200
    assert not is_in(browser)


def test_that_the_provider_ended_a_session_stands_in_the_journal(served: Served, issuer: Issuer) -> None:
    sign_in(served, issuer)
    assert send(served, issuer.sign(word(issuer))).status_code == 200
    browser = sign_in(served, issuer)
    journal = browser.get("/api/v1/journal", params={"limit": 5}, headers={"Accept": "application/json"})
    assert "identity.signed_out_by_provider" in journal.text


@pytest.fixture(autouse=True)
def _honest(issuer: Issuer) -> None:
    """Each begins with an honest provider."""
