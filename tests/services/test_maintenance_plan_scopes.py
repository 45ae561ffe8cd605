"""What each scope of a maintenance plan means of what is pending: a word on it is a word on exactly that."""

from dataclasses import replace

import pytest
from tests.constraints import world as w

from fermata.domain.ids import UpdateId
from fermata.domain.updates import NODE_TARGET, Criticality, Impact, Update
from fermata.services.maintenance_plans import MEANT, UpdateScope

ONE = next(iter(w.catalogue().updates.values()))
REGULAR, URGENT = Criticality.REGULAR, Criticality.CRITICAL_SECURITY


def made(name: str) -> Update:
    """`node-fw-urgent-impactless`: where, of what, how urgent, with what impact."""
    where, what, how, impact = name.split("-")
    return replace(
        ONE,
        id=UpdateId(name),
        target=NODE_TARGET if where == "node" else "leaf_switch",
        component="nic_fw" if what == "fw" else "host_os",
        criticality=URGENT if how == "urgent" else REGULAR,
        impact=Impact(impact),
    )


NAMES = [
    f"{where}-{what}-{how}-{impact}"
    for where in ("node", "rack")
    for what in ("fw", "os")
    for how in ("regular", "urgent")
    for impact in ("impactless", "impactful", "rebootful")
]
EXPECTED = {
    UpdateScope.NODE_FLIGHT: {name for name in NAMES if name.startswith("node-fw-")},
    UpdateScope.NODE_FIRMWARE: {name for name in NAMES if name.startswith("node-fw-")},
    UpdateScope.RACK_FIRMWARE: {name for name in NAMES if name.startswith("rack-fw-")},
    UpdateScope.NODE_ALL: {name for name in NAMES if name.startswith("node-")},
    UpdateScope.RACK_ALL: {name for name in NAMES if name.startswith("rack-")},
    UpdateScope.NODE_CRITICAL_IMPACTLESS: {"node-fw-urgent-impactless", "node-os-urgent-impactless"},
    UpdateScope.RACK_CRITICAL_IMPACTLESS: {"rack-fw-urgent-impactless", "rack-os-urgent-impactless"},
    UpdateScope.NODE_CRITICAL_IMPACTFUL: {
        f"node-{what}-urgent-{impact}" for what in ("fw", "os") for impact in ("impactful", "rebootful")
    },
    UpdateScope.RACK_CRITICAL_IMPACTFUL: {
        f"rack-{what}-urgent-{impact}" for what in ("fw", "os") for impact in ("impactful", "rebootful")
    },
    UpdateScope.CUSTOM: set(NAMES),
}


@pytest.mark.parametrize("scope", MEANT)
def test_a_scope_means_exactly_what_its_name_says(scope: UpdateScope) -> None:
    assert {name for name in NAMES if MEANT[scope](made(name))} == EXPECTED[scope]
