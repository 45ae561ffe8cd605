"""A day on 16 nodes in which nothing is simulated but the hardware: a real Slurm with jobs, controllers and a switch on
loopback, a real sshd, and the conductor over the adapters of a site's file.
"""

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.adapters.scripted_day import TAIL, Day, check_tail, conduct, open_day, plan_day, take_in, write_files
from tests.adapters.slurm_site import SlurmSite, lacking, serving_slurm, wait_for
from tests.simulation.conftest import closed_stores

_WHY = lacking()
pytestmark = [
    pytest.mark.slow,
    pytest.mark.xdist_group("slurm"),
    pytest.mark.timeout(180),
    pytest.mark.skipif(_WHY is not None, reason=f"NO REAL SLURM: {_WHY}"),
]
__all__ = ["closed_stores"]


@pytest.fixture
def slurm(monkeypatch: pytest.MonkeyPatch) -> Iterator[SlurmSite]:
    folder = Path(tempfile.mkdtemp(prefix="fermata-slurm-"))
    try:
        with serving_slurm(folder, 16) as one:
            monkeypatch.setenv("SLURM_CONF", one.config)
            yield one
    finally:
        shutil.rmtree(folder)


@pytest.fixture
def day(slurm: SlurmSite, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Day]:
    with open_day(tmp_path, slurm.nodes, monkeypatch) as one:
        yield one


def test_fourteen_of_sixteen_come_back_and_slurm_shows_which(day: Day, slurm: SlurmSite) -> None:
    adapter = {"id": "slurm", "kind": "slurm", "settings": {"config": slurm.config}}
    sources, site = write_files(day, {"id": "slurm", "kind": "slurm"}, adapter)
    take_in(day, sources, site)
    plan_day(day)
    jobs = [slurm.sbatch(node, 3) for node in slurm.nodes]
    wait_for(lambda: slurm.run("squeue", "-h", "-t", "R").count("\n") == len(jobs))
    check_tail(day, conduct(day, site))
    for name in slurm.nodes:
        assert ("DRAIN" in slurm.states(name)) is (name in TAIL), name
    for name in TAIL:
        assert "Reason=fermata:" in slurm.run("scontrol", "show", "node", name, "-o")
    states = [slurm.run("scontrol", "show", "job", job, "-o").split(" JobState=")[1].split()[0] for job in jobs]
    assert states == ["COMPLETED"] * len(jobs), "every job ended by itself before its node was touched"
