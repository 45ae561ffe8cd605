"""The adapter of playbooks with real Ansible on hosts of this machine: what a unit is read to run counts, a run is
begun once, and one that is killed is told from one that goes on.
"""

import json
import os
import signal
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from tests.adapters.health.sshd import serving_ssh
from tests.adapters.playbook.site import HEAD, PATIENCE_SECONDS, PROGRAMS, SECRET, Hosts

from fermata.adapters.step_memory import Memory
from fermata.cli.main import main
from fermata.conformance import Op
from fermata.domain.ids import DeviceId, NodeId, StepKey, UpdateId
from fermata.domain.observations import (
    Accepted,
    Answer,
    Denied,
    Failed,
    Later,
    NeverAsked,
    Overtaken,
    Progress,
    Running,
    Succeeded,
)
from fermata.ports import AdapterPorts, ApplyAsk, Ask, Refused, TryLater

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]


def about(unit: str, component: str = "os", attempt: int = 1) -> Ask:
    return Ask(key=StepKey(f"run_1/win/{unit}/apply:{component}-2/{attempt}"), unit=unit)


def apply(ports: AdapterPorts, *units: str, component: str = "os", attempt: int = 1, to: str = "2.0") -> list[Answer]:
    assert ports.firmware is not None
    asks = [
        ApplyAsk(
            key=about(unit, component, attempt).key,
            unit=unit,
            update=UpdateId(f"{component}-2"),
            component=component,
            to_version=to,
        )
        for unit in units
    ]
    found = ports.firmware.apply(asks)
    return [found[ask.key] for ask in asks]


def progress(ports: AdapterPorts, *units: str, component: str = "os", attempt: int = 1) -> list[Progress]:
    assert ports.firmware is not None
    asks = [about(unit, component, attempt) for unit in units]
    found = ports.firmware.observe(asks)
    return [found[ask.key] for ask in asks]


def ended(ports: AdapterPorts, *units: str, component: str = "os", attempt: int = 1) -> list[Progress]:
    """As `progress`, once none goes on."""
    ends = time.monotonic() + PATIENCE_SECONDS
    while True:
        found = progress(ports, *units, component=component, attempt=attempt)
        if not any(isinstance(one, Running) for one in found):
            return found
        assert time.monotonic() < ends, f"it goes on: {found}"
        time.sleep(0.1)


def why(found: Progress | Answer) -> str:
    assert isinstance(found, Failed | Denied), found
    return found.why


def versions(ports: AdapterPorts, *nodes: str) -> dict[str, str]:
    assert ports.inventory is not None
    return {
        n: seen.versions.get("os", "") for n, seen in ports.inventory.observe_nodes(list(map(NodeId, nodes))).items()
    }


def wait_until(holds: Callable[[], object]) -> None:
    ends = time.monotonic() + PATIENCE_SECONDS
    while not holds():
        assert time.monotonic() < ends
        time.sleep(0.05)


def kill(pids: Sequence[int]) -> None:
    for pid in pids:
        os.kill(pid, signal.SIGKILL)


@pytest.fixture
def hosts(tmp_path: Path) -> Hosts:
    return Hosts(tmp_path / "site", ("n1", "n2", "n3", "leaf1"), away=("n9",))


@pytest.fixture
def ports(hosts: Hosts) -> object:
    found = hosts.open()
    yield found
    found.close()
    hosts.settle()


def test_each_host_of_a_run_ends_as_it_is_read(hosts: Hosts, ports: AdapterPorts) -> None:
    """One does it, one lies, one fails, one is not there; a second run for the same step is not made."""
    hosts.set("n2", "mood", "lies")
    hosts.set("n3", "mood", "fails")
    units = ("n1", "n2", "n3", "n9")
    assert all(isinstance(answer, Accepted) for answer in apply(ports, *units))
    assert all(isinstance(answer, Accepted) for answer in apply(ports, *units)), "asked twice, it goes on"
    assert isinstance(progress(ports, "n1")[0], Running)
    n1, n2, n3, n9 = ended(ports, *units)
    assert isinstance(n1, Succeeded)
    assert why(n2) == "update.yml ended without a fault, and os is 1.0"
    assert why(n3) == "Write the version: non-zero return code: the flash is write protected"
    assert "lost sight of it" in why(n9)
    assert "Connection refused" in why(n9)
    assert versions(ports, *units) == {"n1": "2.0", "n2": "1.0", "n3": "1.0", "n9": ""}
    assert [isinstance(answer, Accepted) for answer in apply(ports, *units)] == [True] * 4, "it is over, and known"
    assert [hosts.count(Op.APPLY, unit) for unit in units[:3]] == [1, 1, 1]
    assert hosts.read("n1", "writes") == about("n1").key, "the playbook is told the key of each host's step"


def test_a_host_that_does_not_answer_is_seen_unreachable_with_what_it_last_ran(
    hosts: Hosts, ports: AdapterPorts
) -> None:
    assert ports.inventory is not None
    assert versions(ports, "n1") == {"n1": "1.0"}
    hosts.away = ("n1",)
    hosts.write_inventory()
    seen = ports.inventory.observe_nodes([NodeId("n1"), NodeId("leaf1")])
    assert (seen[NodeId("n1")].reachable, seen[NodeId("n1")].versions) == (False, {"os": "1.0"})
    assert "leaf1" not in seen, "a device is no node"
    assert set(ports.inventory.observe_devices([DeviceId("leaf1"), DeviceId("n2")])) == {"leaf1"}
    hosts.set("n2", "mood", "mute")
    assert versions(ports, "n2") == {}, "of one whose read playbook fails nothing is known"


def test_a_run_that_takes_longer_than_it_may_is_stopped_and_its_hosts_are_read(hosts: Hosts) -> None:
    hosts.more = {"components": {"os": {**hosts.settings().components["os"].model_dump(), "minutes": 0.05}}}
    ports = hosts.open()
    hosts.set("n2", "mood", "hangs")
    apply(ports, "n1", "n2")
    n1, n2 = ended(ports, "n1", "n2")
    assert isinstance(n1, Succeeded), "what was done before is not lost"
    assert why(n2) == "update.yml took longer than it may, and os is 1.0"
    hosts.settle()
    ports.close()


def test_a_killed_run_is_told_by_what_its_hosts_run(hosts: Hosts, ports: AdapterPorts) -> None:
    """Nobody saw its end: n1 had it, n2 had not. Another try is another step."""
    hosts.set("n2", "mood", "hangs")
    apply(ports, "n1", "n2")
    wait_until(lambda: hosts.read("n1", "version") == "2.0" and hosts.read("n2", "writes"))
    kill(hosts.processes("ansible-runner"))
    wait_until(lambda: not hosts.processes("ansible-runner"))
    assert [type(found) for found in progress(ports, "n1", "n2")] == [Running, Running], "Ansible itself goes on"
    kill(hosts.processes())
    n1, n2 = ended(ports, "n1", "n2")
    assert isinstance(n1, Succeeded)
    assert why(n2) == "update.yml was cut off, and os is 1.0"
    hosts.set("n2", "mood", "well")
    assert progress(ports, "n2", attempt=2) == [NeverAsked()]
    apply(ports, "n2", attempt=2)
    assert isinstance(ended(ports, "n2", attempt=2)[0], Succeeded)


def test_what_a_cut_off_run_left_behind_is_waited_for(hosts: Hosts) -> None:
    """A host may come right after its run was killed: until `settle_minutes` are over nothing is said."""
    hosts.more = {"settle_minutes": 5}
    ports = hosts.open()
    hosts.set("n2", "mood", "hangs")
    apply(ports, "n2")
    wait_until(lambda: hosts.read("n2", "writes"))
    kill(hosts.processes())
    hosts.settle()
    assert isinstance(progress(ports, "n2")[0], Running)
    hosts.set("n2", "version", "2.0")
    assert isinstance(progress(ports, "n2")[0], Succeeded)
    ports.close()


def test_a_run_goes_on_when_the_process_that_began_it_is_gone(hosts: Hosts, ports: AdapterPorts) -> None:
    hosts.set("n1", "mood", "slow")
    apply(ports, "n1")
    given = next(hosts.settings().folder.glob("runs/*/env"))
    assert [path.stat().st_mode & 0o077 for path in given.iterdir()] == [0] * 4, "variables are ours to read alone"
    ports.close()
    again = hosts.open()
    assert isinstance(progress(again, "n1")[0], Running)
    assert isinstance(apply(again, "n1", attempt=2)[0], Later), "one run at a time on a unit"
    assert isinstance(ended(again, "n1")[0], Succeeded)
    assert hosts.count(Op.APPLY, "n1") == 1
    again.close()


def test_a_run_that_was_only_about_to_begin_is_never_begun(hosts: Hosts, ports: AdapterPorts) -> None:
    """A crash between noting a step and beginning its run: the step was never asked, whatever comes late."""
    apply(ports, "n1")
    assert isinstance(ended(ports, "n1")[0], Succeeded)
    memory = Memory(hosts.settings().folder / "steps.sqlite")
    step = memory.find(about("n1").key)
    assert step is not None
    memory.begin(replace(step, task="late"))
    assert progress(ports, "n1") == [NeverAsked()]
    assert (hosts.settings().folder / "runs" / "late" / "begun").is_dir(), "who comes late finds it begun"
    memory.close()


def test_whoever_is_overtaken_does_nothing(hosts: Hosts, ports: AdapterPorts) -> None:
    """Heard of in a look of another process."""
    assert ports.firmware is not None
    again = hosts.open()
    assert again.firmware is not None
    again.firmware.observe([replace(about("n1"), generation=2)])
    assert apply(ports, "n1") == [Overtaken()]
    assert apply(ports, "n2", to="1.0", component="nothing") != [Overtaken()]
    assert hosts.processes() == []
    again.close()


def test_an_orderly_cancel_ends_a_run(hosts: Hosts, ports: AdapterPorts) -> None:
    hosts.set("n1", "mood", "hangs")
    apply(ports, "n1")
    wait_until(lambda: hosts.read("n1", "writes"))
    (pid_file,) = hosts.settings().folder.glob("runs/*/pid")
    os.kill(int(pid_file.read_text()), signal.SIGTERM)
    assert why(ended(ports, "n1")[0]) == "update.yml was cancelled, and os is 1.0"


def test_a_playbook_that_does_not_come_to_a_task_says_why(hosts: Hosts, ports: AdapterPorts) -> None:
    (hosts.root / "update.yml").write_text(HEAD + "    - no.such.module: {}\n")
    apply(ports, "n1", "n2")
    for found in ended(ports, "n1", "n2"):
        assert "update.yml did not come to a task" in why(found)
        assert "no.such.module" in why(found)
    with pytest.raises(Refused, match=r"no\.such\.module"):
        ports.probe()
    (hosts.root / "read.yml").unlink()
    with pytest.raises(Refused, match=r"no playbook .*read.yml"):
        ports.probe()


def test_a_playbook_that_leaves_a_host_out_is_told(hosts: Hosts, ports: AdapterPorts) -> None:
    update = (hosts.root / "update.yml").read_text()
    (hosts.root / "update.yml").write_text(update.replace("hosts: all", "hosts: n1"))
    apply(ports, "n1", "n2")
    n1, n2 = ended(ports, "n1", "n2")
    assert isinstance(n1, Succeeded)
    assert why(n2) == "update.yml has nothing for it, and os is 1.0"


def test_what_waits_for_a_reboot_is_read_as_staged_and_a_reboot_by_its_boot(hosts: Hosts, ports: AdapterPorts) -> None:
    assert ports.power is not None
    hosts.set("n2", "mood", "lies")
    apply(ports, "n1", "n2", component="bios")
    n1, n2 = ended(ports, "n1", "n2", component="bios")
    assert isinstance(n1, Succeeded)
    assert why(n2) == "update.yml ended without a fault, and what waits for a reboot of bios is none"
    asks = [Ask(key=StepKey(f"run_1/win/{unit}/reboot:1/1"), unit=unit) for unit in ("n1", "n2", "n9")]
    n1a, n2a, n9a = (ports.power.reboot(asks)[ask.key] for ask in asks)
    assert [type(n1a), type(n2a), type(n9a)] == [Accepted, Accepted, Later], "who does not answer is not rebooted"
    hosts.settle()
    found = ports.power.observe(asks[:2])
    assert isinstance(found[asks[0].key], Succeeded)
    assert why(found[asks[1].key]) == "boot.yml ended without a fault, and it runs since before"
    assert [hosts.count(Op.REBOOT, unit) for unit in ("n1", "n2")] == [1, 1]


def test_runs_are_bounded_and_names_that_mean_a_group_are_denied(hosts: Hosts) -> None:
    hosts.more = {"runs_at_once": 1}
    ports = hosts.open()
    hosts.set("n1", "mood", "slow")
    first, second = apply(ports, "n1")[0], apply(ports, "n2")[0]
    assert [type(first), type(second)] == [Accepted, Later]
    assert progress(ports, "n2") == [NeverAsked()]
    for name in ("twin", "all", "n1:n2", "n*", "rack", "nobody"):
        assert "no host in the inventory" in why(apply(ports, name)[0])
    assert isinstance(ended(ports, "n1")[0], Succeeded)
    assert isinstance(apply(ports, "n2")[0], Accepted)
    ended(ports, "n2")
    ports.close()


def test_nothing_that_a_run_leaves_tells_a_secret_and_all_is_private(hosts: Hosts, ports: AdapterPorts) -> None:
    (hosts.root / "update.yml").write_text(HEAD + "    - ansible.builtin.fail: {msg: 'no {{ password }}'}\n")
    apply(ports, "n1")
    assert why(ended(ports, "n1")[0]) == "ansible.builtin.fail: no ***"
    left = [path for path in hosts.leavings() if "runs" in path.parts]
    runs = hosts.settings().folder / "runs"
    assert [path.stat().st_mode & 0o077 for path in (runs.parent, runs, *runs.iterdir())] == [0, 0, 0]
    assert not any(path.stat().st_mode & 0o077 for path in left if path.name in ("limit", "hosts.json", "ended.json"))
    assert not any(SECRET in path.read_text(errors="replace") for path in left if path.name != "stdout")
    assert not any(path.name in ("extravars", "envvars", "command", "inventory.json") for path in left)


def test_hosts_of_the_settings_are_reached_over_ssh_with_known_keys_alone(tmp_path: Path) -> None:
    with serving_ssh(tmp_path) as sshd:
        reach = {
            "ansible_host": "127.0.0.1",
            "ansible_port": sshd.port,
            "ansible_ssh_private_key_file": str(sshd.key),
            "ansible_ssh_common_args": f"-F none -o UserKnownHostsFile={sshd.known_hosts} -o ControlPath=none",
        }
        hosts = Hosts(tmp_path / "site", ("n1", "n2"))
        units = {name: {**reach, "place": str(hosts.root / name)} for name in ("n1", "n2")}
        units["n2"]["ansible_ssh_common_args"] = "-F none -o UserKnownHostsFile=/dev/null -o ControlPath=none"
        hosts.more = {"units": units, "inventory_file": None}
        ports = hosts.open()
        apply(ports, "n1", "n2")
        n1, n2 = ended(ports, "n1", "n2")
        assert isinstance(n1, Succeeded)
        assert "Host key verification failed" in why(n2)
        ports.close()


def test_two_components_of_a_unit_are_not_written_at_once(hosts: Hosts, ports: AdapterPorts) -> None:
    assert ports.firmware is not None
    asks = [
        ApplyAsk(key=about("n1", name).key, unit="n1", update=UpdateId(f"{name}-2"), component=name, to_version="2.0")
        for name in ("os", "bios")
    ]
    found = ports.firmware.apply(asks)
    assert [type(found[ask.key]) for ask in asks] == [Accepted, Later]
    assert isinstance(ended(ports, "n1")[0], Succeeded)


def test_a_site_names_playbooks_beside_its_file(hosts: Hosts, capsys: pytest.CaptureFixture[str]) -> None:
    """Paths are of the file's folder; the doctor reads every playbook, and says what is wrong with an inventory."""
    act = "{run_file: update.yml, read_file: read.yml}"
    (hosts.root / "site.yaml").write_text(f"""
adapters:
  - id: playbooks
    kind: playbook
    settings:
      folder: {hosts.root}/ours
      programs: {PROGRAMS}
      inventory_file: inventory.json
      secret_vars_file: secrets.yml
      components: {{os: {act}, leaf_os: {{run_file: update.yml, read_file: read.yml, devices: ["leaf*"]}}}}
      reboot: {{run_file: boot.yml, read_file: read.yml}}
""")

    def look() -> tuple[int, dict[str, Any]]:
        with pytest.raises(SystemExit) as stopped:
            main(["adapters", "doctor", "--site", str(hosts.root / "site.yaml"), "--store", "none.db", "--json"])
        return int(stopped.value.code or 0), json.loads(capsys.readouterr().out)["adapters"][0]

    code, said = look()
    assert (code, said["wrong"]) == (0, "")
    assert (said["target"]["hosts"], said["target"]["playbooks"]) == ("5", "3")
    (hosts.root / "inventory.json").write_text("[nothing")
    code, said = look()
    assert code == 1
    assert "inventory" in said["wrong"]


def test_an_inventory_that_cannot_be_read_is_waited_for(hosts: Hosts, ports: AdapterPorts) -> None:
    (hosts.root / "inventory.json").unlink()
    with pytest.raises(TryLater, match="inventory"):
        apply(ports, "n1")
    hosts.write_inventory()
    update = hosts.root / "update.yml"
    update.write_text(update.read_text().replace("{{ fermata_steps[inventory_hostname] }}", "something"))
    assert isinstance(apply(ports, "n1")[0], Accepted)
    assert isinstance(ended(ports, "n1")[0], Succeeded)
    assert [hosts.read(name, "writes") for name in ("n1", "n2", "leaf1")] == ["something", "", ""], (
        "no other host is in it"
    )


def test_a_look_that_takes_too_long_ends_and_leaves_nothing(hosts: Hosts) -> None:
    (hosts.root / "read.yml").write_text(HEAD + "    - ansible.builtin.raw: sleep 600\n")
    hosts.more = {"read_minutes": 0.1}
    ports = hosts.open()
    with pytest.raises(TryLater, match="takes longer"):
        versions(ports, "n1")
    assert hosts.processes() == []
    assert list((hosts.settings().folder / "runs").iterdir()) == []
    ports.close()
