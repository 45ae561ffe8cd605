"""slurmrestd asked for nodes by name: several at a time, and the whole list where one of them cannot be told."""

import json
import threading
import time
from collections.abc import Iterator
from contextlib import closing
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import unquote

import pytest

from fermata.adapters.slurm.rest import BY_NAME_AT_ONCE, Rest
from fermata.adapters.slurm.settings import Settings
from fermata.ports import Refused, TryLater

BASE = "/slurm/v0.0.38"
NAMES = [f"gpu{number:03d}" for number in range(32)]


class Restd:
    """A double that knows nodes. `odd`: the name of one that it answers with this status; `told`: with that error."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.at_once = 0
        self.most_at_once = 0
        self.odd: dict[str, int] = {}
        self.told: dict[str, dict[str, object]] = {}
        self.lock = threading.Lock()

    def answer(self, path: str) -> tuple[int, object]:
        if path == "/openapi/v3":
            lists = {f"{BASE}/{noun}": {"get": {}} for noun in ("nodes", "jobs", "reservations")}
            return 200, {"paths": lists}
        if path == f"{BASE}/nodes":
            return 200, {"nodes": [{"name": name} for name in NAMES]}
        name = unquote(path.removeprefix(f"{BASE}/node/"))
        with self.lock:
            self.asked.append(name)
            self.at_once += 1
            self.most_at_once = max(self.most_at_once, self.at_once)
        time.sleep(0.02)
        with self.lock:
            self.at_once -= 1
        if name in self.odd:
            return self.odd[name], {"errors": [{"error": "odd"}]}
        if name in self.told:
            return 200, {"nodes": [], "errors": [self.told[name]]}
        if name not in NAMES:
            return 500, {"errors": [{"description": "Invalid node name specified"}]}
        return 200, {"nodes": [{"name": name}]}


@pytest.fixture
def restd(monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[Restd, Rest]]:
    state = Restd()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            status, told = state.answer(self.path)
            text = json.dumps(told).encode()
            self.send_response(status)
            self.send_header("Content-Length", str(len(text)))
            self.end_headers()
            self.wfile.write(text)

        def log_message(self, *_words: object) -> None:
            """Says nothing."""

    monkeypatch.setenv("SLURM_TOKEN", "token")
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    url = f"http://127.0.0.1:{server.server_address[1]}"
    with closing(Rest(Settings(rest_url=url, rest_token_env="SLURM_TOKEN"))) as rest:
        yield state, rest
    server.shutdown()
    thread.join()
    server.server_close()


def names_of(rest: Rest, *names: str) -> list[str]:
    return [str(node["name"]) for node in rest.nodes(names)]


def test_nodes_are_asked_for_by_name_several_at_a_time(restd: tuple[Restd, Rest]) -> None:
    state, rest = restd
    assert names_of(rest, *NAMES) == NAMES
    assert sorted(state.asked) == NAMES
    assert 1 < state.most_at_once <= BY_NAME_AT_ONCE


def test_a_name_that_it_does_not_know_hides_no_other(restd: tuple[Restd, Rest]) -> None:
    _, rest = restd
    assert names_of(rest, "gpu001", "nobody", "gpu002") == ["gpu001", "gpu002"]


def test_a_node_that_release_24_11_has_not_hides_no_other(restd: tuple[Restd, Rest]) -> None:
    state, rest = restd
    state.told["gpu002"] = {"error_number": 0, "description": "Failure to query node gpu002"}
    assert names_of(rest, "gpu001", "gpu002") == ["gpu001"]


def test_a_node_that_could_not_be_looked_for_is_asked_for_again_later(restd: tuple[Restd, Rest]) -> None:
    state, rest = restd
    state.told["gpu002"] = {"error_number": 1007, "description": "Failure to query node gpu002"}
    with pytest.raises(TryLater, match="gpu002"):
        names_of(rest, "gpu001", "gpu002")


def test_all_are_listed_where_one_cannot_be_told(restd: tuple[Restd, Rest]) -> None:
    state, rest = restd
    state.odd["gpu002"] = 500
    assert names_of(rest, "gpu001", "gpu002", "gpu003") == NAMES


def test_a_token_that_is_refused_for_one_is_told(restd: tuple[Restd, Rest]) -> None:
    state, rest = restd
    state.odd["gpu002"] = 401
    with pytest.raises(Refused, match="401"):
        names_of(rest, *NAMES)


def test_a_server_that_is_gone_is_asked_again_later(restd: tuple[Restd, Rest]) -> None:
    _, rest = restd
    rest.abilities()
    rest.close()
    rest.settings = rest.settings.model_copy(update={"rest_url": "http://127.0.0.1:1"})
    with pytest.raises(TryLater):
        names_of(rest, "gpu001")
