"""Nodes of a Kubernetes cluster as facts: labels, annotations, capacity and conditions, listed page by page."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from fermata.adapters.inventory_fields import flat
from fermata.adapters.inventory_http import Access
from fermata.adapters.kubernetes_lists import PAGE_SIZE, read_list
from fermata.adapters.secrets import PLAIN, bind
from fermata.domain.fleet import NodeState
from fermata.domain.inventory_reports import Facts
from fermata.domain.secrets import SecretSource
from fermata.domain.sources import Kubernetes
from fermata.ports import Refused

PATH = "/api/v1/nodes"


@dataclass(frozen=True, slots=True)
class KubernetesNodes:
    """Collects the nodes of one API server."""

    reach: Kubernetes
    page_size: int = PAGE_SIZE
    secrets: SecretSource = PLAIN

    def __call__(self) -> Sequence[Facts]:
        """Every node. Raises TryLater or Refused."""
        access = Access(
            url=self.reach.url, scheme="Bearer", token=bind(self.reach.token, self.secrets), ca_file=self.reach.ca_file
        )
        params = {"labelSelector": self.reach.selector} if self.reach.selector else {}
        return [_to_facts(item, self.reach.url) for item in read_list(access, PATH, params, self.page_size)]


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
