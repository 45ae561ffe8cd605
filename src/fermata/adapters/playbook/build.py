"""The ports of playbooks."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from fermata.adapters.playbook.looks import Looks
from fermata.adapters.playbook.programs import Programs
from fermata.adapters.playbook.runs import Runs
from fermata.adapters.playbook.settings import Settings
from fermata.adapters.playbook.steps import REBOOT, RESET, Steps, name_variables
from fermata.adapters.step_memory import Memory
from fermata.domain.ids import DeviceId, NodeId, StepKey
from fermata.domain.observations import Answer, DeviceSeen, NodeSeen, Progress
from fermata.ports import AdapterPorts, ApplyAsk, Ask, Clock, Refused

KIND = "playbook"
PORTS = frozenset({"inventory", "firmware", "power"})
MEMORY = "steps.sqlite"
_CORE = re.compile(r"core ([0-9][^\]\s]*)")


@dataclass(frozen=True, slots=True)
class PlaybookFirmware:
    """Firmware."""

    steps: Steps

    def apply(self, asks: Sequence[ApplyAsk]) -> Mapping[StepKey, Answer]:
        """See the port."""
        return self.steps.apply(asks)

    def observe(self, asks: Sequence[Ask]) -> Mapping[StepKey, Progress]:
        """See the port."""
        return self.steps.observe(asks)


@dataclass(frozen=True, slots=True)
class PlaybookPower:
    """Power."""

    steps: Steps

    def reboot(self, asks: Sequence[Ask]) -> Mapping[StepKey, Answer]:
        """See the port."""
        return self.steps.boot(asks, REBOOT, self.steps.settings.reboot)

    def reset(self, asks: Sequence[Ask]) -> Mapping[StepKey, Answer]:
        """See the port."""
        return self.steps.boot(asks, RESET, self.steps.settings.reset)

    def observe(self, asks: Sequence[Ask]) -> Mapping[StepKey, Progress]:
        """See the port."""
        return self.steps.observe(asks)


@dataclass(frozen=True, slots=True)
class PlaybookInventory:
    """Inventory. Units of which nothing is told are absent; those that do not answer are unreachable."""

    looks: Looks

    def observe_nodes(self, nodes: Sequence[NodeId]) -> Mapping[NodeId, NodeSeen]:
        """See the port."""
        return self.looks.nodes(nodes)

    def observe_devices(self, devices: Sequence[DeviceId]) -> Mapping[DeviceId, DeviceSeen]:
        """See the port."""
        return self.looks.devices(devices)


def build(settings: Settings, clock: Clock) -> AdapterPorts:
    """Runs nothing. Raises Refused where Ansible is missing, or the folder cannot be written."""
    programs = Programs(settings)
    for name in ("ansible-runner", "ansible-playbook"):
        programs.find(name)
    try:
        settings.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        runs = Runs(settings, programs, clock)
    except OSError as error:
        raise Refused(f"{settings.folder} cannot be written: {error.strerror}") from error
    memory = Memory(settings.folder / MEMORY)
    looks = Looks(settings=settings, programs=programs, runs=runs, clock=clock)
    steps = Steps(settings=settings, runs=runs, looks=looks, memory=memory, clock=clock)

    def close() -> None:
        """Looks end; runs that change units go on, and are found again."""
        programs.close()
        memory.close()

    has_power = settings.reboot is not None or settings.reset is not None
    return AdapterPorts(
        close=close,
        probe=lambda: probe(settings, programs),
        inventory=PlaybookInventory(looks) if settings.components else None,
        firmware=PlaybookFirmware(steps) if settings.components else None,
        power=PlaybookPower(steps) if has_power else None,
    )


def probe(settings: Settings, programs: Programs) -> Mapping[str, str]:
    """Ansible here, and whether it can read what the settings name; no host is asked. Raises as Programs.ask."""
    said = programs.ask("ansible-playbook", "--version")
    core = _CORE.search(said)
    runner = programs.ask("ansible-runner", "--version").strip()
    playbooks = settings.playbooks()
    missing = [str(path) for path in playbooks if not path.is_file()]
    if missing:
        raise Refused(f"there is no playbook {missing[0]}")
    for path, component in playbooks.items():
        programs.check_syntax(path, name_variables("check", component=component))
    return {
        "product": "Ansible",
        "version": core[1] if core else "unknown",
        "runner": runner,
        "hosts": str(programs.count_hosts()),
        "playbooks": str(len(playbooks)),
    }
