"""Google Compute's own client asks what is upcoming and has it performed, on instances and on reservations."""

from collections.abc import Iterator
from typing import Any

import pytest
from google.api_core import exceptions
from google.auth.credentials import AnonymousCredentials
from google.cloud import compute_v1 as compute
from google.cloud.compute_v1.services.instances.transports.rest import InstancesRestTransport
from google.cloud.compute_v1.services.reservation_blocks.transports.rest import ReservationBlocksRestTransport
from google.cloud.compute_v1.services.reservations.transports.rest import ReservationsRestTransport
from google.cloud.compute_v1.services.zone_operations.transports.rest import ZoneOperationsRestTransport
from tests.doors import world
from tests.doors.conftest import Doors

from fermata.domain.policy import ScopeLevel

ZONE = {"project": "lumen", "zone": "westus3-dc1"}


@pytest.fixture
def how(doors: Doors) -> dict[str, Any]:
    return {"host": doors.place, "url_scheme": "http", "credentials": AnonymousCredentials()}  # type: ignore[no-untyped-call]


@pytest.fixture
def instances(how: dict[str, Any]) -> Iterator[compute.InstancesClient]:
    with compute.InstancesClient(transport=InstancesRestTransport(**how)) as client:
        yield client


@pytest.fixture
def operations(how: dict[str, Any]) -> Iterator[compute.ZoneOperationsClient]:
    with compute.ZoneOperationsClient(transport=ZoneOperationsRestTransport(**how)) as client:
        yield client


def test_an_instance_tells_what_is_upcoming_and_performing_it_is_an_approval(
    doors: Doors, instances: compute.InstancesClient, operations: compute.ZoneOperationsClient
) -> None:
    asked = instances.get(instance="alpha-n1", **ZONE).resource_status.upcoming_maintenance
    assert (asked.can_reschedule, asked.maintenance_status, asked.type_) == (True, "PENDING", "SCHEDULED")
    done = instances.perform_maintenance_unary(instance="alpha-n1", **ZONE)
    assert done.status == compute.Operation.Status.DONE
    assert operations.wait(operation=done.name, **ZONE).status == compute.Operation.Status.DONE
    assert world.said(doors.db) == ["approved node alpha-n1"]
    nothing = instances.get(instance="alpha-n1", **ZONE)
    assert not nothing.resource_status.upcoming_maintenance.window_start_time
    world.publish(doors.db)
    planned = instances.get(instance="ALPHA-n1", **ZONE).resource_status.upcoming_maintenance
    assert (planned.window_start_time, planned.window_end_time) == ("2026-01-25T12:30:00Z", "2026-01-25T16:30:00Z")


def test_reservations_and_their_blocks_are_approved_as_wholes(doors: Doors, how: dict[str, Any]) -> None:
    with compute.ReservationBlocksClient(transport=ReservationBlocksRestTransport(**how)) as blocks:
        blocks.perform_maintenance_unary(
            reservation="sc-1",
            reservation_block="alpha",
            reservations_blocks_perform_maintenance_request_resource=compute.ReservationsBlocksPerformMaintenanceRequest(),
            **ZONE,
        )
    assert world.said(doors.db) == ["approved cluster alpha"]
    with compute.ReservationsClient(transport=ReservationsRestTransport(**how)) as reservations:
        reservations.perform_maintenance_unary(
            reservation="sc-1",
            reservations_perform_maintenance_request_resource=compute.ReservationsPerformMaintenanceRequest(),
            **ZONE,
        )
    assert world.said(doors.db)[-1] == "approved supercomputer sc-1"


def test_what_is_not_there_is_not_found_and_what_nobody_asks_is_refused(
    doors: Doors, instances: compute.InstancesClient
) -> None:
    for where in ({"instance": "beta-n0"}, {"instance": "alpha-n9"}):
        with pytest.raises(exceptions.NotFound):
            instances.get(**where, **ZONE)
    with pytest.raises(exceptions.NotFound):
        instances.get(instance="alpha-n1", project="lumen", zone="elsewhere")
    with pytest.raises(exceptions.Conflict, match="approvers"):
        instances.perform_maintenance_unary(instance="beta-n0", project="meridian", zone="uksouth-dc1")
    assert world.ledger(doors.db) == ()
    world.approve(doors.db, ScopeLevel.NODE, "alpha-n1")
    world.withdraw(doors.db, ScopeLevel.NODE, "alpha-n1")
    assert not instances.get(instance="alpha-n1", **ZONE).resource_status.upcoming_maintenance.window_start_time
