"""Hosts that are folders on this machine, and playbooks that do to them what a real site's do, faults included.

A host's folder holds `version`, `staged`, `boot`; its `mood` says what goes wrong there; `writes` and `boots` have a
line for each time that something was done, the key of the step.
"""

import json
import os
import shutil
import sys
import time
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from fermata.adapters import playbook
from fermata.adapters.playbook.settings import Settings
from fermata.conformance import Op
from fermata.ports import AdapterPorts
from fermata.sim.clock import SystemClock

PROGRAMS = os.environ.get("FERMATA_TEST_ANSIBLE") or str(Path(sys.executable).parent)
SECRET = "canary-93ab"
PATIENCE_SECONDS = 120.0
HEAD = "- hosts: all\n  gather_facts: false\n  strategy: free\n  tasks:\n"
UPDATE = """\
    - name: Write the version
      ansible.builtin.raw: |
        cd {{ place }}; echo {{ fermata_steps[inventory_hostname] }} >> writes
        case "$(cat mood)" in
          lies) exit 0;;
          fails) echo 'the flash is write protected' >&2; exit 3;;
          hangs) sleep 600;;
          slow) sleep 4;;
        esac
        echo {{ fermata_version }} > {{ 'staged' if fermata_component == 'bios' else 'version' }}
    - name: Say so
      ansible.builtin.debug: {msg: "{{ password }}"}
      no_log: true
"""
READ = """\
    - name: Read the versions
      ansible.builtin.raw: cd {{ place }}; echo $(cat mood); cat version; cat staged; cat boot
      register: found
      changed_when: false
      failed_when: found.stdout_lines[0] == 'mute'
    - ansible.builtin.set_fact:
        fermata_versions:
          os: "{{ found.stdout_lines[1] }}"
          leaf_os: "{{ found.stdout_lines[1] }}"
        fermata_staged: {bios: "{{ found.stdout_lines[2] }}"}
        fermata_boot: "{{ found.stdout_lines[3] }}"
"""
BOOT = """\
    - name: Reboot
      ansible.builtin.raw: |
        cd {{ place }}; echo {{ fermata_steps[inventory_hostname] }} >> boots
        test "$(cat mood)" = lies && exit 0
        echo $(($(cat boot) + 1)) > boot
"""


def require_ansible() -> None:
    if shutil.which("ansible-runner", path=PROGRAMS) is None:
        pytest.skip("no Ansible Runner here: install the extra `playbook`, or say where by FERMATA_TEST_ANSIBLE")


@dataclass
class Hosts:
    """Some hosts below `root`, and the settings of an adapter that knows them. `more`: other settings, or none."""

    root: Path
    names: tuple[str, ...]
    away: tuple[str, ...] = ()
    more: dict[str, Any] = field(default_factory=dict)
    clock: SystemClock = field(default_factory=SystemClock)

    def __post_init__(self) -> None:
        require_ansible()
        for name in self.names:
            (self.root / name).mkdir(parents=True)
            for file, text in {"version": "1.0", "staged": "none", "boot": "1", "mood": "well"}.items():
                (self.root / name / file).write_text(f"{text}\n")
        for name, tasks in {"update": UPDATE, "read": READ, "boot": BOOT}.items():
            (self.root / f"{name}.yml").write_text(HEAD + tasks)
        (self.root / "secrets.yml").write_text(f"password: {SECRET}\n")
        (self.root / "secrets.yml").chmod(0o600)
        self.write_inventory()

    def write_inventory(self) -> None:
        """A group has the name of a host, too: --limit would take all of it."""
        known = {name: self.variables(name) for name in (*self.names, *self.away)}
        groups: dict[str, Any] = {
            "rack": {"hosts": dict.fromkeys(known)},
            "twin": {"hosts": {"twin": {}, **dict.fromkeys(known)}},
        }
        (self.root / "inventory.json").write_text(json.dumps({"all": {"hosts": known, "children": groups}}))

    def variables(self, name: str) -> dict[str, Any]:
        if name in self.away:
            return {"ansible_host": "127.0.0.1", "ansible_port": 1, "place": "/nowhere"}
        return {"ansible_connection": "local", "place": str(self.root / name)}

    def settings(self) -> Settings:
        act = {"run_file": self.root / "update.yml", "read_file": self.root / "read.yml", "minutes": 5}
        boot = {"run_file": self.root / "boot.yml", "read_file": self.root / "read.yml"}
        plain: dict[str, Any] = {
            "folder": self.root / "ours",
            "components": {
                "os": act,
                "bios": {**act, "activates": "reboot"},
                "leaf_os": {**act, "devices": ["leaf*"]},
            },
            "reboot": boot,
            "reset": boot,
            "inventory_file": self.root / "inventory.json",
            "secret_vars_file": self.root / "secrets.yml",
            "programs": PROGRAMS,
            "look_seconds": 0,
            "settle_minutes": 0,
        }
        return Settings.model_validate({k: v for k, v in (plain | self.more).items() if v is not None})

    def open(self) -> AdapterPorts:
        return playbook.build(self.settings(), self.clock)

    def set(self, name: str, file: str, text: str) -> None:
        (self.root / name / file).write_text(f"{text}\n")

    def read(self, name: str, file: str) -> str:
        path = self.root / name / file
        return path.read_text().strip() if path.exists() else ""

    def count(self, op: Op, name: str) -> int:
        """How often it was done; what was begun is let come so far first."""
        self.settle()
        return len(self.read(name, "writes" if op is Op.APPLY else "boots").splitlines())

    def settle(self) -> None:
        """Returns when several looks in a row find no process: one that is just replaced by a program shows nothing."""
        ends, quiet = time.monotonic() + PATIENCE_SECONDS, 0
        while quiet < 3:
            quiet = 0 if self.processes() else quiet + 1
            assert quiet or time.monotonic() < ends, f"{self.processes()} go on"
            time.sleep(0.05)

    def processes(self, *words: str) -> list[int]:
        """Of runs, as the machine shows them; those whose command line has all of `words`."""
        place = os.fsencode(str(self.root / "ours"))
        found = []
        for path in Path("/proc").iterdir():
            try:
                line = (path / "cmdline").read_bytes() if path.name.isdigit() else b""
            except OSError:
                continue
            if place in line and all(word.encode() in line for word in words):
                found.append(int(path.name))
        return found

    def leavings(self) -> Iterable[Path]:
        """Every file that runs left."""
        return [path for path in (self.root / "ours").rglob("*") if path.is_file()]
