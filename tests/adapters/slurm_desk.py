"""The Slurm adapter over a real Slurm, as tests ask it: made anew for each use, so that a restart forgets nothing."""

from datetime import timedelta
from typing import Any

import pytest
from tests.adapters.slurm_site import SlurmSite, lacking

from fermata.adapters.slurm import Settings, build
from fermata.domain.ids import NodeId, StepKey
from fermata.domain.observations import Accepted, NodeSeen, Progress
from fermata.ports import AdapterPorts, Ask
from fermata.sim.clock import SystemClock

_WHY = lacking()
MARKS = [
    pytest.mark.slow,
    pytest.mark.xdist_group("slurm"),
    pytest.mark.timeout(180),
    pytest.mark.skipif(_WHY is not None, reason=f"NO REAL SLURM: {_WHY}"),
]
HOUR = timedelta(hours=1)
_MADE: list[AdapterPorts] = []


def close_all() -> None:
    """After a test."""
    while _MADE:
        _MADE.pop().close()


def ports(site: SlurmSite, **words: Any) -> AdapterPorts:
    """Made anew for each use: what is not in Slurm is forgotten."""
    made = build(Settings(config=site.config, **words), SystemClock())
    _MADE.append(made)
    return made


def ask(node: str, step: str, attempt: int = 1) -> Ask:
    return Ask(key=StepKey(f"run_1/c0-20260105/{node}/{step}/{attempt}"), unit=node)


def take(site: SlurmSite, *nodes: str) -> None:
    """Locks and drains idle nodes."""
    workloads = ports(site).workloads
    assert workloads is not None
    for call, step in ((workloads.lock, "lock"), (workloads.drain, "drain")):
        answers = call([ask(node, step) for node in nodes])
        assert set(answers.values()) == {Accepted()}, answers


def progress(site: SlurmSite, each: Ask) -> Progress:
    made = ports(site)
    assert made.workloads is not None
    assert made.power is not None
    port = made.power if "re" in each.key.split("/")[3][:2] and "release" not in each.key else made.workloads
    return port.observe([each])[each.key]


def seen(site: SlurmSite, node: str, **words: Any) -> NodeSeen:
    inventory = ports(site, **words).inventory
    assert inventory is not None
    return inventory.observe_nodes([NodeId(node)])[NodeId(node)]


def workloads_of(site: SlurmSite, **words: Any) -> Any:
    return ports(site, **words).workloads


def jobs_of(site: SlurmSite, **words: Any) -> Any:
    return ports(site, **words).jobs


def over_rest(site: SlurmSite) -> dict[str, str]:
    return {"rest_url": site.rest_url, "rest_user": "root", "rest_token_file": site.token_file}
