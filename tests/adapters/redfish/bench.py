"""One emulated controller and the adapter of Redfish that knows it, on one virtual clock."""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from tests.bmc.running import Running

from fermata.adapters import redfish
from fermata.adapters.redfish.settings import Component, Model, Settings, Unit
from fermata.bmc.fleet import Activation, Fault, FaultKind, Profile
from fermata.bmc.fleet import Component as Part
from fermata.domain.ids import NodeId, StepKey, UpdateId
from fermata.domain.observations import (
    Answer,
    Progress,
)
from fermata.ports import AdapterPorts, ApplyAsk, Ask

HOUR = 3600.0
PASSWORD = "canary-7c1f"
PARTS = (
    Part(id="BMC", version="24.1.0", activates=Activation.BMC_RESET, write_seconds=240),
    Part(id="BIOS", version="1.4.0", write_seconds=180),
    Part(id="NIC_0", version="28.1", image="NIC"),
    Part(id="GPU_0", version="96.1", image="GPU"),
    Part(id="GPU_1", version="96.1", image="GPU"),
    Part(id="SW", version="3.0", activates=Activation.AT_ONCE, image="SW"),
)
COMPONENTS = {
    "bmc_fw": Component(inventory=("BMC",), apply_time="immediate", image="http://images/BMC-{version}.bin"),
    "bios": Component(inventory=("BIOS",), image="http://images/BIOS-{version}.bin"),
    "nic_fw": Component(inventory=("NIC_0",), image="http://images/NIC-{version}.bin"),
    "gpu_fw": Component(inventory=("GPU_0", "GPU_1"), image="http://images/GPU-{version}.bin"),
}
SWITCH = Component(inventory=("SW",), apply_time="immediate", image="http://images/SW-{version}.bin")
PLAIN = Profile(components=PARTS, sessions_max=2, jitter=0)
NAMES = tuple(f"n{number:02d}" for number in range(60))
TRIED = NAMES[-3:]  # by the conformance suite, again and again
TRIED_SWITCHES = NAMES[-6:-3]
FRESH = iter(NAMES[:-6])


class EmulatedClock:
    """The emulator's time, for the adapter."""

    def __init__(self, found: Running) -> None:
        self._found = found

    def now(self) -> datetime:
        return self._found.clock.now()

    def wait_until(self, instant: datetime, stop: Callable[[], bool]) -> datetime:
        return self.now()


@dataclass
class Bench:
    """One controller of its own, and an adapter that knows it."""

    found: Running
    name: str
    more: dict[str, Any] = field(default_factory=dict)
    opened: list[AdapterPorts] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.ports = self.open()
        assert self.ports.firmware is not None
        assert self.ports.power is not None
        assert self.ports.inventory is not None
        self.firmware, self.power, self.inventory = self.ports.firmware, self.ports.power, self.ports.inventory

    def settings(self) -> Settings:
        at = self.found.at(self.name)
        plain: dict[str, Any] = {
            "nodes": {self.name: Unit(address=at, model="gpu")},
            "devices": {"switch": Unit(address=at, model="switch")},
            "models": {
                "gpu": Model(components=COMPONENTS),
                "switch": Model(components={"os": SWITCH}, resets="manager"),
            },
            "user": "admin",
            "password_env": "REDFISH_PASSWORD",
            "answer_seconds": 5,
        }
        return Settings.model_validate(plain | self.more)

    def open(self) -> AdapterPorts:
        ports = redfish.build(self.settings(), EmulatedClock(self.found))
        self.opened.append(ports)
        return ports

    def close(self) -> None:
        for ports in self.opened:
            ports.close()

    @property
    def controller(self) -> Any:
        found = self.found.emulator.controllers[self.name]
        found.settle(self.found.clock.now())
        return found

    def fault(self, kind: FaultKind, **more: Any) -> None:
        self.controller.add_fault(Fault(kind=kind, bmc=self.name, **more), self.found.clock.now())

    def apply(self, component: str, version: str, attempt: int = 1, unit: str | None = None) -> Answer:
        ask = self.ask(component, version, attempt, unit)
        return self.firmware.apply([ask])[ask.key]

    def ask(self, component: str, version: str, attempt: int = 1, unit: str | None = None) -> ApplyAsk:
        unit = unit or self.name
        key = StepKey(f"run_1/win/{unit}/apply:{component}/{attempt}")
        update = UpdateId(f"u-{component}")
        return ApplyAsk(key=key, unit=unit, update=update, component=component, to_version=version)

    def progress(self, component: str, attempt: int = 1) -> Progress:
        asked = self.about(component, attempt)
        return self.firmware.observe([asked])[asked.key]

    def about(self, component: str, attempt: int = 1) -> Ask:
        return about(self.ask(component, "", attempt))

    def reboot(self, attempt: int = 1, unit: str | None = None) -> Answer:
        ask = Ask(key=reboot_key(unit or self.name, attempt), unit=unit or self.name)
        return self.power.reboot([ask])[ask.key]

    def rebooted(self, attempt: int = 1) -> Progress:
        key = reboot_key(self.name, attempt)
        return self.power.observe([Ask(key=key, unit=self.name)])[key]

    def versions(self) -> dict[str, str]:
        return dict(self.inventory.observe_nodes([NodeId(self.name)])[NodeId(self.name)].versions)

    def later(self, seconds: float = HOUR) -> None:
        self.found.later(seconds)


def about(ask: ApplyAsk) -> Ask:
    """How far it is, asked."""
    return Ask(key=ask.key, unit=ask.unit)


def reboot_key(unit: str, attempt: int) -> StepKey:
    return StepKey(f"run_1/win/{unit}/reboot:1/{attempt}")
