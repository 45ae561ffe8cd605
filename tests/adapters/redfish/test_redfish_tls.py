"""The adapter of Redfish over TLS: a controller is believed only with a certificate for its address of a CA that the
settings name, and nothing is told to any other.
"""

import subprocess
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from tests.adapters.redfish.bench import COMPONENTS, PASSWORD, PLAIN, EmulatedClock
from tests.bmc.running import Running, running

from fermata.adapters import redfish
from fermata.adapters.redfish.settings import Model, Settings, Unit
from fermata.bmc.fleet import Bmcs, Fleet
from fermata.domain.ids import NodeId, StepKey, UpdateId
from fermata.domain.observations import Accepted, Denied
from fermata.ports import AdapterPorts, ApplyAsk, Refused

pytestmark = pytest.mark.xdist_group("bmc")
ASK = ApplyAsk(
    key=StepKey("run_1/win/n1/apply:bios/1"), unit="n1", update=UpdateId("bios"), component="bios", to_version="2.0"
)


@dataclass(frozen=True)
class Authority:
    """A CA in a folder, which signs for one address."""

    folder: Path
    name: str

    def make(self) -> Path:
        self._run("req", "-x509", *EC, "-subj", f"/CN={self.name}", "-keyout", "ca.key", "-out", "ca.pem")
        return self.folder / f"{self.name}-ca.pem"

    def sign(self, address: str, *, days: int = 2) -> Path:
        """Certificate and key in one file. `days` -1: it ended yesterday."""
        self._run("req", *EC, "-subj", "/CN=bmc", "-keyout", "bmc.key", "-out", "bmc.csr")
        (self.folder / f"{self.name}-names").write_text(f"subjectAltName={address}\n")
        words = ("-CA", "ca.pem", "-CAkey", "ca.key", "-in", "bmc.csr", "-out", "bmc.crt", "-extfile", "names")
        self._run("x509", "-req", *words, "-days", str(days), "-CAcreateserial")
        found = self.folder / f"{self.name}-bmc.pem"
        parts = (self.folder / f"{self.name}-{part}" for part in ("bmc.key", "bmc.crt"))
        found.write_bytes(b"".join(part.read_bytes() for part in parts))
        return found

    def _run(self, *words: str) -> None:
        files = [f"{self.name}-{word}" if word in FILES else word for word in words]
        subprocess.run(("openssl", *files), check=True, capture_output=True, cwd=self.folder, timeout=60)


EC = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes")
FILES = frozenset({"ca.key", "ca.pem", "bmc.key", "bmc.csr", "bmc.crt", "names"})
Serve = Callable[[Path], Running]


@pytest.fixture
def site_ca(tmp_path: Path) -> Authority:
    one = Authority(tmp_path, "site")
    one.make()
    return one


@pytest.fixture
def serve() -> Iterator[Serve]:
    """A controller that shows a certificate."""
    started: list[Any] = []

    def start(certificate: Path) -> Running:
        fleet = Fleet(password=PASSWORD, bmcs=(Bmcs(names=("n1",), profile="plain"),), profiles={"plain": PLAIN})
        started.append(running(fleet, certificate))
        found: Running = started[-1].__enter__()
        return found

    yield start
    for each in started:
        each.__exit__(None, None, None)


def open_ports(found: Running, monkeypatch: pytest.MonkeyPatch, **more: object) -> AdapterPorts:
    monkeypatch.setenv("REDFISH_PASSWORD", PASSWORD)
    given = {
        "nodes": {"n1": Unit(address=found.at("n1"), model="gpu")},
        "models": {"gpu": Model(components=COMPONENTS)},
        "user": "admin",
        "password_env": "REDFISH_PASSWORD",
        "answer_seconds": 5,
        **more,
    }
    return redfish.build(Settings.model_validate(given), EmulatedClock(found))


def test_a_controller_with_a_certificate_of_the_sites_ca_is_looked_at_and_written(
    site_ca: Authority, serve: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = serve(site_ca.sign("IP:127.0.0.1"))
    with closing(open_ports(found, monkeypatch, ca_file=site_ca.folder / "site-ca.pem")) as ports:  # type: ignore[type-var]
        assert ports.probe()["product"]
        assert ports.firmware is not None
        assert isinstance(ports.firmware.apply([ASK])[ASK.key], Accepted)


CASES = ("nobody's ca", "another ca", "another address", "ended")


@pytest.mark.parametrize("case", CASES)
def test_any_other_certificate_is_refused_before_a_password_is_told(
    case: str, site_ca: Authority, serve: Serve, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    other = Authority(tmp_path, "other")
    other.make()
    shown = {
        "nobody's ca": lambda: site_ca.sign("IP:127.0.0.1"),
        "another ca": lambda: other.sign("IP:127.0.0.1"),
        "another address": lambda: site_ca.sign("IP:127.0.0.2,DNS:localhost"),
        "ended": lambda: site_ca.sign("IP:127.0.0.1", days=-1),
    }[case]()
    found = serve(shown)
    trusted = {} if case == "nobody's ca" else {"ca_file": tmp_path / "site-ca.pem"}
    with closing(open_ports(found, monkeypatch, **trusted)) as ports:  # type: ignore[type-var]
        with pytest.raises(Refused, match="shows a certificate that we do not trust"):
            ports.probe()
        assert ports.firmware is not None
        assert ports.inventory is not None
        answer = ports.firmware.apply([ASK])[ASK.key]
        assert isinstance(answer, Denied)
        assert "certificate" in answer.why
        assert ports.inventory.observe_nodes([NodeId("n1")]) == {}
    assert found.emulator.requests == 0


def test_certificates_are_not_looked_at_only_where_the_settings_say_so(
    site_ca: Authority, serve: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = serve(site_ca.sign("IP:127.0.0.2"))
    with closing(open_ports(found, monkeypatch, verify_tls=False)) as ports:  # type: ignore[type-var]
        assert ports.probe()["product"]


def test_a_file_without_certificates_is_refused_at_once(
    site_ca: Authority, serve: Serve, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    found = serve(site_ca.sign("IP:127.0.0.1"))
    (tmp_path / "empty.pem").write_text("")
    with pytest.raises(Refused, match=r"empty\.pem holds no certificates"):
        open_ports(found, monkeypatch, ca_file=tmp_path / "empty.pem")
