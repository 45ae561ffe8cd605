"""Who is let in without a browser: nobody that is not known, tokens for what they may, and no longer than that."""

import base64
import sqlite3
from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
from tests.server.identity.conftest import PERSON, PROGRAM, Serve, Served, ask, browser_of, get
from tests.server.identity.issuer import OTHER_KEY, Issuer, signed_with_public_key, unsigned

from fermata.domain.access import AccessBook, TrustedProxy
from fermata.server.demo import DemoInfo

ASKED = "/api/v1/whoami"
Headers = Mapping[str, str]


def bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


def csrf(browser: httpx.Client) -> dict[str, str]:
    told = browser.get("/session", headers={"Sec-Fetch-Mode": "cors"}).json()
    return {"X-Fermata-Csrf": told["csrf"], "Sec-Fetch-Mode": "cors"}


def make_token(browser: httpx.Client, **more: Any) -> dict[str, Any]:
    body = {"label": "job", "grants": [{"role": "viewer"}], "days": 30, **more}
    answer = browser.post("/api/v1/tokens", json=body, headers=csrf(browser))
    assert answer.status_code == 201, answer.text
    found: dict[str, Any] = answer.json()
    return found


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/api/v1/imports"), ("GET", "/api/v1/openapi.json"), ("POST", "/api/v1/approvals"), ("GET", "/nowhere"),
        ("GET", "/board/stream"), ("GET", "/journal"), ("GET", "/session"), ("DELETE", "/static/board.css"),
        ("GET", "/fleet/cells"), ("OPTIONS", "/api/v1/imports"),
    ],
)  # fmt: skip
def test_an_unknown_caller_is_told_how_to_be_known_and_nothing_else(served: Served, method: str, path: str) -> None:
    answer = ask(method, served.url + path)
    assert answer.status_code == 401
    assert answer.headers["www-authenticate"].startswith("Bearer")
    assert answer.json()["code"] == "CALLER_UNKNOWN"
    assert answer.headers["content-security-policy"]


@pytest.mark.parametrize(
    ("method", "path", "said"),
    [
        ("GET", "/subscriptions/s/resourceGroups/g", {"error": {"code": "AuthenticationFailed"}}),
        ("POST", "/v1/rest/query", {"error": {"code": "AuthenticationFailed"}}),
        ("POST", "/topics/t/eventsubscriptions/s:receive", {"error": {"code": "AuthenticationFailed"}}),
        ("GET", "/compute/v1/projects/p/zones/z/instances/i", {"error": {"code": 401, "status": "UNAUTHENTICATED"}}),
    ],
)
def test_a_door_says_no_in_the_shape_that_its_clients_know(
    served: Served, method: str, path: str, said: dict[str, Any]
) -> None:
    answer = ask(method, served.url + path)
    assert answer.status_code == 401
    told = answer.json()["error"]
    assert {name: told[name] for name in said["error"]} == said["error"]


def test_a_door_that_speaks_xml_does_so_to_unknown_callers_too(served: Served) -> None:
    answer = ask("POST", served.url + "/", data={"Action": "DescribeInstanceStatus"})
    assert (answer.status_code, "<Code>AuthFailure</Code>" in answer.text) == (401, True)


def test_a_pull_with_its_own_key_reaches_its_door(served: Served) -> None:
    headers = {"Authorization": "SharedAccessKey guessed"}
    answer = ask("POST", f"{served.url}/topics/t/eventsubscriptions/s:receive", headers=headers)
    assert (answer.status_code, answer.json()["error"]["code"]) == (401, "Unauthorized"), "its own no"


def test_figures_go_to_this_machine_or_a_token(
    serve: Serve, book: AccessBook, served: Served, signed_in: httpx.Client
) -> None:
    proxied = serve(replace(book, proxy=TrustedProxy.of("127.0.0.1")))
    assert get(f"{served.url}/metrics").status_code == 200
    assert get(f"{served.url}/metrics", headers={"X-Forwarded-For": "203.0.113.9"}).status_code == 401
    assert get(f"{proxied.url}/metrics").status_code == 401, "the proxy itself is this machine"
    token = make_token(signed_in)["secret"]
    assert get(f"{proxied.url}/metrics", headers=bearer(token)).status_code == 200


def test_a_program_comes_with_what_the_provider_gave_it(served: Served, issuer: Issuer) -> None:
    form = {"grant_type": "client_credentials", "client_id": PROGRAM}
    token = ask("POST", f"{issuer.url}/token", data=form).json()["access_token"]
    told = get(served.url + ASKED, headers=bearer(token)).json()
    assert (told["name"], told["kind"]) == (PROGRAM, "service")
    assert [grant["role"] for grant in told["grants"]] == ["automation"]


def test_a_persons_token_makes_nobody_the_program_that_brought_it(served: Served, issuer: Issuer) -> None:
    token = issuer.access_token(client_id=PROGRAM, azp=PROGRAM)
    assert get(served.url + ASKED, headers=bearer(token)).json()["name"] == PERSON
    nameless = issuer.access_token(client_id=PROGRAM, azp=PROGRAM, email=None)
    assert get(served.url + ASKED, headers=bearer(nameless)).status_code == 401


LIES = {
    "another audience": lambda issuer: issuer.access_token(aud="fermata"),
    "no audience": lambda issuer: issuer.access_token(aud=None),
    "another issuer": lambda issuer: issuer.access_token(iss="https://elsewhere.example"),
    "over": lambda issuer: issuer.access_token(exp=1),
    "an ID token": lambda issuer: issuer.access_token(nonce="n"),
    "no signature": lambda issuer: unsigned({"iss": issuer.url, "aud": "fermata-api", "sub": "x", "email": PERSON}),
    "the public key": lambda issuer: signed_with_public_key({"iss": issuer.url, "aud": "fermata-api", "exp": 2**40}),
    "another key": lambda issuer: issuer.sign({"iss": issuer.url, "aud": "fermata-api", "sub": "x"}, OTHER_KEY),
    "too long": lambda _issuer: "x" * 17_000,
    "a letter": lambda _issuer: "x",
}


@pytest.mark.parametrize("lie", LIES)
def test_a_token_that_proves_nothing_lets_nobody_in(served: Served, issuer: Issuer, lie: str) -> None:
    answer = get(served.url + ASKED, headers=bearer(LIES[lie](issuer)))
    assert answer.status_code == 401, answer.text


def test_a_token_of_ours_is_shown_once_and_stored_as_its_hash(served: Served, signed_in: httpx.Client, db: Any) -> None:
    made = make_token(signed_in)
    assert made["secret"].startswith("fmt_")
    assert get(served.url + ASKED, headers=bearer(made["secret"])).json()["name"] == PERSON
    assert "secret" not in signed_in.get("/api/v1/tokens").json()[-1]
    path = Path(db.url.removeprefix("sqlite:///"))
    stored = b"".join(each.read_bytes() for each in path.parent.glob(f"{path.name}*"))
    assert made["id"].encode() in stored
    assert made["secret"].removeprefix("fmt_").encode() not in stored


def test_a_lost_answer_with_a_secret_is_not_kept_to_be_given_again(signed_in: httpx.Client, db: Any) -> None:
    body = {"label": "twice", "grants": [{"role": "viewer"}]}
    headers = {**csrf(signed_in), "Idempotency-Key": "key-of-a-secret"}
    first = signed_in.post("/api/v1/tokens", json=body, headers=headers)
    again = signed_in.post("/api/v1/tokens", json=body, headers=headers)
    assert (first.status_code, again.status_code) == (201, 409)
    assert again.json()["code"] == "ANSWER_NOT_KEPT"
    with sqlite3.connect(db.url.removeprefix("sqlite:///")) as reader:
        kept = reader.execute("SELECT body FROM request_key WHERE key LIKE '% key-of-a-secret'").fetchall()
    assert kept == [(None,)]


def test_nobody_is_given_the_answer_of_another_by_its_key(
    serve: Serve, served: Served, signed_in: httpx.Client
) -> None:
    token = make_token(signed_in, grants=[{"role": "viewer"}])["secret"]
    headers = {"Idempotency-Key": "shared", **bearer(token)}
    first = ask("DELETE", f"{served.url}/api/v1/tokens/{make_token(signed_in)['id']}", headers=headers)
    assert first.status_code == 200
    again = ask("DELETE", str(first.url), headers=headers)
    assert (again.json(), again.headers["Idempotency-Replayed"]) == (first.json(), "true")
    open_to_all = serve(None)
    other = ask("DELETE", str(first.url).replace(served.url, open_to_all.url), headers={"Idempotency-Key": "shared"})
    assert "Idempotency-Replayed" not in other.headers


def test_a_token_is_over_at_its_end_and_at_once_when_it_is_revoked(served: Served, signed_in: httpx.Client) -> None:
    made = make_token(signed_in, days=1)
    assert get(served.url + ASKED, headers=bearer(made["secret"])).status_code == 200
    other = make_token(signed_in)
    assert signed_in.delete(f"/api/v1/tokens/{other['id']}", headers=csrf(signed_in)).status_code == 200
    assert get(served.url + ASKED, headers=bearer(other["secret"])).status_code == 401
    served.clock.ahead = timedelta(days=1, seconds=1)
    assert get(served.url + ASKED, headers=bearer(made["secret"])).status_code == 401


def test_its_last_use_is_written_every_few_minutes_at_most(served: Served, signed_in: httpx.Client) -> None:
    made = make_token(signed_in)

    def used() -> str | None:
        get(served.url + ASKED, headers=bearer(made["secret"])).raise_for_status()
        return next(each["used_at"] for each in signed_in.get("/api/v1/tokens").json() if each["id"] == made["id"])

    first = used()
    assert first is not None
    assert used() == first
    served.clock.ahead = timedelta(minutes=6)
    assert used() != first


def test_a_token_can_do_no_more_than_who_made_it_and_makes_no_others(
    serve: Serve, book: AccessBook, issuer: Issuer
) -> None:
    lead = replace(book, lines=tuple(line for line in book.lines if line.grant.name == "acme"))
    served = serve(lead)
    with browser_of(served.url) as browser:
        browser.get("/sign-in/start")
        headers = csrf(browser)

        def want(grant: dict[str, str], **more: Any) -> httpx.Response:
            return browser.post("/api/v1/tokens", json={"label": "x", "grants": [grant], **more}, headers=headers)

        mine = {"role": "approver", "level": "customer", "name": "acme"}
        for grant in ({**mine, "name": "other"}, {**mine, "role": "conductor"}, {"role": "approver"}):
            assert want(grant).json()["code"] == "TOKEN_EXCEEDS", grant
        assert want(mine, days=400).status_code == 422
        made = want(mine)
        assert made.status_code == 201
        token = made.json()["secret"]
        again = ask("POST", f"{served.url}/api/v1/tokens", json={"label": "x", "grants": [mine]}, headers=bearer(token))
        assert again.json()["code"] == "TOKEN_BY_TOKEN"


def test_clients_that_know_only_passwords_send_a_token_as_one(served: Served, signed_in: httpx.Client) -> None:
    secret = make_token(signed_in)["secret"]
    coded = base64.b64encode(f"calendar:{secret}".encode()).decode()
    assert get(served.url + ASKED, headers={"Authorization": f"Basic {coded}"}).status_code == 200


def test_without_sign_in_this_machine_alone_is_served_and_nobody_behind_a_proxy(serve: Serve) -> None:
    served = serve(None)
    assert get(served.url + ASKED).json()["kind"] == "local"
    for header in ("X-Forwarded-For", "Forwarded", "Via"):
        answer = get(served.url + ASKED, headers={header: "203.0.113.9"})
        assert (answer.status_code, "proxy" in answer.json()["detail"]) == (401, True)


def test_what_a_proxy_says_is_believed_from_its_address_alone(serve: Serve, book: AccessBook, served: Served) -> None:
    said = {"X-Forwarded-Proto": "https", "X-Forwarded-For": "198.51.100.7, 203.0.113.9", "Host": "fermata.example"}
    believed = serve(replace(book, proxy=TrustedProxy.of("127.0.0.0/8")))
    start = {"Accept": "text/html", "Sec-Fetch-Mode": "navigate"}
    through = get(f"{believed.url}/sign-in/start", headers={**said, **start})
    assert "redirect_uri=https%3A%2F%2Ffermata.example" in through.headers["location"]
    assert "__Host-fermata-in" in through.headers["set-cookie"]
    assert "secure" in through.headers["set-cookie"].lower()
    assert through.headers["strict-transport-security"]
    beside = get(f"{served.url}/sign-in/start", headers={**said, **start})
    assert "redirect_uri=http%3A%2F%2Ffermata.example" in beside.headers["location"]
    assert "strict-transport-security" not in beside.headers


def test_a_demo_says_whom_it_shows_and_lets_anybody_switch(serve: Serve) -> None:
    served = serve(None, demo=DemoInfo(speed=3000))
    with browser_of(served.url) as browser:
        for path in ("/", "/journal", "/query"):
            assert "Demo: anyone on this machine is signed in as" in browser.get(path).text, path
        assert browser.get(ASKED).json()["kind"] == "local"
        moved = browser.post(
            "/demo/user", data={"user": "viewer"}, headers={"Referer": f"{served.url}/journal?before=9"}
        )
        assert (moved.url.path, moved.url.query) == ("/journal", b"before=9")
        told = browser.get(ASKED).json()
        assert (told["name"], [grant["role"] for grant in told["grants"]]) == ("viewer", ["viewer"])
        browser.post("/demo/user", data={"user": "nobody-of-that-name"})
        assert browser.get(ASKED).json()["name"] == "local"
