"""What is approved at a door is what is judged there: a rack, or a reservation, that reaches beyond the place named."""

from collections.abc import Callable

import pytest
import sqlalchemy as sa
from fastapi import FastAPI
from tests.server.authority.test_doors import group
from tests.server.authority.world import grant, person, sign_in, told

from fermata.domain.identity import GrantLevel, Role
from fermata.store.database import Database

REFUSED = 403, "NOT_ALLOWED"
TREE = f"{group('lumen', 'sc-alpha')}/providers/Microsoft.SupercomputerInfrastructure/supercomputers/sc-alpha"
PLAN = {
    "startTimeUTC": "2026-01-26T22:00:00Z",
    "endTimeUTC": "2026-01-27T06:00:00Z",
    "updateScope": "QualifiedNodeAllUpdates",
}
ZONE = "/compute/v1/projects/lumen/zones/dc1/reservations/sc-alpha"
BLOCK = f"{ZONE}/reservationBlocks/alpha/reservationSubBlocks"
Ask = Callable[[str, str, str], tuple[int, object]]


@pytest.fixture
def ask(app: FastAPI, db: Database) -> Ask:
    """alpha-r0 has a node of beta, which stands in another datacenter of the same supercomputer, lumen's too; asks as
    an approver of these clusters. Google's paths name a zone: what the customer holds there is omega, too.
    """
    with db.begin() as conn:
        conn.execute(
            sa.text("UPDATE \"cluster\" SET supercomputer = 'sc-alpha', datacenter = 'dc2' WHERE name = 'beta'")
        )
        conn.execute(sa.text("UPDATE node SET rack = 'alpha-r0' WHERE name = 'beta-n00'"))

    def do(method: str, path: str, clusters: str) -> tuple[int, object]:
        grants = [grant(Role.APPROVER, GrantLevel.CLUSTER, name) for name in clusters.split()]
        client = sign_in(app, person("lumen-capacity", *grants))
        json = {"properties": PLAN} if method == "PUT" else None
        return told(client.request(method, path, params={"api-version": "2025-07-01-preview"}, json=json))

    return do


def plan(place: str) -> str:
    return f"{TREE}/{place}/providers/Microsoft.Maintenance/maintenancePlans/x"


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("PUT", plan("clusters/alpha/racks/alpha-r0")),
        ("PUT", plan("CLUSTERS/Alpha/Racks/ALPHA-R0")),
        ("DELETE", plan("clusters/alpha/racks/alpha-r0")),
        ("POST", f"{BLOCK}/alpha-r0/performMaintenance"),
        ("POST", f"{BLOCK}/ALPHA-R0/performMaintenance"),
        ("POST", f"{ZONE}/performMaintenance"),
    ],
)
def test_whoever_approves_for_one_cluster_approves_nothing_that_reaches_into_another(
    ask: Ask, method: str, path: str
) -> None:
    assert ask(method, path, "alpha omega") == REFUSED
    assert ask(method, path, "alpha omega beta") != REFUSED


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("PUT", plan("clusters/alpha/racks/alpha-r1")),
        ("PUT", plan("clusters/alpha")),
        ("PUT", plan("clusters/alpha/nodes/alpha-n00")),
        ("GET", f"{TREE}/clusters/alpha/racks/alpha-r0/providers/Microsoft.Maintenance/maintenancePlans"),
        ("POST", f"{BLOCK}/alpha-r1/performMaintenance"),
        ("POST", f"{ZONE}/reservationBlocks/alpha/performMaintenance"),
        ("POST", "/compute/v1/projects/lumen/zones/dc1/instances/alpha-n00/performMaintenance"),
    ],
)
def test_what_lies_within_a_cluster_is_approved_for_that_cluster(ask: Ask, method: str, path: str) -> None:
    assert ask(method, path, "alpha omega") != REFUSED
    assert ask(method, path, "beta omega") == REFUSED
