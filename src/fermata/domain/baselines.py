"""What nodes of a SKU usually reach in a health check, learned from the fleet's own healthy nodes, and how far under
it a node may stay.

Median and median absolute deviation, since a few sick nodes among the healthy must not move what is usual. A node
counts once, with its last measurement.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from statistics import median

from fermata.domain.ids import NodeId

NODES_MIN = 20  # fewer nodes say more about themselves than about their SKU
KEPT_FOR = timedelta(days=180)  # what was measured with drivers of long ago says little of today's
SPREADS_ODD, SPREADS_BAD = 4.0, 8.0  # in a normal distribution, one healthy node of 30,000 is below four
TO_SIGMA = 1.4826  # median absolute deviation of a normal distribution to its standard deviation


class Better(StrEnum):
    """Which way a figure is good."""

    HIGHER = "higher"
    LOWER = "lower"


class Grade(StrEnum):
    """What a figure says of its node."""

    FINE = "fine"
    ODD = "odd"
    BAD = "bad"


@dataclass(frozen=True, slots=True, kw_only=True)
class FigureRule:
    """How one figure is judged. `limit`: beyond it a node is bad, whatever others reach; in the figure's own unit.
    odd_share, bad_share: how far on the wrong side of the median a figure is odd, or bad, at least.
    """

    figure: str
    better: Better
    limit: float
    odd_share: float = 0.03
    bad_share: float = 0.10

    def names(self, figure: str) -> bool:
        """True of the figure itself and of what was measured by rank or device (`name:0`, `name:1`)."""
        return figure == self.figure or figure.partition(":")[0] == self.figure


@dataclass(frozen=True, slots=True, kw_only=True)
class Measurement:
    """One figure of one node that passed its check."""

    node: NodeId
    sku: str
    figure: str
    value: float
    at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Baseline:
    """What `nodes` nodes of a SKU reach. `spread`: their median absolute deviation, scaled to a standard deviation."""

    sku: str
    figure: str
    nodes: int
    median: float
    spread: float


def learn_baselines(measurements: Iterable[Measurement], now: datetime) -> Mapping[tuple[str, str], Baseline]:
    """By SKU and figure; none of what fewer than NODES_MIN nodes were measured for within KEPT_FOR."""
    latest: dict[tuple[str, str], dict[NodeId, Measurement]] = defaultdict(dict)
    for each in measurements:
        if not timedelta(0) <= now - each.at <= KEPT_FOR:
            continue
        nodes = latest[each.sku, each.figure]
        if each.node not in nodes or nodes[each.node].at <= each.at:
            nodes[each.node] = each
    found = {}
    for (sku, figure), nodes in sorted(latest.items()):
        if len(nodes) < NODES_MIN:
            continue
        values = [each.value for each in nodes.values()]
        middle = median(values)
        spread = TO_SIGMA * median(abs(value - middle) for value in values)
        found[sku, figure] = Baseline(sku=sku, figure=figure, nodes=len(values), median=middle, spread=spread)
    return found


def judge_figure(
    rule: FigureRule, value: float, unit: str, baseline: Baseline | None, *, sku: str
) -> tuple[Grade, str]:
    """The grade and the sentence of it. Without a baseline of enough nodes the fixed limit alone decides."""
    said = f"{rule.figure} {value:.4g}{f' {unit}' if unit else ''}"
    sign = 1.0 if rule.better is Better.HIGHER else -1.0
    if sign * (value - rule.limit) < 0:
        side = "under" if rule.better is Better.HIGHER else "over"
        return Grade.BAD, f"{said}, {side} the limit of {rule.limit:.4g}"
    if baseline is None or baseline.nodes < NODES_MIN:
        return Grade.FINE, f"{said}, no baseline of SKU {sku or 'unknown'}: judged by the fixed limit"
    short = sign * (baseline.median - value)  # above 0: on the wrong side of the median
    size = abs(baseline.median)
    if short > max(rule.bad_share * size, SPREADS_BAD * baseline.spread):
        grade = Grade.BAD
    elif short > max(rule.odd_share * size, SPREADS_ODD * baseline.spread):
        grade = Grade.ODD
    else:
        grade = Grade.FINE
    return grade, f"{said}, {_beside(value, baseline)} what {baseline.nodes} nodes of SKU {baseline.sku} reach"


def _beside(value: float, baseline: Baseline) -> str:
    off = value - baseline.median
    side = "under" if off < 0 else "over"
    if baseline.median == 0:
        return f"{abs(off):.4g} {side}"
    share = abs(off / baseline.median)
    return f"{share:.1%} {side}".replace("%", " %") if share >= 0.0005 else "level with"
