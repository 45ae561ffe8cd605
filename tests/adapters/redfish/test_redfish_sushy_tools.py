"""Power through OpenStack's own emulator, sushy-tools: a controller that we did not write, which tells neither when it
was last reset nor whether its machine has booted. It has no firmware inventory, so that no versions are seen.
"""

import importlib.util
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path

import httpx
import pytest
from tests.adapters.slurm_site import free_ports, wait_for

from fermata.adapters import redfish
from fermata.adapters.redfish.settings import Settings
from fermata.conformance import FaultProxy, Mishap, open_proxy
from fermata.domain.ids import NodeId, StepKey
from fermata.domain.observations import Accepted, Answer, Failed, Progress, Running, Succeeded, Unsure
from fermata.ports import AdapterPorts, Ask
from fermata.wiring.clocks import UtcClock

HAS_EMULATOR = importlib.util.find_spec("sushy_tools") is not None
pytestmark = [
    pytest.mark.slow,
    pytest.mark.xdist_group("bmc"),
    pytest.mark.skipif(not HAS_EMULATOR, reason="NO OTHER EMULATOR OF POWER: the package sushy-tools is not installed"),
]
SYSTEMS = {"off": "11111111-0000-4000-8000-000000000001", "on": "11111111-0000-4000-8000-000000000002"}
CONFIG = """\
SUSHY_EMULATOR_FAKE_DRIVER = True
SUSHY_EMULATOR_STATE_DIR = {state!r}
SUSHY_EMULATOR_FAKE_SYSTEMS = [
    {{"uuid": uuid, "name": name, "power_state": name.title(), "external_notifier": False, "nics": []}}
    for name, uuid in {systems!r}.items()
]
"""
BOOT = timedelta(minutes=15)


@dataclass
class LaterClock:
    """The wall clock, set forward."""

    by: timedelta = field(default_factory=timedelta)

    def now(self) -> datetime:
        return UtcClock().now() + self.by

    def wait_until(self, _instant: datetime, _stop: Callable[[], bool]) -> datetime:
        return self.now()


@dataclass
class Rig:
    """The emulator, the way to it, and an adapter."""

    url: str
    proxy: FaultProxy
    clock: LaterClock
    ports: AdapterPorts

    def power(self, name: str) -> str:
        """As the emulator itself says."""
        return str(httpx.get(f"{self.url}/redfish/v1/Systems/{SYSTEMS[name]}", trust_env=False).json()["PowerState"])

    def reset(self, name: str) -> Answer:
        assert self.ports.power is not None
        return self.ports.power.reset([ask(name)])[ask(name).key]

    def progress(self, name: str) -> Progress:
        assert self.ports.power is not None
        return self.ports.power.observe([ask(name)])[ask(name).key]

    @property
    def posts(self) -> int:
        return sum(one.method == "POST" and one.arrived for one in self.proxy.passed)


def ask(name: str) -> Ask:
    return Ask(key=StepKey(f"run_1/win/{name}/reset:reboot:1/1"), unit=name)


@pytest.fixture
def rig(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Rig]:
    (port,) = free_ports(1)
    config = tmp_path / "emulator.conf"
    config.write_text(CONFIG.format(state=str(tmp_path), systems=SYSTEMS))
    words = [sys.executable, "-m", "sushy_tools.emulator.main", "--config", str(config), "-i", "127.0.0.1"]
    with (tmp_path / "log").open("wb") as log:
        emulator = subprocess.Popen([*words, "-p", str(port)], stdout=log, stderr=log)
    try:
        wait_for(lambda: answers(f"http://127.0.0.1:{port}/redfish/v1/"))
        monkeypatch.setenv("REDFISH_PASSWORD", "canary")
        with open_proxy("127.0.0.1", port) as proxy:
            settings = Settings.model_validate(
                {
                    "nodes": {
                        name: {"address": proxy.url, "model": "box", "system": uuid} for name, uuid in SYSTEMS.items()
                    },
                    "models": {"box": {"components": {}, "boot_minutes": BOOT / timedelta(minutes=1)}},
                    "user": "admin",
                    "password_env": "REDFISH_PASSWORD",
                    "sign_in": "basic",
                }
            )
            clock = LaterClock()
            ports = redfish.build(settings, clock)
            yield Rig(f"http://127.0.0.1:{port}", proxy, clock, ports)
            ports.close()
    finally:
        emulator.terminate()
        emulator.wait(timeout=30)


def answers(url: str) -> bool:
    with suppress(httpx.HTTPError):
        return httpx.get(url, trust_env=False).is_success
    return False


def test_a_machine_that_is_off_is_switched_on_and_known_to_be_up_when_its_time_to_boot_is_over(rig: Rig) -> None:
    assert rig.power("off") == "Off"
    assert isinstance(rig.reset("off"), Accepted)
    assert isinstance(rig.reset("off"), Accepted)
    assert rig.posts == 1
    wait_for(lambda: rig.power("off") == "On")  # it takes up to eleven seconds
    assert isinstance(rig.progress("off"), Running)
    rig.clock.by = BOOT + timedelta(minutes=1)
    assert isinstance(rig.progress("off"), Succeeded)
    assert rig.power("on") == "On"


def test_a_reset_whose_answer_is_lost_is_unsure_and_judged_by_what_the_controller_shows(rig: Rig) -> None:
    rig.proxy.strike(Mishap.LOST_AFTER)
    assert isinstance(rig.reset("off"), Unsure)
    rig.proxy.strike(None)
    wait_for(lambda: rig.power("off") == "On")
    assert isinstance(rig.reset("off"), Accepted)
    assert rig.posts == 1
    rig.clock.by = BOOT + timedelta(minutes=1)
    assert isinstance(rig.progress("off"), Succeeded)


def test_a_machine_that_is_on_is_reset_by_force_and_comes_back(rig: Rig) -> None:
    assert isinstance(rig.reset("on"), Accepted)
    rig.clock.by = BOOT + timedelta(minutes=1)
    ends = time.monotonic() + 30
    while isinstance(found := rig.progress("on"), Running) and time.monotonic() < ends:
        time.sleep(0.2)
    assert not isinstance(found, Failed)
    assert isinstance(found, Succeeded)
    assert rig.power("on") == "On"


def test_who_has_no_firmware_inventory_gives_no_evidence_of_versions(rig: Rig) -> None:
    assert rig.ports.probe()["updates"] == "pull"
    assert rig.ports.inventory is not None
    seen = rig.ports.inventory.observe_nodes([NodeId("on"), NodeId("nobody")])
    assert NodeId("nobody") not in seen
    assert all(node.versions == {} for node in seen.values())
