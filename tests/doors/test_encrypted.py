"""Azure's resource manager over https, by clients that nothing was changed about: the maintenance client, told only
whose certificates to trust, with the credential that azure-identity fetches from the node's own metadata.
"""

import os
import ssl
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import httpx
import orjson
import pytest
from azure.core.exceptions import HttpResponseError, ServiceRequestError
from azure.identity import CredentialUnavailableError, ManagedIdentityCredential
from azure.mgmt.maintenance import MaintenanceManagementClient
from tests.doors import world
from tests.doors.conftest import SECRET
from tests.doors.test_arm import Token

from fermata.domain import arm
from fermata.domain.ids import CustomerId, NodeId, WindowId
from fermata.server.callers import NodeKeys
from fermata.store.database import Database

NODE = "alpha-n1"
MACHINE = ("sc-1", "Microsoft.Compute", "virtualMachines")


def make_certificate(folder: Path) -> tuple[Path, Path]:
    """For this machine's loopback address, signed by itself; and its key."""
    certificate, key = folder / "ca.pem", folder / "key.pem"
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2",
         "-subj", "/CN=127.0.0.1", "-addext", "subjectAltName=IP:127.0.0.1", "-keyout", key, "-out", certificate],
        check=True,
        capture_output=True,
    )  # fmt: skip
    return certificate, key


@pytest.fixture
def certificate(tmp_path: Path) -> Path:
    return make_certificate(tmp_path)[0]


@pytest.fixture
def url(db: Database, tmp_path: Path, certificate: Path) -> Iterator[str]:
    """`fermata serve` as it is started by people, with a plan in force."""
    world.publish(db)
    secret = tmp_path / "node-secret"
    secret.write_bytes(SECRET)
    secret.chmod(0o600)
    words = [sys.executable, "-m", "fermata", "serve", "--store", str(tmp_path / "doors.sqlite"), "--port", "0",
             "--tls-cert", str(certificate), "--tls-key", str(tmp_path / "key.pem"), "--json"]  # fmt: skip
    env = {**os.environ, "FERMATA_NODE_SECRET": str(secret)}
    with subprocess.Popen(words, stdout=subprocess.PIPE, env=env) as process:
        assert process.stdout is not None
        text = b""
        while not text.rstrip().endswith(b"}"):
            line = process.stdout.readline()
            assert line, "it ended before it served"
            text += line
        yield orjson.loads(text)["url"]
        process.terminate()


@pytest.fixture
def credential(url: str, certificate: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[ManagedIdentityCredential]:
    """The node's, found by the environment alone."""
    key = NodeKeys(SECRET).key_of(NodeId(NODE))
    monkeypatch.setenv("AZURE_POD_IDENTITY_AUTHORITY_HOST", url.replace("https://", f"https://{NODE}:{key}@"))
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(certificate))
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    with ManagedIdentityCredential() as found:
        yield found


@pytest.fixture
def azure(url: str, certificate: Path, credential: ManagedIdentityCredential) -> Iterator[MaintenanceManagementClient]:
    with MaintenanceManagementClient(
        credential,
        arm.subscription_id(CustomerId("lumen")),
        base_url=url,
        connection_verify=str(certificate),
        retry_total=0,
    ) as client:
        yield client


def test_the_maintenance_client_approves_for_its_node_and_no_other(
    azure: MaintenanceManagementClient, db: Database, url: str
) -> None:
    assert url.startswith("https://127.0.0.1:")
    assert {found.maintenance_scope for found in azure.updates.list(*MACHINE, NODE)} == {"Host", "Resource"}
    event = arm.event_id(WindowId("w-alpha"), NodeId(NODE))
    azure.scheduled_events.acknowledge("sc-1", "virtualMachines", NODE, event)
    assert world.said(db) == [f"approved node {NODE}"]
    with pytest.raises(HttpResponseError) as refused:
        azure.updates.list(*MACHINE, "alpha-n0").next()
    assert (refused.value.status_code, refused.value.error.code) == (403, "AuthorizationFailed")
    assert f"token of node {NODE}" in str(refused.value)


def test_a_client_that_does_not_trust_the_certificate_gets_nothing(
    url: str, credential: ManagedIdentityCredential, monkeypatch: pytest.MonkeyPatch
) -> None:
    token = credential.get_token("https://management.example/.default").token
    claims = NodeKeys(SECRET).read(token, datetime.now(UTC))
    assert claims is not None
    assert (claims["sub"], claims["aud"]) == (NODE, "https://management.example")
    monkeypatch.delenv("REQUESTS_CA_BUNDLE")
    with ManagedIdentityCredential() as other, pytest.raises(CredentialUnavailableError):
        other.get_token("https://management.example/.default")
    with (
        MaintenanceManagementClient(
            Token(), arm.subscription_id(CustomerId("lumen")), base_url=url, retry_total=0
        ) as client,
        pytest.raises(ServiceRequestError, match="CERTIFICATE_VERIFY_FAILED"),
    ):
        client.updates.list(*MACHINE, NODE).next()


def test_plain_http_is_not_answered_beside_it(url: str, certificate: Path) -> None:
    trusting = ssl.create_default_context(cafile=str(certificate))
    assert httpx.get(f"{url}/api/v1/imports", verify=trusting, timeout=30).status_code == 200
    with pytest.raises(httpx.TransportError):
        httpx.get(f"{url.replace('https', 'http')}/api/v1/imports")
