"""The port Jobs over Slurm: squeue tells who is on nodes, MAINT reservations keep others off ahead of a window."""

from collections.abc import Sequence

from fermata.adapters.slurm.desk import Desk, check_size
from fermata.adapters.slurm.reservations import keep
from fermata.domain.ahead import Ahead, Kept
from fermata.domain.ids import NodeId, RunId
from fermata.domain.jobs import Job


class SlurmJobs:
    """Jobs."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk

    def list_jobs(self, nodes: Sequence[NodeId]) -> Sequence[Job]:
        """See the port. squeue refuses a list with a node that it does not know, and is quick with all jobs."""
        check_size(nodes)
        wanted = frozenset[str](nodes)
        return [job for job in self._desk.controller.jobs() if job.nodes & wanted]

    def keep_ahead(self, run: RunId, wanted: Sequence[Ahead]) -> Kept:
        """See the port."""
        return keep(self._desk.controller, run, wanted, self._desk.now())
