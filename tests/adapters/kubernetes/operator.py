"""NVIDIA's maintenance-operator as its code does it (v1alpha1, July 2026), over the API: one phase a step. It works on
the double and on a real API server alike.
"""

from typing import Any

from tests.adapters.kubernetes.kube import MERGE, PODS, Kube

API = "/apis/maintenance.nvidia.com/v1alpha1"
ALL = f"{API}/nodemaintenances"
FINALIZER = "maintenance.nvidia.com/finalizer"
INITIAL = "maintenance.nvidia.com/node-initial-state.unschedulable"
NEXT = {
    "Scheduled": "Cordon",
    "Cordon": "WaitForPodCompletion",
    "WaitForPodCompletion": "Draining",
    "Draining": "Ready",
}
DEFINITION = {
    "apiVersion": "apiextensions.k8s.io/v1",
    "kind": "CustomResourceDefinition",
    "metadata": {"name": "nodemaintenances.maintenance.nvidia.com"},
    "spec": {
        "group": "maintenance.nvidia.com",
        "names": {"kind": "NodeMaintenance", "plural": "nodemaintenances", "singular": "nodemaintenance"},
        "scope": "Namespaced",
        "versions": [
            {
                "name": "v1alpha1",
                "served": True,
                "storage": True,
                "subresources": {"status": {}},
                "schema": {"openAPIV3Schema": {"type": "object", "x-kubernetes-preserve-unknown-fields": True}},
            }
        ],
    },
}  # names and scope as the operator's own; its schema is stricter


class Operator:
    """`unavailable_max`: how many nodes may be so for it to begin on one that is available; None: any."""

    def __init__(self, kube: Kube, unavailable_max: int | None = None) -> None:
        self.kube, self.unavailable_max = kube, unavailable_max

    def all(self) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = self.kube.call("GET", ALL)["items"]
        return found

    def make(self, name: str, node: str, requestor: str, **spec: Any) -> None:
        body = {"metadata": {"name": name}, "spec": {"requestorID": requestor, "nodeName": node, "cordon": True} | spec}
        kind = {"apiVersion": "maintenance.nvidia.com/v1alpha1", "kind": "NodeMaintenance"}
        self.kube.call("POST", f"{API}/namespaces/default/nodemaintenances", kind | body)

    def end(self, name: str) -> None:
        self.kube.call("DELETE", f"{API}/namespaces/default/nodemaintenances/{name}")

    def agree(self, name: str) -> None:
        note = {"metadata": {"annotations": {"maintenance.fermata.io/agreed": "true"}}}
        self.kube.call("PATCH", f"{API}/namespaces/default/nodemaintenances/{name}", note, headers=MERGE)

    def phases(self, node: str) -> dict[str, str]:
        """By requestor."""
        return {each["spec"]["requestorID"]: phase(each) for each in self.all() if each["spec"]["nodeName"] == node}

    def settle(self) -> None:
        """As long as something changes."""
        for _ in range(20):
            self.step()

    def step(self) -> None:
        for each in self.all():
            now = phase(each)
            if each["metadata"].get("deletionTimestamp"):
                self._clean(each)
            elif now == "":
                self._say(each, "Pending")
            elif now == "Pending" and self._may_begin(each):
                self._patch(each, {"metadata": {"finalizers": [FINALIZER]}})
                self._say(each, "Scheduled")
            elif now in NEXT and self._carry_out(each, now):
                self._say(each, NEXT[now])

    def _may_begin(self, one: dict[str, Any]) -> bool:
        node = one["spec"]["nodeName"]
        if any(phase(each) not in ("", "Pending") for each in self.all() if each["spec"]["nodeName"] == node):
            return False
        return self.unavailable_max is None or self.kube.is_cordoned(node) or self.unavailable_max > 0

    def _carry_out(self, one: dict[str, Any], now: str) -> bool:
        node = one["spec"]["nodeName"]
        if now == "Cordon" and one["spec"]["cordon"]:
            before = str(self.kube.is_cordoned(node)).lower()
            self._patch(one, {"metadata": {"annotations": {INITIAL: before}}})
            self.kube.cordon(node)
        if now == "Draining" and "drainSpec" in one["spec"]:
            self._evict(self._leaving(node), is_forced=one["spec"]["drainSpec"].get("force", False))
            left = [f"default/{pod}" for pod in self._leaving(node)]
            self._patch(one, {"status": {"drain": {"waitForEviction": left}}}, "/status")
            return not left
        return True

    def _leaving(self, node: str) -> dict[str, list[str]]:
        """By pod the kinds of its owners, but for those of DaemonSets."""
        items = self.kube.call("GET", "/api/v1/pods")["items"]
        metas = [each["metadata"] for each in items if each["spec"].get("nodeName") == node]
        owners = {meta["name"]: [owner["kind"] for owner in meta.get("ownerReferences") or ()] for meta in metas}
        return {pod: kinds for pod, kinds in owners.items() if "DaemonSet" not in kinds}

    def _evict(self, pods: dict[str, list[str]], *, is_forced: bool) -> None:
        """As kubectl drains: nothing, where a pod is bare."""
        if not is_forced and not all(pods.values()):
            return
        resources = self.kube.call("GET", "/api/v1")["resources"]
        found = next(each for each in resources if each["name"] == "pods/eviction")
        for pod in pods:
            kind = {"apiVersion": f"{found['group']}/{found['version']}", "kind": "Eviction"}
            path = f"{PODS.format('default')}/{pod}/eviction"
            self.kube.http.post(path, json=kind | {"metadata": {"name": pod, "namespace": "default"}})

    def _clean(self, one: dict[str, Any]) -> None:
        was = (one["metadata"].get("annotations") or {}).get(INITIAL)
        if one["spec"]["cordon"] and was == "false":
            self.kube.cordon(one["spec"]["nodeName"], None)
        self._patch(one, {"metadata": {"finalizers": None}})

    def _say(self, one: dict[str, Any], reason: str) -> None:
        ready = {"type": "Ready", "status": str(reason == "Ready"), "reason": reason, "message": ""}
        told = {**ready, "lastTransitionTime": "2026-01-05T08:00:00Z"}
        self._patch(one, {"status": {"conditions": [told]}}, "/status")

    def _patch(self, one: dict[str, Any], patch: Any, sub: str = "") -> None:
        meta = one["metadata"]
        path = f"{API}/namespaces/{meta['namespace']}/nodemaintenances/{meta['name']}{sub}"
        self.kube.http.patch(path, json=patch, headers=MERGE)


def phase(one: dict[str, Any]) -> str:
    conditions = (one.get("status") or {}).get("conditions") or []
    return next((str(each["reason"]) for each in conditions if each["type"] == "Ready"), "")
