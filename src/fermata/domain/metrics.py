"""What series of a metrics store say of a node: fine, over a threshold, or nothing. Stale and missing series, and what
was seen before the node came back, are nothing, and nothing is never fine.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from fermata.domain.ids import NodeId

STALE_AFTER = timedelta(minutes=3)  # exporters are scraped every 15 to 60 seconds: three scrapes were missed


@dataclass(frozen=True, slots=True, kw_only=True)
class MetricRule:
    """A question as data. `query`: PromQL whose answer has a sample a node, or several: the worst counts. `series`: a
    selector of what is scraped for it, whose age is the age of the evidence; `query` may be an increase over an hour
    that is there long after an exporter died. `label` names the node, a port behind it is cut off.

    A node breaches it above `above` or below `below`, in the query's unit; at least one of them is set.
    """

    name: str
    query: str
    series: str
    label: str
    above: float | None = None
    below: float | None = None
    stale_after: timedelta = STALE_AFTER


@dataclass(frozen=True, slots=True, kw_only=True)
class Read:
    """What a metrics store answered. `seen_at`: when the oldest series of each node was scraped last."""

    rule: MetricRule
    values: Mapping[NodeId, tuple[float, ...]] = field(hash=False)
    seen_at: Mapping[NodeId, datetime] = field(hash=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Unread:
    """It answered nothing, or is not set; `why` says what to do."""

    why: str


Reading = Read | Unread


@dataclass(frozen=True, slots=True, kw_only=True)
class Fine:
    """Every metric is fresh and within its thresholds."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Breach:
    """At least one speaks against the node."""

    why: str


@dataclass(frozen=True, slots=True, kw_only=True)
class NoEvidence:
    """None speaks against it, and at least one says nothing."""

    why: str


Measure = Fine | Breach | NoEvidence


def judge_metrics(node: NodeId, readings: Mapping[str, Reading], *, since: datetime, now: datetime) -> Measure:
    """A breach of one beats silence of another. `since`: what was scraped before says nothing of the node as it is."""
    silent = ""
    for name in sorted(readings):
        reading = readings[name]
        if isinstance(reading, Unread):
            silent = silent or f"{name}: {reading.why}"
            continue
        lacking = _find_lack(reading, node, since, now)
        if lacking:
            silent = silent or f"{name}: {lacking}"
            continue
        why = _find_breach(reading.rule, reading.values[node])
        if why:
            return Breach(why=f"{name} {why}")
    return NoEvidence(why=silent) if silent else Fine()


def _find_lack(reading: Read, node: NodeId, since: datetime, now: datetime) -> str:
    seen_at, values = reading.seen_at.get(node), reading.values.get(node)
    if seen_at is None or not values:
        return f"no series of {node}"
    if not all(math.isfinite(value) for value in values):
        return f"a value of {node} is no number"
    if seen_at < since:
        return f"{node} was not scraped since it came back"
    if not timedelta(0) <= now - seen_at <= reading.rule.stale_after:
        return f"{node} was scraped last at {seen_at:%Y-%m-%d %H:%M:%SZ}"
    return ""


def _find_breach(rule: MetricRule, values: tuple[float, ...]) -> str:
    if rule.above is not None and max(values) > rule.above:
        return f"is {max(values):.6g}, above {rule.above:.6g}"
    if rule.below is not None and min(values) < rule.below:
        return f"is {min(values):.6g}, below {rule.below:.6g}"
    return ""


def _gpu(name: str, field_name: str, *, above: float, query: str = "") -> MetricRule:
    """A field of the DCGM exporter, the worst of a node's GPUs. Names are those of its default-counters.csv."""
    asked = query or f"max by (Hostname) ({field_name})"
    return MetricRule(name=name, query=asked, series=field_name, label="Hostname", above=above)


_REPLAYS = "DCGM_FI_DEV_NVLINK_REPLAY_ERROR_COUNT_TOTAL"
COMMON_METRICS = (
    _gpu("xid", "DCGM_FI_DEV_XID_ERRORS", above=0),
    _gpu("ecc", "DCGM_FI_DEV_ECC_DBE_VOL_TOTAL", above=0),
    _gpu("temperature", "DCGM_FI_DEV_GPU_TEMP", above=90),
    _gpu("nvlink_replay", _REPLAYS, above=10, query=f"max by (Hostname) (increase({_REPLAYS}[15m]))"),
    MetricRule(name="node_up", query='up{job="node"}', series='up{job="node"}', label="instance", below=1),
)
