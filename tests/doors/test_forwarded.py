"""A client that knows no proxy: npm's for Amazon's metadata, which reaches the door by a forwarder on its node, as
docs/doors.md has it. The forwarder adds the node's key and changes nothing else.
"""

import base64
import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import httpx
import pytest
from tests.doors import world
from tests.doors.conftest import Doors
from tests.npm import clients

from fermata.domain.ids import NodeId
from fermata.domain.node_states import UnitState
from fermata.domain.policy import ScopeLevel
from fermata.domain.run_states import WindowState

EVENTS = "/latest/meta-data/events/maintenance"
HOP_BY_HOP = {"host", "connection", "transfer-encoding", "content-length"}


@pytest.fixture
def endpoint(doors: Doors) -> Iterator[str]:
    """Where the forwarder of alpha-n1 listens."""
    key = doors.keys.key_of(NodeId("alpha-n1"))
    identity = base64.b64encode(f"alpha-n1:{key}".encode()).decode()

    class Forwarder(BaseHTTPRequestHandler):
        def forward(self) -> None:
            kept = {name: value for name, value in self.headers.items() if name.lower() not in HOP_BY_HOP}
            kept["Proxy-Authorization"] = f"Basic {identity}"
            answer = httpx.request(self.command, doors.url + self.path, headers=kept, timeout=20)
            self.send_response(answer.status_code)
            for name, value in answer.headers.items():
                if name not in HOP_BY_HOP:
                    self.send_header(name, value)
            self.send_header("Content-Length", str(len(answer.content)))
            self.end_headers()
            self.wfile.write(answer.content)

        do_GET = do_PUT = forward  # noqa: N815 - names that the base class calls

        def log_message(self, *_told: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Forwarder)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_address[1]}"
    server.shutdown()
    server.server_close()


def ask(endpoint: str, *paths: str) -> list[Any]:
    found: list[Any] = clients.ask("ec2metadata.mjs", endpoint, *paths)
    return found


@pytest.mark.slow
def test_the_client_from_npm_sees_what_comes_and_what_is_over(doors: Doors, endpoint: str) -> None:
    world.approve(doors.db, ScopeLevel.CLUSTER, "alpha")
    world.publish(doors.db)
    scheduled, history, name, nothing = ask(
        endpoint, f"{EVENTS}/scheduled", f"{EVENTS}/history", "/latest/meta-data/instance-id", "/latest/meta-data/x"
    )
    (event,) = json.loads(scheduled["text"])
    assert (event["Code"], event["State"], event["NotBefore"]) == (
        "system-reboot",
        "active",
        "25 Jan 2026 12:30:00 GMT",
    )
    assert json.loads(history["text"]) == []
    assert name["text"] == "alpha-n1"
    assert "404" in nothing["error"]["message"], nothing
    world.conduct(doors.db, WindowState.OPEN, {"alpha-n1": UnitState.RETURNED}, planned=world.window())
    scheduled, history = ask(endpoint, f"{EVENTS}/scheduled", f"{EVENTS}/history")
    assert json.loads(scheduled["text"]) == []
    assert [event["State"] for event in json.loads(history["text"])] == ["completed"]


@pytest.mark.slow
def test_without_a_forwarder_the_client_gets_nothing(doors: Doors) -> None:
    (answer,) = ask(doors.url, f"{EVENTS}/scheduled")
    assert "error" in answer
