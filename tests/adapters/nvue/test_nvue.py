"""The adapter of NVUE over a switch on loopback: what runs counts, and nothing is installed twice."""

from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from tests.adapters.nvue.switch import Switch, serving_switch
from tests.simulation import small

from fermata.adapters import nvue
from fermata.adapters.nvue.settings import Settings
from fermata.domain.ids import DeviceId, StepKey, UpdateId
from fermata.domain.observations import Accepted, Denied, Failed, NeverAsked, Running, Succeeded
from fermata.ports import AdapterPorts, ApplyAsk, Ask

LEAF = DeviceId("leaf")
KEY = StepKey("run_1/win/leaf/apply:leaf/1")
ASK = ApplyAsk(key=KEY, unit=LEAF, update=UpdateId("leaf"), component="ib_fw", to_version="2.0")


class Time:
    def __init__(self) -> None:
        self.at = small.NOW

    def now(self) -> datetime:
        return self.at

    def wait_until(self, instant: datetime, stop: Callable[[], bool]) -> datetime:
        return self.at


@pytest.fixture
def time() -> Time:
    return Time()


@pytest.fixture
def switch(time: Time) -> Iterator[Switch]:
    with serving_switch(time.now, "canary-31") as found:
        yield found


@pytest.fixture
def opened(
    switch: Switch, time: Time, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Callable[[], AdapterPorts]]:
    monkeypatch.setenv("NVUE_PASSWORD", "canary-31")
    memory = tmp_path / "m"
    settings = Settings(devices={LEAF: switch.url}, user="admin", password_env="NVUE_PASSWORD", memory=memory)
    made: list[AdapterPorts] = []

    def again() -> AdapterPorts:
        made.append(nvue.build(settings, time))
        return made[-1]

    yield again
    for ports in made:
        ports.close()


def apply(ports: AdapterPorts) -> object:
    assert ports.firmware is not None
    return ports.firmware.apply([ASK])[KEY]


def progress(ports: AdapterPorts) -> object:
    assert ports.firmware is not None
    return ports.firmware.observe([Ask(key=KEY, unit=LEAF)])[KEY]


def version(ports: AdapterPorts) -> str | None:
    assert ports.inventory is not None
    seen = ports.inventory.observe_devices([LEAF]).get(LEAF)
    return seen.version if seen is not None else None


def test_an_install_ends_when_the_switch_runs_the_image(
    switch: Switch, time: Time, opened: Callable[[], AdapterPorts]
) -> None:
    ports = opened()
    assert (progress(ports), version(ports)) == (NeverAsked(), "1.0")
    assert isinstance(apply(ports), Accepted)
    assert isinstance(apply(opened()), Accepted), "another process of this machine knows it"
    assert isinstance(progress(ports), Running)
    assert version(ports) == "1.0", "what is written and does not run is not told"
    time.at += timedelta(minutes=5)
    assert isinstance(progress(ports), Running), "it restarts, and does not answer"
    assert version(ports) is None
    time.at += timedelta(minutes=5)
    assert (progress(ports), version(ports)) == (Succeeded(at=time.at), "2.0")
    assert switch.installs == ["nvos-2.0.bin"]


def test_a_switch_that_restarts_into_the_old_image_has_failed(
    switch: Switch, time: Time, opened: Callable[[], AdapterPorts]
) -> None:
    ports, switch.keeps_old = opened(), True
    apply(ports)
    time.at += timedelta(hours=1)
    found = progress(ports)
    assert isinstance(found, Failed)
    assert "it runs 1.0" in found.why
    assert version(ports) == "1.0"


def test_wrong_password_and_unknown_switches_are_denied_and_tell_no_secret(
    switch: Switch, opened: Callable[[], AdapterPorts], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NVUE_PASSWORD", "canary-wrong")
    found = apply(opened())
    assert isinstance(found, Denied)
    assert "401" in found.why
    assert "canary" not in found.why
