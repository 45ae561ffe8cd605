"""The conformance suite over all three runners of health checks: a real sshd and a double of an API server behind the
fault proxy, and Slurm's programs as doubles behind programs that fail as told.
"""

import stat
import time
from collections.abc import Callable, Collection, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

import pytest
from tests.adapters.health import test_health_slurm
from tests.adapters.health.sshd import Sshd, me, serving_ssh
from tests.adapters.health.test_health_kubernetes import NODES, PODS, ApiServer, serving
from tests.adapters.slurm_site import wait_for

from fermata.adapters import health_kubernetes, health_slurm, health_ssh
from fermata.conformance import RETRY_AFTER, Bench, Mishap, Op, Trial, list_trials, open_proxy
from fermata.domain.ids import NodeId
from fermata.domain.routing import PortName
from fermata.ports import AdapterPorts
from fermata.wiring.clocks import UtcClock

pytestmark = [pytest.mark.slow]
TRIALS = list_trials([PortName.VERIFIER])
OVER_SSH = frozenset({Mishap.LOST_BEFORE, Mishap.LOST_AFTER, Mishap.CUT})
OF_PROGRAMS = OVER_SSH | {Mishap.ERROR}
FULL = "a full call is answered"
LOST = "a lost answer leaves the outcome unknown"
NAMES = [NodeId(name) for name in NODES]
TOKEN = "canary-of-the-token"


def those_with(mishaps: frozenset[Mishap], *, but: Collection[str]) -> list[Trial]:
    """The trials that a target can be tried with."""
    return [trial for trial in TRIALS if trial.mishap in (None, *mishaps) and trial.sentence.text not in but]


class Ward:
    """Nodes on which a check leaves a line each time, and fails while somebody says that they are sick."""

    def __init__(self, at: Path) -> None:
        self.at = at

    @property
    def checks(self) -> dict[str, object]:
        script = f"echo {{node}} >>{self.at}/runs; [ ! -e {self.at}/sick-{{node}} ]"
        return {"quick": {"command": ["sh", "-c", script]}, "nodes": ["gpu*"]}

    def count(self, _op: Op, unit: str) -> int:
        """Once all that was begun has ended."""
        wait_for(lambda: all((job / "end").exists() for job in self.at.glob("*/fermata-*") if job.is_dir()))
        file = self.at / "runs"
        return file.read_text().split().count(unit) if file.exists() else 0

    def make_unhealthy(self, node: NodeId, is_sick: bool) -> None:
        mark = self.at / f"sick-{node}"
        if is_sick:
            mark.touch()
        else:
            mark.unlink(missing_ok=True)

    def bench(self, build: Callable[[], AdapterPorts], **more: Any) -> Bench:
        given: dict[str, Any] = {
            "ports": build(),
            "clock": UtcClock(),
            "nodes": NAMES,
            "wait": lambda: time.sleep(0.1),
            "reopen": build,
            "count_effects": self.count,
            "make_unhealthy": self.make_unhealthy,
        }
        return Bench(**given | more)


def run(trial: Trial, bench: Bench) -> None:
    try:
        trial.run(bench)
    finally:
        bench.ports.close()


@pytest.fixture(scope="module")
def sshd(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sshd]:
    with serving_ssh(tmp_path_factory.mktemp("sshd")) as found:
        yield found


@pytest.mark.xdist_group("sshd")
@pytest.mark.parametrize("trial", those_with(OVER_SSH, but=(FULL, LOST)), ids=str)
def test_checks_over_ssh_owe_the_conductor(trial: Trial, sshd: Sshd, tmp_path: Path) -> None:
    """Three nodes that are one machine. A connection is cut before it begins, or after its first
    bytes, when nothing was begun yet: so its answer is never lost after the act.
    """
    ward = Ward(tmp_path)
    known, config = tmp_path / "known_hosts", tmp_path / "config"
    known.write_text("sim " + " ".join(sshd.known_hosts.read_text().split()[1:3]) + "\n")
    config.write_text("Host gpu*\n  HostName 127.0.0.1\n  HostKeyAlias sim\n")
    with open_proxy("127.0.0.1", sshd.port, is_http=False) as proxy:
        given = {
            "checks": ward.checks,
            "user": me(),
            "port": proxy.port,
            "config_file": config,
            "key_file": sshd.key,
            "known_hosts_file": known,
            "folder": str(tmp_path / "checks"),
            "connect_seconds": 5,
            "answer_seconds": 5,
        }
        settings = health_ssh.Settings.model_validate(given)
        bench = ward.bench(
            lambda: health_ssh.build(settings, UtcClock()),
            mishaps=OVER_SSH,
            strike=proxy.strike,
            count_struck=proxy.count_struck,
            secrets=[sshd.key.read_text()],
            shown=[settings],
        )
        run(trial, bench)


@pytest.mark.parametrize("trial", [trial for trial in TRIALS if trial.sentence.text == FULL], ids=str)
def test_a_thousand_checks_over_ssh_are_answered(trial: Trial, tmp_path: Path) -> None:
    """With a shell of this machine in the place of ssh: a thousand sessions take minutes."""
    program = tmp_path / "ssh"
    program.write_text("#!/bin/sh\nexec sh -s\n")
    program.chmod(0o755)
    ward = Ward(tmp_path)
    given = {"checks": ward.checks, "program": str(program), "folder": str(tmp_path / "checks")}
    settings = health_ssh.Settings.model_validate(given)
    run(trial, ward.bench(lambda: health_ssh.build(settings, UtcClock())))


# Stands before a double of Slurm. `mishap` befalls sbatch, with `reads` squeue, too.
PROGRAM = """#!/bin/sh
struck=$(cat {at}/mishap 2>/dev/null)
case "$0" in */squeue) [ -e {at}/reads ] || struck=;; esac
[ -z "$struck" ] || echo "$struck" >>{at}/struck
case "$struck" in
  LOST_BEFORE) echo "Unable to contact slurm controller (connect failure)" >&2; exit 1;;
  LOST_AFTER) {real} "$@" >/dev/null 2>&1; echo "Zero Bytes were transmitted or received" >&2; exit 1;;
  ERROR) echo "Unexpected message received" >&2; exit 1;;
  CUT) {real} "$@" 2>/dev/null | head -c 3; kill -9 $$;;
esac
exec {real} "$@"
"""


@pytest.mark.parametrize("trial", those_with(OF_PROGRAMS, but=("nothing secret is told",)), ids=str)
def test_checks_as_slurm_jobs_owe_the_conductor(trial: Trial, tmp_path: Path) -> None:
    ward = Ward(tmp_path)
    desk = test_health_slurm.Desk(tmp_path)
    desk.runs_at_once()
    before = tmp_path / "before"
    before.mkdir()
    for name in ("sbatch", "squeue", "scancel"):
        program = before / name
        program.write_text(PROGRAM.format(at=tmp_path, real=tmp_path / name))
        program.chmod(program.stat().st_mode | stat.S_IXUSR)

    def strike(mishap: Mishap | None, *, reads: bool = False) -> None:
        (tmp_path / "mishap").write_text(mishap.name if mishap is not None else "")
        (tmp_path / "reads").unlink(missing_ok=True)
        if reads:
            (tmp_path / "reads").touch()

    given = {"checks": ward.checks, "folder": tmp_path / "results", "programs": before}
    settings = health_slurm.Settings.model_validate(given)
    bench = ward.bench(
        lambda: health_slurm.build(settings, UtcClock()),
        mishaps=OF_PROGRAMS,
        strike=strike,
        shown=[settings],
    )
    run(trial, bench)


class Cluster(ApiServer):
    """Jobs end at the next moment; of a node that was sick when its Job was made, with an error."""

    def __init__(self) -> None:
        super().__init__()
        self.sick: set[str] = set()
        self.sick_jobs: set[str] = set()

    def answer(self, method: str, path: str, query: str, body: Any) -> tuple[int | None, Any]:
        if method == "POST" and body["metadata"]["annotations"]["fermata.io/node"] in self.sick:
            self.sick_jobs.add(body["metadata"]["name"])
        status, told = super().answer(method, path, query, body)
        if path == PODS and status == 200:
            (asked,) = parse_qs(query)["labelSelector"]
            told = {"metadata": {}, "items": self.pods.get(asked.partition("=")[2], [])}
        return status, told

    def count(self, _op: Op, unit: str) -> int:
        return sum(job["metadata"]["annotations"]["fermata.io/node"] == unit for job in self.jobs.values())

    def make_unhealthy(self, node: NodeId, is_sick: bool) -> None:
        self.sick = self.sick - {node} | ({node} if is_sick else set())

    def wait(self) -> None:
        for name in list(self.jobs):
            kept, self.jobs = self.jobs, {name: self.jobs[name]}
            self.end(1 if name in self.sick_jobs else 0)
            self.jobs = kept


@pytest.mark.parametrize("trial", TRIALS, ids=str)
def test_checks_as_kubernetes_jobs_owe_the_conductor(trial: Trial, tmp_path: Path) -> None:
    cluster = Cluster()
    (tmp_path / "token").write_text(TOKEN)
    with serving(cluster) as port, open_proxy("127.0.0.1", port) as proxy:
        given = {
            "checks": {"quick": {"command": ["dcgmi", "{node}"]}},
            "url": proxy.url,
            "image": "registry.example/checks:1",
            "token_file": tmp_path / "token",
        }
        settings = health_kubernetes.Settings.model_validate(given)

        def build() -> AdapterPorts:
            return health_kubernetes.build(settings, UtcClock())

        bench = Bench(
            ports=build(),
            clock=UtcClock(),
            nodes=NAMES,
            wait=cluster.wait,
            reopen=build,
            count_effects=cluster.count,
            mishaps=frozenset(Mishap),
            strike=proxy.strike,
            await_hanging=proxy.await_hanging,
            retry_after=RETRY_AFTER,
            count_requests=lambda: len(proxy.passed),
            count_struck=proxy.count_struck,
            make_unhealthy=cluster.make_unhealthy,
            secrets=[TOKEN],
            shown=[settings],
        )
        run(trial, bench)
