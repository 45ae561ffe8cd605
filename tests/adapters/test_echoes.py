"""A server that says back all that it was told does not get our credentials into errors, what they came of, or logs."""

import base64
import json
import logging
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import pytest

from fermata.adapters import azure_scale_sets, kubernetes, nvue, redfish
from fermata.adapters.inventory_http import Access, Asking
from fermata.adapters.secrets import PLAIN
from fermata.adapters.slurm.rest import Rest
from fermata.adapters.slurm.settings import Settings as SlurmSettings
from fermata.domain.secrets import Secret, ref_of_file
from fermata.ports import OutcomeUnknown, Refused, TryLater
from fermata.sim.clock import SystemClock

CANARY = "canary/7Q9xZ2+secret"
CODED = base64.b64encode(f"ann:{CANARY}".encode()).decode()
BOXES = {"user": "ann", "models": {"m": {"components": {"bmc": {"inventory": ["BMC"]}}}}}
ZERO = "00000000-0000-0000-0000-000000000000"


@contextmanager
def echoing(status: int) -> Iterator[tuple[str, list[str]]]:
    """The server's URL, and what it heard."""
    heard: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        def _handle(self) -> None:
            sent = self.rfile.read(int(self.headers.get("content-length") or 0)).decode("utf-8", "replace")
            told = " ".join([*self.headers.values(), sent]).replace("\r", " ").replace("\n", " ")
            heard.append(told)
            error = {"code": "Echo", "message": told, "@Message.ExtendedInfo": [{"Message": told}]}
            said = {"kind": "Status", "message": told, "detail": told, "error": error, "errors": [{"error": told}]}
            body = json.dumps(said).encode()
            self.send_response(status, told)
            self.send_header("Content-Type", "application/json")
            self.send_header("X-Echo", told)
            self.send_header("Set-Cookie", f"a={told[:200]}")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def do_GET(self) -> None:
            self._handle()

        def do_POST(self) -> None:
            self._handle()

        def do_DELETE(self) -> None:
            self._handle()

        def log_message(self, *_words: object) -> None:
            """Says nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}", heard
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def probe(module: Any, settings: Mapping[str, object]) -> None:
    ports = module.build(module.Settings.model_validate(settings), SystemClock())
    try:
        ports.probe()
    finally:
        ports.close()


def ask_list(url: str, token: Secret) -> None:
    with Asking(Access(url=url, scheme="Bearer", token=token)) as asking:
        asking.get("/api/v1/nodes", {})


def ask_slurm(url: str, token: Secret) -> None:
    with closing(Rest(SlurmSettings(rest_url=url, rest_token=token))) as rest:
        rest.abilities()


def boxes(url: str, token: Secret, sign_in: str) -> None:
    nodes = {"n0": {"address": url, "model": "m"}}
    probe(redfish, {**BOXES, "nodes": nodes, "password": str(token), "sign_in": sign_in})


def sets(url: str, token: Secret) -> None:
    group = {"subscription": ZERO, "resource_group": "g", "scale_sets": ["s"]}
    probe(azure_scale_sets, {**group, "url": url, "token": str(token)})


CLIENTS: Mapping[str, Callable[[str, Secret], None]] = {
    "kubernetes": lambda url, token: probe(kubernetes, {"url": url, "token": str(token)}),
    "azure": sets,
    "redfish by session": lambda url, token: boxes(url, token, "session"),
    "redfish by password": lambda url, token: boxes(url, token, "basic"),
    "nvue": lambda url, token: probe(nvue, {"user": "ann", "password": str(token), "devices": {"leaf01": url}}),
    "lists": ask_list,
    "slurmrestd": ask_slurm,
}


def told_by(error: BaseException | None) -> Iterator[str]:
    """An error, and what it came of, with all that stands in them."""
    seen: set[int] = set()
    while error is not None and id(error) not in seen:
        seen.add(id(error))
        yield f"{error!r} {error} {vars(error)}"
        error = error.__cause__ or error.__context__


@pytest.mark.parametrize("status", [400, 401, 503])
@pytest.mark.parametrize("client", CLIENTS)
def test_credentials_that_come_back_are_hidden(
    client: str, status: int, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    file = tmp_path / "token"
    file.write_text(CANARY)
    with echoing(status) as (url, heard):
        with pytest.raises((TryLater, Refused, OutcomeUnknown, Exception)) as failed:
            CLIENTS[client](url, Secret(ref_of_file(file), PLAIN))
        assert isinstance(failed.value, TryLater | Refused | OutcomeUnknown) or client == "slurmrestd", failed.value
    assert any(CANARY in words or CODED in words for words in heard), "the canary was never sent"
    texts = [*told_by(failed.value), caplog.text]
    forms = (CANARY, CODED, CANARY.replace("/", "\\/"))
    assert [text[:400] for text in texts if any(form in text for form in forms)] == []
