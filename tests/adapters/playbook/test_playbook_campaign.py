"""A campaign whose rack managers are written by playbooks, by real Ansible, while all else is simulated."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import pytest
from tests.adapters.playbook.site import Hosts, require_ansible
from tests.simulation import small, stagehand
from tests.simulation.conftest import closed_stores

from fermata.adapters import playbook
from fermata.domain.ids import AdapterId
from fermata.domain.node_states import UnitKind, UnitState
from fermata.domain.routing import PortName, Route, RouteTable, component_of, list_units
from fermata.domain.run_states import RunState
from fermata.execution.embedded import conduct
from fermata.execution.ownership import Ownership, SteadyWall
from fermata.ports import AdapterPorts, Clock
from fermata.wiring.routed import Switchboard, route_site

__all__ = ["closed_stores"]

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]

BOOKS, REST = AdapterId("playbooks"), AdapterId("rest")
PATTERN = "*-rack_manager"
WRITES = frozenset({PortName.FIRMWARE, PortName.INVENTORY})


@dataclass(frozen=True)
class Patient:
    """A virtual clock that does not go forward while a run does: a run takes no time of it."""

    clock: Clock
    hosts: Hosts

    def now(self) -> datetime:
        return self.clock.now()

    def wait_until(self, instant: datetime, stop: Callable[[], bool]) -> datetime:
        self.hosts.settle()
        return self.clock.wait_until(instant, stop)


def test_devices_of_a_campaign_are_written_by_playbooks(tmp_path: Path) -> None:
    require_ansible()
    (tmp_path / "rig").mkdir()
    fleet = small.fleet(nodes=8)
    rig = stagehand.set_up(stagehand.fresh_sqlite(tmp_path / "rig"), tmp_path / "rig", fleet=fleet, seed=3)
    names = tuple(name for name, device in fleet.devices.items() if device.kind == "rack_manager")
    hosts = Hosts(tmp_path / "site", names)
    act = {"run_file": hosts.root / "update.yml", "read_file": hosts.root / "read.yml", "devices": [PATTERN]}
    hosts.more = {"components": {"rm_fw": act}, "reboot": None, "reset": None}
    read = hosts.root / "read.yml"
    read.write_text(read.read_text().replace("leaf_os:", "rm_fw:"))
    clock = Patient(rig.clock, hosts)
    books = playbook.build(hosts.settings(), clock)
    served = {name.value: getattr(rig.site, name.value) for name in PortName}
    rest = AdapterPorts(close=lambda: None, probe=dict, **served)
    units = list_units(fleet)
    board = Switchboard(
        adapters={BOOKS: books, REST: rest},
        table=RouteTable(
            routes=(
                Route(adapter=BOOKS, ports=WRITES, devices=(PATTERN,)),
                Route(adapter=REST, ports=frozenset(PortName)),
            )
        ),
        find_unit=units.get,
        component_of=lambda step: component_of(step, small.catalogue()),
    )
    own = Ownership(run=rig.run, owner="rig", wall=SteadyWall())
    run = conduct(rig.database, route_site(board), clock, rig.run, stop=lambda: False, ownership=own)
    assert run.state is RunState.FINISHED
    assert {hosts.read(name, "version") for name in names} == {"2.0"}
    assert {len(hosts.read(name, "writes").splitlines()) for name in names} == {1}, "each once"
    managers = [op for op in rig.ops() if op.unit in names]
    assert {(op.kind, op.state) for op in managers} == {(UnitKind.DEVICE, UnitState.PROVEN)}
    assert len(managers) == len(names)
    books.close()
