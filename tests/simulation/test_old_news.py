"""What a target says of a unit counts only when it is newer than what is judged by it."""

from dataclasses import replace
from datetime import datetime, timedelta

import pytest
from tests.simulation import small
from tests.unit.domain.test_decide import NODE, NOW, reset_during, seen_node

from fermata.domain.ids import NodeId, StepKey
from fermata.domain.node_states import UnitKind, UnitState
from fermata.domain.observations import NodeSeen, Progress, Succeeded
from fermata.domain.operations import Asked, UnitOp
from fermata.execution.observe import observe
from fermata.execution.perform import Caller
from fermata.ports import Ask, Site


class Answering:
    """Firmware and inventory of one node: its step has ended, and it was seen at that instant."""

    def __init__(self, ended_at: datetime, seen_at: datetime) -> None:
        self._ended_at = ended_at
        self._seen_at = seen_at

    def observe(self, asks: list[Ask]) -> dict[StepKey, Progress]:
        return {ask.key: Succeeded(at=self._ended_at) for ask in asks}

    def observe_nodes(self, nodes: list[NodeId]) -> dict[NodeId, NodeSeen]:
        return {name: replace(seen_node(), node=name, observed_at=self._seen_at) for name in nodes}

    def observe_devices(self, devices: list[object]) -> dict[object, object]:
        return {}


def writing() -> UnitOp:
    begun = {"state": UnitState.APPLYING, "step": "apply:bmc", "asked": Asked.UNDER_WAY}
    return replace(reset_during("bmc", UnitKind.NODE), step_started_at=NOW - timedelta(minutes=20), **begun)


@pytest.mark.parametrize(("minutes", "is_known"), [(-1, False), (0, True), (1, True)])
def test_who_was_seen_before_its_step_ended_was_not_seen(minutes: int, is_known: bool) -> None:
    target = Answering(NOW, NOW + timedelta(minutes=minutes))
    site = Site(**dict.fromkeys(("inventory", "workloads", "firmware", "power", "verifier", "notifier"), target))  # type: ignore[arg-type]
    caller = Caller(
        site=site, catalogue=small.catalogue(), generation=lambda _: 1, confirm=lambda: None, age=lambda: timedelta(0)
    )
    looked = observe(caller, [writing()], NOW, {})
    assert (looked.seen[1].node is not None) is is_known
    assert writing().unit == NODE
