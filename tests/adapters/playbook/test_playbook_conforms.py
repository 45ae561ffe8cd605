"""The conformance suite over the adapter of playbooks: real Ansible, hosts of this machine, nodes and devices.

Each trial takes some seconds of Ansible: nodes are rebooted here and devices reset, not both of both.
"""

import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.adapters.playbook.site import PROGRAMS, SECRET, Hosts, require_ansible

from fermata.conformance import Bench, Mishap, Op, Trial, Write, list_trials
from fermata.domain.ids import DeviceId, NodeId, UpdateId
from fermata.domain.node_states import UnitKind
from fermata.domain.routing import PortName

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]

NODES, LEAVES = ("n1", "n2", "n3"), ("leaf1", "leaf2", "leaf3")
WRAPPED = ("ansible-runner", "ansible-playbook", "ansible-inventory")
WRAPPER = """#!/bin/sh
echo "$0 $*" >> "{place}/called"
case "$(cat "{place}/mishap")" in
  ERROR) echo '[ERROR]: out of memory' >&2; exit 1;;
  CUT) kill -9 $$;;
  HANG) touch "{place}/hangs"; sleep 600;;
esac
PATH="{programs}:$PATH" exec "{programs}/${{0##*/}}" "$@"
"""


class Machine:
    """Programs of Ansible on which mishaps fall, and what was called."""

    def __init__(self, place: Path) -> None:
        require_ansible()
        self.place = place
        self.programs = place / "bin"
        self.programs.mkdir(parents=True)
        self.strike(None)
        for name in WRAPPED:
            file = self.programs / name
            file.write_text(WRAPPER.format(place=place, programs=PROGRAMS))
            file.chmod(0o755)

    def strike(self, mishap: Mishap | None, *, reads: bool = False) -> None:
        (self.place / "mishap").write_text(mishap.name if mishap is not None and reads else "none")

    def await_hanging(self, seconds: float) -> bool:
        ends = time.monotonic() + seconds
        while not (self.place / "hangs").exists() and time.monotonic() < ends:
            time.sleep(0.05)
        return (self.place / "hangs").exists()

    def count_calls(self) -> int:
        called = self.place / "called"
        return len(called.read_text().splitlines()) if called.exists() else 0


@pytest.fixture
def tried(tmp_path: Path) -> Iterator[Bench]:
    machine = Machine(tmp_path / "machine")
    more = {"programs": machine.programs}
    hosts = Hosts(tmp_path / "site", (*NODES, *LEAVES), more=more)
    bench = Bench(
        ports=hosts.open(),
        clock=hosts.clock,
        nodes=[NodeId(name) for name in NODES],
        wait=lambda: time.sleep(0.1),
        devices=[DeviceId(name) for name in LEAVES],
        writes=[Write(update=UpdateId("os-2"), component="os", to_version="2.0")],
        device_writes=[Write(update=UpdateId("leaf-2"), component="leaf_os", to_version="2.0")],
        reopen=hosts.open,
        count_effects=hosts.count,
        mishaps=frozenset({Mishap.ERROR, Mishap.CUT, Mishap.HANG}),
        strike=machine.strike,
        await_hanging=machine.await_hanging,
        count_requests=machine.count_calls,
        secrets=[SECRET],
        shown=[hosts.settings()],
        run="run_tried",
    )
    yield bench
    bench.ports.close()
    hosts.settle()


LEFT_OUT = {(Op.RESET, UnitKind.NODE), (Op.REBOOT, UnitKind.DEVICE)}
PORTS = [PortName.FIRMWARE, PortName.POWER, PortName.INVENTORY]
TRIALS = [
    trial
    for trial in list_trials(PORTS, of=[UnitKind.NODE, UnitKind.DEVICE])
    if trial.mishap in (None, Mishap.ERROR, Mishap.CUT, Mishap.HANG)
    and (trial.subject, trial.of) not in LEFT_OUT
    and not (trial.sentence.acts and trial.mishap is not None)  # a run that dies: see the tests of killed runs
]


@pytest.mark.parametrize("trial", TRIALS, ids=str)
def test_playbooks_owe_the_conductor(trial: Trial, tried: Bench) -> None:
    trial.run(tried)
