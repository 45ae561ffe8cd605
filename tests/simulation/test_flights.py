"""A flight on test nodes of the simulated fleet: planned with the rest, tried there alone, proven, and taken back."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from itertools import count
from pathlib import Path

import pytest
from tests.simulation import small, stagehand
from tests.simulation.test_conduct import states, windows
from tests.simulation.test_gates import states as gates_of
from tests.simulation.test_gates import tried

from fermata.domain.campaign import Campaign, Limit, LimitKind
from fermata.domain.fleet import Fleet, Role
from fermata.domain.gates import GateSaid, GateVerdict, GateWord, Phase
from fermata.domain.ids import NodeId, UpdateId
from fermata.domain.node_states import UnitState
from fermata.domain.phases import ControlPhase, Phases
from fermata.domain.policy import ConsentEntry, Flighting, Policy, Scope, ScopeLevel, Verdict
from fermata.domain.reasons import Code
from fermata.domain.run_states import RunState
from fermata.domain.updates import Stage
from fermata.planning.inputs import Planned
from fermata.services import gates, plans, report, runs, updates
from fermata.sim.clock import VirtualClock
from fermata.sim.fates import NO_FAULTS
from fermata.store import consent, inventory

pytestmark = pytest.mark.databases("sqlite")

BIOS = UpdateId("bios-rc")
TESTED = tuple(NodeId(f"c0-n{number:03d}") for number in (1, 2))
READY = small.catalogue()
KNOWN = replace(
    READY, updates=READY.updates | {BIOS: small.update("bios-rc", "bios", stage=Stage.FLIGHT_READY, to_version="9")}
)
NUMBERS = count(1)


def fleet(clusters: int = 1) -> Fleet:
    """Every node has a BIOS; two of the first cluster are for tests."""
    found = small.fleet(clusters=clusters)
    nodes = {
        name: replace(node, versions={**node.versions, "bios": "8"}, role=Role.TEST if name in TESTED else Role.PROD)
        for name, node in found.nodes.items()
    }
    return Fleet(clusters=found.clusters, nodes=nodes, devices=found.devices)


def policy(most: int = 2) -> Policy:
    base = small.policy()
    flighting = Flighting(allowed_roles=frozenset({"test"}), max_nodes=most)
    return replace(base, customers={small.CUSTOMER: replace(base.customers[small.CUSTOMER], flighting=flighting)})


def word(seq: int, node: str, verdict: Verdict = Verdict.APPROVED) -> ConsentEntry:
    said = small.approval(READY, verdict, seq=seq, scope=Scope(level=ScopeLevel.NODE, name=node))
    flight = BIOS if verdict is Verdict.APPROVED else None
    return replace(said, updates=frozenset({BIOS}), is_part=True, flight=flight)


def set_up(
    url: str,
    folder: Path,
    *,
    of: Fleet | None = None,
    nodes: Sequence[NodeId] = TESTED,
    campaign: Campaign | None = None,
) -> stagehand.Rig:
    """All that is ready is approved everywhere, the flight on `nodes`; planned by the planner, published, started."""
    database, known, campaign = stagehand.open_store(url), of or fleet(), campaign or small.campaign()
    with database.begin() as conn:
        inventory.save_fleet(conn, known)
        inventory.save_catalogue(conn, KNOWN)
        inventory.save_policy(conn, policy())
        inventory.save_campaign(conn, campaign)
        consent.append_entry(conn, small.approval(READY))
        for seq, node in enumerate(nodes, 2):
            consent.append_entry(conn, word(seq, node))
    made = plans.make_plan(database, campaign.id, now=small.NOW, new_id=new_id)
    assert isinstance(made, Planned)
    plans.publish(database, made.plan.id, now=small.NOW, actor="test")
    run = runs.start(database, campaign.id, now=small.NOW, actor="test", new_id=new_id)
    clock = VirtualClock(small.NOW, None)
    world, site = stagehand.open_sim(made.plan, folder, database, clock, NO_FAULTS, 1)
    return stagehand.Rig(
        database=database,
        plan=made.plan,
        run=run.id,
        folder=folder,
        faults=NO_FAULTS,
        seed=1,
        world=world,
        clock=clock,
        site=site,
    )


def new_id(kind: str) -> str:
    return f"{kind}_{next(NUMBERS)}"


def versions(rig: stagehand.Rig, component: str) -> dict[str, str]:
    return {name: machine.versions[component] for name, machine in rig.world.nodes.items()}


def flown_on(rig: stagehand.Rig) -> set[str]:
    return {name for name, version in versions(rig, "bios").items() if version == "9"}


@pytest.mark.databases("sqlite", "postgresql")
def test_a_flight_is_tried_on_its_nodes_alone_and_they_come_back_proven(store_url: str, tmp_path: Path) -> None:
    rig = set_up(store_url, tmp_path)
    (window,) = rig.plan.windows
    assert (BIOS in window.updates, len(window.nodes)) == (True, 8)
    run = rig.conduct()
    assert run.state is RunState.FINISHED
    assert flown_on(rig) == set(TESTED) == tried(rig, BIOS)
    assert set(versions(rig, "host_os").values()) == {"2.0"}
    assert set(states(rig).values()) <= {UnitState.RETURNED, UnitState.KEPT_OUT}
    with rig.database.read() as conn:
        known = inventory.load_fleet(conn).nodes.values()
    assert {node.name for node in known if node.versions["bios"] == "9"} == set(TESTED)
    view = updates.show_update(rig.database, BIOS)
    assert [(flight.nodes, flight.landed) for flight in view.flights] == [(TESTED, TESTED)]
    assert report.make_report(rig.database).campaign == small.CAMPAIGN


def test_a_node_whose_flight_was_withdrawn_stays_with_all_behind_its_switch(store_url: str, tmp_path: Path) -> None:
    rig = set_up(store_url, tmp_path)
    with rig.database.begin() as conn:
        consent.append_entry(conn, word(9, TESTED[0], Verdict.WITHDRAWN))
    rig.conduct()
    assert flown_on(rig) == set()
    left = {name: group.reason.code for group in windows(rig)[rig.plan.windows[0].id].left_out for name in group.nodes}
    assert left[TESTED[0]] is Code.APPROVAL_WITHDRAWN


def test_a_node_that_may_not_fly_any_more_stays_with_the_reason(store_url: str, tmp_path: Path) -> None:
    rig = set_up(store_url, tmp_path)
    with rig.database.begin() as conn:
        inventory.save_policy(conn, policy(most=1))
    rig.conduct()
    left = {name: group.reason.code for group in windows(rig)[rig.plan.windows[0].id].left_out for name in group.nodes}
    assert left[TESTED[1]] is Code.FLIGHT_FULL
    assert flown_on(rig) == set()  # the other hangs on the same leaf, which goes with all nodes behind it or not at all


def test_a_flight_does_not_wait_for_the_control_phase_that_others_wait_for(store_url: str, tmp_path: Path) -> None:
    phased = replace(small.campaign(), phases=Phases(control=ControlPhase(max_fraction=0.5)))
    rig = set_up(store_url, tmp_path, of=fleet(clusters=2), campaign=phased)
    rig.conduct(until=small.START + timedelta(days=3))
    assert gates_of(rig)[BIOS].phase is Phase.FULL
    assert flown_on(rig) == set(TESTED)


def test_a_flight_is_rolled_back_to_the_last_known_good_and_not_tried_again(store_url: str, tmp_path: Path) -> None:
    one_by_one = small.campaign(Limit(what=LimitKind.NODES_OUT, at_once=8))
    rig = set_up(store_url, tmp_path, of=fleet(clusters=2), campaign=one_by_one)
    window = next(window for window in rig.plan.windows if BIOS in window.updates)
    rig.conduct(until=window.end)
    assert flown_on(rig) == set(TESTED)
    said = GateSaid(word=GateWord.ROLL_BACK, actor="operator-1", why="it flaps", at=rig.clock.now())
    gates.say(rig.database, rig.run, BIOS, said)
    rig.conduct(until=rig.clock.now() + timedelta(hours=8))
    assert gates_of(rig)[BIOS].judged.verdict is GateVerdict.ROLL_BACK
    assert flown_on(rig) == set()
    assert {versions(rig, "host_os")[name] for name in TESTED} == {"2.0"}
    view = updates.show_update(rig.database, BIOS)
    assert {why.code for flight in view.flights for why in flight.grounded.values()} == {Code.FLIGHT_UNDONE}


def test_an_extension_adds_nodes_with_the_next_plan(store_url: str, tmp_path: Path) -> None:
    rig = set_up(store_url, tmp_path, nodes=TESTED[:1])
    rig.conduct()
    assert flown_on(rig) == {TESTED[0]}
    with rig.database.begin() as conn:
        consent.append_entry(conn, word(9, TESTED[1]))
    made = plans.make_plan(rig.database, small.CAMPAIGN, now=rig.clock.now(), new_id=new_id)
    assert isinstance(made, Planned)
    fresh = [window for window in made.plan.windows if window.start >= rig.clock.now()]
    assert [(window.nodes, window.updates) for window in fresh] == [((TESTED[1],), (BIOS,))]
