"""Nodes of a Kubernetes cluster as facts: labels, annotations, capacity and conditions, listed page by page."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from fermata.adapters.inventory_fields import flat
from fermata.adapters.inventory_http import PAGES_MAX, Access, Asking, Gone, listed
from fermata.domain.fleet import NodeState
from fermata.domain.inventory_reports import Facts
from fermata.domain.sources import Kubernetes
from fermata.ports import Refused

PATH = "/api/v1/nodes"
PAGE_SIZE = 500
BEGINNINGS_MAX = 3  # a list whose place ran out (410) is begun anew


@dataclass(frozen=True, slots=True)
class KubernetesNodes:
    """Collects the nodes of one API server."""

    reach: Kubernetes
    page_size: int = PAGE_SIZE

    def __call__(self) -> Sequence[Facts]:
        """Every node. Raises TryLater or Refused."""
        access = Access(
            url=self.reach.url, scheme="Bearer", token_file=self.reach.token_file, ca_file=self.reach.ca_file
        )
        with Asking(access) as asking:
            for _ in range(BEGINNINGS_MAX):
                try:
                    return [_to_facts(item, self.reach.url) for item in self._items(asking)]
                except Gone:
                    continue
        raise Refused(f"{self.reach.url} forgets its list of nodes while it is read, {BEGINNINGS_MAX} times in a row")

    def _items(self, asking: Asking) -> Iterator[Any]:
        params = {"limit": str(self.page_size)}
        if self.reach.selector:
            params["labelSelector"] = self.reach.selector
        for _ in range(PAGES_MAX):
            answer = asking.get(PATH, params)
            yield from listed(answer, "items", self.reach.url)
            following = (answer.get("metadata") or {}).get("continue")
            if not following:
                return
            params = {**params, "continue": str(following)}
        raise Refused(f"{self.reach.url} lists nodes without end")


def _to_facts(item: Any, url: str) -> Facts:
    """Fields as in the object, and `state`: in service when it is ready and takes pods."""
    try:
        metadata, spec, status = item["metadata"], item.get("spec") or {}, item.get("status") or {}
        name = str(metadata["name"])
        kept = {
            "labels": metadata.get("labels") or {},
            "annotations": metadata.get("annotations") or {},
            "spec": {"providerID": spec.get("providerID"), "unschedulable": spec.get("unschedulable", False)},
            "nodeInfo": status.get("nodeInfo") or {},
            "capacity": status.get("capacity") or {},
            "allocatable": status.get("allocatable") or {},
            "taints": [taint.get("key") for taint in spec.get("taints") or []],
            "conditions": {str(c["type"]): c["status"] for c in status.get("conditions") or []},
        }
    except (KeyError, TypeError, AttributeError) as error:
        raise Refused(f"{url} lists a node that is none: {type(error).__name__} {error}") from error
    return Facts(name=name, fields={"name": name, **flat(kept), **_state(kept)})


def _state(kept: Mapping[str, Any]) -> dict[str, str]:
    ready = kept["conditions"].get("Ready")
    if ready is None:
        return {}
    serves = ready == "True" and kept["spec"]["unschedulable"] is not True
    return {"state": (NodeState.IN_SERVICE if serves else NodeState.OUT_OF_SERVICE).value}
