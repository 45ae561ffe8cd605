"""Trial of rules that tell how a cluster may be split: every split of small clusters, node by node, in every order."""

from collections.abc import Iterator, Sequence
from datetime import date, timedelta
from itertools import product

from tests.properties.hearing import hear, local, make_judge, make_window
from tests.unit.planning import bench as b

from fermata.domain.campaign import Rolling
from fermata.domain.fleet import Device, DeviceScope, Node
from fermata.domain.pending import find_pending
from fermata.domain.plans import Window
from fermata.domain.updates import Impact
from fermata.planning.encoders import Encoder
from fermata.planning.encoding import Parts
from fermata.planning.inputs import PlanningInput

FIRST = date(2026, 1, 5)
PARTS_MOST = 3
FELT = b.make_update("tor", "tor_fw", 5, Impact.IMPACTFUL, target="tor")
UNFELT = b.make_update("mgr", "mgr_fw", 5, Impact.IMPACTLESS, target="mgr")
Split = tuple[tuple[Node, ...], ...]


def find_disagreements(encoder: Encoder) -> Iterator[str]:
    """Splits, by setting and number, that the rule's check and what it tells judge differently."""
    for setting, inputs in enumerate(settings()):
        told = hear(encoder, inputs)
        judge = make_judge(encoder.code, inputs)
        assert isinstance(told, Parts)
        (cluster,) = inputs.fleet.clusters.values()
        for number, split in enumerate(splits(inputs.fleet.nodes_by_cluster[cluster.name])):
            faulted = judge(windows_of(split))
            if may_split(inputs, told, split) == bool(faulted):
                yield f"{setting}-{number}"


def settings() -> Iterator[PlanningInput]:
    """Rolling or not, shares of a part, and what the switch of the first rack or the manager of all has due."""
    shares = ((0.2, 0.5), (0.35, 0.7), (0.4, 0.6))
    for may_roll, (low, high), kind, version in product((True, False), shares, ("tor", "mgr"), (b.OLD, b.NEW)):
        cluster = b.make_cluster("alpha", rolling=may_roll)
        device: Device = (
            b.make_device("alpha", "tor", "alpha-r0", version=version)
            if kind == "tor"
            else b.make_device("alpha", "mgr", "alpha-su0", version=version, scope=DeviceScope.SCALABLE_UNIT)
        )
        campaign = b.make_campaign(rolling=Rolling(min_fraction_per_day=low, max_fraction_per_day=high))
        fleet = b.make_fleet([cluster], b.make_nodes(cluster, [2, 3]), [device])
        yield b.make_inputs(fleet, b.make_catalogue(b.LONG_NIC, FELT, UNFELT), campaign)


def splits(nodes: Sequence[Node]) -> Iterator[Split]:
    """Every way to put the nodes into up to three parts, none of them empty."""
    for count in range(1, PARTS_MOST + 1):
        for places in product(range(count), repeat=len(nodes)):
            if set(places) == set(range(count)):
                yield tuple(tuple(n for n, p in zip(nodes, places, strict=True) if p == part) for part in range(count))


def windows_of(split: Split) -> Iterator[Window]:
    for number, members in enumerate(split, start=1):
        start = local(FIRST + timedelta(days=number), 12)
        yield make_window(f"part-{number}", members, start, 60, part=(number, len(split)))


def may_split(inputs: PlanningInput, told: Parts, split: Split) -> bool:
    """True when what the rule tells lets the cluster go in these parts."""
    (cluster,) = inputs.fleet.clusters.values()
    pending = find_pending(inputs.fleet, inputs.catalogue)
    tied = [
        {node.name for node in inputs.fleet.nodes_behind(device)}
        for device in inputs.fleet.devices.values()
        if any(told.ties(item.update) for item in pending.of_device(device).due)
    ]
    names = [{node.name for node in part} for part in split]
    keeps_ties = all(group <= part or not group & part for group in tied for part in names)
    if len(split) == 1:
        return keeps_ties
    least, most = told.sizes(sum(len(part) for part in split))
    in_bounds = all(len(part) <= most for part in split) and all(len(part) >= least for part in split[:-1])
    return keeps_ties and in_bounds and told.may_roll(cluster)
