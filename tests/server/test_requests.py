"""Requests and work orders over HTTP: where each stands, and every step of an order."""

from typing import Any

import httpx
import pytest
from tests.constraints import world as w
from tests.server.conftest import HandClock
from tests.services.orders import DAY, prepare

from fermata.store.database import Database

API = "/api/v1"
REPAIR = "req_sc-both_repair"
ORDER: dict[str, object] = {"kind": "repair", "target": {"level": "rack", "name": "alpha-r0"}, "cause": "PDU 2 fails"}
OPEN = {"actor": "operator-1", "orders": [ORDER]}
SAID = {"actor": "operator-1"}


@pytest.fixture(autouse=True)
def _imported(db: Database, clock: HandClock) -> None:
    clock.at = w.NOW
    prepare(db)


def post(client: httpx.Client, path: str, body: object) -> Any:
    answer = client.post(API + path, json=body)
    assert answer.is_success, answer.text
    return answer.json()


def refused(client: httpx.Client, path: str, body: object) -> tuple[int, str]:
    answer = client.post(API + path, json=body)
    return answer.status_code, answer.json()["code"]


def state(client: httpx.Client) -> str:
    found: str = client.get(f"{API}/requests/{REPAIR}").json()["standing"]["state"]
    return found


def test_an_order_from_asking_to_done(client: httpx.Client) -> None:
    (opened,) = post(client, "/work-orders", OPEN)
    name = opened["order"]["id"]
    assert opened["nodes"] == ["alpha-n00", "alpha-n01", "alpha-n02", "beta-n00"]
    assert {meeting["outcome"] for meeting in opened["meets"]} == {"join"}
    assert refused(client, f"/work-orders/{name}/start", SAID) == (409, "APPROVAL_MISSING")
    post(client, f"/requests/{REPAIR}/told", {**SAID, "why": "mail of today"})
    assert state(client) == "notified"
    post(client, f"/requests/{REPAIR}/words", {"words": [{"word": "approved", "actor": "eve", "incarnation": 1}]})
    assert state(client) == "approved"
    assert refused(client, f"/work-orders/{name}/start", SAID) == (409, "ORDER_NOT_DRAINED")
    assert post(client, f"/work-orders/{name}/start", {**SAID, "drained": True})["started"]["actor"] == "operator-1"
    assert refused(client, f"/work-orders/{name}/cancel", SAID) == (409, "REQUEST_MOVE_ILLEGAL")
    assert post(client, f"/work-orders/{name}/complete", SAID)["ended"]["how"] == "completed"
    assert client.get(f"{API}/work-orders").json() == []
    assert [order["id"] for order in client.get(f"{API}/work-orders?ended=true").json()] == [name]
    view = client.get(f"{API}/requests/{REPAIR}").json()
    assert view["standing"]["state"] == "completed"
    assert [line["event"] for line in view["history"]][-1] == "request.completed"


def test_a_list_of_requests_says_who_must_act(client: httpx.Client, clock: HandClock) -> None:
    urgent = {**ORDER, "criticality": "critical_livesite"}
    post(client, "/work-orders", {**OPEN, "orders": [urgent]})
    clock.at = w.NOW + DAY
    (moved,) = post(client, "/looks", {})["moved"]
    assert (moved["request"], moved["standing"]["needed"]) == (REPAIR, "escalate")
    (view,) = [v for v in client.get(f"{API}/requests").json() if v["request"]["id"] == REPAIR]
    assert view["standing"]["state"] == "overdue"
    assert view["standing"]["why"]["code"] == "REQUEST_OVERDUE"
    assert view["standing"]["who"] == ["lumen", "meridian"]
    assert view["standing"]["approvers"] == ["ann", "bob", "eve"]


BAD_BODIES = [
    ("/work-orders", {**OPEN, "orders": []}, 422, "BAD_INPUT"),
    ("/work-orders", {**OPEN, "orders": [{**ORDER, "kind": "deployment"}]}, 422, "BAD_INPUT"),
    ("/work-orders", {**OPEN, "orders": [{**ORDER, "wanted_at": "2026-01-05T10:00:00"}]}, 422, "BAD_INPUT"),
    ("/work-orders/wo_none/start", SAID, 404, "ORDER_UNKNOWN"),
    ("/work-orders/wo_none/complete", {}, 422, "BAD_INPUT"),
    (f"/requests/{REPAIR}/words", {"words": [{"word": "approved"}]}, 404, "REQUEST_UNKNOWN"),
    ("/requests/req_sc-both_deployment/words", {"words": [{"word": "approved"}]}, 409, "ORDER_KIND_WRONG"),
    ("/requests/req_none/told", SAID, 404, "REQUEST_UNKNOWN"),
    ("/looks", {"now": "2026-01-05T10:00:00Z"}, 422, "BAD_INPUT"),
]


@pytest.mark.parametrize(("path", "body", "status", "code"), BAD_BODIES)
def test_bad_input_is_refused_with_its_code(
    client: httpx.Client, path: str, body: object, status: int, code: str
) -> None:
    assert refused(client, path, body) == (status, code)


def test_a_stale_incarnation_is_refused(client: httpx.Client) -> None:
    post(client, "/work-orders", OPEN)
    post(
        client,
        "/work-orders",
        {**OPEN, "orders": [{**ORDER, "target": {"level": "node", "name": "beta-n01"}}]},
    )
    words = {"words": [{"word": "approved", "actor": "eve", "incarnation": 1}]}
    assert refused(client, f"/requests/{REPAIR}/words", words) == (409, "REQUEST_CHANGED")


def test_the_screen_says_kind_state_why_and_what_is_needed(client: httpx.Client, clock: HandClock) -> None:
    post(
        client,
        "/work-orders",
        {**OPEN, "orders": [{**ORDER, "cause": "<b>fan</b>", "criticality": "critical_livesite"}]},
    )
    clock.at = w.NOW + DAY
    page = client.get("/requests").text
    for words in (
        "repair",
        "overdue",
        "escalate to lumen, meridian",
        "without a word of lumen and meridian on 4 units",
    ):
        assert words in page
    one = client.get("/requests", params={"request": REPAIR}).text
    assert "shares an outage with updates (deployment, pending) on 4 nodes" in one
    assert "approvers: ann, bob, eve" in one
    assert "&lt;b&gt;fan&lt;/b&gt;" in one
    assert client.get("/requests", params={"request": "req_none"}).status_code == 404


def test_the_page_of_a_request_raises_its_voice_while_somebody_has_to_act_and_no_longer(client: httpx.Client) -> None:
    def page() -> str:
        return client.get("/requests", params={"request": REPAIR}).text

    (opened,) = post(client, "/work-orders", OPEN)
    assert '<p class="note"><b>pending</b>' in page()
    assert "Times are UTC" in page()
    post(client, f"/requests/{REPAIR}/words", {"words": [{"word": "approved", "actor": "eve", "incarnation": 1}]})
    assert '<p class="note"><b>approved</b>' in page()
    post(client, f"/work-orders/{opened['order']['id']}/start", {**SAID, "drained": True})
    assert f"<p><b>{state(client).replace('_', ' ')}</b>" in page()
