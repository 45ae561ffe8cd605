"""Inventory over the API: pushed, synced by the clock, held, accepted and dropped."""

import time
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from tests.constraints import world as w
from tests.server.conftest import QUICK, HandClock
from tests.services.sources import S1, Ids, Said, source, without

from fermata.domain.ids import SourceId
from fermata.domain.sources import Push, SourceBook
from fermata.ports import Refused
from fermata.server.app import create_app
from fermata.server.serving import BackgroundServer, bind_socket, url_of
from fermata.services.inventory_sources import Sources
from fermata.store.database import Database

API = "/api/v1/inventory"
WAIT_SECONDS_MAX = 20
FACTORY = SourceId("factory")


def row(name: str, **changed: Any) -> dict[str, Any]:
    node = w.node("alpha", 0, 3)
    return {
        "node": name,
        "cluster": "alpha",
        "rack": node.rack,
        "fault_domain": "0",
        "scalable_unit": "su0",
        "role": "prod",
        "workload": "idle",
        "state": "in_service",
        **changed,
    }


def body(*nodes: dict[str, Any], complete: bool = True, **more: Any) -> dict[str, Any]:
    return {"actor": "factory", "complete": complete, "nodes": list(nodes), **more}


@pytest.fixture
def said() -> Said:
    return Said(w.fleet())


@pytest.fixture
def api(db: Database, said: Said) -> Iterator[httpx.Client]:
    """A server with a source that is asked, and one that is pushed for the stated cluster alpha."""
    pushed = source(FACTORY, Push())
    alpha = w.cluster("alpha")
    book = SourceBook(clusters={alpha.name: alpha}, sources={S1: source(), FACTORY: pushed})
    asked = Sources(book=book, readers={S1: said})
    app = create_app(db, HandClock(w.NOW), new_id=Ids(), timing=QUICK, sources=asked)
    listener = bind_socket("127.0.0.1", 0)
    server = BackgroundServer(app, listener)
    server.start()
    with httpx.Client(base_url=url_of(listener), timeout=20) as client:
        yield client
    server.stop()


def heard(api: httpx.Client, name: str) -> dict[str, Any]:
    (line,) = [line for line in api.get(f"{API}/sources").json() if line["id"] == name]
    return dict(line)


def wait_for_sync(api: httpx.Client) -> None:
    until = time.monotonic() + WAIT_SECONDS_MAX
    while heard(api, S1)["tried_at"] is None:
        assert time.monotonic() < until, "the server did not ask its source"
        time.sleep(0.05)


def test_the_server_asks_its_sources_by_itself(api: httpx.Client) -> None:
    wait_for_sync(api)
    line = heard(api, S1)
    assert (line["nodes"], line["failure"], line["stale"]) == (len(w.fleet().nodes), "", None)
    assert (line["kind"], line["configured"]) == ("slurm", True)


def test_a_push_adds_changes_and_takes_away(api: httpx.Client) -> None:
    wait_for_sync(api)
    many = [row(f"f{index:02}", gpus=8, versions={"nic_fw": "28.43"}) for index in range(40)]
    first = api.post(f"{API}/sources/factory/push", json=body(*many)).json()
    assert (first["outcome"], first["counts"]["node"]["added"]) == ("applied", 40)
    assert api.post(f"{API}/sources/factory/push", json=body(*many)).json()["outcome"] == "unchanged"
    part = body(row("f00", rack="alpha-r1"), complete=False, gone_nodes=["f01"])
    told = api.post(f"{API}/sources/factory/push", json=part).json()
    assert [(change["what"], change["name"]) for change in told["changes"]] == [("moved", "f00"), ("gone", "f01")]
    assert told["changes"][0]["fields"] == {"rack": ["alpha-r0", "alpha-r1"]}
    assert heard(api, "factory")["nodes"] == 39


def test_a_pushed_node_that_lacks_something_is_told_and_the_others_taken(api: httpx.Client) -> None:
    wait_for_sync(api)
    nodes = (row("f0"), row("f1", rack=None), row("f2", cluster="nowhere"), row("f3", role="boss"), row("alpha-n00"))
    told = api.post(f"{API}/sources/factory/push", json=body(*nodes)).json()
    assert [change["name"] for change in told["changes"]] == ["f0"]
    assert {left["unit"]: left["reason"]["code"] for left in told["not_taken"]} == {
        "f1": "SOURCE_SAYS_TOO_LITTLE",
        "f2": "CLUSTER_UNSTATED",
        "f3": "SOURCE_SAYS_TOO_LITTLE",
        "alpha-n00": "SOURCE_CONFLICT",
    }


def test_a_device_is_pushed_with_the_nodes_behind_it(api: httpx.Client) -> None:
    wait_for_sync(api)
    switch = {"device": "f-tor", "kind": "tor", "cluster": "alpha", "scope": "rack", "scope_id": "f-r0"}
    told = api.post(
        f"{API}/sources/factory/push",
        json=body(row("f0", rack="f-r0"), devices=[{**switch, "component": "tor_os", "version": "4.9"}]),
    ).json()
    assert [(change["kind"], change["name"]) for change in told["changes"]] == [("node", "f0"), ("device", "f-tor")]


def test_what_is_held_is_listed_accepted_and_dropped(api: httpx.Client, said: Said) -> None:
    wait_for_sync(api)
    said.fleet = without(w.fleet(), "beta-n00", "beta-n01")
    told = api.get(f"{API}/sources/s1/diff").json()
    assert (told["outcome"], told["counts"]["node"]["gone"]) == ("held", 2)
    assert api.get(f"{API}/holds").json() == []
    held = api.post(f"{API}/sources/s1/sync", json={"actor": "operator-1"}).json()
    assert (held["outcome"], held["reasons"][0]["code"]) == ("held", "INVENTORY_LOSS")
    (view,) = api.get(f"{API}/holds").json()
    assert (view["id"], view["state"], view["changes_total"]) == (held["hold"], "open", 3)
    silent = api.post(f"{API}/holds/{view['id']}/accept", json={"actor": "operator-1", "why": ""})
    assert silent.status_code == 422
    done = api.post(f"{API}/holds/{view['id']}/accept", json={"actor": "operator-1", "why": "sold"}).json()
    assert done["counts"]["node"]["gone"] == 2
    said.fleet = without(said.fleet, "beta-n02", "beta-n03")
    again = api.post(f"{API}/sources/s1/sync", json={"actor": "operator-1"}).json()["hold"]
    dropped = api.post(f"{API}/holds/{again}/drop", json={"actor": "operator-1", "why": "no"}).json()
    assert (dropped["state"], dropped["decided_by"]) == ("dropped", "operator-1")
    assert [view["state"] for view in api.get(f"{API}/holds", params={"over": True}).json()] == ["accepted", "dropped"]


def test_a_source_that_fails_says_so_and_nothing_changes(api: httpx.Client, said: Said) -> None:
    wait_for_sync(api)
    said.failure = Refused("403")
    told = api.post(f"{API}/sources/s1/sync", json={"actor": "operator-1"}).json()
    assert (told["outcome"], told["reasons"][0]["code"]) == ("failed", "SOURCE_FAILED")
    assert (heard(api, S1)["failure"], heard(api, S1)["nodes"]) == ("403", len(w.fleet().nodes))
    refused = api.get(f"{API}/sources/s1/diff")
    assert (refused.status_code, refused.json()["code"]) == (409, "SOURCE_FAILED")


@pytest.mark.parametrize(
    ("method", "path", "sent", "status", "code"),
    [
        ("POST", "/sources/nobody/sync", {"actor": "a"}, 404, "SOURCE_UNKNOWN"),
        ("POST", "/sources/factory/sync", {"actor": "a"}, 409, "SOURCE_ONLY_PUSHED"),
        ("GET", "/sources/factory/diff", None, 409, "SOURCE_ONLY_PUSHED"),
        ("POST", "/sources/s1/push", body(), 409, "SOURCE_NOT_PUSHED"),
        ("POST", "/sources/nobody/push", body(), 404, "SOURCE_UNKNOWN"),
        ("POST", "/sources/factory/push", {"actor": "a"}, 422, "BAD_INPUT"),
        ("POST", "/sources/factory/push", body({"node": "n", "rak": "r"}), 422, "BAD_INPUT"),
        ("POST", "/sources/factory/push", body(row("n", versions={"{a}": "1"})), 422, "BAD_INPUT"),
        ("POST", "/sources/factory/push", body(row("n", gpus=-1)), 422, "BAD_INPUT"),
        ("POST", "/sources/factory/push", body(observed_at="2026-01-02T20:00:00"), 422, "BAD_INPUT"),
        ("POST", "/sources/factory/push", body(observed_at="2026-01-03T20:00:00Z"), 409, "REPORT_EARLY"),
        ("DELETE", "/sources/s1?actor=a", None, 409, "SOURCE_IN_USE"),
        ("DELETE", "/sources/nobody?actor=a", None, 404, "SOURCE_UNKNOWN"),
        ("GET", "/holds/hold_9", None, 404, "HOLD_UNKNOWN"),
        ("POST", "/holds/hold_9/accept", {"actor": "a", "why": "b"}, 404, "HOLD_UNKNOWN"),
        ("POST", "/holds/hold_9/drop", {"actor": "a"}, 422, "BAD_INPUT"),
    ],
)
def test_what_cannot_be_done_is_refused_with_its_code(
    api: httpx.Client, method: str, path: str, sent: Any, status: int, code: str
) -> None:
    answer = api.request(method, f"{API}{path}", json=sent)
    assert (answer.status_code, answer.json()["code"]) == (status, code)
