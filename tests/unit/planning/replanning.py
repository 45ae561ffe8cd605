"""A campaign under way to plan again: four whole clusters and a rolled one, one window a day but for the last."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, date, datetime
from typing import Any

from tests.unit.planning import bench as b

from fermata.domain import campaign as c
from fermata.domain import updates as u
from fermata.domain.fleet import Fleet, Node
from fermata.domain.ids import WindowId
from fermata.domain.observed import Fate, Observed, WindowSeen
from fermata.domain.plan_diff import PlanDiff
from fermata.domain.plans import Plan, Window
from fermata.planning.inputs import Planned, PlanningInput
from fermata.planning.planner import plan_campaign

TOR = b.make_update("tor", "tor_fw", 5, u.Impact.IMPACTFUL, target="tor")
CATALOGUE = b.make_catalogue(b.LONG_NIC, TOR)
CLUSTERS = (*(b.make_cluster(f"c{i}") for i in range(4)), b.make_cluster("r0", rolling=True, division="applied"))
RACKS = {"r0": (2, 2, 2, 2, 2)}
LIMIT = c.Limit(what=c.LimitKind.NODES_OUT, at_once=9)
CAMPAIGN = b.make_campaign(
    limits=(LIMIT, c.Limit(what=c.LimitKind.WHOLE_BIG_CLUSTERS, per_day=0)),
    big_cluster_nodes=9,
    deadline=date(2026, 1, 9),
    extension_until=date(2026, 1, 20),
    rolling=c.Rolling(min_fraction_per_day=0.2, max_fraction_per_day=0.2),
)
AS_PLANNED = Observed(as_planned=True)
NOW = datetime(2026, 1, 7, 4, tzinfo=UTC)  # in the evening of the second day: two windows ran, the third is near


def make_fleet() -> Fleet:
    nodes: list[Node] = []
    devices = []
    for cluster in CLUSTERS:
        nodes += b.make_nodes(cluster, RACKS.get(cluster.name, (2, 2, 2)))
        if not cluster.rolling_allowed:
            devices.append(b.make_device(cluster.name, "tor", f"{cluster.name}-r0"))
    return b.make_fleet(CLUSTERS, nodes, devices)


INPUTS = b.make_inputs(make_fleet(), CATALOGUE, CAMPAIGN)
PARENT = b.planned(INPUTS)


def again(parent: Plan = PARENT, **changes: Any) -> PlanningInput:
    """The inputs of a re-plan at NOW in which all went as planned, but for `changes`."""
    return replace(INPUTS, **{"parent": parent, "now": NOW, "observed": AS_PLANNED, **changes})


def follow(inputs: PlanningInput, name: str = "plan_2") -> tuple[Plan, PlanDiff]:
    outcome = plan_campaign(inputs, new_plan_id=name, hashes=b.HASHES)
    assert isinstance(outcome, Planned), outcome
    assert outcome.diff is not None
    return outcome.plan, outcome.diff


def seen(window: str, fate: Fate, **more: Any) -> Observed:
    return replace(AS_PLANNED, windows=(WindowSeen(window=WindowId(window), fate=fate, **more),))


def told(diff: PlanDiff) -> list[tuple[str, list[str], list[str], str]]:
    """Each change: what it is, the windows it was and is, and the code of its cause."""
    return [(x.change.value, [w.id for w in x.was], [w.id for w in x.now], x.cause.code.value) for x in diff.changes]


def ids(windows: Sequence[Window]) -> list[str]:
    return [window.id for window in windows]
