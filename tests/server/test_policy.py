"""The stored policy over HTTP: read with its tag, tried, and replaced only where it is the one that was looked at."""

import httpx
import pytest
from tests.formats.conftest import Small, small
from tests.server.conftest import HandClock

from fermata.formats.policy_written import write_document
from fermata.formats.scenario import read_scenario
from fermata.services import inventory
from fermata.store.database import Database

__all__ = ["small"]
API = "/api/v1"


@pytest.fixture(autouse=True)
def _imported(db: Database, clock: HandClock, small: Small) -> None:
    read = read_scenario(small.folder)
    given = inventory.ImportSet(fleet=read.fleet, catalogue=read.catalogue, policy=read.policy, campaign=read.campaign)
    inventory.import_set(db, given, now=clock.at, actor="tests")


def put(client: httpx.Client, text: str, tag: str | None = None) -> httpx.Response:
    headers = {"If-Match": tag} if tag is not None else {}
    files = {"file": ("policy.yaml", text.encode())}
    return client.put(f"{API}/policy", files=files, data={"actor": "ann", "why": "agreed"}, headers=headers)


def test_a_policy_is_read_tried_and_replaced_as_long_as_it_is_the_same(client: httpx.Client) -> None:
    found = client.get(f"{API}/policy")
    tag, document = found.headers["etag"], found.json()["document"]
    assert client.get(f"{API}/policy", headers={"If-None-Match": tag}).status_code == 304
    document["customers"][0]["block"]["deployments"] = "none"
    changed = write_document(document)
    files = {"file": ("policy.yaml", changed.encode())}
    tried = client.post(f"{API}/policy/preview", files=files).json()
    assert {e["after"]["stance"] for e in tried["effects"]["rulings"]} == {"allow"}
    assert client.get(f"{API}/policy").headers["etag"] == tag, "nothing was done"
    stale = put(client, changed, f'"{"0" * 64}"')
    assert (stale.status_code, stale.json()["code"]) == (412, "ETAG_STALE")
    done = put(client, changed, tag)
    assert (done.status_code, done.json()["effects"]) == (200, tried["effects"])
    assert client.get(f"{API}/policy").headers["etag"] == done.headers["etag"] != tag
    assert put(client, changed, tag).status_code == 412


def test_a_policy_with_faults_or_about_nothing_is_refused_with_its_reasons(client: httpx.Client) -> None:
    before = client.get(f"{API}/policy").json()
    faulty = put(client, "customers: [{id: lumen}]")
    assert (faulty.status_code, faulty.json()["code"]) == (422, "BAD_INPUT")
    rule = {"id": "r", "stance": "block", "scope": {"cluster": "nowhere"}}
    document = before["document"]
    customers = [{**document["customers"][0], "rules": [rule]}, *document["customers"][1:]]
    wrong = put(client, write_document({**document, "customers": customers}))
    assert (wrong.status_code, wrong.json()["code"]) == (409, "SCOPE_UNKNOWN")
    assert client.get(f"{API}/policy").json() == before


def test_an_exemption_names_updates_orders_or_a_kind_over_http(client: httpx.Client) -> None:
    scope = {"level": "cluster", "name": "alpha"}
    times = {"start": "2099-01-09T00:00:00Z", "end": "2099-01-12T00:00:00Z"}
    freeze = client.post(f"{API}/freezes", json={"scope": scope, **times, "reason": "launch"}).json()["id"]
    said = {"reason": "it smokes", "actor": "conductor-1"}
    made = client.post(f"{API}/freezes/{freeze}/exemptions", json={"kinds": ["repair"], **said})
    assert made.status_code == 201, made.text
    assert (made.status_code, made.json()["kinds"], made.json()["updates"]) == (201, ["repair"], [])
    for wrong, status, code in (
        ({}, 409, "EXEMPTION_NAMES_NOTHING"),
        ({"orders": ["wo_x"]}, 404, "ORDER_UNKNOWN"),
        ({"kinds": ["deployment"]}, 422, "BAD_INPUT"),
    ):
        answer = client.post(f"{API}/freezes/{freeze}/exemptions", json={**wrong, **said})
        assert (answer.status_code, answer.json()["code"]) == (status, code)
