"""What a unit needs next after a power reset: what is seen to run already is not written again."""

from dataclasses import replace
from datetime import timedelta

import pytest
from tests.simulation import small

from fermata.domain.decide import Seen, decide
from fermata.domain.decide_begin import Facts
from fermata.domain.decisions import Decision, EndStep, Prove
from fermata.domain.fleet import NodeState
from fermata.domain.ids import DeviceId, NodeId, RunId, UpdateId
from fermata.domain.intents import NO_INTENTS
from fermata.domain.node_states import UnitKind, UnitState
from fermata.domain.observations import DeviceSeen, NodeSeen, Succeeded
from fermata.domain.operations import Asked, UnitOp
from fermata.domain.pending import find_pending
from fermata.domain.scripts import APPLY_PREFIX, RESET_PREFIX, read_script
from fermata.domain.tally import Tally

FLEET, CATALOGUE, CAMPAIGN = small.fleet(), small.catalogue(), small.campaign()
WINDOW = small.plan(FLEET, CATALOGUE, CAMPAIGN).windows[0]
SCRIPT = read_script(WINDOW, FLEET, find_pending(FLEET, CATALOGUE), CATALOGUE)
NOW = WINDOW.start + timedelta(hours=1)
FACTS = Facts(
    now=NOW,
    script=SCRIPT,
    catalogue=CATALOGUE,
    intents=NO_INTENTS,
    begin_again_at=None,
    tally=Tally(CATALOGUE, ()),
    unproven={},
    standing=lambda _unit: None,
    device_versions={},
    carriers={},
    nodes_before=FLEET.nodes,
)
NODE = NodeId("c0-n001")
MANAGER = next(device for device in FLEET.devices.values() if device.kind == "rack_manager").name


def reset_during(update: str, kind: UnitKind) -> UnitOp:
    """A unit whose reset, after it took too long over `update`, has just ended."""
    return UnitOp(
        id=1,
        run=RunId("run_1"),
        window=WINDOW.id,
        unit=NODE if kind is UnitKind.NODE else MANAGER,
        kind=kind,
        cluster=WINDOW.cluster,
        fault_domain="0",
        rank=0,
        in_service_before=True,
        state=UnitState.RESETTING,
        step=f"{RESET_PREFIX}{APPLY_PREFIX}{update}",
        asked=Asked.UNDER_WAY,
    )


def decide_node(update: str, version: str) -> Decision:
    component = CATALOGUE.updates[UpdateId(update)].component
    seen = NodeSeen(
        node=NODE,
        reachable=True,
        state=NodeState.OUT_OF_SERVICE,
        versions={**FLEET.nodes[NODE].versions, component: version},
        repaired_at=None,
        observed_at=NOW,
    )
    return decide(reset_during(update, UnitKind.NODE), Seen(progress=Succeeded(at=NOW), node=seen), FACTS)


@pytest.mark.parametrize("update", ["bmc", "nic"])
def test_a_write_that_ended_before_the_reset_is_done(update: str) -> None:
    decided = decide_node(update, "2.0")
    assert isinstance(decided, EndStep)
    bit = SCRIPT.bits[UpdateId(update)]
    assert (decided.applied, decided.active, decided.retries) == (bit, bit, {})


def test_a_write_that_did_not_end_is_tried_again() -> None:
    decided = decide_node("bmc", "1.0")
    assert isinstance(decided, EndStep)
    assert (decided.applied, decided.active, decided.retries) == (0, 0, {f"{APPLY_PREFIX}bmc": 1})


@pytest.mark.parametrize(("version", "expected"), [("2.0", Prove), ("1.0", EndStep)])
def test_a_device_is_proven_by_what_it_reports_after_its_reset(version: str, expected: type[Decision]) -> None:
    seen = DeviceSeen(device=DeviceId(MANAGER), reachable=True, version=version, repaired_at=None, observed_at=NOW)
    op = replace(reset_during("manager", UnitKind.DEVICE))
    assert isinstance(decide(op, Seen(progress=Succeeded(at=NOW), device=seen), FACTS), expected)
