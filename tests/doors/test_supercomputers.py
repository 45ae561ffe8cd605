"""The supercomputer-shaped tree and maintenance plans, by plain HTTP: no client for them is published."""

from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from tests.doors import world
from tests.doors.conftest import Doors

from fermata.domain import arm
from fermata.domain.ids import CustomerId
from fermata.domain.node_states import UnitState
from fermata.domain.policy import ScopeLevel
from fermata.domain.run_states import WindowState

LUMEN = arm.subscription_id(CustomerId("lumen"))
ROOT = f"/subscriptions/{LUMEN}/resourceGroups/sc-1/providers/Microsoft.SupercomputerInfrastructure/supercomputers"
REQUESTS = f"{ROOT}/sc-1/maintenanceRequests"
APPROVED = {"properties": {"state": "Approved"}}


@pytest.fixture
def tree(doors: Doors) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=doors.url, params={"api-version": "2025-07-01-preview"}, timeout=20) as client:
        yield client


def names(client: httpx.Client, path: str) -> list[str]:
    return [found["name"] for found in client.get(path).json()["value"]]


def state(client: httpx.Client, name: str) -> str:
    return str(client.get(f"{REQUESTS}/{name}").json()["properties"]["state"])


def test_the_tree_goes_down_to_nodes_and_every_id_leads_back(tree: httpx.Client) -> None:
    assert names(tree, f"/subscriptions/{LUMEN}/providers/Microsoft.SupercomputerInfrastructure/supercomputers") == [
        "sc-1"
    ]
    assert names(tree, f"{ROOT}/sc-1/clusters") == ["alpha"]
    assert names(tree, f"{ROOT}/sc-1/racks") == ["alpha-r0", "alpha-r1"]
    assert names(tree, f"{ROOT}/sc-1/racks/alpha-r0/nodes") == ["alpha-n0", "alpha-n1"]
    assert names(tree, f"{ROOT}/sc-1/clusters/alpha/racks") == ["alpha-r0", "alpha-r1"]
    whole: dict[str, Any] = tree.get(f"{ROOT}/SC-1").json()
    assert (whole["id"], whole["properties"]["siteId"]) == (f"{ROOT}/sc-1", "westus3-dc1")
    for path in ("clusters", "racks", "nodes", "racks/alpha-r0/nodes", "maintenanceRequests"):
        for found in tree.get(f"{ROOT}/sc-1/{path}").json()["value"]:
            again = tree.get(found["id"]).json()
            assert (again["id"], again["name"]) == (found["id"], found["name"])


@pytest.mark.parametrize(
    ("name", "word"),
    [
        ("deployment", "approved supercomputer sc-1"),
        ("deployment-alpha", "approved cluster alpha"),
        ("deployment-alpha-n1", "approved node alpha-n1"),
    ],
)
def test_a_request_is_approved_for_the_whole_for_a_cluster_or_for_a_node(
    doors: Doors, tree: httpx.Client, name: str, word: str
) -> None:
    assert state(tree, name) == "WaitingOnApproval"
    answer = tree.patch(f"{REQUESTS}/{name}", json=APPROVED)
    assert (answer.status_code, answer.json()["properties"]["state"]) == (200, "Approved")
    assert tree.put(f"{REQUESTS}/{name}", json=APPROVED).status_code == 200, "approved already"
    assert world.said(doors.db) == [word]
    assert state(tree, name) == "Approved"


def test_a_request_under_way_is_approved_no_more(doors: Doors, tree: httpx.Client) -> None:
    world.publish(doors.db)
    world.conduct(doors.db, WindowState.OPEN, {"alpha-n1": UnitState.APPLYING}, planned=world.window())
    assert state(tree, "deployment-alpha-n1") == "InProgress"
    answer = tree.patch(f"{REQUESTS}/deployment-alpha-n1", json=APPROVED)
    assert (answer.status_code, answer.json()["error"]["code"]) == (409, "InvalidStateTransition")
    assert world.ledger(doors.db) == ()


@pytest.mark.parametrize(
    ("path", "body", "status"),
    [
        ("deployment", {}, 400),
        ("deployment", {"properties": {"state": "Complete"}}, 400),
        ("deployment", {"properties": []}, 400),
        ("deployment-beta", APPROVED, 404),
        ("repair", APPROVED, 404),
    ],
)
def test_no_other_state_is_set_and_no_request_is_made_up(
    doors: Doors, tree: httpx.Client, path: str, body: dict[str, Any], status: int
) -> None:
    assert tree.patch(f"{REQUESTS}/{path}", json=body).status_code == status
    assert tree.delete(f"{REQUESTS}/{path}").status_code == 405
    assert world.ledger(doors.db) == ()


def test_plans_in_force_are_maintenance_plans(doors: Doors, tree: httpx.Client) -> None:
    plans = f"{ROOT}/sc-1/providers/Microsoft.Maintenance/maintenancePlans"
    assert names(tree, plans) == []
    world.approve(doors.db, ScopeLevel.CLUSTER, "alpha")
    world.publish(doors.db)
    told = tree.get(f"{plans}/plan_doors").json()["properties"]
    assert (told["startTimeUTC"], told["endTimeUTC"]) == ("2026-01-25T12:30:00Z", "2026-01-25T16:30:00Z")
    assert (told["state"], told["updateScope"]) == ("Succeeded", "Custom")
    assert names(tree, plans) == ["plan_doors"]
    doors.clock.at += 3 * world.HOURS
    assert names(tree, plans) == []
    assert [p["name"] for p in tree.get(plans, params={"includeInactive": "true"}).json()["value"]] == ["plan_doors"]
    assert tree.get(f"{plans}/another").status_code == 404
