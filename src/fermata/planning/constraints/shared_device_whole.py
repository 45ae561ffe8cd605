"""A window takes all nodes behind a shared device whose work a workload would feel, or none of them.

Racks and scalable units stay whole where such a device stands behind them. Protects nodes that serve from losing
their network while their neighbour is serviced.
"""

from collections.abc import Iterator

import numpy as np

from fermata.domain.ids import DeviceId, NodeId
from fermata.domain.updates import Update
from fermata.planning.case import some
from fermata.planning.encoding import Facts, Parts
from fermata.planning.inputs import Violation
from fermata.planning.reading import Reading

CODE = "SHARED_DEVICE_WHOLE"


def check(reading: Reading) -> Iterator[Violation]:
    """Draining devices of which a window takes some nodes only; devices that lack the same nodes are told once."""
    case, columns = reading.case, reading.case.columns
    for view in reading.windows:
        torn: dict[tuple[NodeId, ...], list[DeviceId]] = {}
        for device in view.due_devices(view.torn_places).tolist():
            if case.dues.drains[device]:
                outside = columns.nodes.named(np.setdiff1d(columns.behind(device), view.numbers))
                torn.setdefault(outside, []).append(columns.devices.devices[device].name)
        for outside, devices in torn.items():
            sentence = (
                f"Window {view.window.id} takes some nodes behind {some(devices)} and leaves {some(outside)} in"
                " service: all behind a device go together."
            )
            yield Violation(rule=CODE, sentence=sentence, window=view.window.id, nodes=outside)


def encode(_facts: Facts) -> Parts:
    """An update that a workload would feel ties the nodes behind its device."""
    return Parts(ties=_ties)


def _ties(update: Update) -> bool:
    return update.needs_drain
