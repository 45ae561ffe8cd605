"""Whatever door it came through, an approval of a node is the same: the same word in the same ledger, for the same
work, by the same person, and every other door knows it at once.
"""

import json
from collections.abc import Callable

import httpx
import pytest
from tests.doors import world
from tests.doors.conftest import Doors
from tests.doors.test_ordered_work import FROM_CLOUDS, REPAIR, ask, words

from fermata.domain import arm
from fermata.domain.ids import CustomerId, NodeId, WindowId
from fermata.domain.policy import Scope, ScopeLevel
from fermata.domain.work_orders import Word
from fermata.services.work_orders import list_orders
from fermata.store import journal

NODE = "alpha-n1"
GROUP = f"/subscriptions/{arm.subscription_id(CustomerId('lumen'))}/resourceGroups/sc-1/providers"
TREE = f"{GROUP}/Microsoft.SupercomputerInfrastructure/supercomputers/sc-1"
MAINTENANCE = f"{GROUP}/Microsoft.Compute/virtualMachines/{NODE}/providers/Microsoft.Maintenance"
EVENTS = "http://169.254.169.254/metadata/scheduledevents?api-version=2020-07-01"
VERSION = "?api-version=2023-04-01"
EVENT = arm.event_id(WindowId("w-alpha"), NodeId(NODE))


def own_api(doors: Doors) -> httpx.Response:
    return ask("POST", f"{doors.url}/api/v1/approvals", json={"orders": [{"scope": {"level": "node", "name": NODE}}]})


def inside(doors: Doors) -> httpx.Response:
    client = doors.inside(NODE, Metadata="true")
    return client.post(EVENTS, content=json.dumps({"StartRequests": [{"EventId": EVENT}]}))


def acknowledged(doors: Doors) -> httpx.Response:
    return ask("POST", f"{doors.url}{MAINTENANCE}/scheduledevents/{EVENT}/acknowledge{VERSION}")


def acknowledged_in_a_list(doors: Doors) -> httpx.Response:
    return ask("POST", f"{doors.url}{MAINTENANCE}/scheduledevents{VERSION}", json={"value": [EVENT]})


def applied(doors: Doors) -> httpx.Response:
    return ask("PUT", f"{doors.url}{MAINTENANCE}/applyUpdates/default{VERSION}")


def request_approved(doors: Doors) -> httpx.Response:
    body = {"properties": {"state": "Approved"}}
    return ask("PATCH", f"{doors.url}{TREE}/maintenanceRequests/deployment-{NODE}{VERSION}", json=body)


def performed(doors: Doors) -> httpx.Response:
    return ask("POST", f"{doors.url}/compute/v1/projects/lumen/zones/westus3-dc1/instances/{NODE}/performMaintenance")


DOORS = (own_api, inside, acknowledged, acknowledged_in_a_list, applied, request_approved, performed)


@pytest.mark.parametrize("say", DOORS)
def test_an_approval_is_the_same_through_every_door(doors: Doors, say: Callable[[Doors], httpx.Response]) -> None:
    world.publish(doors.db)
    assert say(doors).is_success
    (entry,) = world.ledger(doors.db)
    assert (entry.verdict, entry.scope) == ("approved", Scope(level=ScopeLevel.NODE, name=NODE))
    assert (entry.actor, entry.request, entry.incarnation, entry.at) == (
        "lumen-capacity",
        "req_sc-1_deployment",
        1,
        world.NOW,
    )
    assert entry.updates == {"host-os-2026.1", "leaf-31.2016", "nic-28.43"}
    with doors.db.read() as conn:
        (line,) = journal.read_events(conn, ["consent.approved"])
    assert (line.subject, line.actor, line.data["id"]) == (f"node:{NODE}", "lumen-capacity", entry.id)
    for other in DOORS:
        assert other(doors).is_success, f"{other.__name__} says so again"
    assert world.ledger(doors.db) == (entry,), "and nothing new was said"


def put(doors: Doors, state: str) -> httpx.Response:
    asked = {
        "description": "NIC 3 flaps",
        "maintenanceRequestType": "Unhealthy",
        "state": state,
        "unhealthyResources": [f"{TREE}/nodes/{NODE}"],
        "impactCategory": "EthLinkFlap",
    }
    return ask("PUT", f"{doors.url}{TREE}/maintenanceRequests/flaps{VERSION}", json={"properties": asked})


def state(doors: Doors) -> str:
    found = ask("GET", f"{doors.url}{TREE}/maintenanceRequests/flaps{VERSION}").json()
    return str(found["properties"]["state"])


def test_a_repair_that_is_put_approved_is_approved_like_any_other(doors: Doors) -> None:
    assert put(doors, "Approved").status_code == 201
    (order,) = list_orders(doors.db)
    (word,) = words(doors.db)
    assert (word.word, word.orders, word.request) == (Word.APPROVED, frozenset({order.id}), REPAIR)
    assert (word.actor, word.incarnation, word.at) == ("lumen-capacity", 1, world.NOW)
    with doors.db.read() as conn:
        lines = [line for line in journal.read_events(conn, ["consent.approved"]) if line.data["request"] == REPAIR]
    assert [(line.actor, line.data["id"]) for line in lines] == [("lumen-capacity", word.id)]
    for other in FROM_CLOUDS:
        assert other(doors, order.id).is_success, f"{other.__name__} says so again"
    assert words(doors.db) == (word,), "and nothing new was said"


@pytest.mark.parametrize("door", FROM_CLOUDS)
def test_a_repair_that_a_client_put_is_approved_through_any_door(
    doors: Doors, door: Callable[..., httpx.Response]
) -> None:
    put(doors, "Investigating")
    (order,) = list_orders(doors.db)
    assert state(doors) == "WaitingOnApproval"
    answer = door(doors, order.id)
    assert answer.is_success, answer.text
    assert state(doors) == "Approved"
    assert [word.orders for word in words(doors.db)] == [frozenset({order.id})]
