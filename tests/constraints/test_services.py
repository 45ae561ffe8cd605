"""What services keep, and what a plan states of them. The API (odd nodes) may move to training (even nodes).

Monday alpha goes (3 and 3 nodes), then beta in parts of 2 and 2, 2 and 2, 1 and 1, all in the US, where the API has 8
nodes; gamma is in the EU.
"""

from collections.abc import Sequence
from dataclasses import replace
from datetime import date, timedelta
from typing import Any

import pytest
from tests.constraints import world as w

from fermata.domain.fleet import Fleet, NodeState
from fermata.domain.ids import ClusterId, NodeId, ServiceId, WindowId
from fermata.domain.plans import Move, Plan, ServiceDay
from fermata.domain.workloads import Minimum, Service, WorkloadMap
from fermata.planning.checker import check_plan
from fermata.planning.inputs import PlanningInput

API, TRAINING = ServiceId("api"), ServiceId("training")
HOUR = timedelta(hours=1)


def mapped(minimum: int, *moves_to: ServiceId, geo: str = "US") -> WorkloadMap:
    api = Service(id=API, service_class="api", rank=30, minimum={geo: Minimum(nodes=minimum)}, moves_to=moves_to)
    return WorkloadMap(services={API: api, TRAINING: Service(id=TRAINING, service_class="research", rank=10)})


def capacity_faults(inputs: PlanningInput, built: Plan) -> list[str | None]:
    return [v.window for v in check_plan(inputs, built) if v.rule == "SERVICE_CAPACITY"]


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (mapped(5), []),
        (mapped(6), ["w-alpha"]),
        (mapped(7), ["w-alpha", "w-beta-1", "w-beta-2"]),
        (mapped(6, TRAINING), ["w-alpha"]),  # alpha's own training nodes are out with it
        (mapped(8, TRAINING), ["w-alpha"]),  # but carry beta's load on the days after
        (mapped(8, TRAINING, geo="UK"), []),
        (mapped(3, geo="EU"), ["w-gamma"]),
    ],
)
def test_a_service_keeps_its_minimum_at_every_instant(given: WorkloadMap, expected: list[str]) -> None:
    inputs = w.scenario(workloads=given)
    assert capacity_faults(inputs, w.plan(inputs, w.windows(inputs))) == expected


def test_taking_the_api_before_what_carries_it_is_found_out() -> None:
    """With alpha last, nothing is back when the first part of beta goes; its own parts carry the later ones."""
    inputs = w.scenario(workloads=mapped(7, TRAINING))
    made = w.windows(inputs)
    late = w.move(made[0], timedelta(days=7))
    built = w.plan(inputs, w.swap(made, late))
    assert capacity_faults(inputs, built) == ["w-beta-1"]
    (told,) = [v.sentence for v in check_plan(inputs, built) if v.rule == "SERVICE_CAPACITY"]
    assert "2 of the 8 nodes of api in US are out" in told
    assert "carry at most 0 for them: 6 remain, 7 must" in told


def test_nodes_that_come_back_on_the_same_day_carry_nothing_yet() -> None:
    inputs = w.scenario(workloads=mapped(7, TRAINING))
    made = w.windows(inputs)
    same_day = w.move(made[1], w.MONDAY + 2 * HOUR - made[1].start)
    built = w.plan(inputs, w.swap(made, same_day))
    found = check_plan(inputs, built, only=frozenset({WindowId("w-beta-1")}))
    assert "SERVICE_CAPACITY" in {v.rule for v in found}


def test_nodes_out_of_service_neither_count_nor_carry() -> None:
    inputs = w.scenario(workloads=mapped(8, TRAINING))
    fleet = inputs.fleet
    off = {
        name: replace(node, state=NodeState.OUT_OF_SERVICE) if name.startswith("alpha") else node
        for name, node in fleet.nodes.items()
    }
    inputs = replace(inputs, fleet=Fleet(clusters=fleet.clusters, nodes=off, devices=fleet.devices))
    assert capacity_faults(inputs, w.plan(inputs, w.windows(inputs))) == ["w-beta-1"]


def test_only_the_windows_asked_about_are_told() -> None:
    inputs = w.scenario(workloads=mapped(7))
    built = w.plan(inputs, w.windows(inputs))
    asked = check_plan(inputs, built, only=frozenset({WindowId("w-beta-2")}))
    assert [(v.rule, v.window) for v in asked] == [("SERVICE_CAPACITY", "w-beta-2")]


def line(service: ServiceId, geo: str, day: int, figures: Sequence[int], *moves: Move) -> ServiceDay:
    """The line of a day of January; figures: nodes, out, lent, remaining, minimum."""
    nodes, out, lent, remaining, minimum = figures
    at = {5: w.MONDAY, 6: w.TUESDAY, 7: w.WEDNESDAY, 8: w.THURSDAY}[day] + (HOUR if geo == "EU" else 0 * HOUR)
    return ServiceDay(
        service=service,
        geo=geo,
        day=date(2026, 1, day),
        at=at,
        nodes=nodes,
        out=out,
        lent=lent,
        remaining=remaining,
        minimum=minimum,
        moves=moves,
    )


def move(to: str = "alpha", nodes: int = 2, lender: ServiceId = TRAINING, source: str = "beta") -> Move:
    return Move(from_cluster=ClusterId(source), to_cluster=ClusterId(to), lender=lender, nodes=nodes)


def stated() -> tuple[PlanningInput, Plan]:
    """The valid plan with true lines, of which the API's on Tuesday comes first."""
    inputs = w.scenario(workloads=mapped(5, TRAINING))
    lines = (
        line(API, "US", 6, (8, 2, 2, 8, 5), move()),
        line(API, "US", 5, (8, 3, 0, 5, 5)),
        line(API, "US", 7, (8, 2, 0, 6, 5)),
        line(API, "US", 8, (8, 1, 1, 8, 5), move("beta", 1)),
        line(API, "EU", 6, (3, 3, 0, 0, 0)),
        line(TRAINING, "EU", 6, (3, 3, 0, 0, 0)),
        line(TRAINING, "US", 5, (9, 3, 0, 6, 0)),
        line(TRAINING, "US", 6, (9, 2, 0, 7, 0)),
        line(TRAINING, "US", 7, (9, 2, 0, 7, 0)),
        line(TRAINING, "US", 8, (9, 1, 0, 8, 0)),
    )
    return inputs, replace(w.plan(inputs, w.windows(inputs)), services=lines)


def test_true_lines_pass() -> None:
    inputs, built = stated()
    assert w.faults(inputs, built) == set()


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"nodes": 9, "remaining": 9}, "states 9 nodes; it is 8"),
        ({"out": 1}, "states 1 out; it is 2"),
        ({"lent": 1}, "states 1 lent; it is 2"),
        ({"minimum": 4}, "states 4 minimum; it is 5"),
        ({"remaining": 4}, "fewer than its minimum of 5"),
        ({"at": w.TUESDAY + 5 * HOUR}, "a time at which not most"),
        ({"moves": (move("alpha", 4),), "lent": 4, "remaining": 10}, "moves 4 from beta, where 2 are out"),
        ({"moves": (move("alpha", 2, API),)}, "to nodes of api, to which it may not"),
        ({"moves": (move("gamma"),)}, "not of its geo"),
        ({"moves": (move("nowhere"),)}, "not of its geo"),
        ({"moves": (move("beta"),)}, "where 0 are done"),
        ({"day": date(2026, 1, 9)}, "says nothing of api in US on 2026-01-06"),
    ],
)
def test_untrue_lines_are_found_out(changes: dict[str, Any], told: str) -> None:
    inputs, built = stated()
    first, *others = built.services
    spoilt = replace(built, services=(replace(first, **changes), *others))
    found = check_plan(inputs, spoilt)
    assert {v.rule for v in found} == {"SERVICES_STATED"}
    assert any(told in v.sentence for v in found), [v.sentence for v in found]


def test_lines_of_one_instant_do_not_share_a_node() -> None:
    chat = ServiceId("chat")
    inputs, built = stated()
    assert inputs.workloads is not None
    services = dict(inputs.workloads.services)
    services[chat] = Service(id=chat, service_class="chat", rank=20, moves_to=(TRAINING,))
    carried = {NodeId("beta-n01"): chat, NodeId("beta-n05"): chat, NodeId("beta-n09"): chat}
    inputs = replace(inputs, workloads=WorkloadMap(services=services, assignments=carried))
    api = line(API, "US", 6, (5, 1, 1, 5, 5), move(nodes=1))
    both = line(chat, "US", 6, (3, 1, 1, 3, 0), move(nodes=1))
    fits = replace(built, services=(api, both))
    doubled = replace(built, services=(replace(api, lent=3, remaining=7, moves=(move(nodes=3),)), both))

    def hosts(plan: Plan) -> list[str]:
        return [v.sentence for v in check_plan(inputs, plan) if "and others move" in v.sentence]

    assert hosts(fits) == []
    assert hosts(doubled) == [
        "The line of chat in US on 2026-01-06 and others move 4 to training in alpha, where 3 are done."
    ]


def test_lines_without_a_map_and_twice_are_found_out() -> None:
    inputs, built = stated()
    twice = replace(built, services=(*built.services, built.services[-1]))
    assert w.faults(inputs, twice) == {"SERVICES_STATED"}
    without = replace(inputs, workloads=None)
    assert w.faults(without, replace(built, objective=w.scored(without, built).objective)) == {"SERVICES_STATED"}
