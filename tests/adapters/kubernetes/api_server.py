"""A double of an API server: nodes, pods and evictions as a real 1.20.2 answers them, with faults on demand. It counts
by itself what was done to nodes. `test_kubernetes_real.py` says whether it tells the truth.
"""

import json
import re
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

from tests.adapters.kubernetes.custom import Customs, merge, status

Reply = tuple[int, Any]
__all__ = ["ApiServer", "Fault", "merge", "serving", "status"]
_HELD = "maintenance.fermata.io/held"
_STEPS = "maintenance.fermata.io/steps"


@dataclass(kw_only=True)
class Fault:
    """What befalls the calls whose path `path` matches. `is_done`: the call is carried out all the same. `body` None:
    a Status with `said`; text: as a proxy answers.
    """

    method: str
    path: str
    status: int
    said: str = "not now"
    body: str | None = None
    retry_after: int | None = None
    is_done: bool = False
    times: int = 1000


@dataclass
class ApiServer:
    """`evictions`: the API that it takes them in. `budgets`: by pod why it may not leave. `counts`: what was done, by
    operation and unit. `bodies`: of evictions.
    """

    evictions: str = "policy/v1"
    nodes: dict[str, dict[str, Any]] = field(default_factory=dict)
    pods: dict[str, dict[str, Any]] = field(default_factory=dict)
    budgets: dict[str, str] = field(default_factory=dict)
    faults: list[Fault] = field(default_factory=list)
    counts: Counter[tuple[str, str]] = field(default_factory=Counter)
    bodies: list[dict[str, Any]] = field(default_factory=list)
    customs: Customs = field(default_factory=Customs)
    _version: int = 100
    _lock: threading.RLock = field(default_factory=threading.RLock)

    def answer(self, method: str, path: str, query: dict[str, list[str]], body: Any, manager: str) -> Reply:
        with self._lock:
            if path == "/version":
                return 200, {"major": "1", "minor": "33", "gitVersion": "v1.33.1"}
            if path == "/api/v1":
                group, _, version = self.evictions.partition("/")
                found = {"name": "pods/eviction", "group": group, "version": version, "kind": "Eviction"}
                return 200, {"resources": [{"name": "pods"}, found] if group else [{"name": "pods"}]}
            if path.startswith("/apis/"):
                return self.customs.answer(method, path.split("/")[2:], body)
            if path.startswith("/api/v1/nodes"):
                return self._answer_nodes(method, path.split("/")[4:], body, manager)
            return self._answer_pods(method, path.split("/")[3:], query, body)

    def _answer_nodes(self, method: str, rest: list[str], body: Any, manager: str) -> Reply:
        if method == "POST":
            body["spec"] = {}
            return self._put(self.nodes, body["metadata"]["name"], body)
        if not rest:
            return 200, {"metadata": {}, "items": list(self.nodes.values())}
        found = self.nodes.get(rest[0])
        if found is None:
            return 404, status(404, f'nodes "{rest[0]}" not found')
        if method == "GET":
            return 200, found
        if body.get("metadata", {}).get("resourceVersion") not in (None, found["metadata"]["resourceVersion"]):
            return 409, status(409, f'Operation cannot be fulfilled on nodes "{rest[0]}": the object has been modified')
        new = merge(found, body)
        self._count(rest[0], found, new)
        if "unschedulable" in body.get("spec", {}):
            at = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
            fields: dict[str, Any] = {"f:spec": {"f:unschedulable": {}}}
            new["metadata"]["managedFields"] = [{"manager": manager, "time": at, "fieldsV1": fields}]
        return self._put(self.nodes, rest[0], new)

    def _answer_pods(self, method: str, rest: list[str], query: dict[str, list[str]], body: Any) -> Reply:
        if rest[0] == "pods" or (method == "GET" and len(rest) == 3):
            node = query.get("fieldSelector", [""])[0].removeprefix("spec.nodeName=")
            items = [pod for pod in self.pods.values() if node in ("", pod["spec"]["nodeName"])]
            return 200, {"metadata": {}, "items": items}
        if method == "POST" and len(rest) == 3:
            name = body["metadata"]["name"]
            body["metadata"] |= {"namespace": rest[1], "uid": f"uid-{name}"}
            return self._put(self.pods, name, body)
        name = rest[3]
        if name not in self.pods:
            return 404, status(404, f'pods "{name}" not found')
        if rest[4:] == ["eviction"]:
            return self._evict(name, body)
        if method == "DELETE":
            return 200, self.pods.pop(name)
        return self._put(self.pods, name, merge(self.pods[name], body))

    def _evict(self, name: str, body: Any) -> Reply:
        self.bodies.append(body)
        if body["apiVersion"] != self.evictions:
            return 400, status(400, f'no kind "Eviction" is registered for version "{body["apiVersion"]}"')
        options = body.get("deleteOptions", {})
        if options.get("preconditions", {}).get("uid") not in (None, self.pods[name]["metadata"]["uid"]):
            return 409, status(409, f'Operation cannot be fulfilled on Pod "{name}": the UID does not match')
        if name in self.budgets:
            causes = [{"reason": "DisruptionBudget", "message": self.budgets[name]}]
            return 429, status(429, "Cannot evict pod as it would violate the pod's disruption budget.", causes)
        if options.get("dryRun") != ["All"]:
            self.counts["evict", name] += 1
            if self.pods[name]["spec"].get("terminationGracePeriodSeconds"):
                self.pods[name]["metadata"]["deletionTimestamp"] = "2026-01-05T08:00:00Z"
            else:
                del self.pods[name]
        return 201, status(201, "")

    def _put(self, table: dict[str, dict[str, Any]], name: str, value: dict[str, Any]) -> Reply:
        self._version += 1
        value["metadata"]["resourceVersion"] = str(self._version)
        table[name] = value
        return 200, value

    def _count(self, node: str, old: dict[str, Any], new: dict[str, Any]) -> None:
        """What a patch did: by the cordon and the taint, and for a drain by the steps that the node shows anew."""
        was, is_now = _is_held(old), _is_held(new)
        if not was and is_now:
            self.counts["lock", node] += 1
        if was and not is_now:
            self.counts["release" if new["spec"].get("unschedulable") else "give_back", node] += 1
        self.counts["drain", node] += len(_drains(new) - _drains(old))


def _is_held(node: dict[str, Any]) -> bool:
    return any(taint["key"] == _HELD for taint in node["spec"].get("taints", ()))


def _drains(node: dict[str, Any]) -> set[str]:
    try:
        noted = json.loads(node["metadata"].get("annotations", {}).get(_STEPS, "{}"))
        return {step[1] for step in noted.get("steps", ()) if step[0] == "drain"}
    except (ValueError, LookupError, AttributeError, TypeError):  # garbled by a test
        return set()


@contextmanager
def serving(api: ApiServer) -> Iterator[int]:
    """The port of loopback that it listens on."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        wbufsize = 1 << 16  # an answer goes out as a whole

        def respond(self) -> None:
            parts = urlsplit(self.path)
            size = int(self.headers.get("Content-Length") or 0)
            body = json.loads(self.rfile.read(size)) if size else None
            manager = self.headers.get("User-Agent", "").split("/")[0]
            asked = (self.command, parts.path, parse_qs(parts.query), body, manager)
            fault = next((each for each in api.faults if _befalls(each, self.command, parts.path)), None)
            reply = api.answer(*asked) if fault is None or fault.is_done else (0, None)
            if fault is not None:
                fault.times -= 1
                reply = fault.status, fault.body if fault.body is not None else status(fault.status, fault.said)
            self.write(reply[0], reply[1], fault.retry_after if fault is not None else None)

        do_GET = do_POST = do_PATCH = do_DELETE = respond  # noqa: N815 - as http.server calls them

        def write(self, code: int, told: Any, retry_after: int | None) -> None:
            text = (told if isinstance(told, str) else json.dumps(told)).encode()
            self.send_response(code)
            self.send_header("Content-Type", "text/html" if isinstance(told, str) else "application/json")
            self.send_header("Content-Length", str(len(text)))
            if retry_after is not None:
                self.send_header("Retry-After", str(retry_after))
            self.end_headers()
            self.wfile.write(text)

        def log_message(self, *_words: object) -> None:
            """Says nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield server.server_address[1]
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def _befalls(fault: Fault, method: str, path: str) -> bool:
    return fault.times > 0 and fault.method == method and re.search(fault.path, path) is not None
