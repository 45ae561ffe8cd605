"""What the checker counts in columns is what a look at each node gives: batches, classes, places, what is due."""

from dataclasses import replace

from hypothesis import given, settings
from hypothesis import strategies as st
from tests.constraints import world as w

from fermata.domain.fleet import Fleet, Node
from fermata.domain.ids import NodeId, RackId
from fermata.domain.plans import NodeApplyStep, Plan, batch_members
from fermata.planning.checker import build_case
from fermata.planning.inputs import PlanningInput
from fermata.planning.reading import Reading

NAMES = sorted(w.fleet().nodes)
COMPONENTS = ("nic_fw", "host_os", "gpu_fw", "agent")

differences = st.lists(
    st.tuples(
        st.sampled_from(NAMES), st.sampled_from(COMPONENTS), st.sampled_from(["", "1.0", "2.0"]), st.integers(0, 3)
    ),
    max_size=6,
)


def unlike(made: list[tuple[str, str, str, int]]) -> Fleet:
    """The fleet in which single nodes differ from those they are else alike with: a version, domain and rack."""
    fleet = w.fleet()
    nodes: dict[NodeId, Node] = dict(fleet.nodes)
    for name, component, version, place in made:
        node = nodes[NodeId(name)]
        nodes[node.name] = replace(
            node,
            versions={**node.versions, component: version},
            fault_domain=str(place),
            rack=RackId(f"{node.cluster}-r{place % 2}"),
        )
    return Fleet(clusters=fleet.clusters, nodes=nodes, devices=fleet.devices)


def read(made: list[tuple[str, str, str, int]], order: int) -> tuple[PlanningInput, Plan, Reading]:
    inputs = w.scenario(fleet=unlike(made))
    windows = [replace(x, nodes=(*x.nodes[order:], *x.nodes[:order])) for x in w.windows(inputs)]
    plan = w.plan(inputs, windows)
    return inputs, plan, Reading(case=build_case(inputs), plan=plan)


@settings(max_examples=100, deadline=None)
@given(differences, st.integers(0, 3))
def test_batches_are_those_that_planner_and_conductor_read(made: list[tuple[str, str, str, int]], order: int) -> None:
    inputs, _, reading = read(made, order)
    pending = reading.case.pending
    for view in reading.windows:
        nodes = [inputs.fleet.nodes[name] for name in view.window.nodes]
        for update, steps in view.node_batches.items():
            due = [n for n in nodes if update in {item.update.id for item in pending.of_node(n).due}]
            assert view.due_counts.get(update, 0) == len(due)
            if update in view.unreadable:
                continue
            runs = [run for run in view.runs if run.step in steps]
            found = [reading.case.columns.nodes.named(view.ordered[run.places]) for run in runs]
            expected = batch_members(due, [step.nodes for step in steps])
            assert found == [tuple(node.name for node in batch) for batch in expected]


@settings(max_examples=100, deadline=None)
@given(differences, st.integers(0, 3))
def test_nodes_of_a_class_have_the_same_work_and_take_the_same_steps(
    made: list[tuple[str, str, str, int]], order: int
) -> None:
    _, _, reading = read(made, order)
    dues, names = reading.case.dues, reading.case.columns.nodes
    for view in reading.windows:
        assert sorted(name for group in view.classes for name in group.names) == sorted(view.window.nodes)
        assert len({(group.due, group.steps) for group in view.classes}) == len(view.classes)
        for group in view.classes:
            assert {dues.of_node(name) for name in group.names} == {group.due}
            for run in view.runs:
                taken = set(names.named(view.ordered[run.places])).intersection(group.names)
                assert len(taken) == (len(group.names) if run.step in group.steps else 0)
            applied = {step.update for step in group.steps if isinstance(step, NodeApplyStep)}
            assert applied == set(group.due) - view.unreadable


@settings(max_examples=50, deadline=None)
@given(differences)
def test_places_hold_the_nodes_behind_their_devices(made: list[tuple[str, str, str, int]]) -> None:
    inputs = w.scenario(fleet=unlike(made))
    columns = build_case(inputs).columns
    for number, device in enumerate(columns.devices.devices):
        behind = tuple(node.name for node in inputs.fleet.nodes_behind(device))
        assert columns.nodes.named(columns.behind(number)) == behind
