"""Times the Slurm adapter against a real slurmctld with 20,000 nodes that exist on paper only (CLOUD).

Prints a table: lock, drain, look at, reboot-free return, each in calls of a thousand as the conductor makes them, and
the change of 2,000 and of all nodes in one go. Needs root and Debian's packages; `--nodes 2000` makes it smaller.
"""

import argparse
import shutil
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from tests.adapters.slurm_site import SlurmSite, lacking, serving_slurm

from fermata.adapters.slurm import Settings, build
from fermata.adapters.slurm.controller import Change, Controller
from fermata.domain.ids import NodeId, StepKey
from fermata.domain.jobs import count_cost
from fermata.domain.observations import Accepted, Succeeded
from fermata.ports import CALL_SIZE_MAX, Ask
from fermata.sim.clock import SystemClock

NODES = 20_000
REST_SECONDS_MAX = 600.0  # 22.05 took 41 s for 20,000 nodes on a busy machine


def main() -> None:
    """Starts Slurm, measures, prints."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--nodes", type=int, default=NODES)
    count = parser.parse_args().nodes
    why = lacking()
    if why is not None:
        raise SystemExit(f"No Slurm to measure with: {why}")
    folder = Path(tempfile.mkdtemp(prefix="fermata-slurm-"))
    try:
        with serving_slurm(folder, count, cloud=True) as site:
            measure(site)
    finally:
        shutil.rmtree(folder)


def measure(site: SlurmSite) -> None:
    """One line for each thing that is asked."""
    version = site.run("scontrol", "--version").split()[-1]
    print(f"Slurm {version}, {len(site.nodes):,} nodes\n")
    print(f"{'what':44} {'nodes':>7} {'seconds':>8} {'CPU s':>7}")
    over_rest = {"rest_url": site.rest_url, "rest_user": "root", "rest_token_file": site.token_file}
    some = site.nodes[: min(2_000, len(site.nodes) // 10 or 1)]
    in_one_go(site, some)
    in_one_go(site, site.nodes)
    looked(site, "scontrol", Settings(config=site.config))
    conducted(site)
    looked(site, "slurmrestd", Settings(config=site.config, answer_seconds_max=REST_SECONDS_MAX, **over_rest))


def in_one_go(site: SlurmSite, nodes: Sequence[str]) -> None:
    """One call of scontrol with one list, and back."""
    controller = Controller(Settings(config=site.config))
    drain = Change(state="drain", reason="fermata:run/window/*/drain/1 drain, window window", comment="fermata{}")
    timed("drain in one go", len(nodes), lambda: is_done(controller.change(nodes, drain)))
    timed("resume in one go", len(nodes), lambda: is_done(controller.change(nodes, Change(state="resume"))))


def looked(site: SlurmSite, name: str, settings: Settings) -> None:
    """Every node read once, and the jobs."""
    controller = Controller(settings)
    timed(f"read all nodes, {name}", len(site.nodes), controller.nodes)
    few = site.nodes[:CALL_SIZE_MAX]
    timed(f"read nodes by name, {name}", len(few), lambda: controller.nodes(few))
    controller.close()
    timed(f"what a drain costs, {name}", len(site.nodes), lambda: cost_of(settings, site.nodes))


def cost_of(settings: Settings, nodes: Sequence[str]) -> object:
    """All jobs read, and those on these nodes counted."""
    controller = Controller(settings)
    try:
        return count_cost(controller.jobs(), nodes, SystemClock().now())
    finally:
        controller.close()


def conducted(site: SlurmSite) -> None:
    """The ports, in calls of the conductor's size."""
    ports = build(Settings(config=site.config), SystemClock())
    assert ports.workloads is not None
    assert ports.inventory is not None
    workloads, inventory = ports.workloads, ports.inventory
    parts = [site.nodes[start : start + CALL_SIZE_MAX] for start in range(0, len(site.nodes), CALL_SIZE_MAX)]

    def asks(part: Sequence[str], step: str) -> list[Ask]:
        return [Ask(key=StepKey(f"run_1/window/{node}/{step}/1"), unit=node) for node in part]

    def done(call: Callable[[Sequence[Ask]], object], step: str) -> None:
        for part in parts:
            answers = call(asks(part, step))
            assert isinstance(answers, dict)
            assert set(answers.values()) == {Accepted()}

    def observed() -> None:
        for part in parts:
            found = workloads.observe(asks(part, "drain"))
            assert all(isinstance(progress, Succeeded) for progress in found.values())

    said = f"calls of {CALL_SIZE_MAX:,}"
    timed(f"lock, {said}", len(site.nodes), lambda: done(workloads.lock, "lock"))
    timed(f"drain, {said}", len(site.nodes), lambda: done(workloads.drain, "drain"))
    timed(f"observe drains, {said}", len(site.nodes), observed)
    timed(
        f"observe nodes, {said}",
        len(site.nodes),
        lambda: [inventory.observe_nodes([NodeId(node) for node in part]) for part in parts],
    )
    timed(f"give back, {said}", len(site.nodes), lambda: done(workloads.give_back, "give_back"))


def is_done(missed: object) -> None:
    """Fails when nodes were missed."""
    assert not missed, missed


def timed(what: str, nodes: int, call: Callable[[], object]) -> None:
    """One line of the table; CPU is that of this process, without Slurm's."""
    began, cpu = time.perf_counter(), time.process_time()
    call()
    print(f"{what:44} {nodes:>7,} {time.perf_counter() - began:>8.2f} {time.process_time() - cpu:>7.2f}", flush=True)


if __name__ == "__main__":
    main()
