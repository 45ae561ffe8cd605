"""Nodes at their door: by certificate or workload token each sees and starts its own events, and no other's."""

import os
import ssl
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import httpx
import orjson
import pytest
from tests.doors import world
from tests.doors.conftest import HandClock, db
from tests.doors.test_encrypted import make_certificate
from tests.server.conftest import QUICK
from tests.server.identity.conftest import RealClock, get, issuer, listening, new_id, standing
from tests.server.identity.issuer import OTHER_KEY, Issuer

from fermata.adapters.secrets import PLAIN
from fermata.domain.access import AccessBook, NameField, NodeCertificates, TrustedProxy, WorkloadTokens
from fermata.server.app import create_app
from fermata.server.identity.admission import Admission
from fermata.server.identity.nodes import name_in_certificate
from fermata.store.database import Database

__all__ = ["db", "issuer", "standing"]

EVENTS = "/metadata/scheduledevents?api-version=2020-07-01"
METADATA = {"Metadata": "true"}
AUDIENCE, SUBJECT = "fermata-nodes", "system:serviceaccount:fermata:agent"
ONE, OTHER = "alpha-n0", "alpha-n1"


def openssl(*words: str | Path) -> None:
    subprocess.run(["openssl", *words], check=True, capture_output=True)


def authority(folder: Path, name: str) -> Path:
    openssl("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2",
            "-subj", f"/CN={name}", "-keyout", folder / f"{name}.key", "-out", folder / f"{name}.pem")  # fmt: skip
    return folder / f"{name}.pem"


def certificate_of(folder: Path, node: str, signed_by: str) -> Path:
    """With its key, in one file."""
    path = folder / f"{node}-{signed_by}"
    openssl("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2",
            "-subj", "/CN=whatever", "-addext", f"subjectAltName=DNS:{node}.nodes.example",
            "-addext", "basicConstraints=critical,CA:FALSE", "-CA", folder / f"{signed_by}.pem",
            "-CAkey", folder / f"{signed_by}.key", "-keyout", f"{path}.key", "-out", f"{path}.pem")  # fmt: skip
    whole = path.with_suffix(".whole")
    whole.write_bytes(Path(f"{path}.key").read_bytes() + Path(f"{path}.pem").read_bytes())
    return whole


@pytest.fixture
def encrypted(db: Database, tmp_path: Path) -> Iterator[str]:
    """`fermata serve`, as people start it, with an authority of nodes."""
    world.publish(db)
    make_certificate(tmp_path)
    authority(tmp_path, "nodes")
    access = tmp_path / "access.yaml"
    access.write_text("grants: []\nnodes: {certificate: {ca_file: nodes.pem, suffix: .nodes.example}}\n")
    words = [sys.executable, "-m", "fermata", "serve", "--store", str(tmp_path / "doors.sqlite"), "--port", "0",
             "--tls-cert", str(tmp_path / "ca.pem"), "--tls-key", str(tmp_path / "key.pem"), "--access", str(access),
             "--json"]  # fmt: skip
    with subprocess.Popen(words, stdout=subprocess.PIPE, env=os.environ.copy()) as process:
        assert process.stdout is not None
        try:
            told = b""
            while not told.endswith(b"}\n") and (line := process.stdout.readline()):
                told += line
            yield orjson.loads(told)["url"]
        finally:
            process.terminate()


def inside(url: str, folder: Path, certificate: Path | None) -> httpx.Client:
    trusted = ssl.create_default_context(cafile=str(folder / "ca.pem"))
    if certificate is not None:
        trusted.load_cert_chain(certificate)
    return httpx.Client(base_url=url, verify=trusted, headers=METADATA, timeout=30)


def starts(client: httpx.Client, event: str) -> int:
    return client.post(EVENTS, json={"StartRequests": [{"EventId": event}]}).status_code


def test_a_node_is_known_by_its_certificate_and_speaks_for_itself_alone(encrypted: str, tmp_path: Path) -> None:
    authority(tmp_path, "strangers")
    one, other = (certificate_of(tmp_path, node, "nodes") for node in (ONE, OTHER))
    with inside(encrypted, tmp_path, one) as mine, inside(encrypted, tmp_path, other) as others:
        seen = {client: client.get(EVENTS).json()["Events"] for client in (mine, others)}
        named = {name for event in seen[mine] for name in event["Resources"]}
        assert named == {ONE}
        assert {name for event in seen[others] for name in event["Resources"]} == {OTHER}
        assert starts(mine, seen[others][0]["EventId"]) >= 400, "an event of another node"
        assert starts(others, seen[others][0]["EventId"]) == 200
        assert mine.get("/api/v1/imports").status_code == 401, "a certificate is good at the node's door alone"
    with inside(encrypted, tmp_path, None) as nobody:
        assert nobody.get(EVENTS).status_code == 403
    stranger = certificate_of(tmp_path, ONE, "strangers")
    with inside(encrypted, tmp_path, stranger) as forged, pytest.raises(httpx.HTTPError):
        forged.get(EVENTS)
    elsewhere = certificate_of(tmp_path, f"{ONE}.evil.example", "nodes")
    with inside(encrypted, tmp_path, elsewhere) as wrong:
        assert wrong.get(EVENTS).status_code == 403


Start = Callable[[AccessBook], str]


@pytest.fixture
def start(db: Database) -> Iterator[Start]:
    """Serves a book over the plan that is in force."""
    from contextlib import ExitStack

    world.publish(db)
    with ExitStack() as stack:

        def serve(book: AccessBook) -> str:
            access = Admission(book=book, now=RealClock().now, secrets=PLAIN)
            app = create_app(db, HandClock(world.NOW), new_id=new_id, timing=QUICK, access=access)
            return stack.enter_context(listening(app))

        yield serve


@pytest.fixture
def workloads(issuer: Issuer) -> WorkloadTokens:
    """As projected service-account tokens of Kubernetes are."""
    issuer.asked.clear()
    return WorkloadTokens(
        issuer=issuer.url,
        audience=AUDIENCE,
        claim=("kubernetes.io", "node", "name"),
        subjects=frozenset({SUBJECT}),
    )


def test_a_node_is_known_by_a_workloads_token(start: Start, issuer: Issuer, workloads: WorkloadTokens) -> None:
    url = start(AccessBook(workloads=workloads))

    def token(node: str, **more: object) -> dict[str, str]:
        claims = {"aud": AUDIENCE, "sub": SUBJECT, "kubernetes.io": {"node": {"name": node}}, **more}
        return {**METADATA, "Authorization": f"Bearer {issuer.access_token(**claims)}"}

    mine = get(url + EVENTS, headers=token(ONE))
    assert {name for event in mine.json()["Events"] for name in event["Resources"]} == {ONE}
    theirs = get(url + EVENTS, headers=token(OTHER)).json()["Events"]
    body = {"StartRequests": [{"EventId": theirs[0]["EventId"]}]}
    assert httpx.post(url + EVENTS, headers=token(ONE), json=body, timeout=30).status_code >= 400
    wrong = [
        token(ONE, aud="another"),
        token(ONE, sub="system:serviceaccount:default:anybody"),
        token(ONE, exp=1),
        token(ONE, iss="https://elsewhere.example"),
        token("no-such-node"),
        {**METADATA, "Authorization": "Bearer " + issuer.sign({"iss": issuer.url, "aud": AUDIENCE}, OTHER_KEY)},
        METADATA,
    ]
    assert [get(url + EVENTS, headers=headers).status_code for headers in wrong] == [403] * len(wrong)
    assert get(url + "/api/v1/imports", headers=token(ONE)).status_code == 401


def test_a_proxy_that_checks_certificates_names_the_node_and_nobody_else_does(
    start: Start, workloads: WorkloadTokens
) -> None:
    trusted = AccessBook(proxy=replace(TrustedProxy.of("127.0.0.1"), node_header="x-node"))
    others = AccessBook(proxy=replace(TrustedProxy.of("192.0.2.1"), node_header="x-node"))
    said = {**METADATA, "X-Node": ONE}
    assert get(start(trusted) + EVENTS, headers=said).status_code == 200
    assert get(start(others) + EVENTS, headers=said).status_code == 403


@pytest.mark.parametrize(
    ("names", "field", "found"),
    [
        ((("DNS", "n1.nodes"),), NameField.DNS, "n1"),
        ((("DNS", "n1.nodes"), ("DNS", "n2.nodes")), NameField.DNS, None),
        ((("DNS", "n1.nodes"), ("DNS", "n1.other")), NameField.DNS, "n1"),
        ((("URI", "n1.nodes"),), NameField.DNS, None),
        ((("DNS", ".nodes"),), NameField.DNS, None),
        ((), NameField.COMMON_NAME, "n9"),
    ],
)
def test_a_certificate_that_names_no_node_or_several_is_nobodys(
    names: tuple[tuple[str, str], ...], field: NameField, found: str | None
) -> None:
    terms = NodeCertificates(ca_file=Path("ca.pem"), field=field, suffix=".nodes")
    certificate = {"subject": ((("commonName", "n9.nodes"),),), "subjectAltName": names}
    assert name_in_certificate(terms, certificate) == found
