"""Trial of the rule that tells who goes first: windows of four clusters at every hour, in plans new and under way."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import date, timedelta
from itertools import chain, combinations, product

from tests.properties.hearing import hear, local, make_judge, make_plan, make_window, nodes_of
from tests.unit.planning import bench as b

from fermata.domain.phases import ControlPhase, GateTerms, Phases
from fermata.domain.plans import Window
from fermata.planning.encoders import Encoder
from fermata.planning.encoding import Turns
from fermata.planning.inputs import PlanningInput

MONDAY = date(2026, 1, 5)
SIZES = (1, 2, 3, 6)
CLUSTERS = tuple(b.make_cluster(name) for name in "abcd")
HOURS = (8, 9, 10.5, 12)  # windows take an hour
MINUTES = 60


def find_disagreements(encoder: Encoder) -> Iterator[str]:
    """Plans, by setting and number, that the rule's check and what it tells judge differently."""
    for setting, inputs in enumerate(settings()):
        told = hear(encoder, inputs)
        judge = make_judge(encoder.code, inputs)
        assert isinstance(told, Turns)
        for number, windows in enumerate(plans(inputs)):
            if may_go(inputs, told, windows) == bool(judge(windows)):
                yield f"{setting}-{number}"


def settings() -> Iterator[PlanningInput]:
    """No control phase, small and large ones with a short bake and a long one, and plans that follow such plans."""
    nodes = [node for cluster, size in zip(CLUSTERS, SIZES, strict=True) for node in b.make_nodes(cluster, [size])]
    made = b.make_inputs(b.make_fleet(CLUSTERS, nodes), b.make_catalogue(b.LONG_NIC), b.make_campaign())
    yield made
    for fraction, bake in product((0.05, 0.1, 0.25, 0.5), (0, 60, 110)):
        control = ControlPhase(max_fraction=fraction, gate=GateTerms(at_least=1, bake=timedelta(minutes=bake)))
        phased = replace(made, campaign=replace(made.campaign, phases=Phases(control=control)))
        yield phased
        yield replace(phased, parent=make_plan(phased, plan_at(phased, (8, 12, 12, 12))))
        yield replace(phased, parent=make_plan(phased, plan_at(phased, (8, 8, 8, 8))))


def plans(inputs: PlanningInput) -> Iterator[tuple[Window, ...]]:
    for hours in product(HOURS, repeat=len(CLUSTERS)):
        yield plan_at(inputs, hours)


def plan_at(inputs: PlanningInput, hours: Sequence[float]) -> tuple[Window, ...]:
    """A window for each cluster, at these hours of Monday."""
    return tuple(
        make_window(f"{cluster.name}-1", nodes_of(inputs, cluster), local(MONDAY, hour), MINUTES)
        for cluster, hour in zip(CLUSTERS, hours, strict=True)
    )


def may_go(inputs: PlanningInput, told: Turns, windows: Sequence[Window]) -> bool:
    """True when what the rule tells lets the windows go at these times."""
    if inputs.parent is not None:  # a is settled where it was first
        return told.opens is None or all(w.start >= told.opens for w in windows if w.cluster != "a")
    if told.fraction is None:
        return True
    return any(goes_first(told, group, windows) for group in groups(windows))


def groups(windows: Sequence[Window]) -> Iterator[tuple[Window, ...]]:
    """Some of the windows, but not all."""
    return chain.from_iterable(combinations(windows, count) for count in range(1, len(windows)))


def goes_first(told: Turns, group: Sequence[Window], windows: Sequence[Window]) -> bool:
    assert told.fraction is not None
    nodes = sum(len(window.nodes) for window in group)
    is_small = nodes <= told.fraction * sum(len(window.nodes) for window in windows)
    over = max(window.end for window in group) + told.gap
    return is_small and all(window.start >= over for window in windows if window not in group)
