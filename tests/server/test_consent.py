"""Consent over HTTP: what came of each order, and how the rest is refused."""

from typing import Any

import httpx
import pytest
from tests.constraints import world as w

from fermata.services.inventory import ImportSet, import_set
from fermata.store.database import Database

API = "/api/v1"
LATER = "2099-01-01T00:00:00Z"


@pytest.fixture
def nodes(db: Database) -> list[str]:
    """Nodes with something pending on them."""
    made = w.scenario()
    given = ImportSet(fleet=made.fleet, catalogue=made.catalogue, policy=made.policy, campaign=made.campaign)
    import_set(db, given, now=w.NOW, actor="operator")
    return w.names(made, "alpha")  # type: ignore[return-value]


def order(name: str, level: str = "node", **more: Any) -> dict[str, Any]:
    return {"scope": {"level": level, "name": name}, **more}


def post(client: httpx.Client, noun: str, *orders: dict[str, Any], **more: Any) -> httpx.Response:
    return client.post(f"{API}/{noun}", json={"orders": list(orders), **more})


def test_each_order_has_its_outcome(client: httpx.Client, nodes: list[str]) -> None:
    answer = post(client, "approvals", order(nodes[0], conditions={"nodes_per_day": 3}), order("nope"))
    assert answer.status_code == 201
    good, wrong = answer.json()
    assert (good["state"], good["entry"]["conditions"]["nodes_per_day"], good["refused"]) == ("recorded", 3, None)
    assert (wrong["state"], wrong["entry"], wrong["refused"]["code"]) == ("refused", None, "SCOPE_UNKNOWN")
    again = post(client, "approvals", order(nodes[0], conditions={"nodes_per_day": 3}))
    assert [line["state"] for line in again.json()] == ["stood"]


def test_with_atomic_one_refusal_is_a_problem_and_nothing_is_recorded(client: httpx.Client, nodes: list[str]) -> None:
    answer = post(client, "approvals", order(nodes[0]), order("nope"), atomic=True)
    assert (answer.status_code, answer.json()["code"]) == (409, "SCOPE_UNKNOWN")
    assert post(client, "withdrawals", order(nodes[0])).json()[0]["state"] == "stood"


@pytest.mark.parametrize(
    ("noun", "said", "status", "code"),
    [
        ("approvals", {"conditions": {}}, 409, "CONDITIONS_EMPTY"),
        ("approvals", {"conditions": {"not_before": LATER, "not_after": LATER}}, 409, "CONDITIONS_CONTRADICT"),
        ("approvals", {"conditions": {"not_after": "2020-01-01T00:00:00Z"}}, 409, "TIME_PAST"),
        ("approvals", {"conditions": {"not_before": "2099-01-01T00:00:00"}}, 422, "BAD_INPUT"),
        ("approvals", {"conditions": {"not_before": "2099-01-01"}}, 422, "BAD_INPUT"),
        ("approvals", {"conditions": {"nodes_per_day": 0}}, 422, "BAD_INPUT"),
        ("approvals", {"conditions": {"mood": "good"}}, 422, "BAD_INPUT"),
        ("approvals", {"only": []}, 409, "ITEMS_EMPTY"),
        ("approvals", {"only": ["nope"]}, 409, "ITEM_UNKNOWN"),
        ("approvals", {"actor": "stranger"}, 409, "APPROVER_UNKNOWN"),
        ("approvals", {"incarnation": 99}, 409, "REQUEST_CHANGED"),
        ("approvals", {"until": LATER}, 422, "BAD_INPUT"),
        ("withdrawals", {"conditions": {"nodes_per_day": 1}}, 422, "BAD_INPUT"),
        ("declines", {"until": LATER}, 409, "REASON_MISSING"),
        ("declines", {"reason": "launch"}, 422, "BAD_INPUT"),
        ("declines", {"reason": "launch", "until": "2020-01-01T00:00:00Z"}, 409, "TIME_PAST"),
        ("declines", {"reason": "launch", "until": LATER}, 409, "DECLINE_PAST_DUE"),
        ("offers", {"conditions": {"nodes_per_day": 1}}, 409, "OFFER_WITHOUT_TIME"),
        ("offers", {}, 422, "BAD_INPUT"),
    ],
)
def test_what_cannot_be_recorded_is_a_problem_with_its_code(
    client: httpx.Client, nodes: list[str], noun: str, said: dict[str, Any], status: int, code: str
) -> None:
    answer = post(client, noun, order(nodes[0], **said))
    assert (answer.status_code, answer.json()["code"]) == (status, code)


def test_a_decline_and_an_offer_are_taken_back_like_an_approval(client: httpx.Client, nodes: list[str]) -> None:
    said = order(nodes[0], reason="launch", until=LATER, then="escalate")
    assert post(client, "declines", said).json()[0]["entry"]["then"] == "escalate"
    assert post(client, "withdrawals", order(nodes[0])).json()[0]["state"] == "recorded"


def test_unknown_offers_are_not_found(client: httpx.Client, nodes: list[str]) -> None:
    for answer in ("accept", "refuse"):
        told = client.post(f"{API}/offers/apr_none/{answer}", json={"actor": "operator"})
        assert (told.status_code, told.json()["code"]) == (404, "OFFER_UNKNOWN")
    assert client.get(f"{API}/offers").json() == []


def test_a_freeze_of_a_group_is_refused(client: httpx.Client, nodes: list[str]) -> None:
    body = {"scope": {"level": "group", "name": "any"}, "start": LATER, "end": "2099-02-01T00:00:00Z", "reason": "x"}
    assert client.post(f"{API}/freezes", json=body).json()["code"] == "FREEZE_OF_GROUP"


@pytest.mark.parametrize(("why", "status", "code"), [("", 422, "BAD_INPUT"), (" \n", 409, "REASON_MISSING")])
def test_a_freeze_has_a_reason(client: httpx.Client, nodes: list[str], why: str, status: int, code: str) -> None:
    scope = {"level": "node", "name": nodes[0]}
    body = {"scope": scope, "start": LATER, "end": "2099-02-01T00:00:00Z", "reason": why}
    answer = client.post(f"{API}/freezes", json=body)
    assert (answer.status_code, answer.json()["code"]) == (status, code)


@pytest.mark.parametrize(("why", "status", "code"), [("", 422, "BAD_INPUT"), (" \n", 409, "REASON_MISSING")])
def test_an_exemption_from_a_freeze_has_a_reason(
    client: httpx.Client, nodes: list[str], why: str, status: int, code: str
) -> None:
    scope = {"level": "node", "name": nodes[0]}
    body = {"scope": scope, "start": LATER, "end": "2099-02-01T00:00:00Z", "reason": "launch"}
    freeze = client.post(f"{API}/freezes", json=body).json()["id"]
    asked = {"updates": ["nic"], "reason": why, "actor": "conductor-1"}
    answer = client.post(f"{API}/freezes/{freeze}/exemptions", json=asked)
    assert (answer.status_code, answer.json()["code"]) == (status, code)
    assert all(view["exemptions"] == [] for view in client.get(f"{API}/freezes").json())
