"""What a word of approval would cost: which nodes it would clear, how long each is out, and in which windows."""

from collections import Counter
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime

from fermata.domain.fleet import Fleet, Node
from fermata.domain.ids import ClusterId, NodeId, WindowId
from fermata.domain.pending import FleetPending, work_on
from fermata.domain.reasons import Reason
from fermata.domain.updates import StepDefaults


@dataclass(frozen=True, slots=True, kw_only=True)
class WindowShare:
    """A window to come that takes some of the nodes: so many of them, out over `[start, end)`, UTC."""

    window: WindowId
    cluster: ClusterId
    start: datetime
    end: datetime
    nodes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Cost:
    """Of the nodes with work in what was chosen: `covered` go already, `cleared` would go by the word, `lacking` would
    still not, by what each lacks, most first.

    `quick_minutes`, `slow_minutes`: how long one node is out at least, by what the catalogue claims (medians), of the
    node with least and the one with most work; 0 when no workload would feel it. `windows` to come, by start;
    `undated`: nodes that no window takes yet. `node_minutes`: all of it together, planned where a window is, else
    claimed.
    """

    nodes: int
    devices: int
    covered: int
    cleared: int
    lacking: tuple[tuple[Reason, int], ...]
    quick_minutes: int
    slow_minutes: int
    node_minutes: int
    windows: tuple[WindowShare, ...]
    undated: int


def find_cost(  # noqa: PLR0913 - what is known of the nodes, each from its own source
    nodes: Collection[Node],
    *,
    devices: int,
    minutes: Mapping[NodeId, int],
    gaps: Mapping[NodeId, Reason],
    gaps_then: Mapping[NodeId, Reason],
    windows: Iterable[WindowShare],
    taken: Mapping[NodeId, int],
) -> Cost:
    """`nodes`: those with work; `minutes`: of each, by `claimed_minutes`; `gaps`: what each lacks now, and `gaps_then`,
    after the word. `taken`: the minutes that windows to come have each node out.
    """
    covered = sum(node.name not in gaps for node in nodes)
    lacking = Counter(gaps_then[node.name] for node in nodes if node.name in gaps_then)
    felt = [minutes[node.name] for node in nodes]
    return Cost(
        nodes=len(nodes),
        devices=devices,
        covered=covered,
        cleared=sum(node.name in gaps and node.name not in gaps_then for node in nodes),
        lacking=tuple(sorted(lacking.items(), key=lambda pair: (-pair[1], pair[0].sentence))),
        quick_minutes=min(felt, default=0),
        slow_minutes=max(felt, default=0),
        node_minutes=sum(taken.get(node.name, minutes[node.name]) for node in nodes),
        windows=tuple(sorted(windows, key=lambda share: (share.start, share.window))),
        undated=sum(node.name not in taken for node in nodes),
    )


def claimed_minutes(
    fleet: Fleet, pending: FleetPending, defaults: StepDefaults, nodes: Iterable[Node]
) -> Mapping[NodeId, int]:
    """For each node how long it is out at least: drained, each update one after another, rebooted once if one asks for
    it, verified; medians of the catalogue's claims. 0 where no workload would feel it. What waits for other nodes of
    the same window comes on top.
    """
    found: dict[NodeId, int] = {}
    known: dict[frozenset[str], int] = {}
    for node in nodes:
        updates = {update.id: update for update in work_on(fleet, pending, node)}
        key = frozenset(updates)
        if key not in known:
            felt = any(update.needs_drain for update in updates.values())
            total = sum(update.duration_minutes.p50 for update in updates.values())
            total += defaults.drain_minutes.p50 + defaults.verify_minutes.p50
            total += defaults.reboot_minutes.p50 if any(update.needs_reboot for update in updates.values()) else 0
            known[key] = round(total) if felt else 0
        found[node.name] = known[key]
    return found
