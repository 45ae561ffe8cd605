"""A plan is refused that brings a flight where it may not fly, whatever the catalogue in its inputs says of that."""

from collections import Counter
from dataclasses import replace

import pytest
from tests.constraints import world as w
from tests.unit.domain import flying as f
from tests.unit.planning.bench import HASHES

from fermata.domain.fleet import Fleet
from fermata.domain.flights import as_flown
from fermata.domain.ids import NodeId, RequestId, UpdateId, WindowId
from fermata.domain.plans import NodeApplyStep, Plan
from fermata.domain.policy import ConsentEntry, Verdict
from fermata.domain.updates import Flown
from fermata.planning.checker import check_plan
from fermata.planning.inputs import Planned, PlanningInput
from fermata.planning.planner import PlanFaulted, plan_campaign

N0, N1, N2 = f.N0, f.N1, f.N2
EVERYBODY = tuple(
    f.approve(
        i,
        f"cluster {name}",
        UpdateId("nic"),
        request=RequestId(f"req_sc-{name}_deployment"),
        updates=frozenset(w.catalogue().updates),
        is_part=False,
        flight=None,
    )
    for i, name in enumerate(("alpha", "beta", "gamma"), 1)
)
ON_N0 = f.approve(9, f"node {N0}", f.NIC3)
ON_RACK = f.approve(9, "rack alpha-r0", f.NIC3)
OTHER = f.approve(10, f"node {N1}", f.NIC4)
GONE = f.approve(11, f"node {N0}", f.NIC3, verdict=Verdict.WITHDRAWN, flight=None)


def flown(*nodes: NodeId, name: UpdateId = f.NIC3) -> Flown:
    return Flown(update=name, nodes=frozenset(nodes))


def inputs(*said: ConsentEntry, claimed: tuple[Flown, ...] | None = None, of: Fleet, most: int = 3) -> PlanningInput:
    """Work is approved everywhere. `claimed` None: flights as they follow from the ledger; else the catalogue lies."""
    ledger, by, known = (*EVERYBODY, *said), f.policy(most), f.catalogue()
    catalogue = as_flown(of, known, by, ledger) if claimed is None else replace(known, flights=claimed)
    return w.scenario(fleet=of, policy=by, catalogue=catalogue, ledger=ledger)


def test_a_flight_is_planned_on_its_node_and_the_others_get_what_is_ready() -> None:
    given = inputs(ON_N0, of=f.fleet(N0, N1))
    found = plan_campaign(given, new_plan_id="plan_1", hashes=HASHES)
    assert isinstance(found, Planned)
    (window,) = (window for window in found.plan.windows if f.NIC3 in window.updates)
    counts = Counter[str]()
    for step in window.steps:
        if isinstance(step, NodeApplyStep):
            counts[step.update] += step.nodes
    assert (counts["nic-3"], counts["nic"], counts["os"]) == (1, 5, 6)


@pytest.mark.parametrize(
    ("given", "says"),
    [
        (inputs(claimed=(flown(N0),), of=f.fleet(N0)), "nobody approved it on alpha-n00"),
        (inputs(ON_N0, GONE, claimed=(flown(N0),), of=f.fleet(N0)), "nobody approved it on alpha-n00"),
        (inputs(ON_N0, claimed=(flown(N0, N1),), of=f.fleet(N0, N1)), "nobody approved it on alpha-n01"),
        (inputs(replace(ON_N0, flight=None), claimed=(flown(N0),), of=f.fleet(N0)), "nobody approved it"),
        (inputs(ON_RACK, claimed=(flown(N0, N1),), of=f.fleet(N0)), "of the role of alpha-n01"),
        (
            inputs(ON_N0, claimed=(flown(N0),), of=f.fleet(N0, host_os="1.0", gpu_fw="2.5")),
            "not qualified on alpha-n00",
        ),
        (inputs(ON_RACK, claimed=(flown(N0, N1, N2),), of=f.fleet(N0, N1, N2), most=2), "whose policy allows 2"),
        (
            inputs(ON_N0, OTHER, claimed=(flown(N0), flown(N1, name=f.NIC4)), of=f.fleet(N0, N1)),
            "tries one at a time",
        ),
    ],
)
def test_what_a_catalogue_claims_of_flights_is_not_believed(given: PlanningInput, says: str) -> None:
    """The plan is right if it is believed."""
    stages = ("tor-os", "mgr", "nic", *(each.update for each in given.catalogue.flights), "reboot", "os", *w.STAGES[5:])
    alpha = w.window(given, "w-alpha", w.names(given, "alpha"), w.MONDAY, stages=stages)
    found = check_plan(given, w.plan(given, w.swap(w.windows(given), alpha)))
    assert {violation.rule for violation in found} <= {"FLIGHTS", "CONSENT", "WHOLE_CLUSTER"}
    told = [violation.sentence for violation in found if violation.rule == "FLIGHTS"]
    assert any(says in sentence for sentence in told), told


def test_a_planner_that_believes_it_is_refused_its_plan() -> None:
    given = inputs(ON_RACK, claimed=(flown(N0, N1, N2),), of=f.fleet(N0, N1, N2), most=2)
    with pytest.raises(
        PlanFaulted, match="FLIGHTS: nic-3 flies on 3 nodes of lumen in sc-alpha, whose policy allows 2"
    ):
        plan_campaign(given, new_plan_id="plan_1", hashes=HASHES)


def test_nodes_that_run_it_already_count_against_the_policy() -> None:
    of = w.with_versions(f.fleet(N0, N1), N0, nic_fw="3.0")
    given = inputs(ON_RACK, claimed=(flown(N0, N1),), of=of, most=1)
    with pytest.raises(PlanFaulted, match="flies on 2 nodes"):
        plan_campaign(given, new_plan_id="plan_1", hashes=HASHES)


def planted(given: PlanningInput) -> Plan:
    """The valid plan without flights, with one planted into the window of alpha."""
    alpha = w.windows(given)[0]
    wrong = w.edit(alpha, w.applies("nic"), update=f.NIC3)
    wrong = replace(wrong, updates=tuple(f.NIC3 if name == "nic" else name for name in wrong.updates))
    return w.plan(given, w.swap(w.windows(given), wrong))


def test_a_flight_planted_into_a_plan_is_refused() -> None:
    given = inputs(of=f.fleet(N0))
    assert w.faults(given, w.plan(given, w.windows(given))) == set()
    found = [v for v in check_plan(given, planted(given)) if v.rule == "FLIGHTS"]
    assert [v.window for v in found] == ["w-alpha"]
    assert "its steps hold 6 nodes, and it is due on 0" in found[0].sentence


def test_windows_without_the_flight_are_not_blamed_for_it() -> None:
    given = inputs(of=f.fleet(N0))
    only = frozenset({WindowId("w-gamma")})
    assert [v for v in check_plan(given, planted(given), only=only) if v.rule == "FLIGHTS"] == []


def test_a_draft_that_nobody_approved_holds_no_flight() -> None:
    given = replace(inputs(of=f.fleet(N0)), ledger=None)
    assert "FLIGHTS" in w.faults(given, planted(given))
    assert w.faults(given, w.plan(given, w.windows(given))) == set()
