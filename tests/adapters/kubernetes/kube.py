"""What tests do to a cluster, over its API: the same to the double as to a real one."""

import ssl
from dataclasses import dataclass, field
from typing import Any

import httpx

from fermata.adapters.kubernetes import build
from fermata.adapters.kubernetes.settings import Settings
from fermata.domain.ids import StepKey
from fermata.domain.observations import Accepted, Answer, Progress
from fermata.ports import AdapterPorts, Ask, Clock, WorkloadManager
from fermata.sim.clock import SystemClock

PREFIX = "maintenance.fermata.io"
NODES, PODS = "/api/v1/nodes", "/api/v1/namespaces/{}/pods"
MERGE = {"Content-Type": "application/merge-patch+json"}


@dataclass
class Kube:
    """One cluster, as its administrator; `ports` opens the adapter, as its own user."""

    url: str
    admin: str
    token_file: str | None = None
    ca_file: str | None = None
    clock: Clock = field(default_factory=SystemClock)
    opened: list[AdapterPorts] = field(default_factory=list)

    def __post_init__(self) -> None:
        headers = {"Authorization": f"Bearer {self.admin}", "User-Agent": "kubectl/v1.20.2 (linux/amd64)"}
        verify = ssl.create_default_context(cafile=self.ca_file) if self.ca_file else False
        self.http = httpx.Client(base_url=self.url, headers=headers, verify=verify, trust_env=False, timeout=30)

    def close(self) -> None:
        while self.opened:
            self.opened.pop().close()
        self.http.close()

    def settings(self, **words: Any) -> Settings:
        access = {"url": self.url, "token_file": self.token_file, "ca_file": self.ca_file, "answer_seconds": 5}
        return Settings.model_validate(access | words)

    def ports(self, **words: Any) -> AdapterPorts:
        """Made anew for each use: what is not in the cluster is forgotten."""
        self.opened.append(build(self.settings(**words), self.clock))
        return self.opened[-1]

    def workloads(self, **words: Any) -> WorkloadManager:
        found = self.ports(**words).workloads
        assert found is not None
        return found

    def call(self, method: str, path: str, body: Any = None, **more: Any) -> Any:
        answer = self.http.request(method, path, json=body, **more)
        assert answer.is_success, answer.text
        return answer.json()

    def node(self, name: str) -> Any:
        return self.call("GET", f"{NODES}/{name}")

    def is_cordoned(self, name: str) -> bool:
        return bool(self.node(name)["spec"].get("unschedulable"))

    def taints(self, name: str) -> list[str]:
        return [taint["key"] for taint in self.node(name)["spec"].get("taints", ())]

    def note(self, name: str, key: str) -> str | None:
        found: str | None = self.node(name)["metadata"].get("annotations", {}).get(f"{PREFIX}/{key}")
        return found

    def add_node(self, name: str, **labels: str) -> None:
        self.call("POST", NODES, {"metadata": {"name": name, "labels": labels}, "spec": {}})
        ready = {"type": "Ready", "status": "True", "reason": "KubeletReady", "message": "kubelet is posting"}
        self.patch_node(f"{name}/status", {"status": {"conditions": [ready]}})

    def patch_node(self, name: str, patch: Any) -> None:
        self.call("PATCH", f"{NODES}/{name}", patch, headers=MERGE)

    def cordon(self, name: str, unschedulable: bool | None = True) -> None:
        self.patch_node(name, {"spec": {"unschedulable": unschedulable}})

    def add_pod(self, node: str, name: str, *, owner: str = "ReplicaSet", grace: int = 0, **more: Any) -> None:
        """A pod that runs and is ready; `owner` empty: nobody makes another one. `more`: its labels."""
        owners = [{"apiVersion": "apps/v1", "kind": owner, "name": "x", "uid": f"uid-{owner}", "controller": True}]
        meta = {"name": name, "labels": more, "ownerReferences": owners if owner else []}
        container = {"name": "c", "image": "registry.example/work:1"}
        tolerates = [{"operator": "Exists"}]
        spec = {"containers": [container], "terminationGracePeriodSeconds": grace, "tolerations": tolerates}
        path = PODS.format("default")
        self.call("POST", path, {"metadata": meta, "spec": {**spec, "nodeName": node}})
        ready = {"phase": "Running", "conditions": [{"type": "Ready", "status": "True"}]}
        self.call("PATCH", f"{path}/{name}/status", {"status": ready}, headers=MERGE)

    def pods(self, node: str) -> list[str]:
        """Those that were not told to end."""
        found = self.call("GET", "/api/v1/pods", params={"fieldSelector": f"spec.nodeName={node}"})["items"]
        return [pod["metadata"]["name"] for pod in found if not pod["metadata"].get("deletionTimestamp")]

    def end_pod(self, name: str) -> None:
        """As its kubelet does."""
        self.call("DELETE", f"{PODS.format('default')}/{name}", {"gracePeriodSeconds": 0})

    def lock(self, *nodes: str, **words: Any) -> None:
        asks = [ask(node, "lock") for node in nodes]
        assert set(self.workloads(**words).lock(asks).values()) == {Accepted()}

    def drain(self, *nodes: str, **words: Any) -> None:
        asks = [ask(node, "drain") for node in nodes]
        assert set(self.workloads(**words).drain(asks).values()) == {Accepted()}

    def take(self, *nodes: str, **words: Any) -> None:
        """Locks nodes, and has their drain begin."""
        self.lock(*nodes, **words)
        self.drain(*nodes, **words)

    def progress(self, node: str, step: str, **words: Any) -> Progress:
        asked = ask(node, step)
        return self.workloads(**words).observe([asked])[asked.key]

    def answer(self, op: str, asked: Ask) -> Answer:
        found: Answer = getattr(self.workloads(), op)([asked])[asked.key]
        return found


def ask(node: str, step: str, attempt: int = 1, generation: int = 0) -> Ask:
    key = StepKey(f"run_1/c0-20260105/{node}/{step}/{attempt}")
    return Ask(key=key, unit=node, generation=generation)
