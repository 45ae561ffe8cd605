"""Maintenance requests that clients put: by plain HTTP, and by what every client of Azure's resource manager is made
from (its pipeline and its poller of long operations), since none is published for this provider.
"""

from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from azure.core.pipeline.policies import RequestIdPolicy
from azure.core.polling import LROPoller
from azure.core.rest import HttpRequest
from azure.mgmt.core import ARMPipelineClient
from azure.mgmt.core.polling.arm_polling import ARMPolling
from tests.doors import world
from tests.doors.conftest import Doors
from tests.doors.test_ordered_work import words
from tests.services.test_ordered_work import hand_over

from fermata.domain import arm
from fermata.domain.ids import CustomerId, NodeId, OrderId
from fermata.domain.node_states import UnitState
from fermata.domain.run_states import WindowState
from fermata.domain.work_orders import WorkOrder
from fermata.services.work_orders import cancel_order, complete_order, list_orders, start_order
from fermata.store.database import Database

LUMEN, MERIDIAN = (arm.subscription_id(CustomerId(name)) for name in ("lumen", "meridian"))
INFRASTRUCTURE = "providers/Microsoft.SupercomputerInfrastructure"
WHOLE = f"/subscriptions/{LUMEN}/resourceGroups/sc-1/{INFRASTRUCTURE}/supercomputers/sc-1"
OTHERS = f"/subscriptions/{MERIDIAN}/resourceGroups/sc-2/{INFRASTRUCTURE}/supercomputers/sc-2"
REQUESTS = f"{WHOLE}/maintenanceRequests"
NODE = f"{WHOLE}/nodes/alpha-n1"
VERSION = {"api-version": "2025-07-01-preview"}
ASKED: dict[str, Any] = {
    "description": "Link down, please replace.",
    "maintenanceRequestType": "Unhealthy",
    "state": "Investigating",
    "unhealthyResources": [NODE],
    "impactCategory": "EthLinkUnhealthy",
}
APPROVED = {"properties": {"state": "Approved"}}


@pytest.fixture
def client(doors: Doors) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=doors.url, params=VERSION, timeout=60) as opened:
        yield opened


def body(**changes: Any) -> dict[str, Any]:
    return {"properties": {**ASKED, **changes}}


def put(client: httpx.Client, name: str = "MyFix", **changes: Any) -> httpx.Response:
    return client.put(f"{REQUESTS}/{name}", json=body(**changes))


def seen(client: httpx.Client, name: str = "MyFix") -> dict[str, Any]:
    answer = client.get(f"{REQUESTS}/{name}")
    found: dict[str, Any] = answer.json()["properties"]
    return found


def orders(db: Database) -> tuple[WorkOrder, ...]:
    return list_orders(db, ended=True)


def error(answer: httpx.Response) -> tuple[int, str]:
    return answer.status_code, answer.json()["error"]["code"]


def begin(doors: Doors) -> OrderId:
    (order,) = orders(doors.db)
    start_order(doors.db, order.id, now=world.NOW, actor="operator-1", drained=True)
    return order.id


def test_what_a_client_puts_is_a_repair_under_the_name_that_it_chose(doors: Doors, client: httpx.Client) -> None:
    made = put(client)
    assert made.status_code == 201, made.text
    (order,) = orders(doors.db)
    assert (order.kind, str(order.target), order.opened.actor) == ("repair", "node alpha-n1", "lumen-capacity")
    told = made.json()
    assert (told["id"], told["name"]) == (f"{REQUESTS}/MyFix", "MyFix")
    assert told["type"] == "Microsoft.SupercomputerInfrastructure/supercomputers/maintenanceRequests"
    assert told["systemData"]["createdBy"] == "lumen-capacity"
    assert told["properties"] == {
        **ASKED,
        "state": "WaitingOnApproval",
        "impactedResources": [NODE],
        "repairedResources": [],
        "clusterId": f"{WHOLE}/clusters/alpha",
        "nodesAsked": 1,
        "workOrders": [order.id],
        "provisioningState": "Succeeded",
    }
    assert client.get(f"{REQUESTS}/myFIX").json() == told
    listed = client.get(REQUESTS).json()["value"]
    assert [found["name"] for found in listed] == ["deployment", "deployment-alpha", "repair", "repair-alpha", "MyFix"]
    assert listed[-1] == told
    assert words(doors.db) == (), "asking for a repair is no word on it"


def test_an_operation_is_over_when_its_client_looks(client: httpx.Client) -> None:
    made = put(client)
    assert made.headers["Retry-After"] == "1"
    where = made.headers["Azure-AsyncOperation"]
    assert f"/subscriptions/{LUMEN}/{INFRASTRUCTURE}/locations/westus3/operationStatuses/" in where
    told = client.get(where).json()
    assert (told["status"], told["id"]) == ("Succeeded", httpx.URL(where).path)
    result = where.replace("operationStatuses", "operationResults")
    assert client.get(result).status_code == 404, "nobody deleted it"
    gone = client.delete(f"{REQUESTS}/MyFix")
    assert (gone.status_code, gone.headers["Location"], gone.text) == (202, result, "")
    assert client.get(gone.headers["Location"]).status_code == 204
    assert client.get(f"{REQUESTS}/MyFix").status_code == 404
    for other in (where.replace(LUMEN, MERIDIAN), where.split("?")[0] + "0", where.replace("/mr_", "/%00")):
        assert error(client.get(other)) == (404, "ResourceNotFound")
    again = client.delete(f"{REQUESTS}/MyFix")
    assert (again.status_code, "Location" in again.headers) == (204, False)


def test_the_same_body_again_changes_nothing_and_another_one_is_refused(doors: Doors, client: httpx.Client) -> None:
    first = put(client).json()
    again = put(client, "myfix", unhealthyResources=[NODE.upper(), NODE], clusterId="ours to say")
    assert (again.status_code, again.json(), "Azure-AsyncOperation" in again.headers) == (200, first, False)
    for changes in (
        {"state": "Approved"},
        {"description": "x"},
        {"unhealthyResources": [f"{WHOLE}/nodes/alpha-n2"]},
        {"impactCategory": "EthPortDown"},
        {"maintenanceRequestType": "Investigative"},
    ):
        refused = put(client, **changes)
        assert error(refused) == (409, "MaintenanceRequestExists")
        assert next(iter(changes)) in refused.json()["error"]["message"]
    assert len(orders(doors.db)) == 1
    assert words(doors.db) == ()


def test_one_that_waits_is_approved_and_nothing_else_is_changed(doors: Doors, client: httpx.Client) -> None:
    put(client)
    path = f"{REQUESTS}/MyFix"
    for wrong in ({}, {"state": "Complete"}, {"state": "Cancelled"}, {"state": "Approved", "description": "x"}):
        assert error(client.patch(path, json={"properties": wrong})) == (400, "BadRequest")
    assert words(doors.db) == ()
    answer = client.patch(path, json={"properties": {**ASKED, "state": "Approved"}})
    assert (answer.status_code, answer.json()["properties"]["state"]) == (200, "Approved")
    assert client.patch(path, json=APPROVED).status_code == 200, "approved already"
    assert len(words(doors.db)) == 1
    order = begin(doors)
    assert seen(client)["state"] == "InProgress"
    assert error(client.patch(path, json=APPROVED)) == (409, "InvalidStateTransition")
    complete_order(doors.db, order, now=world.NOW, actor="operator-1")
    assert (seen(client)["state"], seen(client)["repairedResources"]) == ("Complete", [NODE])
    assert error(client.patch(path, json=APPROVED)) == (409, "InvalidStateTransition")


def test_what_people_took_back_is_cancelled(doors: Doors, client: httpx.Client) -> None:
    put(client)
    (order,) = orders(doors.db)
    cancel_order(doors.db, order.id, now=world.NOW, actor="operator-1")
    assert seen(client)["state"] == "Cancelled"
    assert put(client).status_code == 200, "and it is not asked for again by itself"
    assert len(orders(doors.db)) == 1


def test_what_has_begun_is_not_deleted(doors: Doors, client: httpx.Client) -> None:
    put(client, state="Approved")
    order = begin(doors)
    refused = client.delete(f"{REQUESTS}/MyFix")
    assert error(refused) == (409, "Conflict")
    assert [each["code"] for each in refused.json()["error"]["details"]] == ["REQUEST_MOVE_ILLEGAL"]
    assert seen(client)["state"] == "InProgress"
    complete_order(doors.db, order, now=world.NOW, actor="operator-1")
    assert client.delete(f"{REQUESTS}/MyFix").status_code == 202
    assert put(client).status_code == 201, "its name is free again"


def test_what_a_window_has_a_node_out_for_has_begun(doors: Doors, client: httpx.Client) -> None:
    put(client, state="Approved")
    (order,) = orders(doors.db)
    world.publish(doors.db)
    world.conduct(doors.db, WindowState.OPEN, {"alpha-n1": UnitState.RETURNED}, planned=world.window())
    hand_over(doors.db, order.id, UnitState.IN_REPAIR, own=True)
    assert seen(client)["state"] == "InProgress"
    assert error(client.delete(f"{REQUESTS}/MyFix")) == (409, "Conflict")
    assert orders(doors.db) == (order,)


@pytest.mark.parametrize(
    "changes",
    [
        {"state": "WaitingOnApproval"},
        {"state": None},
        {"maintenanceRequestType": "Planned"},
        {"maintenanceRequestType": ["Unhealthy"]},
        {"description": "  "},
        {"description": 5},
        {"description": "x" * 2_001},
        {"description": "a\0b"},
        {"impactCategory": ""},
        {"impactCategory": "Link down"},
        {"unhealthyResources": []},
        {"unhealthyResources": NODE},
        {"unhealthyResources": [NODE, 5]},
        {"unhealthyResources": [NODE + "x" * 1_000]},
        {"unhealthyResources": [f"{NODE}{number}" for number in range(501)]},
    ],
)
def test_a_body_that_says_too_little_is_refused_and_leaves_nothing(
    doors: Doors, client: httpx.Client, changes: dict[str, Any]
) -> None:
    answer = put(client, **changes)
    assert error(answer) == (400, "BadRequest")
    assert next(iter(changes)) in answer.json()["error"]["message"]
    assert orders(doors.db) == ()


@pytest.mark.parametrize(
    ("name", "given", "expected"),
    [
        ("ab", body(), (400, "BadRequest")),
        ("a_b", body(), (400, "BadRequest")),
        ("x" * 65, body(), (400, "BadRequest")),
        ("MyFix", {"properties": []}, (400, "BadRequest")),
        ("repair", body(state="Approved"), (409, "MaintenanceRequestNameReserved")),
        ("Move-1", body(state="Approved"), (409, "MaintenanceRequestNameReserved")),
        ("deployment-x", APPROVED, (409, "MaintenanceRequestNameReserved")),
    ],
)
def test_names_and_bodies_that_are_none(
    doors: Doors, client: httpx.Client, name: str, given: dict[str, Any], expected: tuple[int, str]
) -> None:
    assert error(client.put(f"{REQUESTS}/{name}", json=given)) == expected
    assert error(client.put(f"{REQUESTS}/MyFix", content=b"{")) == (400, "BadRequest")
    assert client.get(f"{REQUESTS}/{name}").status_code == 404
    assert orders(doors.db) == ()


def test_nobody_approves_all_repairs_by_asking_for_one_under_their_name(doors: Doors, client: httpx.Client) -> None:
    put(client)
    other = [f"{WHOLE}/nodes/alpha-n2"]
    answer = put(client, "repair", unhealthyResources=other, state="Approved")
    assert error(answer) == (409, "MaintenanceRequestNameReserved")
    assert (len(orders(doors.db)), words(doors.db)) == (1, ())
    assert client.put(f"{REQUESTS}/repair", json=APPROVED).status_code == 200, "without more it is a change of that one"
    assert seen(client)["state"] == "Approved"


def test_what_is_not_there_and_what_is_others_are_one_answer(doors: Doors, client: httpx.Client) -> None:
    def refusal(*ids: str) -> tuple[tuple[int, str], str]:
        answer = put(client, unhealthyResources=[NODE, *ids])
        told = [answer.json()["error"]["message"], *(d["message"] for d in answer.json()["error"]["details"])]
        return error(answer), "|".join(told).replace(ids[0], "ID")

    unknown = refusal(f"{WHOLE}/nodes/nobody")
    assert unknown[0] == (400, "InvalidResourceReference")
    assert refusal(f"{WHOLE}/nodes/beta-n0") == unknown, "another customer's node by an own id"
    elsewhere = refusal(f"{OTHERS}/nodes/nobody")
    assert elsewhere[0] == (403, "LinkedAuthorizationFailed")
    assert refusal(f"{OTHERS}/nodes/beta-n0") == elsewhere
    assert refusal("alpha-n1")[0] == (400, "LinkedInvalidPropertyId")
    mixed = put(client, unhealthyResources=[f"{OTHERS}/nodes/beta-n0", f"{WHOLE}/nodes/nobody", "x"])
    assert error(mixed) == (403, "LinkedAuthorizationFailed")
    assert len(mixed.json()["error"]["details"]) == 1
    both = put(client, unhealthyResources=[f"{WHOLE}/nodes/nobody", "x"]).json()["error"]["details"]
    assert [(each["code"], each["target"]) for each in both] == [
        ("InvalidResourceReference", "properties.unhealthyResources"),
        ("LinkedInvalidPropertyId", "properties.unhealthyResources"),
    ]
    assert orders(doors.db) == ()


def test_what_one_customer_put_no_other_sees(doors: Doors, client: httpx.Client) -> None:
    put(client)
    assert client.get(f"{OTHERS}/maintenanceRequests/MyFix").status_code == 404
    names = [found["name"] for found in client.get(f"{OTHERS}/maintenanceRequests").json()["value"]]
    assert names == ["deployment", "deployment-beta"]
    assert client.delete(f"{OTHERS}/maintenanceRequests/MyFix").status_code == 204
    assert client.patch(f"{OTHERS}/maintenanceRequests/MyFix", json=APPROVED).status_code == 404
    assert [order.is_open for order in orders(doors.db)] == [True]
    mine = client.put(f"{OTHERS}/maintenanceRequests/MyFix", json=body())
    assert error(mine) == (403, "LinkedAuthorizationFailed")


def test_what_is_asked_for_already_is_refused_with_its_order(doors: Doors, client: httpx.Client) -> None:
    put(client)
    (order,) = orders(doors.db)
    refused = put(client, "Another")
    assert error(refused) == (409, "Conflict")
    assert order.id in refused.json()["error"]["message"]
    assert [each["code"] for each in refused.json()["error"]["details"]] == ["ORDER_EXISTS"]
    assert client.get(f"{REQUESTS}/Another").status_code == 404


def test_no_node_asks_for_maintenance_of_a_supercomputer(doors: Doors, client: httpx.Client) -> None:
    where = put(client).headers["Azure-AsyncOperation"]
    claims = doors.keys.claims(NodeId("alpha-n1"), audience="x", now=doors.clock.now(), seconds=600)
    client.headers["Authorization"] = f"Bearer {doors.keys.sign(claims)}"
    for answer in (
        put(client, "Another"),
        client.patch(f"{REQUESTS}/MyFix", json=APPROVED),
        client.delete(f"{REQUESTS}/MyFix"),
        client.get(where),
        client.get(f"{REQUESTS}/MyFix"),
    ):
        assert error(answer) == (403, "AuthorizationFailed")
    assert [order.is_open for order in orders(doors.db)] == [True]


def test_a_switch_is_reported_with_every_node_behind_it(doors: Doors, client: httpx.Client) -> None:
    switch = next(s["id"] for s in client.get(f"{WHOLE}/switches").json()["value"] if "tor" in s["name"])
    link = client.get(f"{WHOLE}/links").json()["value"][-1]
    named = [switch, link["id"], switch.upper()]
    made = put(client, unhealthyResources=named, state="Approved").json()["properties"]
    assert made["unhealthyResources"] == named[:2], "each once"
    assert made["impactedResources"] == [f"{WHOLE}/nodes/alpha-n{number}" for number in (0, 1, 2)]
    assert {str(order.target) for order in orders(doors.db)} == {"device alpha-r0-tor", "node alpha-n2"}
    assert (made["state"], made["nodesAsked"]) == ("Approved", 0)
    (word,) = words(doors.db)
    assert word.orders == {order.id for order in orders(doors.db)}


class Azure:
    """A client of the resource manager as its generator makes them: long operations are looked at until they end."""

    def __init__(self, doors: Doors) -> None:
        self.client: ARMPipelineClient[Any, Any] = ARMPipelineClient(base_url=doors.url, policies=[RequestIdPolicy()])

    def ask(self, method: str, path: str, json: Any = None) -> tuple[int, Any]:
        """The status of the first answer, and what came of the operation."""
        request = HttpRequest(method, f"{self.client._base_url}{path}", params=VERSION, json=json)  # noqa: SLF001
        first = self.client._pipeline.run(request)  # noqa: SLF001 - as generated code does

        def read(response: Any) -> Any:
            text = response.http_response.text()
            return response.http_response.json() if text else None

        poller: LROPoller[Any] = LROPoller(self.client, first, read, ARMPolling(timeout=1))
        return first.http_response.status_code, poller.result(timeout=30)


def test_a_client_of_the_resource_manager_waits_for_its_operations(doors: Doors) -> None:
    azure = Azure(doors)
    status, made = azure.ask("PUT", f"{REQUESTS}/MyFix", body())
    assert (status, made["name"], made["properties"]["state"]) == (201, "MyFix", "WaitingOnApproval")
    status, same = azure.ask("PUT", f"{REQUESTS}/MyFix", body())
    assert (status, same) == (200, made)
    status, approved = azure.ask("PATCH", f"{REQUESTS}/MyFix", APPROVED)
    assert (status, approved["properties"]["state"]) == (200, "Approved")
    assert azure.ask("DELETE", f"{REQUESTS}/MyFix") == (202, None)
    assert azure.ask("DELETE", f"{REQUESTS}/MyFix") == (204, None)
    assert [order.is_open for order in orders(doors.db)] == [False]


EMPTY = [
    f"{parent}/{kind}"
    for kind in ("ports", "deviceLogicalPorts")
    for parent in ("", "/clusters/alpha", "/racks/alpha-r0", "/nodes/alpha-n1", "/switches/alpha-r0-tor")
]


@pytest.mark.parametrize("path", EMPTY)
def test_of_ports_there_are_none_wherever_they_are_looked_for(client: httpx.Client, path: str) -> None:
    assert client.get(f"{WHOLE}{path}").json() == {"value": [], "nextLink": None}
    assert error(client.get(f"{WHOLE}{path}/1")) == (404, "ResourceNotFound")
    if path.count("/") > 1:
        missing = path.replace("alpha", "omega")
        assert error(client.get(f"{WHOLE}{missing}")) == (404, "ResourceNotFound")


def test_cards_are_listed_of_whatever_has_nodes(client: httpx.Client) -> None:
    def names(path: str) -> list[str]:
        return [found["name"] for found in client.get(f"{WHOLE}{path}/nics").json()["value"]]

    assert names("") == names("/clusters/alpha") == [f"alpha-n{number}-nic_fw" for number in (0, 1, 2)]
    assert names("/nodes/alpha-n2") == ["alpha-n2-nic_fw"]
    assert error(client.get(f"{WHOLE}/nodes/beta-n0/nics")) == (404, "ResourceNotFound")


@pytest.mark.parametrize("action", ["packetCapture", "retrieveData"])
def test_nothing_is_done_to_a_switch(client: httpx.Client, action: str) -> None:
    for parent in ("", "/clusters/alpha"):
        answer = client.post(f"{WHOLE}{parent}/switches/alpha-r0-tor/{action}", json={})
        assert error(answer) == (409, "OperationNotAllowed")
        assert error(client.post(f"{WHOLE}{parent}/switches/none/{action}", json={})) == (404, "ResourceNotFound")
    assert client.get(f"{WHOLE}/switches/alpha-r0-tor/{action}").status_code == 405
