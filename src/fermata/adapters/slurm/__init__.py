"""A Slurm cluster: nodes are drained, rebooted and given back there, and jobs kept off before a window."""

from fermata.adapters.slurm.ahead import SlurmJobs
from fermata.adapters.slurm.controller import Controller
from fermata.adapters.slurm.desk import Desk
from fermata.adapters.slurm.inventory import SlurmInventory
from fermata.adapters.slurm.power import SlurmPower
from fermata.adapters.slurm.settings import Settings
from fermata.adapters.slurm.workloads import SlurmWorkloads
from fermata.ports import AdapterPorts, Clock

__all__ = ["KIND", "PORTS", "Settings", "build"]

KIND = "slurm"
PORTS = frozenset({"inventory", "workloads", "power", "jobs"})


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
        jobs=SlurmJobs(desk),
    )
