"""Which adapter serves which unit, what several say of one node, and what nobody serves."""

import re
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
import yaml
from tests.simulation import small

from fermata.domain.fleet import NodeState
from fermata.domain.ids import AdapterId, ClusterId, NodeId, StepKey, UpdateId
from fermata.domain.node_states import UnitKind
from fermata.domain.observations import NodeSeen
from fermata.domain.reasons import Code
from fermata.domain.routing import (
    ENTRIES_MOST,
    PortName,
    Route,
    RouteTable,
    Subject,
    Unit,
    component_of,
    find_gaps,
    judge_served,
    merge_looks,
    read_key,
    split,
)

ALL = frozenset(PortName)
A, B = AdapterId("a"), AdapterId("b")
NOW = datetime(2026, 1, 5, 12, tzinfo=UTC)


def node(name: str = "n1", cluster: str = "c0") -> Unit:
    return Unit(name=name, kind=UnitKind.NODE, cluster=ClusterId(cluster))


def device(name: str = "tor1", cluster: str = "c0") -> Unit:
    return Unit(name=name, kind=UnitKind.DEVICE, cluster=ClusterId(cluster))


def table(*routes: Route) -> RouteTable:
    return RouteTable(routes=routes)


def route(adapter: AdapterId = A, **given: object) -> Route:
    return Route(**{"adapter": adapter, "ports": ALL, **given})  # type: ignore[arg-type]


def test_the_first_route_that_takes_a_unit_serves_it() -> None:
    found = table(route(A, clusters=frozenset({ClusterId("c0")})), route(B))
    assert found.find(PortName.POWER, node()) == A
    assert found.find(PortName.POWER, node(cluster="c1")) == B


@pytest.mark.parametrize(
    ("given", "unit", "takes"),
    [
        ({}, node(), True),
        ({}, device(), True),
        ({"nodes": ("n*",)}, node(), True),
        ({"nodes": ("n*",)}, node("x1"), False),
        ({"nodes": ("n*",)}, device("n-switch"), False),
        ({"devices": ("*",)}, device(), True),
        ({"devices": ("*",)}, node(), False),
        ({"nodes": ("n1",), "devices": ("tor?",)}, device(), True),
        ({"clusters": frozenset({ClusterId("c1")})}, node(), False),
        ({"clusters": frozenset({ClusterId("c1")})}, Unit(name="n9", kind=UnitKind.NODE, cluster=None), False),
        ({"ports": frozenset({PortName.VERIFIER})}, node(), False),
    ],
)
def test_a_route_takes_what_its_keys_say(given: dict[str, object], unit: Unit, takes: bool) -> None:
    assert route(**given).takes(PortName.POWER, unit) is takes


def test_components_part_the_firmware_of_one_node() -> None:
    found = table(route(A, components=frozenset({"bmc_fw"})), route(B, components=frozenset({"driver"})))
    assert found.find(PortName.FIRMWARE, node(), "bmc_fw") == A
    assert found.find(PortName.FIRMWARE, node(), "driver") == B
    assert found.find(PortName.FIRMWARE, node(), "nic_fw") is None


def test_who_serves_the_workloads_looks_first_whatever_the_order_of_the_file() -> None:
    looks, serves = frozenset({PortName.INVENTORY}), frozenset({PortName.INVENTORY, PortName.WORKLOADS})
    found = table(route(A, ports=looks, components=frozenset({"bmc_fw"})), route(B, ports=serves))
    assert list(found.find_lookers(node()).items()) == [(B, frozenset()), (A, frozenset({"bmc_fw"}))]


def test_a_device_is_looked_at_by_who_writes_its_firmware_alone() -> None:
    looks = frozenset({PortName.INVENTORY})
    found = table(route(A, ports=looks), route(B, ports=looks | {PortName.FIRMWARE}))
    assert list(found.find_lookers(device())) == [B]


def test_two_routes_of_an_adapter_look_for_what_either_names() -> None:
    looks = frozenset({PortName.INVENTORY})
    named = [route(A, ports=looks, components=frozenset({name})) for name in ("bmc_fw", "bios")]
    assert table(*named).find_lookers(node()) == {A: frozenset({"bmc_fw", "bios"})}
    assert table(*named, route(A, ports=looks)).find_lookers(node()) == {A: frozenset()}


def test_a_split_keeps_every_item_once_and_in_its_order() -> None:
    assert split("abcab", lambda letter: None if letter == "c" else AdapterId(letter)) == {
        A: ["a", "a"],
        B: ["b", "b"],
        None: ["c"],
    }


def look(**given: object) -> NodeSeen:
    seen = NodeSeen(
        node=NodeId("n1"),
        reachable=True,
        state=NodeState.OUT_OF_SERVICE,
        versions={},
        repaired_at=None,
        observed_at=NOW,
        locked=None,
    )
    return replace(seen, **given)  # type: ignore[arg-type]


def test_of_two_looks_the_first_says_service_and_lock_and_each_its_versions() -> None:
    first = look(state=NodeState.IN_SERVICE, locked=True, versions={"slurmd": "24.11"})
    second = look(versions={"bmc_fw": "2"}, observed_at=NOW - timedelta(minutes=3), repaired_at=NOW)
    merged = merge_looks([(first, frozenset()), (second, frozenset())])
    assert merged == replace(
        first, versions={"slurmd": "24.11", "bmc_fw": "2"}, observed_at=second.observed_at, repaired_at=NOW
    )


def test_a_node_that_one_of_them_cannot_reach_is_not_reachable() -> None:
    assert not merge_looks([(look(), frozenset()), (look(reachable=False), frozenset())]).reachable


def test_of_a_component_on_which_two_differ_nothing_is_known() -> None:
    looks = [(look(versions={"bmc_fw": found, "bios": "7"}), frozenset[str]()) for found in ("1", "2")]
    assert merge_looks(looks).versions == {"bios": "7"}


def test_only_components_that_are_asked_about_are_taken() -> None:
    looks = [
        (look(versions={"bmc_fw": "1"}), frozenset({"bmc_fw"})),
        (look(versions={"bmc_fw": "2"}), frozenset({"x"})),
    ]
    assert merge_looks(looks).versions == {"bmc_fw": "1"}


@pytest.mark.parametrize(
    ("key", "subject"),
    [
        ("run_1/w1/n1/apply:bmc/1", Subject(unit="n1", step="apply:bmc")),
        ("run_1/w/1/set/n/1/drain/2", Subject(unit="set/n/1", step="drain")),
        ("run_1/w1/n1/apply:a/b/1", Subject(unit="n1", step="apply:a/b")),
        ("run_1/w1/stranger/drain/1", None),
        ("odd", None),
    ],
)
def test_a_key_tells_its_unit_and_step_even_when_names_have_slashes(key: str, subject: Subject | None) -> None:
    assert read_key(StepKey(key), lambda name: name in ("n1", "set/n/1")) == subject


@pytest.mark.parametrize(
    ("step", "component"),
    [("apply:gpu", "gpu_fw"), ("undo:1.0 gpu", "gpu_fw"), ("apply:nothing", None), ("drain", None)],
)
def test_a_step_tells_the_component_that_it_writes(step: str, component: str | None) -> None:
    assert component_of(step, small.catalogue()) == component


def test_what_a_plan_needs_and_nobody_serves_is_found_and_nothing_else() -> None:
    fleet, catalogue = small.fleet(), small.catalogue()
    windows = small.plan(fleet, catalogue, small.campaign()).windows
    assert find_gaps(table(route()), windows, fleet, catalogue) == []
    written = {catalogue.updates[name].component for window in windows for name in window.updates}
    without = written - {catalogue.updates[UpdateId("gpu")].component}
    found = find_gaps(
        table(route(A, ports=ALL - {PortName.FIRMWARE, PortName.NOTIFIER}), route(B, components=frozenset(without))),
        windows,
        fleet,
        catalogue,
    )
    assert {(gap.port, gap.component, gap.kind) for gap in found} == {(PortName.FIRMWARE, "gpu_fw", UnitKind.NODE)}
    assert {gap.cluster for gap in found} == {window.cluster for window in windows}


def test_a_plan_that_needs_more_is_told_in_one_sentence_what_to_add_to_the_sites_file() -> None:
    fleet, catalogue = small.fleet(), small.catalogue()
    windows = small.plan(fleet, catalogue, small.campaign()).windows
    assert judge_served("plan_1", table(route()), windows, fleet, catalogue) is None
    no_power = route(ports=ALL - {PortName.POWER, PortName.FIRMWARE})
    lacks = judge_served("plan_1", table(no_power, route(B, devices=("*",))), windows, fleet, catalogue)
    assert lacks is not None
    assert lacks.code is Code.SITE_LACKS
    assert '{ports: [power], clusters: [c0], nodes: ["*"]}' in str(lacks)
    assert "devices:" not in str(lacks)
    without_leafs = judge_served("plan_1", table(route(nodes=("*",))), windows, fleet, catalogue)
    assert '{ports: [firmware], clusters: [c0], devices: ["*"], components: [' in str(without_leafs)
    assert str(lacks).count("ports:") == ENTRIES_MOST


def test_what_a_sentence_says_to_add_serves_what_was_lacking() -> None:
    """Entry by entry, as an operator does who copies it, until nothing is lacking."""
    fleet, catalogue = small.fleet(), small.catalogue()
    windows = small.plan(fleet, catalogue, small.campaign()).windows
    routes = [route(clusters=frozenset({ClusterId("elsewhere")}))]
    while lacks := judge_served("plan_1", table(*routes), windows, fleet, catalogue):
        (first, *_) = re.findall(r"\{.*?\}", str(lacks))
        said = yaml.safe_load(first)
        routes.append(
            route(
                ports=frozenset(map(PortName, said["ports"])),
                clusters=frozenset(said["clusters"]),
                nodes=tuple(said.get("nodes", ())),
                devices=tuple(said.get("devices", ())),
                components=frozenset(said.get("components", ())),
            )
        )
        assert len(routes) < 40
    assert len(routes) > ENTRIES_MOST
