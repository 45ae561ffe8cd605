"""Every due update of a shared device of the window is applied there exactly once, and nothing else on any device.

An impactless one whose nodes span several windows is applied in exactly one of them, unless consent withholds it.
Protects switches and managers from being forgotten, or worked on while others depend on them.
"""

from collections.abc import Iterator
from itertools import compress

import numpy as np

from fermata.domain.ids import DeviceId
from fermata.planning.case import CheckCase, some
from fermata.planning.columns import NOBODY, Flags, Numbers, is_among
from fermata.planning.inputs import Violation
from fermata.planning.reading import DeviceWork, Reading, WindowReading

CODE = "DEVICES_APPLIED"
WRITTEN = "Each device with due work goes with the one part that takes the nodes behind it."


def check(reading: Reading) -> Iterator[Violation]:
    """Due devices with no step or several, and steps on devices that are not the window's or have nothing due."""
    case = reading.case
    owners = _find_owners(reading)
    for index, view in enumerate(reading.windows):
        found: dict[str, list[DeviceId]] = {}
        for device, times in _find_faulty(reading, view, owners[view.devices] == index):
            fault = f"with {case.dues.updates[case.dues.update[device]].id} due, applied {times} times"
            found.setdefault(fault, []).append(case.columns.devices.devices[device].name)
        for work in view.device_work:
            for name in _find_foreign(case, view, work):
                found.setdefault(f"given {work.step.update}, which is not due on them here", []).append(name)
        for fault, names in found.items():
            sentence = f"Window {view.window.id}: {some(names)} {fault}."
            yield Violation(rule=CODE, sentence=sentence, window=view.window.id)


def _find_owners(reading: Reading) -> Numbers:
    """By device, which window answers for it when it is impactless and several have nodes behind: the first."""
    owners = np.full(len(reading.case.columns.devices.devices), NOBODY)
    views = sorted(enumerate(reading.windows), key=lambda item: (item[1].window.start, item[1].window.id))
    for index, view in reversed(views):  # the first writes last
        owners[view.devices] = index
    return owners


def _find_faulty(reading: Reading, view: WindowReading, is_owner: Flags) -> Iterator[tuple[int, int]]:
    """Devices of the window with how often they are worked on, where that is not once."""
    case, devices = reading.case, view.devices
    drains = case.dues.drains[devices]
    times = np.where(drains, view.times_worked_on, reading.times_worked_on[devices])
    is_torn = is_among(case.columns.devices.place[devices], view.torn_places)  # SHARED_DEVICE_WHOLE tells of these
    is_asked = np.where(drains, ~is_torn, is_owner)
    if reading.only is not None:
        is_asked &= drains | (times > 0)  # consent that came since is no reason to hold a window that may go
    for place in np.flatnonzero(is_asked & (times != 1)).tolist():
        device = int(devices[place])
        if drains[place] or not reading.is_blocked(case.columns.devices.devices[device].name):
            yield device, int(times[place])


def _find_foreign(case: CheckCase, view: WindowReading, work: DeviceWork) -> Iterator[DeviceId]:
    """Devices of a step on which its update is not due, or that none of the window's nodes hangs on."""
    is_right = case.dues.is_due(work.step.update, work.devices) & is_among(work.devices, view.devices)
    return compress(work.step.devices, (~is_right).tolist())
