"""Signing in by browser, over a provider that may lie: nobody comes in whom it has not proven."""

import base64
import time
from collections.abc import Callable
from urllib.parse import parse_qs, urlsplit

import httpx
import orjson
import pytest
from tests.server.identity.conftest import PERSON, Serve, Served, browser_of, get, without
from tests.server.identity.issuer import KEY, OTHER_KEY, Claims, Issuer, signed_with_public_key, unsigned

from fermata.domain.access import AccessBook, GranteeKind
from fermata.server.identity.cookies import safe_next
from fermata.server.identity.keyring import KeyRing, NotProven


def test_whoever_the_provider_proves_is_signed_in_and_comes_back(browser: httpx.Client) -> None:
    asked = browser.get("/journal?subject=node:n1")
    assert asked.url.path == "/sign-in"
    assert "Sign in" in asked.text
    start = asked.text.partition('class="go" href="')[2].partition('"')[0]
    back = browser.get(start.replace("&amp;", "&"))
    assert (back.url.path, back.url.query) == ("/journal", b"subject=node:n1")
    assert PERSON in back.text


def test_the_browser_goes_with_pkce_state_and_nonce(browser: httpx.Client) -> None:
    sent = browser.get("/sign-in/start", follow_redirects=False)
    asked = parse_qs(urlsplit(sent.headers["location"]).query)
    assert asked["code_challenge_method"] == ["S256"]
    assert {"state", "nonce", "code_challenge"} <= set(asked)
    assert "openid" in asked["scope"][0].split()
    assert "httponly" in sent.headers["set-cookie"].lower()
    assert "samesite=lax" in sent.headers["set-cookie"].lower()


def told(**changes: object) -> Callable[[Claims], None]:
    def alter(claims: Claims) -> None:
        claims.update(changes)

    return alter


def dropped(name: str) -> Callable[[Claims], None]:
    return lambda claims: claims.pop(name) and None


LIES: dict[str, Callable[[Issuer], None]] = {
    "another nonce": lambda issuer: setattr(issuer, "alter", told(nonce="guessed")),
    "no nonce": lambda issuer: setattr(issuer, "alter", dropped("nonce")),
    "another issuer": lambda issuer: setattr(issuer, "alter", told(iss="https://elsewhere.example")),
    "another audience": lambda issuer: setattr(issuer, "alter", told(aud="another-client")),
    "several audiences, made for another": lambda issuer: setattr(
        issuer, "alter", told(aud=["fermata", "another"], azp="another")
    ),
    "several audiences, for nobody says whom": lambda issuer: setattr(issuer, "alter", told(aud=["fermata", "b"])),
    "over": lambda issuer: setattr(issuer, "alter", told(exp=int(time.time()) - 120)),
    "no end": lambda issuer: setattr(issuer, "alter", dropped("exp")),
    "not begun": lambda issuer: setattr(issuer, "alter", told(nbf=int(time.time()) + 600)),
    "made in the future": lambda issuer: setattr(issuer, "alter", told(iat=int(time.time()) + 600)),
    "nobody's name": lambda issuer: setattr(issuer, "alter", dropped("email")),
    "an address that nobody verified": lambda issuer: setattr(issuer, "alter", told(email_verified=False)),
    "no signature": lambda issuer: setattr(issuer, "seal", unsigned),
    "the public key as a secret": lambda issuer: setattr(issuer, "seal", signed_with_public_key),
    "somebody else's key": lambda issuer: setattr(issuer, "seal", lambda claims: issuer.sign(claims, OTHER_KEY)),
    "a signature that was changed": lambda issuer: setattr(
        issuer, "seal", lambda claims: issuer.sign(claims)[:-8] + "AAAAAAAA"
    ),
    "no token": lambda issuer: setattr(issuer, "seal", lambda _claims: ""),
}


@pytest.mark.parametrize("lie", LIES)
def test_a_provider_that_proves_nothing_signs_nobody_in(browser: httpx.Client, issuer: Issuer, lie: str) -> None:
    LIES[lie](issuer)
    answer = browser.get("/sign-in/start")
    assert answer.status_code == 400, answer.text
    assert "Not signed in" in answer.text
    assert "fermata" not in browser.cookies
    assert browser.get("/").url.path == "/sign-in"


def test_clocks_may_differ_by_some_seconds(browser: httpx.Client, issuer: Issuer) -> None:
    issuer.alter = told(exp=int(time.time()) - 20, iat=int(time.time()) + 20)
    assert browser.get("/sign-in/start").url.path == "/"


def test_a_key_that_came_since_is_looked_for_and_another_issuers_is_not_taken(
    serve: Serve, book: AccessBook, issuer: Issuer
) -> None:
    assert book.oidc is not None
    now = [1000.0]
    ring = KeyRing(fetch=lambda: get(f"{issuer.url}/jwks").json(), monotonic=lambda: now[0])
    assert ring.prove(issuer.access_token())["email"] == PERSON
    issuer.keys = [OTHER_KEY]
    for _ in range(3):
        with pytest.raises(NotProven):
            ring.prove(issuer.access_token())
    assert issuer.asked == ["keys"], "an unknown key's name makes nobody ask more than once in thirty seconds"
    now[0] += 31
    assert ring.prove(issuer.access_token())["email"] == PERSON
    assert issuer.asked == ["keys", "keys"]
    with pytest.raises(NotProven):
        ring.prove(issuer.sign({"sub": "x"}, KEY))


def test_an_answer_with_another_state_belongs_to_nobody(browser: httpx.Client) -> None:
    sent = browser.get("/sign-in/start", follow_redirects=False)
    came = browser.get(sent.headers["location"], follow_redirects=False).headers["location"]
    mixed = browser.get(came.partition("&state=")[0] + "&state=of-somebody-else")
    assert (mixed.status_code, "belongs to no sign-in" in mixed.text) == (400, True)


@pytest.mark.parametrize(("kept", "state"), [("é", "a"), ("a", "aé"), ("é", "é"), ("aé", "aé"), ("€", "a")])
def test_an_answer_with_a_state_of_letters_that_nobody_makes_is_answered(served: Served, kept: str, state: str) -> None:
    said = base64.urlsafe_b64encode(orjson.dumps([kept, "", "", "", "/"])).decode().rstrip("=")
    for name in (state, "a"):
        cookie = f"fermata-in-{name}={said}".encode("latin-1")
        answer = get(f"{served.url}/sign-in/callback", params={"state": state}, headers={"Cookie": cookie})
        assert (answer.status_code, "Not signed in" in answer.text) == (400, True)


def test_an_answer_that_came_to_another_browser_is_worth_nothing(browser: httpx.Client, served: Served) -> None:
    sent = browser.get("/sign-in/start", follow_redirects=False)
    came = browser.get(sent.headers["location"], follow_redirects=False).headers["location"]
    with browser_of(served.url) as other:
        assert other.get(came).status_code == 400
    assert browser.get(came).url.path == "/"
    assert browser.get(came).status_code == 400, "nor twice"


def test_an_answer_of_another_provider_is_not_redeemed(browser: httpx.Client, issuer: Issuer) -> None:
    sent = browser.get("/sign-in/start", follow_redirects=False)
    came = browser.get(sent.headers["location"], follow_redirects=False).headers["location"]
    mixed = browser.get(f"{came}&iss=https%3A%2F%2Felsewhere.example")
    assert "another provider" in mixed.text
    assert issuer.codes, "the code was not given to anybody"


@pytest.mark.parametrize(
    "asked",
    [
        "https://elsewhere.example/", "//elsewhere.example", "/\\elsewhere.example", "\\\\elsewhere.example",
        "javascript:alert(1)", "/%0d%0aSet-Cookie:x=1\r\n", "///elsewhere.example", "elsewhere", "", "/sign-out",
        "/sign-in?next=/sign-in", "/\t/elsewhere.example", "http:/elsewhere.example",
    ],
)  # fmt: skip
def test_nobody_is_sent_on_to_another_site(browser: httpx.Client, asked: str) -> None:
    assert safe_next(asked) == "/"
    came = browser.get("/sign-in/start", params={"next": asked})
    assert (came.url.host, came.url.path) == ("127.0.0.1", "/")


def test_the_session_is_a_new_one_at_each_sign_in_and_the_old_one_is_over(
    signed_in: httpx.Client, served: Served
) -> None:
    before = signed_in.cookies["fermata"]
    signed_in.get("/sign-in/start")
    after = signed_in.cookies["fermata"]
    assert before != after
    old = get(f"{served.url}/api/v1/imports", cookies={"fermata": before})
    assert old.status_code == 401


def test_a_session_that_somebody_else_chose_is_not_taken(browser: httpx.Client) -> None:
    browser.cookies.set("fermata", "chosen-by-somebody-else", domain="127.0.0.1")
    assert browser.get("/").url.path == "/sign-in"
    browser.get("/sign-in/start")
    values = {cookie.value for cookie in browser.cookies.jar if cookie.name == "fermata"}
    assert values != {"chosen-by-somebody-else"}


def test_somebody_without_any_grant_signs_in_to_nothing(serve: Serve, book: AccessBook) -> None:
    served = serve(without(book, GranteeKind.GROUP))
    with browser_of(served.url) as browser:
        answer = browser.get("/sign-in/start")
        assert (answer.status_code, answer.url.path) == (403, "/sign-in/no-access")
        assert "nothing was granted to you" in answer.text
        assert browser.get("/").url.path == "/sign-in"


def test_grants_that_are_taken_away_count_at_once_for_who_is_signed_in(
    serve: Serve, book: AccessBook, signed_in: httpx.Client
) -> None:
    later = serve(without(book, GranteeKind.GROUP))
    cookies = {"fermata": signed_in.cookies["fermata"]}
    answer = get(f"{later.url}/api/v1/imports", cookies=cookies)
    assert (answer.status_code, answer.json()["code"]) == (403, "NO_GRANT")


def test_a_provider_that_is_silent_is_said_to_be(serve: Serve, book: AccessBook, issuer: Issuer) -> None:
    issuer.name = "https://somebody-else.example"
    served = serve(book)
    with browser_of(served.url) as browser:
        answer = browser.get("/sign-in/start")
        assert answer.status_code == 503
        assert "does not answer" in answer.text
