"""The conformance suite over the adapter of Redfish and the emulator, with a connection between them that fails."""

import itertools
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from tests.adapters.redfish.bench import COMPONENTS, PASSWORD, SWITCH, TRIED, TRIED_SWITCHES, EmulatedClock
from tests.bmc.running import Running

from fermata.adapters import redfish
from fermata.adapters.redfish.settings import Model, Settings, Unit
from fermata.conformance import RETRY_AFTER, Bench, Mishap, Op, Trial, Write, list_trials, open_proxy
from fermata.domain.ids import DeviceId, NodeId, UpdateId
from fermata.domain.node_states import UnitKind
from fermata.domain.routing import PortName

NUMBERS = itertools.count(5)  # of runs, and of versions that no machine has


def acts(method: str, path: str) -> bool:
    """True of requests that do something to a machine: signing in does not."""
    return method != "GET" and "Sessions" not in path


@pytest.fixture
def tried(found: Running, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Bench]:
    monkeypatch.setenv("REDFISH_PASSWORD", PASSWORD)
    port = urlsplit(found.url).port
    assert port is not None
    with open_proxy("127.0.0.1", port, acts=acts) as proxy:
        clock, number = EmulatedClock(found), next(NUMBERS)
        controllers = {name: found.emulator.controllers[name] for name in (*TRIED, *TRIED_SWITCHES)}
        before = {name: (len(one.updates), len(one.resets) + one.own_resets) for name, one in controllers.items()}
        settings = Settings(
            nodes={name: Unit(address=f"{proxy.url}/bmcs/{name}", model="gpu") for name in TRIED},
            devices={name: Unit(address=f"{proxy.url}/bmcs/{name}", model="switch") for name in TRIED_SWITCHES},
            models={
                "gpu": Model(components=COMPONENTS),
                "switch": Model(components={"os": SWITCH}, resets="manager"),
            },
            user="admin",
            password_env="REDFISH_PASSWORD",
            answer_seconds=5,
            memory=tmp_path / "steps.sqlite",
        )

        def count(op: Op, unit: str) -> int:
            if unit not in controllers:
                return 0
            one = controllers[unit]
            one.settle(clock.now())
            updates, resets = before[unit]
            return len(one.updates) - updates if op is Op.APPLY else len(one.resets) + one.own_resets - resets

        bench = Bench(
            ports=redfish.build(settings, clock),
            clock=clock,
            nodes=[NodeId(name) for name in TRIED],
            wait=lambda: found.later(600),
            writes=[Write(update=UpdateId("u-bios"), component="bios", to_version=f"2.{number}")],
            devices=[DeviceId(name) for name in TRIED_SWITCHES],
            device_writes=[Write(update=UpdateId("u-os"), component="os", to_version=f"4.{number}")],
            reopen=lambda: redfish.build(settings, clock),
            count_effects=count,
            mishaps=frozenset(Mishap),
            strike=proxy.strike,
            await_hanging=proxy.await_hanging,
            retry_after=RETRY_AFTER,
            count_requests=lambda: len(proxy.passed),
            count_struck=proxy.count_struck,
            secrets=[PASSWORD],
            shown=[settings],
            run=f"run_{number}",
        )
        yield bench
        bench.ports.close()
        found.later(7200)


PORTS = [PortName.FIRMWARE, PortName.POWER, PortName.INVENTORY]


@pytest.mark.parametrize("trial", list_trials(PORTS, of=[UnitKind.NODE, UnitKind.DEVICE]), ids=str)
def test_redfish_owes_the_conductor(trial: Trial, tried: Bench) -> None:
    trial.run(tried)
