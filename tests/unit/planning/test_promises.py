"""Windows that are alike are promised alike, and as surely as the plan was asked for."""

from dataclasses import replace

from tests.unit.planning import bench as b

from fermata.domain.campaign import Fallout
from fermata.domain.fleet import Node
from fermata.domain.pending import find_pending
from fermata.domain.updates import Impact
from fermata.planning.inputs import PlanningInput
from fermata.planning.promises import Promise, Promises
from fermata.planning.sequence import lay_out_window

ALPHA, BETA = b.make_cluster("alpha"), b.make_cluster("beta")


def make_inputs(nodes: list[Node], **changes: object) -> PlanningInput:
    update = b.make_update("nic", "nic_fw", 120, Impact.REBOOTFUL)
    campaign = b.make_campaign(fallout=Fallout(fraction=0.02, mean_days_to_repair=2))
    inputs = b.make_inputs(b.make_fleet([ALPHA, BETA], nodes), b.make_catalogue(update), campaign)
    return replace(inputs, **changes)  # type: ignore[arg-type]


def promised(inputs: PlanningInput, *windows: list[Node]) -> list[Promise]:
    pending = find_pending(inputs.fleet, inputs.catalogue)
    promises = Promises(inputs, pending, room=480)
    found = []
    for nodes in windows:
        steps = lay_out_window(nodes, (), fleet=inputs.fleet, pending=pending, catalogue=inputs.catalogue)
        found.append(promises.promise(steps, nodes, ()))
    return found


def test_windows_of_about_as_many_nodes_share_a_rehearsal() -> None:
    first, second = b.make_nodes(ALPHA, [50, 50]), b.make_nodes(BETA, [51, 51])
    small, large = promised(make_inputs([*first, *second]), first, second)
    assert small.back is large.back


def test_window_that_may_miss_one_node_more_is_surer() -> None:
    first, second = b.make_nodes(ALPHA, [19]), b.make_nodes(BETA, [20])  # of 19 none may be missing, of 20 one
    strict, lenient = promised(make_inputs([*first, *second]), first, second)
    assert strict.end_confidence < lenient.end_confidence


def test_more_confidence_takes_longer() -> None:
    nodes = b.make_nodes(ALPHA, [100])
    sure, surer = (promised(make_inputs(nodes, confidence=wanted), nodes)[0] for wanted in (0.5, 0.9))
    assert sure.minutes < surer.minutes
    assert 0.5 <= sure.end_confidence < 0.9 <= surer.end_confidence
