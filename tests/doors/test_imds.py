"""Azure's door inside a node: what the wire contract says, version by version, and every way to be refused."""

import json
from dataclasses import replace
from typing import Any

import httpx
import pytest
from azure.identity import ManagedIdentityCredential
from tests.doors import world
from tests.doors.conftest import Doors

from fermata.domain.node_states import UnitState
from fermata.domain.policy import ScopeLevel
from fermata.domain.run_states import WindowState
from fermata.server.callers import ISSUER, BadToken, NodeKeys
from fermata.server.limits.bounds import BOUNDS, Bounds

EVENTS = "http://169.254.169.254/metadata/scheduledevents"
NEWEST = {"api-version": "2020-07-01"}
BASE = {"EventId", "EventType", "ResourceType", "Resources", "EventStatus", "NotBefore"}


@pytest.fixture
def inside(doors: Doors) -> httpx.Client:
    return doors.inside("alpha-n1", Metadata="true")


def events(client: httpx.Client, version: str = "2020-07-01") -> list[dict[str, Any]]:
    answer = client.get(EVENTS, params={"api-version": version})
    assert answer.status_code == 200, answer.text
    found: list[dict[str, Any]] = answer.json()["Events"]
    return found


def incarnation(client: httpx.Client) -> int:
    return int(client.get(EVENTS, params=NEWEST).json()["DocumentIncarnation"])


def start(client: httpx.Client, *ids: str, version: str = "2020-07-01") -> httpx.Response:
    body = json.dumps({"StartRequests": [{"EventId": name} for name in ids]})
    headers = {"Content-Type": "application/x-www-form-urlencoded"}  # what clients really send
    return client.post(EVENTS, params={"api-version": version}, content=body, headers=headers)


def test_a_node_without_a_window_is_asked_and_the_answer_is_an_approval(doors: Doors, inside: httpx.Client) -> None:
    (asked,) = events(inside)
    assert {name: asked[name] for name in ("EventType", "EventStatus", "Resources", "DurationInSeconds")} == {
        "EventType": "Reboot",
        "EventStatus": "Scheduled",
        "Resources": ["alpha-n1"],
        "DurationInSeconds": -1,
    }
    answer = start(inside, asked["EventId"], version="2019-08-01")  # older than the GET's: clients do that
    assert (answer.status_code, answer.content) == (200, b"")
    assert world.said(doors.db) == ["approved node alpha-n1"]
    (entry,) = world.ledger(doors.db)
    assert (entry.actor, "StartRequests" in entry.reason) == ("lumen-capacity", True)
    assert events(inside) == []
    assert start(inside, asked["EventId"]).status_code == 200, "approving again is fine"
    assert len(world.ledger(doors.db)) == 1, "and says nothing new"


def test_an_event_goes_from_scheduled_to_started_to_gone(doors: Doors, inside: httpx.Client) -> None:
    world.approve(doors.db, ScopeLevel.CLUSTER, "alpha")
    world.publish(doors.db)
    (scheduled,) = events(inside)
    assert scheduled["NotBefore"] == "Sun, 25 Jan 2026 12:30:00 GMT"
    assert (scheduled["EventStatus"], scheduled["DurationInSeconds"]) == ("Scheduled", 4 * 3600)
    world.conduct(doors.db, WindowState.OPEN, {"alpha-n1": UnitState.DRAINING}, planned=world.window())
    (started,) = events(inside)
    assert (started["EventId"], started["EventStatus"], started["NotBefore"]) == (scheduled["EventId"], "Started", "")
    assert start(inside, started["EventId"]).status_code == 200
    world.move(doors.db, "alpha-n1", UnitState.RETURNED)
    assert events(inside) == []
    assert events(doors.inside("alpha-n0", Metadata="true")) == [], "the window opened without that node"


@pytest.mark.parametrize(
    ("version", "added"),
    [
        ("2017-03-01", set()),
        ("2017-08-01", set()),
        ("2017-11-01", set()),
        ("2019-01-01", set()),
        ("2019-04-01", {"Description"}),
        ("2019-08-01", {"Description", "EventSource"}),
        ("2020-07-01", {"Description", "EventSource", "DurationInSeconds"}),
    ],
)
def test_each_version_has_its_fields(inside: httpx.Client, version: str, added: set[str]) -> None:
    (event,) = events(inside, version)
    assert set(event) == BASE | added
    assert event["Resources"] == ["_alpha-n1" if version == "2017-03-01" else "alpha-n1"]


def test_the_incarnation_changes_with_the_content_and_never_without(doors: Doors, inside: httpx.Client) -> None:
    first = incarnation(inside)
    world.approve(doors.db, ScopeLevel.NODE, "alpha-n0")  # the store changes, this node's document does not
    assert incarnation(inside) == first
    world.approve(doors.db, ScopeLevel.CLUSTER, "alpha")
    assert incarnation(inside) == first + 1
    world.publish(doors.db)
    assert incarnation(inside) == first + 2
    answer = inside.get(EVENTS, params=NEWEST)
    again = inside.get(EVENTS, params=NEWEST, headers={"If-None-Match": answer.headers["etag"]})
    assert (answer.headers["etag"], again.status_code, again.content) == (f'"{first + 2}"', 304, b"")


def test_an_event_is_shown_an_hour_before_its_window_and_a_question_a_week_before_it_is_due(
    doors: Doors, inside: httpx.Client
) -> None:
    world.approve(doors.db, ScopeLevel.CLUSTER, "alpha")
    world.publish(doors.db)
    doors.clock.at = world.START - world.HOURS
    assert events(inside) == []
    doors.clock.at = world.START - world.HOURS / 4
    assert len(events(inside)) == 1
    beta = doors.inside("beta-n1", Metadata="true")
    assert events(beta) == [], "its customer's policy lets the work through: nobody is asked"


def test_what_the_customer_took_back_is_not_asked_again_inside_the_node(doors: Doors, inside: httpx.Client) -> None:
    world.approve(doors.db, ScopeLevel.CLUSTER, "alpha")
    world.publish(doors.db)
    (event,) = events(inside)
    world.withdraw(doors.db, ScopeLevel.CLUSTER, "alpha")
    assert events(inside) == []
    assert start(inside, event["EventId"]).status_code == 400
    assert world.said(doors.db)[-1] == "withdrawn cluster alpha"


def test_other_pending_work_is_another_question(doors: Doors, inside: httpx.Client) -> None:
    (asked,) = events(inside)
    other = doors.inside("alpha-n0", Metadata="true")
    assert start(other, asked["EventId"]).status_code == 400, "an event of another node"
    assert start(inside, asked["EventId"], "00000000-0000-0000-0000-000000000000").status_code == 400
    assert world.ledger(doors.db) == (), "nothing of it was approved"


REFUSED = [
    ("GET", "scheduledevents?api-version=2020-07-01", {"Metadata": ""}, 400),
    ("GET", "scheduledevents?api-version=2020-07-01", {"X-Forwarded-For": "10.0.0.1"}, 400),
    ("GET", "scheduledevents", {}, 400),
    ("GET", "scheduledevents?api-version=2030-01-01", {}, 400),
    ("GET", "scheduledevents?api-version={latest}", {}, 400),
    ("GET", "scheduledevents?api-version=2020-07-01&API-Version=2020-07-01", {}, 400),
    ("PUT", "scheduledevents?api-version=2020-07-01", {}, 405),
    ("DELETE", "versions", {}, 405),
    ("GET", "nothing?api-version=2020-07-01", {}, 404),
    ("GET", "instance/compute/nothing?api-version=2021-12-13", {}, 404),
    ("GET", "instance/compute?api-version=2021-12-13&format=text", {}, 400),
    ("GET", "identity/oauth2/token?api-version=2018-02-01", {}, 400),
    *(("POST", "scheduledevents?api-version=2020-07-01", {"body": body}, 400) for body in ("", "{}", "[1]", "{")),
    ("POST", "scheduledevents?api-version=2020-07-01", {"body": '{"StartRequests": []}'}, 400),
    ("POST", "scheduledevents?api-version=2020-07-01", {"body": '{"StartRequests": [{"EventId": 7}]}'}, 400),
    ("POST", "scheduledevents?api-version=2020-07-01", {"body": " " * 70_000}, 400),
]


@pytest.mark.parametrize(("method", "path", "how", "status"), REFUSED)
def test_bad_calls_are_refused_in_the_documented_shape(
    doors: Doors, inside: httpx.Client, method: str, path: str, how: dict[str, str], status: int
) -> None:
    headers = {name: value for name, value in how.items() if name != "body"}
    answer = inside.request(
        method, f"http://169.254.169.254/metadata/{path}", headers=headers, content=how.get("body", "")
    )
    assert (answer.status_code, bool(answer.json()["error"])) == (status, True)
    assert ("newest-versions" in answer.json()) == ("api-version is" in answer.json()["error"])
    assert world.ledger(doors.db) == ()


@pytest.mark.parametrize("credentials", [None, ("alpha-n1", "0" * 64), ("alpha-n1", ""), ("", ""), ("gone-n1", "key")])
def test_a_caller_that_is_not_known_gets_nothing(doors: Doors, credentials: tuple[str, str] | None) -> None:
    node = (credentials or ("",))[0]
    right = doors.keys.key_of(node) if node == "gone-n1" else None  # type: ignore[arg-type]  # a node we do not have
    auth = (node, right) if right else credentials
    for path in ("metadata/scheduledevents", "metadata/instance", "latest/meta-data", "computeMetadata/v1"):
        answer = httpx.get(f"{doors.url}/{path}?api-version=2020-07-01", headers={"Metadata": "true"}, auth=auth)
        assert (answer.status_code, set(answer.json())) == (403, {"error"})


def test_the_key_of_one_node_opens_no_other(doors: Doors) -> None:
    key = doors.keys.key_of("alpha-n0")  # type: ignore[arg-type]
    headers = {"Metadata": "true"}
    answer = httpx.get(f"{doors.url}/metadata/instance?api-version=2021-12-13", auth=("alpha-n1", key), headers=headers)
    assert answer.status_code == 403
    other = NodeKeys(b"another secret of thirty-two bytes")
    assert other.key_of("alpha-n0") != key  # type: ignore[arg-type]


def test_a_node_learns_what_it_is(inside: httpx.Client) -> None:
    base = "http://169.254.169.254/metadata"
    compute = inside.get(f"{base}/instance?api-version=2019-08-01").json()["compute"]
    assert (compute["name"], compute["vmScaleSetName"], compute["resourceGroupName"]) == ("alpha-n1", "alpha", "sc-1")
    assert all(isinstance(value, str) for name, value in compute.items() if name != "tagsList")
    text = inside.get(f"{base}/instance/compute/name?api-version=2021-12-13&format=text")
    assert (text.text, text.headers["content-type"]) == ("alpha-n1", "text/plain")
    assert {"2017-03-01", "2020-07-01"} <= set(inside.get(f"{base}/versions").json()["apiVersions"])


@pytest.mark.parametrize("bounds", [replace(BOUNDS, node_seconds=3600.0)], ids=["however slow this machine is"])
def test_a_node_that_asks_all_the_time_is_slowed_down(bounds: Bounds, doors: Doors) -> None:
    inside = doors.inside("alpha-n1", Metadata="true")
    codes = [inside.get(EVENTS, params=NEWEST).status_code for _ in range(bounds.node_calls + 1)]
    assert codes == [*[200] * bounds.node_calls, 429]
    assert doors.inside("alpha-n0", Metadata="true").get(EVENTS, params=NEWEST).status_code == 200


def test_azure_identity_gets_a_token_that_says_which_node_it_is(doors: Doors, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("http_proxy", doors.proxy("alpha-n1"))
    monkeypatch.setenv("no_proxy", "")
    token = ManagedIdentityCredential().get_token("https://management.example/.default").token
    claims = doors.keys.read(token, world.NOW)
    assert claims is not None
    assert (claims["sub"], claims["iss"], claims["aud"]) == ("alpha-n1", ISSUER, "https://management.example")
    head, body, signature = token.split(".")
    for forged, at in (
        (f"{head}.{body}.{signature[:-2]}AA", world.NOW),
        (token, world.NOW + 7 * world.HOURS),
        (token, world.NOW - world.HOURS),
    ):
        with pytest.raises(BadToken):
            doors.keys.read(forged, at)
    assert doors.keys.read("somebody.elses.token", world.NOW) is None
