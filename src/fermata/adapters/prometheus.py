"""Reads metrics of nodes from a Prometheus, by its HTTP API: instant queries, as its documentation describes them.

Two questions a metric: its value by node, and when its series were scraped last.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from fermata.adapters.inventory_http import Access, Asking, Gone
from fermata.domain.ids import NodeId
from fermata.domain.metrics import MetricRule, Read, Reading, Unread
from fermata.ports import Refused, TryLater

PATH = "/api/v1/query"
SAMPLES_MAX = 1_000_000  # of one answer: 20,000 nodes of 8 GPUs are 160,000
SECONDS_MAX = 1e11  # of a time; later ones are milliseconds, or nonsense


@dataclass(frozen=True, slots=True, kw_only=True)
class PrometheusMetrics:
    """Metrics. `rules`: by name."""

    access: Access
    rules: Mapping[str, MetricRule]

    def read(self, names: Sequence[str]) -> Mapping[str, Reading]:
        """See the port."""
        found: dict[str, Reading] = {
            name: Unread(why="the file of metrics does not define it") for name in names if name not in self.rules
        }
        known = [name for name in names if name in self.rules]
        try:
            with Asking(self.access) as asking:
                found |= {name: self._read(asking, self.rules[name]) for name in known}
        except (Refused, TryLater) as refused:  # of its files and its token: nothing was asked
            found |= dict.fromkeys(known, Unread(why=str(refused)))
        return found

    def _read(self, asking: Asking, rule: MetricRule) -> Reading:
        try:
            values = self._ask(asking, rule.query, rule.label)
            scraped = self._ask(asking, f"min by ({rule.label}) (timestamp({rule.series}))", rule.label)
        except TryLater as later:
            return Unread(why=str(later))
        except Refused as refused:
            return Unread(why=refused.why)
        except Gone:
            return Unread(why=f"{self.access.url} has no {PATH}: is it a Prometheus?")
        times = {node: min(seconds) for node, seconds in scraped.items()}
        seen_at = {node: datetime.fromtimestamp(at, UTC) for node, at in times.items() if 0 <= at < SECONDS_MAX}
        return Read(rule=rule, values=values, seen_at=seen_at)

    def _ask(self, asking: Asking, query: str, label: str) -> Mapping[NodeId, tuple[float, ...]]:
        answer = asking.get(PATH, {"query": query})
        data = answer.get("data") if isinstance(answer, dict) else None
        if not isinstance(data, dict) or answer.get("status") != "success":
            raise Refused(f"{self.access.url} answers what is no result of a query")
        if data.get("resultType") != "vector" or not isinstance(data.get("result"), list):
            raise Refused(f"the query {query} gives a {data.get('resultType')}, not one value a node")
        if len(data["result"]) > SAMPLES_MAX:
            raise Refused(f"the query {query} gives more than {SAMPLES_MAX} samples")
        return _by_node(data["result"], query, label)


def _by_node(samples: Sequence[Any], query: str, label: str) -> Mapping[NodeId, tuple[float, ...]]:
    found: dict[NodeId, list[float]] = defaultdict(list)
    for sample in samples:
        try:
            name = str(sample["metric"][label]).partition(":")[0]
            value = float(sample["value"][1])
        except (KeyError, TypeError, IndexError, ValueError, OverflowError) as error:
            raise Refused(f"the query {query} gives a sample without a label {label} or a value") from error
        found[NodeId(name)].append(value)
    return {node: tuple(values) for node, values in found.items()}
