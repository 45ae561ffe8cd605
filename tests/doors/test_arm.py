"""Azure's resource manager, spoken by its own client for maintenance, unchanged: events, updates, windows."""

import time
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from azure.core.credentials import AccessToken
from azure.core.exceptions import HttpResponseError, ResourceExistsError, ResourceNotFoundError
from azure.core.pipeline.policies import SansIOHTTPPolicy
from azure.identity import ManagedIdentityCredential
from azure.mgmt.maintenance import MaintenanceManagementClient
from azure.mgmt.maintenance import models as m
from tests.doors import world
from tests.doors.conftest import Doors

from fermata.domain import arm
from fermata.domain.ids import CustomerId, NodeId, WindowId
from fermata.domain.node_states import UnitState
from fermata.domain.policy import ScopeLevel
from fermata.domain.run_states import WindowState
from fermata.services.policy import try_update
from fermata.store import inventory

LUMEN = arm.subscription_id(CustomerId("lumen"))
GROUP = "sc-1"
TREE = "Microsoft.SupercomputerInfrastructure"
VERSION = {"api-version": "2023-04-01"}
GONE = "00000000-0000-0000-0000-000000000000"


class Token:
    """A credential that nobody asks for anything."""

    def get_token(self, *_scopes: str, **_options: Any) -> AccessToken:
        return AccessToken("token", int(time.time()) + 3600)


@pytest.fixture
def azure(doors: Doors) -> Iterator[MaintenanceManagementClient]:
    with MaintenanceManagementClient(
        Token(), LUMEN, base_url=doors.url, authentication_policy=SansIOHTTPPolicy(), retry_total=0
    ) as client:
        yield client


def event_of(node: str) -> str:
    return arm.event_id(WindowId("w-alpha"), NodeId(node))


def acknowledge(azure: MaintenanceManagementClient, kind: str, name: str, *events: str) -> Any:
    if len(events) == 1:
        return azure.scheduled_events.acknowledge(GROUP, kind, name, events[0])
    return azure.scheduled_events.acknowledge_list(GROUP, kind, name, {"value": list(events)})


def test_an_event_is_acknowledged_at_its_node_and_at_its_cluster(
    doors: Doors, azure: MaintenanceManagementClient
) -> None:
    world.publish(doors.db)
    assert acknowledge(azure, "virtualMachines", "alpha-n1", event_of("alpha-n1")).value == "Successfully Approved"
    assert acknowledge(azure, "virtualMachineScaleSets", "ALPHA", event_of("alpha-n0").upper()).value
    assert world.said(doors.db) == ["approved node alpha-n1", "approved node alpha-n0"]
    assert acknowledge(azure, "virtualMachines", "alpha-n1", event_of("alpha-n1")).value, "once more is fine"
    assert len(world.ledger(doors.db)) == 2
    for kind, name, event in (
        ("virtualMachines", "alpha-n1", event_of("alpha-n0")),
        ("virtualMachines", "alpha-n1", GONE),
        ("virtualMachines", "beta-n0", event_of("alpha-n0")),
    ):
        with pytest.raises(ResourceNotFoundError):
            acknowledge(azure, kind, name, event)


def test_a_list_that_holds_unknown_events_is_answered_one_by_one(
    doors: Doors, azure: MaintenanceManagementClient
) -> None:
    world.publish(doors.db)
    known = [event_of(node) for node in world.ALPHA]
    with pytest.raises(HttpResponseError) as refused:
        acknowledge(azure, "virtualMachineScaleSets", "alpha", known[0], GONE, known[1])
    assert refused.value.status_code == 207
    assert refused.value.error is not None
    assert refused.value.error.code == "MultiStatusResponse"
    outcomes = {detail.target: detail.code for detail in refused.value.error.details}
    assert outcomes == {known[0]: "OK", GONE: "NotFound", known[1]: "OK"}
    assert world.said(doors.db) == ["approved node alpha-n0", "approved node alpha-n1"]
    assert acknowledge(azure, "availabilitySets", "alpha-su0", *known).value == "Successfully Approved"
    assert world.said(doors.db)[2:] == ["approved node alpha-n2"]


def test_updates_of_a_node_and_of_a_supercomputer(doors: Doors, azure: MaintenanceManagementClient) -> None:
    of_node = {
        u.as_dict()["properties"]["updateId"]: u
        for u in azure.updates.list(GROUP, "Microsoft.Compute", "virtualMachines", "alpha-n1")
    }
    assert list(of_node) == ["host-os-2026.1", "leaf-31.2016", "nic-28.43"]
    leaf = of_node["leaf-31.2016"]
    assert (leaf.maintenance_scope, leaf.impact_type, leaf.impact_duration_in_sec) == ("Resource", "Freeze", 900)
    assert (of_node["nic-28.43"].impact_type, of_node["nic-28.43"].status) == ("Restart", "Pending")
    whole = list(azure.updates.list(GROUP, TREE, "supercomputers", "sc-1"))
    assert {u.as_dict()["properties"]["updateId"]: u.as_dict()["properties"]["nodes"] for u in whole} == {
        "host-os-2026.1": 2,
        "leaf-31.2016": 3,
        "nic-28.43": 2,
    }
    rack = azure.updates.list_parent(GROUP, TREE, "supercomputers", "sc-1", "racks", "alpha-r0")
    assert {u.status for u in rack} == {"Pending"}
    world.publish(doors.db)
    world.conduct(doors.db, WindowState.OPEN, {"alpha-n1": UnitState.APPLYING}, planned=world.window())
    under_way = azure.updates.list(GROUP, "Microsoft.Compute", "virtualMachines", "alpha-n1")
    assert [u.as_dict()["properties"]["updateId"] for u in under_way if u.status == "InProgress"] == ["nic-28.43"]


def test_updates_are_applied_by_approving_them_and_taken_back(doors: Doors, azure: MaintenanceManagementClient) -> None:
    where = (GROUP, TREE, "supercomputers", "sc-1")
    assert azure.apply_updates.get(*where, "default").properties.status == "RetryLater"
    assert azure.apply_updates.create_or_update(*where).status == "Pending"
    assert world.said(doors.db) == ["approved supercomputer sc-1"]
    assert {found.status for found in azure.apply_updates.list()} == {"Pending"}
    parent = azure.apply_updates.create_or_update_parent(GROUP, TREE, "supercomputers", "sc-1", "clusters", "alpha")
    assert (parent.status, len(world.ledger(doors.db))) == ("Pending", 1), "approved already: nothing new is said"
    body = m.ApplyUpdate(properties=m.ApplyUpdateProperties(status="Cancel"))
    assert azure.apply_updates.create_or_update_or_cancel(*where, "default", body).status == "Cancelled"
    assert world.said(doors.db)[-1] == "withdrawn supercomputer sc-1"
    assert azure.apply_updates.get(*where, "default").properties.status == "RetryLater"
    world.approve(doors.db, ScopeLevel.CLUSTER, "alpha")
    world.publish(doors.db)
    world.conduct(doors.db, WindowState.OPEN, {"alpha-n1": UnitState.APPLYING}, planned=world.window())
    assert (
        azure.apply_updates.get(GROUP, "Microsoft.Compute", "virtualMachines", "alpha-n1", "default").status
        == "InProgress"
    )
    (under_way,) = (found.as_dict() for found in azure.apply_updates.list())
    assert under_way["properties"]["maintenancePlanId"].endswith("/maintenancePlans/plan_doors")
    with pytest.raises(ResourceExistsError, match="alpha-n1"):
        azure.apply_updates.create_or_update_or_cancel(*where, "default", body)
    with pytest.raises(ResourceNotFoundError):
        azure.apply_updates.get(*where, "another")


def configuration(**window: Any) -> m.MaintenanceConfiguration:
    wanted = {
        "start_date_time": "2026-01-03 22:00",
        "duration": "05:00",
        "time_zone": "Pacific Standard Time",
        "recur_every": "Week Saturday,Sunday",
    } | window
    return m.MaintenanceConfiguration(
        location="westus3",
        properties=m.MaintenanceConfigurationProperties(
            maintenance_scope="Host", maintenance_window=m.MaintenanceWindow(**wanted)
        ),
    )


def test_a_configuration_is_a_window_of_the_policy(doors: Doors, azure: MaintenanceManagementClient) -> None:
    made = azure.maintenance_configurations.create_or_update(GROUP, "weekend", configuration())
    stated = made.properties.maintenance_window
    assert (made.name, stated.duration, stated.time_zone) == ("weekend", "05:00", "Pacific Standard Time")
    with doors.db.read() as conn:
        (window,) = inventory.load_policy(conn).customers[CustomerId("lumen")].windows
    assert (window.id, window.zone, window.recurrence is not None) == ("weekend", "America/Los_Angeles", True)
    changed = azure.maintenance_configurations.update(
        GROUP, "Weekend", {"properties": {"maintenanceWindow": {"duration": "06:30"}}}
    )
    stated = changed.properties.maintenance_window
    assert (stated.duration, stated.recur_every) == ("06:30", "Week Saturday,Sunday")
    assert [found.name for found in azure.maintenance_configurations.list()] == ["weekend"]
    assert [found.id for found in azure.maintenance_configurations_for_resource_group.list(GROUP)] == [made.id]
    azure.maintenance_configurations.delete(GROUP, "weekend")
    azure.maintenance_configurations.delete(GROUP, "weekend")
    with pytest.raises(ResourceNotFoundError):
        azure.maintenance_configurations.get(GROUP, "weekend")


def test_an_assigned_window_lets_work_through_in_it_and_a_deleted_one_no_more(
    doors: Doors, azure: MaintenanceManagementClient
) -> None:
    def ruling() -> str:
        return str(try_update(doors.db, "alpha-n1", "host-os-2026.1", at=world.NOW).rule)

    made = azure.maintenance_configurations.create_or_update(GROUP, "weekend", configuration())
    where = (GROUP, TREE, "supercomputers", "sc-1", "clusters", "alpha")
    body = m.ConfigurationAssignment(
        properties=m.ConfigurationAssignmentProperties(maintenance_configuration_id=made.id)
    )
    assert ruling() == "block.deployments"
    assigned = azure.configuration_assignments.create_or_update_parent(*where, "nightly", body)
    assert assigned.properties.maintenance_configuration_id == made.id
    assert ruling() == "nightly"
    assert [found.name for found in azure.configuration_assignments.list_parent(*where)] == ["nightly"]
    same = (GROUP, "Microsoft.Compute", "virtualMachineScaleSets", "alpha")
    assert azure.configuration_assignments.get(*same, "nightly").name == "nightly", "the same cluster by its other name"
    (listed,) = azure.configuration_assignments_within_subscription.list()
    assert listed.id == assigned.id
    with pytest.raises(ResourceExistsError, match="weekend"):
        azure.maintenance_configurations.delete(GROUP, "weekend")
    azure.maintenance_configurations.create_or_update(GROUP, "other", configuration(recur_every="Day"))
    body = m.ConfigurationAssignment(
        properties=m.ConfigurationAssignmentProperties(maintenance_configuration_id=made.id.replace("weekend", "other"))
    )
    with pytest.raises(ResourceExistsError, match="nightly"):
        azure.configuration_assignments.create_or_update_parent(*where, "daily", body)
    azure.configuration_assignments.delete_parent(*where, "nightly")
    assert ruling() == "block.deployments"


@pytest.mark.parametrize(
    ("window", "said"),
    [
        ({"duration": "01:59"}, "02:00"),
        ({"duration": "five"}, "02:00"),
        ({"time_zone": "Middle Earth Time"}, "timeZone"),
        ({"recur_every": "Fortnight"}, "recurEvery"),
        ({"recur_every": "Month Fifth Sunday"}, "recurEvery"),
        ({"start_date_time": "2026-01-03T22:00Z"}, "startDateTime"),
        ({"start_date_time": "1999-01-03 22:00"}, "startDateTime"),
        ({"expiration_date_time": "2026-01-01 00:00"}, "expirationDateTime"),
    ],
)
def test_a_window_that_cannot_be_is_refused(
    doors: Doors, azure: MaintenanceManagementClient, window: dict[str, str], said: str
) -> None:
    with pytest.raises(HttpResponseError, match=said) as refused:
        azure.maintenance_configurations.create_or_update(GROUP, "weekend", configuration(**window))
    assert refused.value.status_code == 400
    with doors.db.read() as conn:
        assert inventory.load_policy(conn).customers[CustomerId("lumen")].windows == ()


RESOURCE = f"/subscriptions/{LUMEN}/resourcegroups/sc-1/providers/Microsoft.Compute/virtualMachines/alpha-n1"
MAINTENANCE = f"{RESOURCE}/providers/Microsoft.Maintenance"
REFUSED = [
    ("GET", f"{MAINTENANCE}/updates", {}, None, 400, "MissingApiVersionParameter"),
    ("GET", f"{MAINTENANCE}/updates", {"api-version": "latest"}, None, 400, "InvalidApiVersionParameter"),
    ("GET", f"{MAINTENANCE}/nothing", VERSION, None, 404, "InvalidResourceType"),
    ("GET", f"{MAINTENANCE}/updates/one", VERSION, None, 404, "InvalidResourceType"),
    ("DELETE", f"{MAINTENANCE}/updates", VERSION, None, 405, "MethodNotAllowed"),
    ("DELETE", f"{MAINTENANCE}/maintenancePlans/p1", VERSION, None, 405, "MethodNotAllowed"),
    ("GET", MAINTENANCE.replace(LUMEN, GONE) + "/updates", VERSION, None, 404, "SubscriptionNotFound"),
    ("GET", MAINTENANCE.replace("sc-1", "sc-9") + "/updates", VERSION, None, 404, "ResourceGroupNotFound"),
    ("GET", MAINTENANCE.replace("alpha-n1", "beta-n0") + "/updates", VERSION, None, 404, "ResourceNotFound"),
    ("POST", f"{MAINTENANCE}/scheduledevents", VERSION, "{", 400, "BadRequest"),
    ("POST", f"{MAINTENANCE}/scheduledevents", VERSION, "[]", 400, "BadRequest"),
    ("POST", f"{MAINTENANCE}/scheduledevents", VERSION, '{"value": []}', 400, "BadRequest"),
    ("POST", f"{MAINTENANCE}/scheduledevents", VERSION, '{"value": [1]}', 400, "BadRequest"),
    ("POST", f"{MAINTENANCE}/scheduledevents/x/acknowledge", VERSION, None, 404, "NotFound"),
    ("PUT", f"{MAINTENANCE}/applyUpdates/default", VERSION, '{"properties": {"status": "Go"}}', 400, "BadRequest"),
    ("PUT", f"{MAINTENANCE}/configurationAssignments/a", VERSION, "{}", 400, "BadRequest"),
]


@pytest.mark.parametrize(("method", "path", "options", "body", "status", "code"), REFUSED)
def test_bad_calls_are_refused_in_the_documented_shape(  # noqa: PLR0913 - a table's columns
    doors: Doors, *, method: str, path: str, options: dict[str, str], body: str | None, status: int, code: str
) -> None:
    answer = httpx.request(method, f"{doors.url}{path}", params=options, content=body)
    assert (answer.status_code, answer.json()["error"]["code"]) == (status, code)
    assert answer.json()["error"]["message"]
    assert world.ledger(doors.db) == ()


def test_the_case_of_a_path_does_not_matter(doors: Doors) -> None:
    for path in (MAINTENANCE, MAINTENANCE.lower(), MAINTENANCE.upper()):
        answer = httpx.get(f"{doors.url}{path}/updates", params=VERSION)
        assert (answer.status_code, len(answer.json()["value"])) == (200, 3)


def test_the_token_of_a_node_is_good_for_that_node_alone(doors: Doors, monkeypatch: pytest.MonkeyPatch) -> None:
    world.publish(doors.db)
    monkeypatch.setenv("http_proxy", doors.proxy("alpha-n1"))
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    token = ManagedIdentityCredential().get_token("https://management.example/.default").token
    head = {"Authorization": f"Bearer {token}"}
    one = f"{doors.url}{MAINTENANCE}/scheduledevents/{event_of('alpha-n1')}/acknowledge"
    other = one.replace("alpha-n1", "alpha-n0")
    whole = f"{doors.url}/subscriptions/{LUMEN}/providers/Microsoft.Maintenance/applyUpdates"
    assert httpx.post(other, params=VERSION, headers=head).json()["error"]["code"] == "AuthorizationFailed"
    assert httpx.get(whole, params=VERSION, headers=head).status_code == 403
    forged = {"Authorization": f"Bearer {token[:-2]}AA"}
    assert httpx.post(one, params=VERSION, headers=forged).status_code == 401
    assert world.ledger(doors.db) == ()
    assert httpx.post(one, params=VERSION, headers=head).json() == {"value": "Successfully Approved"}
    assert world.said(doors.db) == ["approved node alpha-n1"]
    world.withdraw(doors.db, ScopeLevel.NODE, "alpha-n1")
    mine = f"{doors.url}{MAINTENANCE}"
    assert httpx.post(one, params=VERSION, headers=head).status_code == 404, "an agent overrules nobody"
    assert httpx.put(f"{mine}/applyUpdates/default", params=VERSION, headers=head).status_code == 403
    for method in ("PUT", "DELETE"):
        assert (
            httpx.request(method, f"{mine}/configurationAssignments/a", params=VERSION, headers=head).status_code == 403
        )
    assert world.said(doors.db)[-1] == "withdrawn node alpha-n1"
