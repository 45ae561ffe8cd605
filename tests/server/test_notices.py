"""Notices and subscriptions by the API."""

from typing import Any

import httpx
import pytest
from fastapi import FastAPI
from tests.server.conftest import HandClock
from tests.services.notice_world import HOUR, URL, Desk, StillClock

from fermata.domain.deliveries import Rejected
from fermata.execution.delivering import deliver_round
from fermata.server.app import create_app
from fermata.store.database import Database

SUBSCRIPTIONS, NOTICES = "/api/v1/subscriptions", "/api/v1/notices"
HOOK = {"id": "hook", "channel": "cloud_events", "target": {"url": f"{URL}?code=secret"}, "customers": ["lumen"]}


@pytest.fixture
def desk(db: Database, clock: HandClock) -> Desk:
    made = Desk(db, clock=StillClock(clock.at))
    made.import_all(updates=["nic"])
    return made


@pytest.fixture
def app(db: Database, clock: HandClock, desk: Desk) -> FastAPI:
    return create_app(db, clock, new_id=desk.new_id, channels=desk.channels)


def add(client: httpx.Client, *bodies: dict[str, Any]) -> httpx.Response:
    return client.post(SUBSCRIPTIONS, json={"actor": "operator-1", "subscriptions": list(bodies)})


def test_a_subscription_is_added_listed_without_its_secrets_and_removed(client: httpx.Client) -> None:
    answer = add(client, HOOK, {"id": "ops", "channel": "pull", "target": {"topic": "t", "key": "k" * 20}})
    assert answer.status_code == 201
    shown = client.get(SUBSCRIPTIONS)
    assert [each["id"] for each in shown.json()] == ["hook", "ops"]
    assert shown.json()[0]["target"] == {"url": URL}
    assert shown.json()[1]["target"] == {"topic": "t"}
    assert (shown.json()[0]["state"], shown.json()[0]["waiting"]) == ("unconfirmed", 4)
    assert "secret" not in shown.text
    assert "kkk" not in shown.text
    gone = client.delete(f"{SUBSCRIPTIONS}/ops", params={"actor": "operator-1"})
    assert gone.json()["id"] == "ops"
    assert client.get(f"{SUBSCRIPTIONS}/ops").json()["code"] == "SUBSCRIPTION_UNKNOWN"


@pytest.mark.parametrize(
    ("said", "status", "code"),
    [
        ({"customers": ["lumin"]}, 409, "SCOPE_UNKNOWN"),
        ({"target": {}}, 409, "TARGET_REFUSED"),
        ({"target": {"url": URL, "to": ["a@b.example"]}}, 409, "TARGET_REFUSED"),
        ({"channel": "mail", "shape": "scheduled_events", "target": {"to": ["a@b.example"]}}, 409, "TARGET_REFUSED"),
        ({"channel": "pull", "target": {"topic": "t"}}, 409, "TARGET_REFUSED"),
        ({"channel": "pull", "target": {"topic": "t", "key": "short"}}, 422, "BAD_INPUT"),
        ({"id": "a/b"}, 422, "BAD_INPUT"),
        ({"kinds": ["no.kind"]}, 422, "BAD_INPUT"),
        ({"target": {"url": URL, "key_sha256": "x"}}, 422, "BAD_INPUT"),
    ],
)
def test_what_cannot_be_subscribed_is_refused_whole(
    client: httpx.Client, said: dict[str, Any], status: int, code: str
) -> None:
    answer = add(client, {**HOOK, "id": "first"}, HOOK | said)
    assert (answer.status_code, answer.json()["code"]) == (status, code)
    assert client.get(SUBSCRIPTIONS).json() == []


def test_a_dead_notice_is_found_and_replayed(client: httpx.Client, desk: Desk, clock: HandClock) -> None:
    add(client, {**HOOK, "supercomputers": ["sc-alpha"]})
    desk.channel.outcomes = [Rejected(why="it answered 400")]
    deliver_round(desk.office)
    page = client.get(NOTICES, params={"state": "dead", "customer": "lumen"}).json()
    assert [each["id"] for each in page["notices"]] == ["ntc_0000000001"]
    assert page["notices"][0]["deliveries"][0]["why"] == "it answered 400"
    other = client.post(f"{NOTICES}/ntc_0000000001/dismiss", json={"actor": "ann", "subscription": "other"})
    assert (other.status_code, other.json()["code"]) == (409, "NOTHING_TO_DISMISS")
    clock.at += HOUR
    replayed = client.post(f"{NOTICES}/ntc_0000000001/replay", json={"actor": "operator-1", "subscription": "hook"})
    assert replayed.status_code == 202
    desk.clock.at = clock.at
    deliver_round(desk.office)
    assert client.get(f"{NOTICES}/ntc_0000000001").json()["deliveries"][0]["state"] == "delivered"
    assert client.get(NOTICES, params={"state": "dead"}).json()["notices"] == []
    again = client.post(f"{NOTICES}/ntc_0000000001/replay", json={"actor": "x", "subscription": "other"})
    assert again.json()["code"] == "NOTHING_TO_REPLAY"
    assert client.get(f"{NOTICES}/ntc_77").status_code == 404


def test_a_dead_notice_is_dismissed(client: httpx.Client, desk: Desk) -> None:
    add(client, {**HOOK, "supercomputers": ["sc-alpha"]})
    desk.channel.outcomes = [Rejected(why="it answered 400")]
    deliver_round(desk.office)
    dismissed = client.post(f"{NOTICES}/ntc_0000000001/dismiss", json={"actor": "ann", "why": "over"})
    assert dismissed.status_code == 200
    assert dismissed.json()["deliveries"][0]["state"] == "dropped"
    again = client.post(f"{NOTICES}/ntc_0000000001/replay", json={"actor": "x"})
    assert again.json()["code"] == "NOTHING_TO_REPLAY"


def test_a_test_and_a_new_handshake_by_the_api(client: httpx.Client, desk: Desk) -> None:
    add(client, HOOK, {"id": "room", "channel": "chat", "target": {"url": URL}})
    body = {"actor": "operator-1"}
    assert client.post(f"{SUBSCRIPTIONS}/hook/test", json=body).json()["code"] == "SUBSCRIPTION_NOT_OPEN"
    deliver_round(desk.office)
    sent = client.post(f"{SUBSCRIPTIONS}/hook/test", json=body)
    assert sent.status_code == 202
    assert sent.json()["title"] == "Fermata: a test of subscription hook"
    assert client.post(f"{SUBSCRIPTIONS}/hook/validate", json=body).json()["state"] == "unconfirmed"
    assert client.post(f"{SUBSCRIPTIONS}/room/validate", json=body).json()["code"] == "NO_HANDSHAKE"
