"""Checks as Kubernetes Jobs, with an API server on loopback that keeps Jobs by name, as the real one documents."""

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from fermata.adapters.health_kubernetes import Settings, build
from fermata.domain.ids import StepKey
from fermata.domain.observations import Accepted, Answer, Denied, Failed, Later, NeverAsked, Running, Succeeded, Unsure
from fermata.ports import AdapterPorts, Ask, Refused, TryLater
from fermata.wiring.clocks import UtcClock

JOBS = "/apis/batch/v1/namespaces/fermata/jobs"
PODS = "/api/v1/namespaces/fermata/pods"
NODES = ("gpu001", "gpu002", "gpu003")
ENDED = "2026-11-01T12:00:00Z"


class ApiServer:
    """Jobs, their pods and logs. `fails`: the status of the next calls that change something, None to drop them."""

    def __init__(self) -> None:
        self.jobs: dict[str, dict[str, Any]] = {}
        self.pods: dict[str, list[dict[str, Any]]] = {}
        self.log = "all is well\n"
        self.created: list[dict[str, Any]] = []
        self.tokens: set[str] = set()
        self.writes: int | None = 201
        self.reads = 200
        self.takes_what_fails = False

    def end(self, exit_code: int, *, reason: str | None = None, pod: bool = True) -> None:
        """The one Job ends."""
        (name,) = self.jobs
        kind = "Complete" if exit_code == 0 else "Failed"
        over = {"type": kind, "status": "True", "reason": reason, "lastTransitionTime": ENDED}
        self.jobs[name]["status"] = {"conditions": [over]}
        state = {"terminated": {"exitCode": exit_code, "finishedAt": ENDED}}
        status = {"containerStatuses": [_status(state)]}
        self.pods[name] = [{"metadata": {"name": f"{name}-x"}, "status": status}] if pod else []

    def answer(self, method: str, path: str, query: str, body: Any) -> tuple[int | None, Any]:
        if method == "POST":
            self.created.append(body)
            name = body["metadata"]["name"]
            if self.writes == 201 and name in self.jobs:
                return 409, _said("AlreadyExists", 409)
            if self.writes == 201 or self.takes_what_fails:
                self.jobs[name] = body
            return self.writes, body if self.writes == 201 else _said("no", self.writes or 500)
        if self.reads != 200:
            return self.reads, _said("not now", self.reads)
        if path.startswith("/api/v1/nodes/"):
            name = path.rpartition("/")[2]
            return (200, {"metadata": {"name": name}}) if name in NODES else (404, _said("nodes not found", 404))
        told = {
            "/version": {"gitVersion": "v1.34.1"},
            JOBS: {"metadata": {}, "items": list(self.jobs.values())},
            PODS: {"metadata": {}, "items": [pod for pods in self.pods.values() for pod in pods]},
        }
        if path in told:
            return 200, told[path]
        return (200, self.log) if path.endswith("/log") else (404, _said("not found", 404))


def _status(state: Any) -> dict[str, Any]:
    return {"name": "check", "image": "i", "imageID": "i", "ready": False, "restartCount": 0, "state": state}


def _said(message: str, code: int) -> dict[str, Any]:
    return {"kind": "Status", "apiVersion": "v1", "status": "Failure", "message": message, "code": code}


@pytest.fixture
def api() -> Iterator[tuple[ApiServer, str]]:
    state = ApiServer()
    with serving(state) as port:
        yield state, f"http://127.0.0.1:{port}"


@contextmanager
def serving(state: ApiServer) -> Iterator[int]:
    """Its port on loopback."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.respond("GET")

        def do_POST(self) -> None:
            self.respond("POST")

        def respond(self, method: str) -> None:
            parts = urlsplit(self.path)
            size = int(self.headers.get("Content-Length") or 0)
            body = json.loads(self.rfile.read(size)) if size else None
            state.tokens.add(self.headers.get("Authorization", ""))
            status, told = state.answer(method, parts.path, parts.query, body)
            if status is None:
                self.close_connection = True
                return
            text = (told if isinstance(told, str) else json.dumps(told)).encode()
            self.send_response(status)
            self.send_header("Content-Type", "text/plain" if isinstance(told, str) else "application/json")
            self.send_header("Content-Length", str(len(text)))
            if status == 429:
                self.send_header("Retry-After", "7")
            self.end_headers()
            self.wfile.write(text)

        def log_message(self, *_words: object) -> None:
            """Says nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield server.server_address[1]
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def open_ports(url: str, **more: Any) -> AdapterPorts:
    quick = {"command": ["dcgmi", "diag", "-r", "1", "{node}"], "time_limit_seconds": 300}
    given = {"checks": {"quick": quick}, "url": url, "image": "registry.example/checks:1", **more}
    return build(Settings.model_validate(given), UtcClock())


ASK = Ask(key=StepKey("run_1/win/gpu001/verify/1"), unit="gpu001")


def check(ports: AdapterPorts, ask: Ask = ASK) -> Answer:
    assert ports.verifier is not None
    return ports.verifier.check([ask])[ask.key]


def look(ports: AdapterPorts) -> object:
    assert ports.verifier is not None
    return ports.verifier.observe([ASK])[ASK.key]


def test_a_job_is_pinned_to_its_node_bounded_and_never_tried_again(api: tuple[ApiServer, str], tmp_path: Path) -> None:
    state, url = api
    token = tmp_path / "token"
    token.write_text("s3cret")
    ports = open_ports(url, token_file=token, limits={"nvidia.com/gpu": "8"})
    assert look(ports) == NeverAsked()
    assert check(ports) == Accepted()
    (job,) = state.created
    spec = job["spec"]
    assert (spec["backoffLimit"], spec["activeDeadlineSeconds"]) == (0, 300)
    pod = spec["template"]["spec"]
    (term,) = pod["affinity"]["nodeAffinity"]["requiredDuringSchedulingIgnoredDuringExecution"]["nodeSelectorTerms"]
    assert term["matchFields"] == [{"key": "metadata.name", "operator": "In", "values": ["gpu001"]}]
    assert pod["tolerations"] == [{"operator": "Exists"}]
    assert pod["containers"][0]["command"][-1] == "gpu001"
    assert state.tokens == {"Bearer s3cret"}
    assert look(ports) == Running()


def test_a_check_that_is_asked_for_twice_is_one_job_and_a_restart_finds_it(api: tuple[ApiServer, str]) -> None:
    state, url = api
    assert check(open_ports(url)) == Accepted()
    again = open_ports(url)
    assert check(again) == Accepted()
    assert len(state.jobs) == 1
    state.end(0)
    found = look(again)
    assert isinstance(found, Succeeded)
    assert found.at == datetime(2026, 11, 1, 12, tzinfo=UTC)


def test_an_answer_that_was_lost_leaves_the_outcome_unknown_until_it_is_looked_at(api: tuple[ApiServer, str]) -> None:
    state, url = api
    state.writes, state.takes_what_fails = None, True
    ports = open_ports(url)
    assert check(ports) == Unsure()
    state.writes = 201
    assert look(ports) == Running()
    assert check(ports) == Accepted()
    assert len(state.jobs) == 1


@pytest.mark.parametrize(
    ("exit_code", "reason", "pod", "said"),
    [
        (2, "BackoffLimitExceeded", True, "exit code 2: fan 3 stands still"),
        (1, "DeadlineExceeded", False, "did not end within 300 s"),
        (1, "BackoffLimitExceeded", False, "its pod is gone"),
    ],
)
def test_a_job_that_failed_says_why(
    api: tuple[ApiServer, str], exit_code: int, reason: str, pod: bool, said: str
) -> None:
    state, url = api
    state.log = "looking\nfan 3 stands still\n"
    ports = open_ports(url)
    check(ports)
    state.end(exit_code, reason=reason, pod=pod)
    found = look(ports)
    assert isinstance(found, Failed)
    assert said in found.why


def test_a_busy_server_is_asked_again_and_a_refusal_is_told(api: tuple[ApiServer, str]) -> None:
    state, url = api
    ports = open_ports(url)
    for status, answer in ((429, Later(after=timedelta(seconds=7))), (500, Unsure())):
        state.writes = status
        assert check(ports) == answer
    state.writes = 403
    denied = check(ports)
    assert isinstance(denied, Denied)
    state.reads = 503
    with pytest.raises(TryLater):
        look(ports)
    state.reads = 403
    with pytest.raises(Refused):
        look(ports)
    with pytest.raises(Refused):
        ports.probe()


def test_an_unknown_node_is_denied_before_a_pod_waits_for_it(api: tuple[ApiServer, str]) -> None:
    state, url = api
    answer = check(open_ports(url), Ask(key=StepKey("run_1/win/nobody/verify/1"), unit="nobody"))
    assert isinstance(answer, Denied)
    assert state.created == []


def test_a_server_that_is_not_there_and_files_that_are_not_there_are_told(tmp_path: Path) -> None:
    ports = open_ports("http://127.0.0.1:9")
    assert isinstance(check(ports), Later)
    with pytest.raises(TryLater, match="does not answer"):
        look(ports)
    with pytest.raises(Refused, match="cannot be read"):
        open_ports("http://127.0.0.1:9", token_file=tmp_path / "nowhere")
