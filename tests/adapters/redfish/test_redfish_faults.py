"""The adapter of Redfish while controllers die, lie, lose answers, tasks and sessions."""

import socket
from datetime import timedelta

import pytest
from tests.adapters.redfish.bench import PASSWORD, Bench, about
from tests.bmc.running import Running

from fermata.adapters.redfish.settings import Unit
from fermata.bmc.fleet import FaultKind
from fermata.domain.ids import NodeId
from fermata.domain.observations import (
    Accepted,
    Denied,
    Failed,
    Later,
    NeverAsked,
    Succeeded,
    Unsure,
)
from fermata.domain.observations import (
    Running as Runs,
)
from fermata.ports import TryLater

pytestmark = pytest.mark.xdist_group("bmc")


def test_lost_answer_leaves_the_outcome_unknown_and_the_task_is_found(bench: Bench) -> None:
    bench.fault(FaultKind.DROPS_ANSWER, times=1)
    assert bench.apply("bios", "2.0") == Unsure()
    assert isinstance(bench.progress("bios"), Runs)
    assert isinstance(bench.apply("bios", "2.0"), Accepted)
    bench.later()
    assert isinstance(bench.progress("bios"), Succeeded)
    assert bench.controller.updates == ["BIOS-2.0.bin"]


def test_lost_answer_to_a_reset_is_known_by_the_time_of_the_last_one(bench: Bench) -> None:
    bench.fault(FaultKind.DROPS_ANSWER, times=1)
    assert bench.reboot() == Unsure()
    assert isinstance(bench.reboot(), Later), "it may still be on its way down"
    bench.later(60)
    assert isinstance(bench.reboot(), Accepted)
    bench.later()
    assert isinstance(bench.rebooted(), Succeeded)
    assert bench.controller.resets == ["GracefulRestart"]


def test_a_reset_that_was_taken_and_did_not_happen_fails(bench: Bench) -> None:
    bench.fault(FaultKind.RESET_IGNORED, times=1)
    assert isinstance(bench.reboot(), Accepted)
    assert isinstance(bench.rebooted(), Runs)
    bench.later()
    assert isinstance(bench.rebooted(), Failed)
    assert isinstance(bench.reboot(attempt=2), Accepted)
    bench.later()
    assert isinstance(bench.rebooted(attempt=2), Succeeded)


def test_busy_controller_says_when_to_ask_again(bench: Bench) -> None:
    bench.fault(FaultKind.BUSY, times=2)
    assert bench.apply("bios", "2.0") == Later(after=timedelta(seconds=30))
    assert bench.reboot() == Later(after=timedelta(seconds=30))
    assert isinstance(bench.apply("bios", "2.0"), Accepted)


def test_controller_that_does_not_answer_is_not_acted_on_and_never_counts_as_done(bench: Bench) -> None:
    bench.apply("bios", "2.0")
    bench.reboot(attempt=9)
    bench.fault(FaultKind.DIES)
    bench.later()
    assert isinstance(bench.apply("nic_fw", "29.1"), Later)
    assert bench.reboot() == Denied(why="its management controller does not answer")
    assert isinstance(bench.progress("bios"), Runs)
    assert isinstance(bench.rebooted(attempt=9), Runs)
    assert bench.inventory.observe_nodes([NodeId(bench.name)]) == {}
    with pytest.raises(TryLater):
        bench.ports.probe()


def test_refused_connection_means_that_nothing_was_done(bench: Bench) -> None:
    with socket.create_server(("127.0.0.1", 0)) as closed:
        port = closed.getsockname()[1]
    bench.more["nodes"] = {bench.name: Unit(address=f"http://127.0.0.1:{port}", model="gpu")}
    ports = bench.open()
    assert ports.firmware is not None
    ask = bench.ask("bios", "2.0")
    assert isinstance(ports.firmware.apply([ask])[ask.key], Later)
    assert ports.firmware.observe([about(ask)])[ask.key] == NeverAsked()


def test_controller_that_restarts_in_mid_update_forgets_the_task_and_the_version_tells(bench: Bench) -> None:
    assert isinstance(bench.apply("bmc_fw", "25.0"), Accepted)
    bench.later(250)
    assert isinstance(bench.progress("bmc_fw"), Runs)
    bench.later(600)
    assert bench.controller.tasks == {}
    assert isinstance(bench.progress("bmc_fw"), Succeeded)
    assert bench.versions()["bmc_fw"] == "25.0"


def test_task_that_is_gone_without_the_version_failed(bench: Bench) -> None:
    bench.fault(FaultKind.KEEPS_OLD, component="BMC")
    bench.apply("bmc_fw", "25.0")
    bench.later(900)
    told = bench.progress("bmc_fw")
    assert isinstance(told, Failed)
    assert "24.1.0" in told.why


def test_a_task_that_lies_is_shown_by_the_inventory(bench: Bench) -> None:
    bench.fault(FaultKind.KEEPS_OLD, component="GPU_1", times=1)
    bench.apply("gpu_fw", "97.0")
    bench.later()
    assert isinstance(bench.progress("gpu_fw"), Succeeded)
    bench.reboot()
    bench.later()
    assert "gpu_fw" not in bench.versions(), "parts that differ are no version"
    bench.apply("gpu_fw", "97.0", attempt=2)
    bench.later()
    bench.reboot(attempt=2)
    bench.later()
    assert bench.versions()["gpu_fw"] == "97.0"


def test_failed_update_says_why_and_another_try_writes_again(bench: Bench) -> None:
    bench.fault(FaultKind.UPDATE_FAILS, percent=40, times=1)
    bench.apply("bios", "2.0")
    bench.later()
    told = bench.progress("bios")
    assert isinstance(told, Failed)
    assert "could not be installed" in told.why
    assert bench.progress("bios") == told
    assert isinstance(bench.apply("bios", "2.0", attempt=2), Accepted)
    bench.later()
    assert isinstance(bench.progress("bios", attempt=2), Succeeded)


def test_update_that_hangs_stays_running(bench: Bench) -> None:
    bench.fault(FaultKind.UPDATE_HANGS, percent=70)
    bench.apply("bios", "2.0")
    bench.later(24 * 3600)
    assert isinstance(bench.progress("bios"), Runs)


def test_sessions_that_are_lost_are_opened_again_and_end_at_the_close(bench: Bench) -> None:
    for turn in range(4):
        bench.fault(FaultKind.LOSES_SESSIONS)
        bench.later(1)
        assert bench.versions()["bios"] == "1.4.0", turn
    assert len(bench.controller.access.sessions) == 1
    bench.ports.close()
    bench.ports.close()
    assert bench.controller.access.sessions == {}
    with pytest.raises(TryLater):
        bench.versions()


def test_controller_without_room_for_a_session_is_busy(bench: Bench) -> None:
    access = bench.controller.access
    for _ in range(2):
        access.open_session(bench.found.clock.now(), "admin", PASSWORD)
    assert isinstance(bench.apply("bios", "2.0"), Later)
    with pytest.raises(TryLater):
        bench.ports.probe()


def test_controller_that_tells_nothing_of_boots_gets_its_time(found: Running, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REDFISH_PASSWORD", PASSWORD)
    bench = Bench(found, "mute")
    assert isinstance(bench.reboot(), Accepted)
    bench.later(600)
    assert isinstance(bench.rebooted(), Runs)
    bench.later(600)
    assert isinstance(bench.rebooted(), Succeeded)
    bench.ports.close()
