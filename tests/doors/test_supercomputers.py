"""The supercomputer-shaped tree and maintenance plans, by plain HTTP: no client for them is published."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import httpx
import pytest
from tests.doors import world
from tests.doors.conftest import Doors

from fermata.domain import arm
from fermata.domain.ids import CustomerId, NodeId, UpdateId
from fermata.domain.node_states import UnitState
from fermata.domain.policy import Scope, ScopeLevel
from fermata.domain.reasons import Code
from fermata.domain.run_states import WindowState
from fermata.domain.scheduled_events import Leads
from fermata.domain.updates import Stage
from fermata.services.errors import Refusal
from fermata.services.event_approvals import Hearing
from fermata.services.inventory import ImportSet, import_set
from fermata.services.maintenance import MaintenanceDesk
from fermata.services.maintenance_plans import PutPlan, UpdateScope, list_put_plans, put_plan
from fermata.store import inventory as inventory_store
from fermata.store.database import Database

LUMEN = arm.subscription_id(CustomerId("lumen"))
ROOT = f"/subscriptions/{LUMEN}/resourceGroups/sc-1/providers/Microsoft.SupercomputerInfrastructure/supercomputers"
REQUESTS = f"{ROOT}/sc-1/maintenanceRequests"
APPROVED = {"properties": {"state": "Approved"}}


@pytest.fixture
def tree(doors: Doors) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=doors.url, params={"api-version": "2025-07-01-preview"}, timeout=60) as client:
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


PLAN = {
    "startTimeUTC": "2026-01-26T22:00:00Z",
    "endTimeUTC": "2026-01-27T06:00:00Z",
    "updateScope": "QualifiedNodeAllUpdates",
    "description": "one night",
}
PLANS = f"{ROOT}/sc-1/clusters/alpha/providers/Microsoft.Maintenance/maintenancePlans"


def test_a_plan_that_a_client_puts_is_an_approval_for_its_time_and_no_other(doors: Doors, tree: httpx.Client) -> None:
    made = tree.put(f"{PLANS}/night", json={"properties": PLAN})
    assert (made.status_code, made.json()["properties"]["state"]) == (201, "Succeeded"), made.text
    (entry,) = world.ledger(doors.db)
    assert (entry.verdict, str(entry.scope), entry.is_part) == ("approved", "cluster alpha", True)
    assert entry.updates == {"host-os-2026.1", "nic-28.43"}, "the switch is not a node"
    told = tree.get(f"{PLANS}/NIGHT").json()
    assert told["properties"].items() >= PLAN.items()
    assert [arm.iso(at) for at in (entry.conditions.not_before, entry.conditions.not_after) if at] == [
        PLAN["startTimeUTC"],
        PLAN["endTimeUTC"],
    ]
    assert tree.put(f"{PLANS}/night", json={"properties": PLAN}).status_code == 200
    assert world.ledger(doors.db) == (entry,), "nothing new was said"
    later = {**PLAN, "endTimeUTC": "2026-01-27T08:00:00Z"}
    assert (
        tree.put(f"{PLANS}/night", json={"properties": later})
        .json()["properties"]["endTimeUTC"]
        .startswith("2026-01-27T08")
    )
    assert len(world.ledger(doors.db)) == 2
    assert names(tree, PLANS) == ["night"]
    doors.clock.at += 20 * world.HOURS
    assert names(tree, PLANS) == []


@pytest.mark.parametrize(
    ("scope", "version", "updates"),
    [
        ("Custom", "", {"host-os-2026.1", "nic-28.43", "leaf-31.2016"}),
        ("QualifiedRackAllUpdates", "", {"leaf-31.2016"}),
        ("QualifiedNodeFirmwareUpdates", "", {"nic-28.43"}),
        ("CriticalNodeImpactfulUpdates", "", {"nic-28.43"}),
        ("Custom", "2026.1.0", {"host-os-2026.1"}),
    ],
)
def test_a_plan_approves_what_its_scope_of_updates_names(
    doors: Doors, tree: httpx.Client, scope: str, version: str, updates: set[str]
) -> None:
    asked = {**PLAN, "updateScope": scope, "versionToUpdate": version}
    answer = tree.put(f"{PLANS}/p", json={"properties": asked})
    assert (answer.status_code, set(answer.json()["properties"]["updates"])) == (201, updates), answer.text
    assert world.ledger(doors.db)[0].updates == updates


@pytest.mark.parametrize(
    ("name", "change", "status"),
    [
        ("p", {"updateScope": "CriticalRackImpactlessUpdates"}, 409),
        ("p", {"updateScope": "FlightingNodeFirmwareUpdates"}, 409),
        ("p", {"updateScope": "FlightingRackFirmwareUpdates"}, 400),
        ("p", {"updateScope": None}, 400),
        ("p", {"endTimeUTC": "2026-01-26T22:00:00Z"}, 400),
        ("p", {"startTimeUTC": "2026-01-24T22:00:00Z", "endTimeUTC": "2026-01-25T06:00:00Z"}, 400),
        ("p", {"startTimeUTC": "2026-01-26T22:00:00"}, 400),
        ("p", {"startTimeUTC": "0001-01-01T00:00:00+23:00"}, 400),
        ("p", {"startTimeUTC": 5}, 400),
        ("plan_doors", {}, 409),
        ("a b", {}, 400),
    ],
)
def test_a_plan_that_cannot_be_meant_so_is_refused_and_leaves_nothing(
    doors: Doors, tree: httpx.Client, name: str, change: dict[str, Any], status: int
) -> None:
    world.publish(doors.db)
    answer = tree.put(f"{PLANS}/{name}", json={"properties": {**PLAN, **change}})
    assert (answer.status_code, "message" in answer.json()["error"]) == (status, True), answer.text
    assert (world.ledger(doors.db), names(tree, PLANS)) == ((), ["plan_doors"])


FLIGHT = {**PLAN, "updateScope": "FlightingNodeFirmwareUpdates"}
NODE_PLANS = f"{ROOT}/sc-1/nodes/{{}}/providers/Microsoft.Maintenance/maintenancePlans/try"
RC, RC2 = UpdateId("nic-28.50-rc"), UpdateId("nic-28.51-rc")


def offer(db: Database, *names: UpdateId) -> None:
    """Puts flights of NIC firmware into the catalogue, each of the version in its name."""
    with db.read() as conn:
        catalogue = inventory_store.load_catalogue(conn)
    nic = catalogue.updates[UpdateId("nic-28.43")]
    flights = {name: replace(nic, id=name, to_version=name.split("-")[1], stage=Stage.FLIGHT_READY) for name in names}
    given = ImportSet(catalogue=replace(catalogue, updates={**catalogue.updates, **flights}))
    import_set(db, given, now=world.NOW, actor="tests")


def test_a_flighting_plan_approves_the_flight_that_is_offered_there_as_its_name_would(
    doors: Doors, tree: httpx.Client
) -> None:
    offer(doors.db, RC)
    path = NODE_PLANS.format("alpha-n0")
    made = tree.put(path, json={"properties": FLIGHT})
    assert (made.status_code, made.json()["properties"]["updates"]) == (201, [RC]), made.text
    assert tree.get(path).json()["properties"].items() >= FLIGHT.items()
    (entry,) = world.ledger(doors.db)
    assert (set(entry.updates), entry.flight, entry.is_part) == ({RC}, RC, True), "and nothing else that is pending"
    times = {"not_before": FLIGHT["startTimeUTC"], "not_after": FLIGHT["endTimeUTC"]}
    named = {"scope": {"level": "node", "name": "alpha-n0"}, "only": [RC], "conditions": times}
    said = httpx.post(f"{doors.url}/api/v1/approvals", json={"orders": [named]})
    assert said.is_success, said.text
    assert tree.put(path, json={"properties": FLIGHT}).status_code == 200
    assert world.ledger(doors.db) == (entry,), "through either door it is the same word"


def test_a_flight_that_was_promoted_meanwhile_is_not_approved_as_an_update(doors: Doors) -> None:
    """Between the look at what is offered and the word."""
    at = datetime(2026, 1, 26, 22, tzinfo=UTC)
    plan = PutPlan(
        path="p",
        name="p",
        start=at,
        end=at + world.HOURS,
        scope=UpdateScope.NODE_FLIGHT,
        updates=(UpdateId("nic-28.43"),),
    )
    desk = MaintenanceDesk(doors.db, Leads())
    heard = Hearing(db=doors.db, desk=desk, now=world.NOW, new_id=lambda prefix: f"{prefix}_x", why="")
    with pytest.raises(Refusal) as refused:
        put_plan(heard, Scope(level=ScopeLevel.NODE, name="alpha-n0"), plan)
    assert refused.value.reason.code is Code.FLIGHT_NOT_OFFERED
    assert (world.ledger(doors.db), list(list_put_plans(doors.db, "p"))) == ((), [])


def test_of_several_flights_a_plan_has_to_say_which(doors: Doors, tree: httpx.Client) -> None:
    offer(doors.db, RC, RC2)
    path = NODE_PLANS.format("alpha-n0")
    answer = tree.put(path, json={"properties": FLIGHT})
    assert (answer.status_code, answer.json()["error"]["code"]) == (409, "FlightAmbiguous"), answer.text
    assert f"{RC}, {RC2}" in answer.json()["error"]["message"]
    assert world.ledger(doors.db) == ()
    chosen = tree.put(path, json={"properties": {**FLIGHT, "versionToUpdate": "28.51"}})
    assert (chosen.status_code, world.ledger(doors.db)[0].flight) == (201, RC2), chosen.text


@pytest.mark.parametrize(
    ("node", "word"),
    [("alpha-n1", "alpha-n1 among them: name fewer nodes"), ("alpha-n2", "is offered as a flight on alpha-n2")],
)
def test_a_flighting_plan_goes_no_further_than_policy_and_offer(
    doors: Doors, tree: httpx.Client, node: str, word: str
) -> None:
    """alpha-n1 is no test node, alpha-n2 does not tell its version."""
    offer(doors.db, RC)
    path = NODE_PLANS.format(node)
    answer = tree.put(path, json={"properties": FLIGHT})
    assert (answer.status_code, word in answer.json()["error"]["message"]) == (409, True), answer.text
    assert (world.ledger(doors.db), tree.get(path).status_code) == ((), 404)


@pytest.mark.parametrize("scope", ["Custom", "QualifiedNodeAllUpdates", "QualifiedNodeFirmwareUpdates"])
def test_no_other_plan_includes_a_flight(doors: Doors, tree: httpx.Client, scope: str) -> None:
    offer(doors.db, RC)
    path = NODE_PLANS.format("alpha-n0")
    answer = tree.put(path, json={"properties": {**PLAN, "updateScope": scope}})
    assert (answer.status_code, RC in answer.json()["properties"]["updates"]) == (201, False), answer.text
    (entry,) = world.ledger(doors.db)
    assert (entry.flight, RC in entry.updates) == (None, False)


def test_a_flight_of_racks_is_refused_with_what_to_do_instead(doors: Doors, tree: httpx.Client) -> None:
    asked = {**PLAN, "updateScope": "FlightingRackFirmwareUpdates"}
    answer = tree.put(f"{PLANS}/p", json={"properties": asked})
    assert answer.status_code == 400
    assert "Approve the flight by its name on all of those nodes" in answer.json()["error"]["message"]


def test_no_node_makes_a_plan_for_itself(doors: Doors, tree: httpx.Client) -> None:
    claims = doors.keys.claims(NodeId("alpha-n1"), audience="x", now=doors.clock.now(), seconds=600)
    mine = {"Authorization": f"Bearer {doors.keys.sign(claims)}"}
    path = f"{ROOT}/sc-1/nodes/alpha-n1/providers/Microsoft.Maintenance/maintenancePlans/p"
    assert tree.put(path, json={"properties": PLAN}, headers=mine).status_code == 403
    assert world.ledger(doors.db) == ()


def test_cards_switches_and_links_are_told_as_far_as_inventory_knows_them(tree: httpx.Client) -> None:
    assert names(tree, f"{ROOT}/sc-1/racks/alpha-r0/nics") == ["alpha-n0-nic_fw", "alpha-n1-nic_fw"]
    switches = tree.get(f"{ROOT}/sc-1/switches").json()["value"]
    links = tree.get(f"{ROOT}/sc-1/links").json()["value"]
    assert switches != []
    for switch in switches:
        behind = [link for link in links if link["properties"]["switchId"] == switch["id"]]
        assert len(behind) == switch["properties"]["nodes"]
    (card,) = (n for n in tree.get(f"{ROOT}/sc-1/racks/alpha-r0/nics").json()["value"] if "n1" in n["name"])
    assert card["properties"]["nodeId"] == f"{ROOT}/sc-1/nodes/alpha-n1"
    for found in (card, *switches, *links):
        assert tree.get(found["id"]).json() == found
    assert tree.get(f"{ROOT}/sc-1/switches/none").status_code == 404
