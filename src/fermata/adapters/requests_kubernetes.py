"""What operators of a Kubernetes cluster ask for: NodeMaintenances of NVIDIA's maintenance-operator, and
MaintenanceRequests of NVSentinel.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from fermata.adapters.inventory_http import Access, Asking
from fermata.adapters.kubernetes_lists import AGREED, PAGE_SIZE, read_list
from fermata.adapters.secrets import PLAIN, bind
from fermata.domain.health import shorten
from fermata.domain.ids import NodeId
from fermata.domain.outside_asks import OutsideAsk
from fermata.domain.request_kinds import RequestKind
from fermata.domain.secrets import SecretSource
from fermata.domain.sources import AskKind, Operators
from fermata.ports import Refused

MAINTENANCES = "/apis/maintenance.nvidia.com/v1alpha1"
PATHS: Mapping[AskKind, str] = {
    AskKind.NODE_MAINTENANCE: f"{MAINTENANCES}/nodemaintenances",
    AskKind.MAINTENANCE_REQUEST: "/apis/nvsentinel.dgxc.nvidia.com/v1/maintenancerequests",
}


@dataclass(frozen=True, slots=True)
class KubernetesAsks:
    """Reads the objects of one API server."""

    reach: Operators
    page_size: int = PAGE_SIZE
    secrets: SecretSource = PLAIN

    def read(self) -> Sequence[OutsideAsk]:
        """All but our own. Raises TryLater, or Refused for an object that cannot be read too: if it were passed over,
        its work would seem to be over.
        """
        found: list[OutsideAsk] = []
        for kind in sorted(self.reach.asks):
            for item in read_list(self._access(), PATHS[kind], {}, self.page_size):
                ask = _read(kind, item, self.reach)
                found += [ask] if ask is not None else []
        return found

    def mark(self, agreed: Mapping[str, bool]) -> None:
        """By an annotation, of NodeMaintenances alone: nobody reads it on the others. Raises TryLater or Refused."""
        if AskKind.NODE_MAINTENANCE not in self.reach.asks:
            return
        found = read_list(self._access(), PATHS[AskKind.NODE_MAINTENANCE], {}, self.page_size)
        with Asking(self._access()) as asking:
            for meta in (item["metadata"] for item in found):
                if meta["uid"] in agreed:
                    note = {AGREED: "true" if agreed[meta["uid"]] else None}
                    patch = {"metadata": {"uid": meta["uid"], "annotations": note}}
                    asking.patch(_path(meta), patch)

    def hand_over(self, nodes: Sequence[NodeId]) -> None:
        """Ends our own NodeMaintenances there: the operator lets one begin on a node at a time. Raises TryLater or
        Refused.
        """
        if AskKind.NODE_MAINTENANCE not in self.reach.asks:
            return
        names = frozenset(nodes)
        ours = [
            item["metadata"]
            for item in read_list(self._access(), PATHS[AskKind.NODE_MAINTENANCE], {}, self.page_size)
            if item["spec"]["requestorID"] == self.reach.requestor and item["spec"]["nodeName"] in names
        ]
        with Asking(self._access()) as asking:
            for meta in ours:
                if not meta.get("deletionTimestamp"):
                    asking.delete(_path(meta))

    def _access(self) -> Access:
        reach = self.reach
        return Access(url=reach.url, scheme="Bearer", token=bind(reach.token, self.secrets), ca_file=reach.ca_file)


def _read(kind: AskKind, item: Any, reach: Operators) -> OutsideAsk | None:
    try:
        read = _read_maintenance if kind is AskKind.NODE_MAINTENANCE else _read_request
        return read(item, reach.requestor)
    except (LookupError, TypeError, AttributeError, ValueError) as error:
        raise Refused(f"{reach.url} lists a {kind} that is none: {type(error).__name__} {error}") from error


def _read_maintenance(item: Any, requestor: str) -> OutsideAsk | None:
    meta, spec = item["metadata"], item["spec"]
    if spec["requestorID"] == requestor:
        return None
    reason = str(_condition(item, "Ready").get("reason") or "")
    return OutsideAsk(
        ref=_uid(meta),
        node=NodeId(str(spec["nodeName"])),
        kind=RequestKind.HARDWARE,
        cause=f"NodeMaintenance {meta['namespace']}/{meta['name']} of {spec['requestorID']}",
        has_begun=reason not in ("", "Pending"),
        is_agreed=bool((meta.get("annotations") or {}).get(AGREED)),
    )


def _read_request(item: Any, _requestor: str) -> OutsideAsk:
    """Its controller, where it runs, begins with every one that it sees, whenever it is meant to start."""
    meta, event = item["metadata"], item["spec"]["healthEvent"]
    start = item["spec"].get("startTime")
    said = shorten(str(event.get("message") or event.get("checkName") or "no message"))
    node = str(event["nodeName"])
    if not node:
        raise ValueError("it names no node")
    return OutsideAsk(
        ref=_uid(meta),
        node=NodeId(node),
        kind=RequestKind.REPAIR if event.get("isFatal") is True else RequestKind.HARDWARE,
        cause=f"MaintenanceRequest {meta['name']}: {said}",
        has_begun=_condition(item, "HealthEventEmitted").get("status") == "True",
        wanted_at=_read_time(str(start)) if start else None,
    )


def _path(meta: Mapping[str, Any]) -> str:
    return f"{MAINTENANCES}/namespaces/{meta['namespace']}/nodemaintenances/{meta['name']}"


def _uid(meta: Mapping[str, Any]) -> str:
    found = meta["uid"]
    if not isinstance(found, str) or not found:
        raise ValueError("it has no uid")
    return found


def _condition(item: Any, kind: str) -> Mapping[str, Any]:
    found: Mapping[str, Any]
    for found in (item.get("status") or {}).get("conditions") or ():
        if found["type"] == kind:
            return found
    return {}


def _read_time(text: str) -> datetime:
    found = datetime.fromisoformat(text)
    if found.tzinfo is None:
        raise ValueError(f"{text} has no time zone")
    return found.astimezone(UTC)
