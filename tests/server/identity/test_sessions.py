"""What a session of a browser is good for, and for how long."""

import re
import threading
import time
from collections.abc import Mapping
from datetime import timedelta

import httpx
from tests.server.identity.conftest import PERSON, Serve, Served, get
from tests.server.identity.test_callers import ASKED, csrf

from fermata.domain.access import AccessBook
from fermata.server.identity import doorkeeper

PUBLISH = "/api/v1/plans/plan_none/publish"
BODY = {"actor": PERSON}


def showing(browser: httpx.Client) -> Mapping[str, str]:
    return {"fermata": browser.cookies["fermata"]}


def test_the_cookie_is_for_the_server_alone_and_out_of_reach_of_scripts(browser: httpx.Client) -> None:
    came = browser.get("/sign-in/start")
    (sent,) = [
        value
        for answer in came.history
        for value in answer.headers.get_list("set-cookie")
        if value.startswith("fermata=") and "Max-Age=0" not in value
    ]
    assert {"HttpOnly", "SameSite=lax", "Path=/"} <= {part.strip() for part in sent.split(";")}
    assert "Domain" not in sent


def test_a_session_that_is_idle_for_too_long_is_over(signed_in: httpx.Client, served: Served) -> None:
    served.clock.ahead = timedelta(minutes=59)
    assert signed_in.get(ASKED).status_code == 200
    served.clock.ahead = timedelta(minutes=117)
    assert signed_in.get(ASKED).status_code == 200, "it was not idle"
    served.clock.ahead = timedelta(minutes=178)
    answer = signed_in.get(ASKED)
    assert (answer.status_code, answer.json()["code"]) == (401, "SIGNED_OUT")


def test_a_page_that_asks_for_news_by_itself_keeps_nobody_signed_in(signed_in: httpx.Client, served: Served) -> None:
    for minutes in range(0, 60, 5):
        served.clock.ahead = timedelta(minutes=minutes)
        assert signed_in.get(ASKED, headers={"Sec-Fetch-Mode": "cors"}).status_code == 200
    served.clock.ahead = timedelta(minutes=61)
    assert signed_in.get(ASKED, headers={"Sec-Fetch-Mode": "cors"}).status_code == 401


def test_no_session_outlives_its_day_however_busy(signed_in: httpx.Client, served: Served) -> None:
    for minutes in range(0, 12 * 60, 30):
        served.clock.ahead = timedelta(minutes=minutes)
        assert signed_in.get(ASKED).status_code == 200
    served.clock.ahead = timedelta(hours=12, seconds=1)
    assert signed_in.get(ASKED).status_code == 401


def test_signing_out_ends_the_session_at_the_server(signed_in: httpx.Client, served: Served) -> None:
    copied = showing(signed_in)
    left = signed_in.post("/sign-out", headers=csrf(signed_in))
    assert "You are signed out" in left.text
    assert "/logout?client_id=fermata&amp;post_logout_redirect_uri=" in left.text
    assert get(served.url + ASKED, cookies=copied).status_code == 401
    assert "fermata" not in signed_in.cookies


def test_a_change_without_the_pages_token_is_refused(signed_in: httpx.Client, served: Served) -> None:
    def publish(**more: str) -> httpx.Response:
        return signed_in.post(PUBLISH, json=BODY, headers=more)

    right = csrf(signed_in)
    assert publish(**right).json()["code"] == "PLAN_UNKNOWN", "it reached its handler"
    for wrong in ({}, {"X-Fermata-Csrf": ""}, {"X-Fermata-Csrf": right["X-Fermata-Csrf"][:-1] + "x"}):
        answer = publish(**wrong)
        assert (answer.status_code, answer.json()["code"]) == (403, "CSRF_TOKEN_WRONG")
    assert signed_in.get("/sign-out").status_code == 405, "a link changes nothing"


def test_a_token_of_one_session_is_no_token_of_another(signed_in: httpx.Client) -> None:
    old = csrf(signed_in)
    signed_in.get("/sign-in/start")
    assert signed_in.post(PUBLISH, json=BODY, headers=old).status_code == 403


def test_forms_without_script_carry_the_token_and_others_are_refused(signed_in: httpx.Client) -> None:
    page = signed_in.get("/query").text
    token = re.search(r'name="csrf" value="([0-9a-f]{64})"', page)
    assert token is not None
    form = {"Content-Type": "application/x-www-form-urlencoded"}
    for body in ("a=1", "csrf=", f"csrf={token[1]}&csrf={token[1]}", f"csrf={token[1][::-1]}"):
        assert signed_in.post("/sign-out", content=body, headers=form).status_code == 403, body
    assert signed_in.post("/sign-out", content=f"x=1&csrf={token[1]}", headers=form).status_code == 200


def test_every_form_of_every_page_that_changes_something_has_room_for_the_token() -> None:
    from fermata.server.web.render import HERE

    forms = [
        found
        for path in (HERE / "templates").rglob("*.html")
        for found in re.findall(r'<form [^>]*method="post"[^>]*>.{0,12}', path.read_text())
        if "/demo/user" not in found
    ]
    assert len(forms) >= 8
    assert [found for found in forms if "{{ csrf()" not in found] == []


def test_a_form_that_comes_after_the_end_says_that_nothing_was_changed(signed_in: httpx.Client, served: Served) -> None:
    served.clock.ahead = timedelta(hours=13)
    answer = signed_in.post("/policy/freezes", data={"campaign": "x"})
    assert answer.url.path == "/sign-in"
    assert "nothing was changed" in answer.text


def test_a_stream_of_events_ends_when_its_session_does(signed_in: httpx.Client, served: Served) -> None:
    ended = threading.Event()
    begun = threading.Event()

    def listen() -> None:
        with (
            httpx.Client(base_url=served.url, cookies=showing(signed_in), timeout=30) as other,
            other.stream("GET", "/board/stream") as answer,
        ):
            assert answer.status_code == 200
            for _ in answer.iter_lines():
                begun.set()
        ended.set()

    thread = threading.Thread(target=listen, daemon=True)
    thread.start()
    assert begun.wait(20)
    time.sleep(doorkeeper.LOOK_SECONDS + 0.5)
    assert not ended.is_set()
    signed_in.post("/sign-out", headers=csrf(signed_in))
    assert ended.wait(20)


def test_what_somebody_does_stands_under_the_name_in_the_journal(signed_in: httpx.Client) -> None:
    lines = signed_in.get("/api/v1/journal", headers={"Sec-Fetch-Mode": "cors"}).json()
    found = [line for line in (lines["lines"] if isinstance(lines, dict) else lines) if "signed_in" in line["event"]]
    assert found
    assert {line["actor"] for line in found} == {PERSON}


def test_sessions_survive_a_restart(serve: Serve, book: AccessBook, signed_in: httpx.Client) -> None:
    later = serve(book)
    assert get(later.url + ASKED, cookies=showing(signed_in)).json()["name"] == PERSON
