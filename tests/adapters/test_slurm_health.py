"""Health checks as jobs of a real Slurm. Each test has nodes of its own, which take jobs of one reservation alone."""

import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from tests.adapters.slurm_desk import MARKS, ask
from tests.adapters.slurm_site import SlurmSite, wait_for

from fermata.adapters.health_slurm import Settings, build
from fermata.domain.observations import Accepted, Denied, Failed, NeverAsked, Progress, Running, Succeeded
from fermata.ports import AdapterPorts, Ask
from fermata.sim.clock import SystemClock

pytestmark = MARKS
RESERVATION = "checks"
NODES = "gpu[033-040]"


class Later:
    """The clock of the system, some time on."""

    def __init__(self, by: timedelta) -> None:
        self.by = by

    def now(self) -> datetime:
        return datetime.now(UTC) + self.by

    def wait_until(self, instant: datetime, stop: object) -> datetime:
        return self.now()


@pytest.fixture(scope="module")
def checks(slurm: SlurmSite) -> Iterator[SlurmSite]:
    """A reservation as a site makes it for nodes in maintenance."""
    slurm.run(
        *("scontrol", "create", "reservation", f"reservationname={RESERVATION}", f"nodes={NODES}", "user=root"),
        *("starttime=now", "duration=unlimited", "flags=maint,ignore_jobs"),
    )
    yield slurm
    slurm.run("scontrol", "delete", f"reservationname={RESERVATION}")


def open_checks(site: SlurmSite, folder: Path, script: str, clock: Any = None, **more: Any) -> AdapterPorts:
    results = folder / "results"
    results.mkdir(exist_ok=True)
    quick = {"command": ["sh", "-c", script], "time_limit_seconds": 30}
    given = {"checks": {"quick": quick}, "folder": results, "reservation": RESERVATION, "config_file": site.config}
    return build(Settings.model_validate({**given, **more}), clock or SystemClock())


def check(ports: AdapterPorts, asked: Ask) -> object:
    assert ports.verifier is not None
    return ports.verifier.check([asked])[asked.key]


def progress(ports: AdapterPorts, asked: Ask) -> Progress:
    assert ports.verifier is not None
    return ports.verifier.observe([asked])[asked.key]


def wait_for_end(ports: AdapterPorts, asked: Ask) -> Progress:
    wait_for(lambda: isinstance(progress(ports, asked), Succeeded | Failed))
    return progress(ports, asked)


def jobs_on(site: SlurmSite, node: str) -> list[str]:
    told = site.run("squeue", "-h", "--states=all", "-O", "ReqNodes:|,State:|")
    return [line.split("|")[1].strip() for line in told.splitlines() if line.startswith(node)]


def test_probe_tells_the_version_and_that_results_can_be_written(checks: SlurmSite, tmp_path: Path) -> None:
    told = open_checks(checks, tmp_path, "true").probe()
    assert told["product"] == "Slurm"
    assert checks.run("scontrol", "--version").split()[-1] in told["version"]
    assert told["folder"] == "writable: True"


def test_check_runs_on_its_node_once_and_a_healthy_node_passes(checks: SlurmSite, tmp_path: Path) -> None:
    ports, asked = open_checks(checks, tmp_path, f"echo $SLURMD_NODENAME >>{tmp_path}/ran"), ask("gpu033", "verify")
    assert progress(ports, asked) == NeverAsked()
    assert check(ports, asked) == Accepted()
    assert check(ports, asked) == Accepted()
    assert isinstance(wait_for_end(ports, asked), Succeeded)
    again = open_checks(checks, tmp_path, "exit 1")
    assert check(again, asked) == Accepted(), "a restart finds what was asked"
    assert isinstance(progress(again, asked), Succeeded)
    assert (tmp_path / "ran").read_text().splitlines() in (["gpu033"], [""])
    assert len(jobs_on(checks, "gpu033")) == 1


def test_unhealthy_node_fails_with_what_the_check_says(checks: SlurmSite, tmp_path: Path) -> None:
    ports, asked = open_checks(checks, tmp_path, "echo GPU 3 fell off the bus; exit 7"), ask("gpu034", "verify")
    assert check(ports, asked) == Accepted()
    end = wait_for_end(ports, asked)
    assert isinstance(end, Failed)
    assert "7" in end.why


def test_check_that_takes_too_long_is_ended_and_fails(checks: SlurmSite, tmp_path: Path) -> None:
    quick = {"command": ["sh", "-c", "sleep 600"], "time_limit_seconds": 1}
    ports, asked = open_checks(checks, tmp_path, "", checks={"quick": quick}), ask("gpu035", "verify")
    assert check(ports, asked) == Accepted()
    wait_for(lambda: isinstance(progress(ports, asked), Running | Failed))
    assert isinstance(wait_for_end(ports, asked), Failed)
    wait_for(lambda: "RUNNING" not in jobs_on(checks, "gpu035"))


def test_job_that_somebody_cancels_is_no_proof_of_health(checks: SlurmSite, tmp_path: Path) -> None:
    ports, asked = open_checks(checks, tmp_path, "sleep 100"), ask("gpu036", "verify")
    check(ports, asked)
    wait_for(lambda: "RUNNING" in jobs_on(checks, "gpu036"))
    checks.run("scancel", "--state=RUNNING", "--nodelist=gpu036")
    wait_for(lambda: "CANCELLED" in jobs_on(checks, "gpu036"))
    late = open_checks(checks, tmp_path, "sleep 100", Later(timedelta(minutes=10)))
    end = wait_for_end(late, asked)
    assert isinstance(end, Failed)


def test_drained_node_takes_no_check_which_is_cancelled_with_slurm_s_own_reason(
    checks: SlurmSite, tmp_path: Path
) -> None:
    checks.run("scontrol", "update", "nodename=gpu037", "state=drain", "reason=fermata:run/w/*/drain/1 drain")
    ports, asked = open_checks(checks, tmp_path, "true"), ask("gpu037", "verify")
    assert check(ports, asked) == Accepted()
    time.sleep(2)
    assert isinstance(progress(ports, asked), Running)
    late = open_checks(checks, tmp_path, "true", Later(timedelta(minutes=20)))
    end = progress(late, asked)
    assert isinstance(end, Failed)
    assert "did not begin within 15 minutes" in end.why
    assert "gpu037" in end.why or "Avail" in end.why
    wait_for(lambda: jobs_on(checks, "gpu037") == ["CANCELLED"])
    checks.run("scontrol", "update", "nodename=gpu037", "state=resume")


def test_what_slurm_refuses_is_denied_with_its_words(checks: SlurmSite, tmp_path: Path) -> None:
    denied = check(open_checks(checks, tmp_path, "true"), ask("nobody", "verify"))
    assert isinstance(denied, Denied)
    assert "node" in denied.why.lower()
    ports = open_checks(checks, tmp_path, "true", reservation="no-such-reservation")
    assert isinstance(check(ports, ask("gpu038", "verify")), Denied)
