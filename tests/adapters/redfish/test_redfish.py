"""The adapter of Redfish against the emulator, through real sockets: what every adapter owes the conductor."""

import itertools
from pathlib import Path

import pytest
from tests.adapters.redfish.bench import NAMES, PASSWORD, Bench, about, reboot_key
from tests.bmc.running import Running

from fermata.adapters.redfish.settings import Unit
from fermata.domain.fleet import NodeState
from fermata.domain.ids import DeviceId, NodeId
from fermata.domain.observations import (
    Accepted,
    Denied,
    NeverAsked,
    Succeeded,
)
from fermata.domain.observations import (
    Running as Runs,
)
from fermata.ports import CALL_SIZE_MAX, Ask

pytestmark = pytest.mark.xdist_group("bmc")


def test_several_staged_updates_run_after_one_reboot(bench: Bench) -> None:
    asks = [bench.ask(name, version) for name, version in (("bios", "2.0"), ("nic_fw", "29.1"), ("gpu_fw", "97.0"))]
    assert all(isinstance(answer, Accepted) for answer in bench.firmware.apply(asks).values())
    assert all(isinstance(told, Runs) for told in bench.firmware.observe([about(ask) for ask in asks]).values())
    bench.later()
    assert all(isinstance(told, Succeeded) for told in bench.firmware.observe([about(ask) for ask in asks]).values())
    assert bench.versions() == {"bmc_fw": "24.1.0", "bios": "1.4.0", "nic_fw": "28.1", "gpu_fw": "96.1"}
    assert isinstance(bench.reboot(), Accepted)
    assert isinstance(bench.rebooted(), Runs)
    bench.later()
    assert isinstance(bench.rebooted(), Succeeded)
    assert bench.versions() == {"bmc_fw": "24.1.0", "bios": "2.0", "nic_fw": "29.1", "gpu_fw": "97.0"}
    assert bench.controller.resets == ["GracefulRestart"]


def test_same_key_asked_twice_does_the_work_once(bench: Bench) -> None:
    assert isinstance(bench.apply("bios", "2.0"), Accepted)
    assert isinstance(bench.apply("bios", "2.0"), Accepted)
    bench.later()
    assert isinstance(bench.progress("bios"), Succeeded)
    assert isinstance(bench.apply("bios", "2.0"), Accepted)
    assert isinstance(bench.reboot(), Accepted)
    assert isinstance(bench.reboot(), Accepted)
    bench.later()
    assert isinstance(bench.rebooted(), Succeeded)
    assert isinstance(bench.reboot(), Accepted)
    assert (bench.controller.updates, bench.controller.resets) == (["BIOS-2.0.bin"], ["GracefulRestart"])


def test_another_process_that_remembers_finds_the_task(bench: Bench, tmp_path: Path) -> None:
    bench.more["memory"] = str(tmp_path / "redfish.db")
    first, second = bench.open(), bench.open()
    ask = bench.ask("bios", "2.0")
    assert first.firmware is not None
    assert second.firmware is not None
    first.firmware.apply([ask])
    first.close()
    assert isinstance(second.firmware.observe([about(ask)])[ask.key], Runs)
    bench.later()
    assert isinstance(second.firmware.observe([about(ask)])[ask.key], Succeeded)
    second.close()


def test_a_process_that_forgot_takes_up_the_task_and_writes_nothing_twice(bench: Bench) -> None:
    bench.apply("bios", "2.0")
    other = bench.open()
    ask = bench.ask("bios", "2.0")
    assert other.firmware is not None
    assert other.firmware.observe([about(ask)])[ask.key] == NeverAsked()
    assert isinstance(other.firmware.apply([ask])[ask.key], Accepted)
    bench.later()
    assert isinstance(other.firmware.observe([about(ask)])[ask.key], Succeeded)
    other.close()
    assert bench.controller.updates == ["BIOS-2.0.bin"]


def test_every_key_is_answered_and_unknown_ones_were_never_asked(bench: Bench) -> None:
    bench.apply("bios", "2.0")
    asked, other = bench.about("bios", 1), bench.about("bios", 2)
    told = bench.firmware.observe([asked, other])
    assert isinstance(told[asked.key], Runs)
    assert told[other.key] == NeverAsked()
    assert bench.rebooted() == NeverAsked()


def test_unknown_units_are_denied_and_the_others_of_the_call_go_on(bench: Bench) -> None:
    asks = [bench.ask("bios", "2.0"), bench.ask("bios", "2.0", unit="nobody"), bench.ask("fpga", "1.0")]
    answers = bench.firmware.apply(asks)
    assert isinstance(answers[asks[0].key], Accepted)
    assert isinstance(answers[asks[1].key], Denied)
    assert "fpga" in answers[asks[2].key].why  # type: ignore[union-attr]
    assert isinstance(bench.reboot(unit="nobody"), Denied)
    assert set(bench.inventory.observe_nodes([NodeId(bench.name), NodeId("nobody")])) == {bench.name}


def test_calls_above_the_size_limit_are_a_bug_of_the_caller(bench: Bench) -> None:
    with pytest.raises(ValueError, match="at most"):
        bench.firmware.observe([bench.about("bios", attempt) for attempt in range(CALL_SIZE_MAX + 1)])


def test_a_version_that_is_there_is_not_written(bench: Bench) -> None:
    assert isinstance(bench.apply("bios", "1.4.0"), Accepted)
    assert isinstance(bench.progress("bios"), Succeeded)
    assert bench.controller.updates == []


def test_node_alone_is_never_evidence_that_work_may_begin_or_end(bench: Bench) -> None:
    seen = bench.inventory.observe_nodes([NodeId(bench.name)])[NodeId(bench.name)]
    assert (seen.reachable, seen.state, seen.locked) == (True, NodeState.IN_SERVICE, None)
    bench.power.reset([Ask(key=reboot_key(bench.name, 1), unit=bench.name)])
    bench.later(10)
    assert not bench.inventory.observe_nodes([NodeId(bench.name)])[NodeId(bench.name)].reachable
    assert bench.controller.resets == ["PowerCycle"]


def test_device_is_written_at_once_and_its_manager_is_what_resets(bench: Bench) -> None:
    ask = bench.ask("os", "3.1", unit="switch")
    bench.firmware.apply([ask])
    bench.later()
    assert isinstance(bench.firmware.observe([about(ask)])[ask.key], Succeeded)
    assert bench.inventory.observe_devices([DeviceId("switch")])[DeviceId("switch")].version == "3.1"
    assert isinstance(bench.reboot(unit="switch"), Accepted)
    again = Ask(key=reboot_key("switch", 1), unit="switch")
    bench.later(30)
    assert isinstance(bench.power.observe([again])[again.key], Runs)
    bench.later()
    assert isinstance(bench.power.observe([again])[again.key], Succeeded)


def test_machine_that_is_off_is_switched_on(bench: Bench) -> None:
    bench.controller.reset(bench.found.clock.now(), "ForceOff")
    bench.later()
    assert isinstance(bench.reboot(), Accepted)
    bench.later()
    assert isinstance(bench.rebooted(), Succeeded)
    assert bench.controller.resets == ["ForceOff", "On"]


def test_a_call_over_many_controllers_asks_each_of_them(found: Running, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REDFISH_PASSWORD", PASSWORD)
    many = list(itertools.islice(NAMES, 40, 60))
    nodes = {name: Unit(address=found.at(name), model="gpu") for name in many}
    bench = Bench(found, many[0], {"nodes": nodes, "calls_at_once": 4, "calls_per_controller": 1})
    seen = bench.inventory.observe_nodes([NodeId(name) for name in many])
    bench.ports.close()
    assert set(seen) == set(many)
    assert all(one.versions["bios"] == "1.4.0" for one in seen.values())
