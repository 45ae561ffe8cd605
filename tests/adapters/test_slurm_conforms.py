"""The conformance suite over the Slurm adapter and a real Slurm, with a program between them that fails as told."""

import itertools
import shutil
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path

import pytest
from tests.adapters.slurm_desk import MARKS
from tests.adapters.slurm_site import SlurmSite, programs_elsewhere, wait_for

from fermata.adapters import slurm as adapter
from fermata.adapters.slurm.hostlist import expand
from fermata.conformance import Bench, Mishap, Op, Trial, list_trials
from fermata.conformance.bench import NotTried
from fermata.domain.ids import NodeId
from fermata.domain.routing import PortName
from fermata.sim.clock import SystemClock

pytestmark = MARKS
NODES = ("gpu041", "gpu042", "gpu043")
NUMBERS = itertools.count(1)
MISHAPS = frozenset({Mishap.LOST_BEFORE, Mishap.LOST_AFTER, Mishap.ERROR, Mishap.CUT, Mishap.HANG})
CANNOT = "Slurm's programs give no older answer in place of a new one, and no time to ask again"

# Stands for scontrol and squeue. `mishap`: what befalls calls, those that only show something if `reads` is there.
PROGRAM = """#!/bin/sh
struck=$(cat {at}/mishap 2>/dev/null)
case "$1" in show|-h) [ -e {at}/reads ] || struck=;; esac
[ -z "$struck" ] || echo "$struck" >>{at}/struck
fail() {{ echo "slurm_update error: $1" >&2; exit 1; }}
case "$struck" in
  LOST_BEFORE) fail "Unable to contact slurm controller (connect failure)";;
  ERROR) fail "Unexpected message received";;
  HANG) exec sleep 600;;
esac
printf '%s\\037' "$@" >>{at}/asked
echo >>{at}/asked
case "$struck" in
  LOST_AFTER) {real} "$@" >/dev/null 2>&1; fail "Zero Bytes were transmitted or received";;
  CUT) {real} "$@" 2>/dev/null | head -c 200; kill -9 $$;;
esac
exec {real} "$@"
"""


class Programs:
    """Slurm's programs as the adapter runs them, and what went through them."""

    def __init__(self, at: Path, site: SlurmSite) -> None:
        self.at = at
        self.site = site
        for name in ("scontrol", "squeue"):
            program = at / name
            program.write_text(PROGRAM.format(at=at, real=shutil.which(name)))
            program.chmod(0o755)

    def strike(self, mishap: Mishap | None, *, reads: bool = False) -> None:
        (self.at / "mishap").write_text(mishap.name if mishap is not None else "")
        (self.at / "reads").unlink(missing_ok=True)
        if reads:
            (self.at / "reads").touch()

    def asked(self) -> list[list[str]]:
        file = self.at / "asked"
        return [line.split("\x1f") for line in file.read_text().splitlines()] if file.exists() else []

    def count_struck(self) -> int:
        file = self.at / "struck"
        return len(file.read_text().splitlines()) if file.exists() else 0

    def await_hanging(self, seconds: float) -> bool:
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            if self.count_struck():
                return True
            time.sleep(0.05)
        return False

    def count(self, op: Op, unit: str) -> int:
        """How often slurmctld was told, which carries out each call whose program was not struck before."""
        return sum(_is_about(words, op, unit) for words in self.asked())


@dataclass
class Work:
    """Jobs of the tests, and what keeps them off."""

    site: SlurmSite
    jobs: list[str] = field(default_factory=list)

    def start(self, node: NodeId) -> str:
        """Runs once it is told."""
        self.jobs.append(self.site.sbatch(node, 600, "--time=240"))
        wait_for(lambda: self._state(self.jobs[-1]) == "R")
        return self.jobs[-1]

    def begins(self, node: NodeId, lasting: timedelta) -> bool:
        """False once Slurm says what such a job waits for."""
        job = self.site.sbatch(node, 600, f"--time={lasting // timedelta(minutes=1)}")
        self.jobs.append(job)
        found: list[str] = []

        def is_known() -> bool:
            found[:] = self.site.run("squeue", "-h", "-j", job, "-o", "%t %r").split(maxsplit=1)
            return found[0] == "R" or "reserv" in found[1].lower()

        wait_for(is_known)
        self.site.run("scancel", job)
        wait_for(lambda: self._state(job) == "")
        return found[0] == "R"

    def count_kept(self, run: str) -> int:
        return self.site.run("scontrol", "show", "reservations", "-o").count(f"ReservationName=fermata_{run}_")

    def cancel(self) -> None:
        if self.jobs:
            self.site.run("scancel", *self.jobs)
        wait_for(lambda: not any(map(self._state, self.jobs)))

    def _state(self, job: str) -> str:
        return self.site.run("squeue", "-h", "-t", "PD,R,CG", "-o", "%i %t").partition(f"{job} ")[2][:2].strip()


def _is_about(words: Sequence[str], op: Op, unit: str) -> bool:
    told = dict(word.partition("=")[::2] for word in words)
    if op is Op.REBOOT:
        return words[0] == "reboot" and unit in expand(words[4])
    if unit not in expand(told.get("nodename", "")):
        return False
    match op:
        case Op.LOCK | Op.DRAIN:
            return f" {op.value}," in told.get("reason", "")
        case Op.GIVE_BACK:
            return told.get("state") == "resume"
        case _:
            return op is Op.RELEASE and told.get("reason", "").startswith("left out of service")


@pytest.fixture
def tried(slurm: SlurmSite, tmp_path: Path) -> Iterator[Bench]:
    programs = Programs(tmp_path, slurm)
    settings = adapter.Settings(
        config=slurm.config,
        scontrol=str(tmp_path / "scontrol"),
        squeue=str(tmp_path / "squeue"),
        reset_program=slurm.reset_program,
        answer_seconds_max=4 if programs_elsewhere() is None else 12,  # each of those enters a root of its own first
    )
    clock = SystemClock()
    resets = slurm.at / "log/reset"
    before = len(resets.read_text().split()) if resets.exists() else 0

    def count(op: Op, unit: str) -> int:
        if op is not Op.RESET:
            return programs.count(op, unit)
        return resets.read_text().split()[before:].count(unit) if resets.exists() else 0

    def hold(node: NodeId) -> None:
        slurm.run("scontrol", "update", f"nodename={node}", "state=drain", "reason=mine")

    work = Work(slurm)
    bench = Bench(
        ports=adapter.build(settings, clock),
        clock=clock,
        nodes=[NodeId(name) for name in NODES],
        wait=lambda: time.sleep(0.1),
        reopen=lambda: adapter.build(settings, clock),
        count_effects=count,
        mishaps=MISHAPS,
        strike=programs.strike,
        await_hanging=programs.await_hanging,
        count_requests=lambda: len(programs.asked()) + programs.count_struck(),
        count_struck=programs.count_struck,
        hold_as_other=hold,
        is_held_by_other=lambda node: "Reason=mine [" in slurm.run("scontrol", "show", "node", node),
        run=f"run_{next(NUMBERS)}",
        start_job=work.start,
        begins_job=work.begins,
        count_kept=work.count_kept,
    )
    yield bench
    bench.ports.close()
    work.cancel()
    for name in NODES:
        wait_for(lambda name=name: _is_back(slurm, name))  # type: ignore[misc]


def _is_back(site: SlurmSite, node: str) -> bool:
    """Resumed and idle; a reboot that goes on is let end first."""
    states = site.states(node)
    if states == {"IDLE"}:
        return True
    if not states & {"REBOOT_ISSUED", "REBOOT_REQUESTED", "REBOOT"} and states & {"DRAIN", "DOWN"}:
        site.run("scontrol", "update", f"nodename={node}", "state=resume", "comment=")
    return False


@pytest.mark.parametrize("trial", list_trials(PortName(name) for name in adapter.PORTS), ids=str)
def test_slurm_owes_the_conductor(trial: Trial, tried: Bench) -> None:
    try:
        trial.run(tried)
    except NotTried as why:
        pytest.skip(f"{why}: {CANNOT}" if trial.mishap is not None else str(why))
