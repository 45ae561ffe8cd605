"""The conformance suite over the adapter of NVUE and three switches, with connections between them that fail."""

import json
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from datetime import datetime, timedelta
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from tests.adapters.nvue.switch import Switch, serving_switch
from tests.simulation import small

from fermata.adapters import nvue
from fermata.adapters.nvue.settings import Settings
from fermata.cli.main import main
from fermata.conformance import (
    RETRY_AFTER,
    Bench,
    FaultProxy,
    Mishap,
    Op,
    Trial,
    Write,
    list_trials,
    open_proxy,
)
from fermata.domain.ids import DeviceId, UpdateId
from fermata.domain.node_states import UnitKind
from fermata.domain.routing import PortName
from fermata.sim.clock import SystemClock

PASSWORD = "canary-58d0"
LEAVES = tuple(DeviceId(f"leaf{number}") for number in (1, 2, 3))
MOMENT = timedelta(minutes=1)


class Time:
    def __init__(self) -> None:
        self.at = small.NOW

    def now(self) -> datetime:
        return self.at

    def wait_until(self, instant: datetime, stop: Callable[[], bool]) -> datetime:
        return self.at

    def pass_by(self) -> None:
        self.at += MOMENT


class Proxies:
    """One before each switch; a mishap befalls all of them."""

    def __init__(self, found: list[FaultProxy]) -> None:
        self.found = found

    def strike(self, mishap: Mishap | None, *, reads: bool = False) -> None:
        for proxy in self.found:
            proxy.strike(mishap, reads=reads)

    def await_hanging(self, seconds: float) -> bool:
        return self.found[0].await_hanging(seconds)  # the probe asks the first

    def count_struck(self) -> int:
        return sum(proxy.count_struck() for proxy in self.found)

    def count_passed(self) -> int:
        return sum(len(proxy.passed) for proxy in self.found)


@pytest.fixture
def tried(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Bench]:
    monkeypatch.setenv("NVUE_PASSWORD", PASSWORD)
    time = Time()
    with ExitStack() as stack:
        switches: dict[str, Switch] = {name: stack.enter_context(serving_switch(time.now, PASSWORD)) for name in LEAVES}
        ports = [urlsplit(switch.url).port for switch in switches.values()]
        proxies = Proxies([stack.enter_context(open_proxy("127.0.0.1", port or 0)) for port in ports])
        settings = Settings(
            devices={name: proxy.url for name, proxy in zip(LEAVES, proxies.found, strict=True)},
            user="admin",
            password_env="NVUE_PASSWORD",
            answer_seconds=5,
            memory=tmp_path / "steps.sqlite",
        )

        def count(op: Op, unit: str) -> int:
            return len(switches[unit].installs) if op is Op.APPLY and unit in switches else 0

        bench = Bench(
            ports=nvue.build(settings, time),
            clock=time,
            nodes=[],
            wait=time.pass_by,
            devices=LEAVES,
            device_writes=[Write(update=UpdateId("leaf"), component="ib_fw", to_version="2.0")],
            reopen=lambda: nvue.build(settings, time),
            count_effects=count,
            mishaps=frozenset(Mishap),
            strike=proxies.strike,
            await_hanging=proxies.await_hanging,
            retry_after=RETRY_AFTER,
            count_requests=proxies.count_passed,
            count_struck=proxies.count_struck,
            secrets=[PASSWORD],
            shown=[settings],
        )
        yield bench
        bench.ports.close()


@pytest.mark.parametrize("trial", list_trials([PortName.FIRMWARE, PortName.INVENTORY], of=[UnitKind.DEVICE]), ids=str)
def test_nvue_owes_the_conductor(trial: Trial, tried: Bench) -> None:
    trial.run(tried)


def test_a_site_tries_its_switches_by_the_command(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Looking alone, then with what acts; nodes are not asked for."""
    monkeypatch.setenv("NVUE_PASSWORD", PASSWORD)
    with serving_switch(SystemClock().now, PASSWORD) as switch:
        settings = tmp_path / "settings.yaml"
        known = f"devices: {{leaf1: '{switch.url}'}}\nmemory: {tmp_path / 'steps.sqlite'}\n"
        settings.write_text(f"{known}user: admin\npassword_env: NVUE_PASSWORD\n", encoding="utf-8")

        def tried(*words: str) -> dict[str, str]:
            with pytest.raises(SystemExit) as ended:
                main(["adapters", "try", "nvue", "--settings", str(settings), "--device", "leaf1", *words, "--json"])
            said = json.loads(capsys.readouterr().out)
            assert (ended.value.code or 0, said["broken"]) == (0, 0)
            return {one["sentence"]: one["verdict"] for one in said["trials"]}

        found = tried("--device-update", "leaf:ib_fw=1.0")
        assert found["the target says who it is"] == "kept"
        assert found["of devices: what is there is seen as of now"] == "kept"
        assert found["firmware of devices: keys never asked are told as such"] == "kept"
        assert found["apply of devices: asked twice, done once"] == "not tried"
        assert not [name for name in found if name.startswith("apply:")]
        found = tried("--device-update", "leaf:ib_fw=1.0", "--write")
        assert found["apply of devices: asked twice, done once"] == "kept", "what runs already is not written"
        assert switch.installs == []
