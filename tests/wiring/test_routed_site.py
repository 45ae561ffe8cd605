"""A site over several adapters: each serves its own, and one that fails takes nobody else's work along."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from tests.simulation import small, stagehand
from tests.simulation.conftest import closed_stores

from fermata.domain.fleet import Fleet
from fermata.domain.ids import AdapterId, DeviceId, NodeId, StepKey
from fermata.domain.observations import Accepted, Denied, Later, NeverAsked, Running, Succeeded, Unsure
from fermata.domain.routing import PortName, Route, RouteTable, component_of, list_units
from fermata.domain.run_states import RunState
from fermata.execution.embedded import conduct
from fermata.execution.ownership import Ownership, SteadyWall
from fermata.ports import CALL_SIZE_MAX, AdapterPorts, Ask, OutcomeUnknown, Refused, Site, TryLater
from fermata.sim.clock import VirtualClock
from fermata.sim.fates import NO_FAULTS
from fermata.sim.site import open_site
from fermata.sim.world import World, open_world
from fermata.wiring.routed import Switchboard, route_site

__all__ = ["closed_stores"]

EAST, WEST = AdapterId("east"), AdapterId("west")
ALL = frozenset(PortName)
FLEET = small.fleet(clusters=2, nodes=4)
AGAIN = timedelta(minutes=3)


def ports_of(site: Site, **instead: object) -> AdapterPorts:
    served = {name.value: getattr(site, name.value) for name in PortName} | instead
    return AdapterPorts(close=lambda: None, probe=dict, **served)  # type: ignore[arg-type]


class Failing:
    """A port of which every method raises the same."""

    def __init__(self, error: Exception) -> None:
        self.error = error

    def __getattr__(self, name: str) -> Callable[[object], object]:
        def fail(_items: object) -> object:
            raise self.error

        return fail


def switchboard(adapters: Mapping[AdapterId, AdapterPorts], *routes: Route, fleet: Fleet = FLEET) -> Switchboard:
    units = list_units(fleet)
    return Switchboard(
        adapters=adapters,
        table=RouteTable(routes=routes),
        find_unit=units.get,
        component_of=lambda step: component_of(step, small.catalogue()),
    )


def by_cluster(west: AdapterPorts | None = None) -> Site:
    """Two worlds of the same fleet, each asked about one cluster alone."""
    sites = {name: open_simulated() for name in (EAST, WEST)}
    adapters = {name: ports_of(site) for name, site in sites.items()}
    if west is not None:
        adapters[WEST] = west
    return route_site(switchboard(adapters, route(EAST, "c0"), route(WEST, "c1")))


def route(adapter: AdapterId, *clusters: str, ports: frozenset[PortName] = ALL) -> Route:
    return Route(adapter=adapter, ports=ports, clusters=frozenset(small.ClusterId(name) for name in clusters))


def open_simulated() -> Site:
    world: World = open_world(FLEET, small.catalogue(), faults=NO_FAULTS, seed=1, path=None)
    return open_site(world, VirtualClock(small.NOW, None))


def ask(unit: str, step: str = "lock") -> Ask:
    return Ask(key=StepKey(f"run_1/w/{unit}/{step}/1"), unit=unit)


E0, W0 = ask("c0-n000"), ask("c1-n000")


def test_a_call_is_split_by_unit_and_its_answers_are_put_together() -> None:
    site = by_cluster()
    assert site.workloads.lock([E0, W0]) == {E0.key: Accepted(), W0.key: Accepted()}
    assert {type(found) for found in site.workloads.observe([E0, W0]).values()} == {Succeeded}
    assert set(site.inventory.observe_nodes([NodeId(E0.unit), NodeId(W0.unit)])) == {E0.unit, W0.unit}
    written = Ask(key=StepKey("run_1/w/c0-n000/apply:gpu/1"), unit="c0-n000")
    assert site.firmware.observe([written]) == {written.key: NeverAsked()}


@pytest.mark.parametrize(
    ("error", "answer"),
    [
        (TryLater(AGAIN), Later(after=AGAIN)),
        (Refused("no such partition"), Denied(why="no such partition")),
        (OutcomeUnknown(), Unsure()),
        (KeyError("a fault of the adapter itself"), Unsure()),
    ],
)
def test_the_items_of_an_adapter_that_fails_are_told_and_the_others_go_on(error: Exception, answer: object) -> None:
    site = by_cluster(ports_of(open_simulated(), workloads=Failing(error), inventory=Failing(error)))
    assert site.workloads.lock([E0, W0]) == {E0.key: Accepted(), W0.key: answer}
    assert list(site.workloads.observe([E0, W0])) == [E0.key]
    assert list(site.inventory.observe_nodes([NodeId(E0.unit), NodeId(W0.unit)])) == [E0.unit]


def test_an_error_of_a_whole_call_is_passed_on_when_one_adapter_has_all_of_it() -> None:
    site = by_cluster(ports_of(open_simulated(), workloads=Failing(Refused("all or none"))))
    with pytest.raises(Refused, match="all or none"):
        site.workloads.give_back([W0])


def test_what_nobody_serves_is_denied_and_says_what_to_do() -> None:
    ports = frozenset({PortName.WORKLOADS})
    site = route_site(switchboard({EAST: ports_of(open_simulated())}, route(EAST, "c0", ports=ports)))
    stranger = ask("nobody")
    found = site.workloads.lock([E0, W0, stranger])
    assert found[E0.key] == Accepted()
    assert found[W0.key] == Denied(why="no adapter of the site serves workloads for c1-n000: add it to the site's file")
    assert found[stranger.key] == Denied(why="nobody is not in the fleet")
    assert site.power.observe([E0]) == {}, "who does not serve it does not know whether it was asked"


def test_an_item_that_an_adapter_forgets_is_unsure_and_a_stranger_is_dropped() -> None:
    class Odd:
        def lock(self, asks: Sequence[Ask]) -> Mapping[StepKey, object]:
            return {StepKey("stranger"): Accepted()}

    site = by_cluster(ports_of(open_simulated(), workloads=Odd()))
    assert site.workloads.lock([E0, W0]) == {E0.key: Accepted(), W0.key: Unsure()}
    assert site.workloads.lock([W0]) == {W0.key: Unsure()}


def test_an_adapter_that_lacks_what_its_routes_say_refuses_and_the_others_go_on() -> None:
    site = by_cluster(ports_of(open_simulated(), workloads=None))
    assert isinstance(site.workloads.lock([E0, W0])[W0.key], Denied)


def test_a_node_of_which_one_looker_says_nothing_is_not_seen() -> None:
    class Blind:
        def observe_nodes(self, nodes: Sequence[NodeId]) -> Mapping[NodeId, object]:
            return {}

    seeing, blind = open_simulated(), ports_of(open_simulated(), inventory=Blind())
    looks = frozenset({PortName.INVENTORY})
    asked = [NodeId("c0-n000"), NodeId("c1-n000")]
    site = route_site(switchboard({EAST: ports_of(seeing), WEST: blind}, route(EAST), route(WEST, "c1", ports=looks)))
    seen = site.inventory.observe_nodes(asked)
    assert {name: (node.whole, node.reachable, bool(node.versions)) for name, node in seen.items()} == {
        "c0-n000": (True, True, True),
        "c1-n000": (False, False, False),
    }, "of the second its service and lock are known, no more"
    assert seen[asked[1]].state is seen[asked[0]].state
    lacking = ports_of(seeing, inventory=Blind())
    site = route_site(switchboard({EAST: lacking, WEST: ports_of(seeing)}, route(EAST), route(WEST, "c1", ports=looks)))
    assert not site.inventory.observe_nodes(asked), "whether workloads are on them is what nobody says"


def test_calls_above_the_limit_are_a_bug_of_the_caller() -> None:
    site, asks = by_cluster(), [ask("c0-n000", str(number)) for number in range(CALL_SIZE_MAX + 1)]
    with pytest.raises(ValueError, match="at most"):
        site.workloads.observe(asks)
    with pytest.raises(ValueError, match="at most"):
        site.workloads.lock(asks)
    with pytest.raises(ValueError, match="at most"):
        site.inventory.observe_devices([DeviceId(each.key) for each in asks])


def test_a_campaign_over_routed_adapters_ends_as_over_one(tmp_path: Path) -> None:
    """Workloads and looks of one adapter, firmware by component of two, all else of a third: over one fleet."""
    rigs, fleet = [], small.fleet(nodes=4)
    for name in ("plain", "routed"):
        (tmp_path / name).mkdir()
        rigs.append(stagehand.set_up(stagehand.fresh_sqlite(tmp_path / name), tmp_path / name, fleet=fleet, seed=3))
    plain, routed = rigs
    assert plain.conduct().state is RunState.FINISHED
    gpu = frozenset({"gpu_fw"})
    a, b, c = (AdapterId(name) for name in "abc")
    takes = frozenset({PortName.WORKLOADS, PortName.INVENTORY})
    board = switchboard(
        dict.fromkeys((a, b, c), ports_of(routed.site)),
        replace(route(b, ports=frozenset({PortName.FIRMWARE, PortName.INVENTORY})), components=gpu),
        route(a, ports=takes),
        route(c, ports=ALL - takes),
        fleet=fleet,
    )
    run = conduct(
        routed.database,
        route_site(board),
        routed.clock,
        routed.run,
        stop=lambda: False,
        ownership=Ownership(run=routed.run, owner="rig", wall=SteadyWall()),
    )
    assert run.state is RunState.FINISHED
    stagehand.assert_nothing_lost(routed)
    assert [(op.unit, op.state, op.finished_at) for op in routed.ops()] == [
        (op.unit, op.state, op.finished_at) for op in plain.ops()
    ]


def test_a_step_that_runs_is_observed_where_it_was_asked() -> None:
    site = by_cluster()
    site.workloads.lock([E0, W0])
    drains = [ask("c0-n000", "drain"), ask("c1-n000", "drain")]
    site.workloads.drain(drains)
    assert {type(found) for found in site.workloads.observe(drains).values()} == {Running}
