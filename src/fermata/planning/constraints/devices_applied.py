"""Every due update of a shared device of the window is applied there exactly once, and nothing else on any device.

An impactless one whose nodes span several windows is applied in exactly one of them, unless consent withholds it.
Protects switches and managers from being forgotten, or worked on while others depend on them.
"""

from collections.abc import Iterator

from fermata.domain.ids import DeviceId
from fermata.planning.case import CheckCase, some
from fermata.planning.inputs import Violation
from fermata.planning.reading import Reading, WindowReading

CODE = "DEVICES_APPLIED"
WRITTEN = "Each device with due work goes with the one part that takes the nodes behind it."


def check(reading: Reading) -> Iterator[Violation]:
    """Due devices with no step or several, and steps on devices that are not the window's or have nothing due."""
    case = reading.case
    owners = _owners(case, reading)
    for view in reading.windows:
        found: dict[str, list[DeviceId]] = {}
        own = frozenset(view.devices)
        for device in view.devices:
            fault = _times_fault(case, reading, view, device, is_owner=owners.get(device) == view.window.id)
            if fault:
                found.setdefault(fault, []).append(device)
        for step in view.device_steps:
            for device in step.devices:
                update = case.device_due.get(device)
                if update is None or update.id != step.update or device not in own:
                    found.setdefault(f"given {step.update}, which is not due on them here", []).append(device)
        for fault, devices in found.items():
            sentence = f"Window {view.window.id}: {some(devices)} {fault}."
            yield Violation(rule=CODE, sentence=sentence, window=view.window.id)


def _owners(case: CheckCase, reading: Reading) -> dict[DeviceId, str]:
    """Which window answers for an impactless device that several have nodes behind: the first."""
    owners: dict[DeviceId, str] = {}
    for view in sorted(reading.windows, key=lambda v: (v.window.start, v.window.id)):
        for device in view.devices:
            if device not in case.draining:
                owners.setdefault(device, view.window.id)
    return owners


def _times_fault(
    case: CheckCase, reading: Reading, view: WindowReading, device: DeviceId, *, is_owner: bool
) -> str | None:
    everywhere = reading.device_steps.get(device, ())
    if device in case.draining:
        if not case.names_behind(case.fleet.devices[device]) <= view.node_names:
            return None  # torn: SHARED_DEVICE_WHOLE tells
        times = sum(window is view.window for window, _ in everywhere)
    elif not is_owner or reading.is_blocked(device):
        return None
    else:
        times = len(everywhere)
        if times == 0 and reading.only is not None:
            return None  # consent that came since is no reason to hold a window that may go
    if times == 1:
        return None
    return f"with {case.device_due[device].id} due, applied {times} times"
