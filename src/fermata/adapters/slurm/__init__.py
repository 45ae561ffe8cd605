"""A Slurm cluster: nodes are drained, rebooted and given back there, and jobs kept off before a window.

`build` makes the ports. What a drain would cost is told by `drain_cost`, for the board; `keep_reservations` has MAINT
reservations follow the windows of a plan.
"""

from collections.abc import Collection, Mapping, Sequence

from fermata.adapters.slurm.controller import Controller
from fermata.adapters.slurm.desk import Desk
from fermata.adapters.slurm.inventory import SlurmInventory
from fermata.adapters.slurm.jobs import DrainCost, count_cost
from fermata.adapters.slurm.power import SlurmPower
from fermata.adapters.slurm.reservations import Ahead, keep
from fermata.adapters.slurm.settings import Settings
from fermata.adapters.slurm.workloads import SlurmWorkloads
from fermata.domain.observations import Answer
from fermata.ports import AdapterPorts, Clock

__all__ = ["KIND", "PORTS", "Ahead", "DrainCost", "Settings", "build", "drain_cost", "keep_reservations"]

KIND = "slurm"
PORTS = frozenset({"inventory", "workloads", "power"})


def build(settings: Settings, clock: Clock) -> AdapterPorts:
    """The ports of one Slurm. Nobody is called."""
    controller = Controller(settings)
    desk = Desk(controller, clock)
    return AdapterPorts(
        close=controller.close,
        probe=controller.probe,
        inventory=SlurmInventory(desk),
        workloads=SlurmWorkloads(desk),
        power=SlurmPower(desk),
    )


def drain_cost(settings: Settings, nodes: Collection[str]) -> DrainCost:
    """What a drain of `nodes` would cost now. Raises TryLater or Refused."""
    controller = Controller(settings)
    try:
        return count_cost(controller.jobs(), nodes)
    finally:
        controller.close()


def keep_reservations(settings: Settings, wanted: Sequence[Ahead]) -> Mapping[str, Answer]:
    """Makes our reservations those that are `wanted`, no others; answers by window. Raises TryLater or Refused."""
    controller = Controller(settings)
    try:
        return keep(controller, settings.owner, wanted)
    finally:
        controller.close()
