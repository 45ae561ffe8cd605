"""A canary in every place where a secret can be configured, whatever fails: it is in no store, journal, log, output,
problem document, page or metric, neither in clear nor in base64.
"""

import base64
import logging
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import httpx
import pytest
from tests.adapters.secrets.vault_server import TOKEN, VaultServer, vault
from tests.cli.line import Line
from tests.conformance.receivers import Answer, Got, Receiver, serving
from tests.conftest import free_port

from fermata.server.serving import BackgroundServer, bind_socket, url_of
from fermata.settings import read_settings
from fermata.store.database import Database
from fermata.wiring.clocks import UtcClock
from fermata.wiring.serving import make_app

PLACES = (
    "smtp", "oncall", "signing", "source", "kubernetes", "metrics", "slurm", "nodes", "pull", "chat", "query",
    "password", "variable", "credential", "command", "vault", "hand",
)  # fmt: skip
CANARIES = {name: f"canary{name}7Q9xZ2" for name in PLACES}
CANARIES["login"] = TOKEN
NAMED = {
    "variable": "env:NAMED",
    "credential": "credential:named",
    "command": "command:named",
    "vault": "vault:kv/bmc#k",
}


@dataclass
class Echo(Receiver):
    """Says back whatever it was told, with the status of its next answer."""

    def answer(self, request: Got) -> Answer:
        found = super().answer(request)
        said = " ".join(request.headers.values()) + request.path + request.body.decode("utf-8", "replace")
        return Answer(found.status, found.headers, said.encode())


@dataclass
class Told:
    """Everything that anybody could read."""

    texts: dict[str, bytes] = field(default_factory=dict)

    def add(self, what: str, text: str | bytes) -> None:
        self.texts[f"{len(self.texts)} {what}"] = text.encode() if isinstance(text, str) else text

    def find(self) -> list[str]:
        found = []
        for what, text in self.texts.items():
            for name, canary in CANARIES.items():
                forms = [canary.encode(), base64.b64encode(canary.encode()).rstrip(b"=")]
                forms += [base64.b64encode(b"x" * n + canary.encode())[4:-4] for n in (1, 2, 3)]
                found += [f"{name} in {what}" for form in forms if form in text]
        return found


@pytest.fixture
def echo() -> Iterator[Receiver]:
    receiver = Echo(consents=False)
    with serving(receiver):
        yield receiver


def secret(folder: Path, name: str, text: str = "") -> Path:
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text or CANARIES[path.name])
    return path


@pytest.fixture
def manager() -> Iterator[VaultServer]:
    with vault() as server:
        server.values["kv/bmc"] = {"k": CANARIES["vault"]}
        yield server


@pytest.fixture
def named(tmp_path: Path, manager: VaultServer, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A file of secrets, with one behind each kind of name."""
    secret(tmp_path / "systemd", "named", CANARIES["credential"])
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(tmp_path / "systemd"))
    monkeypatch.setenv("NAMED", CANARIES["variable"])
    printed = secret(tmp_path, "command")
    token = secret(tmp_path, "login", TOKEN)
    path = tmp_path / "secrets.yaml"
    path.write_text(
        f"commands: {{named: {{run: [/bin/cat, '{printed}']}}}}\n"
        f"vault: {{url: '{manager.url}', token: 'file:{token}'}}\nkept_seconds: 0\n"
    )
    return path


@pytest.fixture
def planted(imported: Line, tmp_path: Path, echo: Receiver, named: Path, monkeypatch: pytest.MonkeyPatch) -> Line:
    folder = tmp_path / "secrets"
    secret(folder, "127.0.0.1/oncall")
    signing = base64.b64encode((CANARIES["signing"] * 2).encode()).decode()
    secret(folder, "127.0.0.1/signing", f"whsec_{signing}\n")
    nowhere = f"http://127.0.0.1:{free_port()}"
    base = echo.url.removesuffix("/hook")
    for name, value in {
        "LOCAL_TARGETS": "1",
        "CHANNEL_SECRETS": str(folder),
        "SMTP_HOST": "127.0.0.1",
        "SMTP_PORT": str(free_port()),
        "SMTP_USER": "ann",
        "SMTP_PASSWORD": CANARIES["smtp"],
        "NODE_SECRET": str(secret(folder, "nodes")),
        "PULL_KEY": CANARIES["pull"],
        "SECRETS": str(named),
    }.items():
        monkeypatch.setenv(f"FERMATA_{name}", value)
    monkeypatch.setenv("CONTROLLERS", CANARIES["password"])
    monkeypatch.setenv("SLURM_TOKEN", CANARIES["slurm"])
    for name in ("source", "kubernetes", "metrics"):
        secret(folder, name)
    rules = "{cluster: c, rack: r, fault_domain: '0', scalable_unit: s, role: prod, workload: w}"
    (tmp_path / "sources.yaml").write_text(
        f"sources:\n- {{id: n1, kind: netbox, url: '{base}', token_file: secrets/source, nodes: {rules}}}\n"
        f"- {{id: n2, kind: netbox, url: '{nowhere}', token_file: secrets/source, nodes: {rules}}}\n"
        f"- {{id: k1, kind: kubernetes, url: '{base}', token_file: secrets/kubernetes, nodes: {rules}}}\n"
    )
    (tmp_path / "metrics.yaml").write_text(f"prometheus: {{url: '{base}', token_file: secrets/metrics}}")
    (tmp_path / "site.yaml").write_text(
        "adapters:\n- id: boxes\n  kind: redfish\n  settings:\n    user: ann\n    password_env: CONTROLLERS\n"
        "    models: {m: {components: {bmc: {inventory: [BMC]}}}}\n"
        f"    nodes: {{alpha-n0: {{address: '{base}', model: m}}, alpha-n1: {{address: '{nowhere}', model: m}}}}\n"
        + "".join(
            f"- id: {name}\n  kind: redfish\n  settings:\n    user: ann\n    password: '{ref}'\n"
            "    models: {m: {components: {bmc: {inventory: [BMC]}}}}\n"
            f"    nodes: {{alpha-n{at}: {{address: '{base}', model: m}}}}\n"
            for at, (name, ref) in enumerate(NAMED.items(), start=2)
        )
    )
    code = CANARIES["query"]
    (tmp_path / "subscriptions.yaml").write_text(
        "subscriptions:\n"
        f"- {{id: own, channel: cloud_events, target: {{url: '{echo.url}?code={code}', secret: signing}}}}\n"
        f"- {{id: far, channel: event_grid, target: {{url: '{nowhere}/x?code={code}'}}}}\n"
        f"- {{id: call, channel: incident_api, target: {{url: '{echo.url}', secret: oncall}}}}\n"
        f"- {{id: dead, channel: incident_api, target: {{url: '{nowhere}', secret: oncall}}}}\n"
        f"- {{id: room, channel: chat, target: {{url: 'mmost://{base[7:]}/{CANARIES['chat']}aaaaaaaaaaaa'}}}}\n"
        "- {id: post, channel: mail, target: {to: [ann@lumen.example]}}\n"
        f"- {{id: pulled, channel: pull, target: {{topic: t, key: {CANARIES['pull']}}}}}\n"
    )
    return imported


def test_no_secret_is_told_whatever_fails(
    planted: Line, echo: Receiver, manager: VaultServer, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    told = Told()
    sources, site = str(tmp_path / "sources.yaml"), str(tmp_path / "site.yaml")

    def run(*words: str, store: bool = True) -> None:
        answer = planted.run(*words, store=store)
        told.add(" ".join(words), answer.out + answer.err)

    run("subscriptions", "import", str(tmp_path / "subscriptions.yaml"), "--json")
    for status in (200, 401, 500, 302):
        echo.answers = [Answer(status, {"Location": "http://127.0.0.1:9/"})] * 40
        run("notices", "deliver", "--json")
        run("inventory", "sync", "--sources", sources, "--json")
        run("adapters", "doctor", "--site", site, store=False)
        for each in ("own", "far", "call", "dead", "room", "post"):
            run("notices", "test", each)
            run("subscriptions", "validate", each)
    manager.status = 500
    run("adapters", "doctor", "--site", site, store=False)
    (tmp_path / "command").write_text(f"{CANARIES['command']}\n{CANARIES['command']}\n")
    run("adapters", "doctor", "--site", site, store=False)
    run("doctor", "--site", site)
    _spoil(tmp_path)
    run("subscriptions", "import", str(tmp_path / "subscriptions.yaml"))
    run("inventory", "sync", "--sources", sources)
    run("adapters", "doctor", "--site", site, store=False)
    run("audit", "key", str(tmp_path / "audit.key"), store=False)
    for words in (("subscriptions", "list"), ("notices", "list"), ("requests", "list"), ("inventory", "sources")):
        run(*words)
        run(*words, "--json")
    _read_server(planted, told)
    _read_store(planted, told)
    told.add("log", caplog.text + "".join(str(record.__dict__) for record in caplog.records))
    assert told.find() == []
    heard = "".join(str(got.headers) + got.path + got.body.decode() for got in echo.got)
    for name in ("oncall", "source", "kubernetes", "query", "password", "chat", *NAMED):
        assert CANARIES[name] in heard, f"{name} was never used"


def _spoil(folder: Path) -> None:
    """Faults in every file, around a password that stands where none may."""
    for bad in ("subscriptions.yaml", "sources.yaml", "site.yaml"):
        text = (folder / bad).read_text().replace("http://", f"http://ann:{CANARIES['password']}@")
        for ref in NAMED.values():
            text = text.replace(ref, CANARIES["hand"])  # the secret itself where a name should be
        (folder / bad).write_text(text.replace("id: ", "idd: "))


def _read_store(line: Line, told: Told) -> None:
    for path in sorted(line.store.parent.glob(f"{line.store.name}*")):
        if path.suffix != ".seal":
            told.add(path.name, path.read_bytes())


def _read_server(line: Line, told: Told) -> None:
    settings = read_settings(store=str(line.store))
    database = Database(f"sqlite:///{line.store}")
    listener = bind_socket("127.0.0.1", 0)
    app = make_app(database, UtcClock(), simulated_at=None, settings=settings)
    server = BackgroundServer(app, listener)
    server.start()
    api = "/api/v1"
    with httpx.Client(base_url=url_of(listener), timeout=60) as client:
        for path in (
            "/",
            "/journal",
            "/requests",
            "/metrics",
            f"{api}/subscriptions",
            f"{api}/notices",
            f"{api}/journal",
        ):
            told.add(path, client.get(path).content)
        for target in (
            {"url": f"https://ann:{CANARIES['query']}@h.example/?{CANARIES['query']}"},
            {"url": f"ftp://h.example/?code={CANARIES['query']}"},
            {"url": f"https://127.0.0.1:9x/?code={CANARIES['query']}"},
        ):
            body = {"actor": "x", "subscriptions": [{"id": "bad", "channel": "cloud_events", "target": target}]}
            told.add("problem", client.post(f"{api}/subscriptions", json=body).content)
        room = {"url": f"nochat://h/{CANARIES['chat']}"}
        body = {"actor": "x", "subscriptions": [{"id": "bad", "channel": "chat", "target": room}]}
        told.add("problem", client.post(f"{api}/subscriptions", json=body).content)
    server.stop()
    database.close()


def test_a_secret_that_stood_somewhere_would_be_found() -> None:
    told = Told()
    told.add("clear", f"x{CANARIES['smtp']}y")
    told.add("coded", base64.b64encode(f"ann:{CANARIES['password']}".encode()))
    assert [each.partition(" in ")[0] for each in told.find()] == ["smtp", "password"]
