"""Whoever can open a connection goes through the guard of `adapters/outbound`, or stands here with why it need not.

A module that learns to call somebody fails here until one of both is true. See docs/decisions/0108-outgoing-calls.md.
"""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

SRC = Path(__file__).parents[1] / "src" / "fermata"
CLIENTS = frozenset(
    {
        "aiohttp", "aiosmtplib", "apprise", "asyncssh", "azure", "ftplib", "grpc", "http.client", "httpx", "httpx2",
        "imaplib", "lightkube", "nntplib", "paramiko", "poplib", "psycopg", "pycurl", "redis", "requests", "smtplib",
        "socket", "ssl", "telnetlib", "temporalio", "urllib.request", "urllib3", "websockets", "xmlrpc",
    }
)  # fmt: skip
GUARDED = frozenset({"adapters/outbound.py", "adapters/chat.py", "adapters/chat_reach.py"})
SITE = "its address stands in a file of the operator's, which names no forbidden one (formats)"
MODELS = "names types and errors of the client; what connects is the link beside it"
OWN = "listens or asks its own name; connects nowhere"
ARGUED = {
    "adapters/azure_scale_sets/fleet.py": MODELS,
    "adapters/azure_scale_sets/holds.py": MODELS,
    "adapters/azure_scale_sets/link.py": SITE,
    "adapters/azure_scale_sets/returning.py": MODELS,
    "adapters/controller_http.py": SITE,
    "adapters/durable.py": "--temporal, what whoever starts the worker names",
    "adapters/health_kubernetes.py": SITE,
    "adapters/inventory_http.py": SITE,
    "adapters/kubernetes/cluster.py": MODELS,
    "adapters/kubernetes/holds.py": MODELS,
    "adapters/kubernetes/inventory.py": MODELS,
    "adapters/kubernetes/pods.py": MODELS,
    "adapters/kubernetes_link.py": SITE,
    "adapters/nvue/link.py": SITE,
    "adapters/redfish/firmware.py": MODELS,
    "adapters/redfish/link.py": SITE,
    "adapters/secrets/key_values.py": "FERMATA_SECRETS, a file of the site's own",
    "adapters/slurm/rest.py": SITE,
    "adapters/smtp.py": "FERMATA_SMTP_HOST, a setting of the process; subscribers name recipients alone",
    "adapters/watchdog.py": "ends connections that others made, and makes none",
    "cli/demo.py": OWN,
    "cli/driving.py": OWN,
    "cli/serve.py": OWN,
    "client/signing_in.py": "the provider that --server named, which whoever types the command wants to sign in at",
    "client/link.py": "--server, what whoever types the command wants to talk to",
    "conformance/proxy.py": "a tool for tests between two ends on loopback",
    "execution/ownership.py": OWN,
    "server/identity/fetching.py": "the provider of identities, in access.yaml: a file of the operator's",
    "server/identity/provider.py": "the provider of identities, in access.yaml: a file of the operator's",
    "server/serving.py": OWN,
    "wiring/machine.py": "FERMATA_PUBLIC_URL and the mail server, as settings name them: doctor asks both",
    "store/wakes.py": "FERMATA_STORE, the store itself",
}


def imported(tree: ast.AST) -> Iterator[str]:
    """Modules by their full names, wherever in the file they are imported."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and node.level == 0:
            yield from (f"{node.module}.{alias.name}" for alias in node.names)
        elif isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute | ast.Name):
            name = node.func.attr if isinstance(node.func, ast.Attribute) else node.func.id
            if name in ("open_connection", "create_connection"):
                yield "socket"
            if name in ("import_module", "__import__") and node.args and isinstance(node.args[0], ast.Constant):
                yield str(node.args[0].value)


def clients_of(text: str) -> set[str]:
    """Which of the libraries that can connect a module imports."""
    return {
        client
        for name in imported(ast.parse(text))
        for client in CLIENTS
        if name == client or name.startswith(f"{client}.")
    }


def callers() -> dict[str, set[str]]:
    found = {str(path.relative_to(SRC)): clients_of(path.read_text("utf-8")) for path in sorted(SRC.rglob("*.py"))}
    return {name: clients for name, clients in found.items() if clients}


def test_every_module_that_can_call_somebody_is_guarded_or_argued() -> None:
    found = callers()
    assert sorted(found.keys() - GUARDED - ARGUED.keys()) == [], "neither guarded nor argued"
    assert sorted((GUARDED | ARGUED.keys()) - found.keys()) == [], "calls nobody any more: strike it out"


@pytest.mark.parametrize("name", sorted(GUARDED - {"adapters/outbound.py"}))
def test_what_counts_as_guarded_has_the_guard(name: str) -> None:
    assert "fermata.adapters.outbound.Outbound" in set(imported(ast.parse((SRC / name).read_text("utf-8"))))


def test_channels_of_subscribers_reach_out_through_the_guard_alone() -> None:
    """Whatever is one of `open_channels` but mail, whose server is the operator's."""
    found = callers()
    for name in ("cloud_events_webhook", "event_grid_webhook", "incident_api", "status_page"):
        assert f"adapters/{name}.py" not in found


@pytest.mark.parametrize(
    ("text", "clients"),
    [
        ("import httpx", {"httpx"}),
        ("from azure.core import x", {"azure"}),
        ("def f():\n    import smtplib", {"smtplib"}),
        ("from urllib import request", {"urllib.request"}),
        ("from http import client, HTTPStatus", {"http.client"}),
        ("import urllib.request as r", {"urllib.request"}),
        ("import importlib\nimportlib.import_module('requests')", {"requests"}),
        ("import asyncio\nasyncio.open_connection('h', 1)", {"socket"}),
        ("from urllib.parse import urlsplit\nfrom http import HTTPStatus", set()),
        ("import httpxy", set()),
    ],
)
def test_no_import_is_overlooked(text: str, clients: set[str]) -> None:
    assert clients_of(text) == clients
