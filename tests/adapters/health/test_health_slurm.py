"""Checks as Slurm jobs: with doubles of sbatch, squeue and scancel that print what Slurm documents."""

import json
import stat
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from fermata.adapters.health_checks import Job
from fermata.adapters.health_script import write_run
from fermata.adapters.health_slurm import LATER, Settings, build
from fermata.domain.ids import StepKey
from fermata.domain.observations import Accepted, Answer, Denied, Failed, Later, NeverAsked, Running, Succeeded, Unsure
from fermata.ports import AdapterPorts, Ask, Refused, TryLater

NOW = datetime(2026, 11, 1, 12, tzinfo=UTC)

# One program under three names. Jobs are files of `queue`: what squeue prints of them. sbatch runs the script at once
# if `runs` is there, as a controller with a free node does; `says` is an error that it prints in place of an answer.
DOUBLE = """#!{python}
import pathlib, subprocess, sys
home = pathlib.Path("{home}")
words = dict(word[2:].partition("=")[::2] for word in sys.argv[1:] if word.startswith("--"))
program = pathlib.Path(sys.argv[0]).name
with (home / "calls").open("a") as file:
    file.write(" ".join([program, *sys.argv[1:]]) + "\\n")
says = home / f"{{program}}-says"
if says.exists():
    sys.exit(says.read_text())
if "version" in words:
    print("slurm-wlm 22.05.8")
elif program == "squeue":
    for name in words.get("name", "").split(","):
        job = home / "queue" / name
        if job.exists():
            print(job.read_text())
elif program == "sbatch":
    number = len(list((home / "queue").iterdir())) + 7
    script = sys.stdin.read()
    state = "PENDING"
    if (home / "runs").exists():
        subprocess.run(["/bin/sh", "-c", script], check=False)
        state = "COMPLETED"
    job = home / "queue" / words["job-name"]
    job.write_text(f"{{words['job-name']}}|{{number}}|{{state}}|{submitted}|{submitted}|Resources")
    print(number)
"""


@dataclass
class At:
    """A clock that is set."""

    now_is: datetime = NOW

    def now(self) -> datetime:
        return self.now_is

    def wait_until(self, instant: datetime, stop: object) -> datetime:
        return self.now_is


@dataclass
class Desk:
    """A controller of files, and an adapter over it."""

    home: Path
    clock: At = field(default_factory=At)

    def __post_init__(self) -> None:
        (self.home / "queue").mkdir()
        text = DOUBLE.format(python=sys.executable, home=self.home, submitted=int(NOW.timestamp()))
        for name in ("sbatch", "squeue", "scancel"):
            program = self.home / name
            program.write_text(text)
            program.chmod(program.stat().st_mode | stat.S_IXUSR)

    def open(self, script: str = "echo run >>{home}/ran", **more: object) -> AdapterPorts:
        quick = {"command": ["sh", "-c", script.format(home=self.home)]}
        given = {
            "checks": {"quick": quick},
            "folder": self.home / "results",
            "programs": self.home,
            "reservation": "fermata",
            **more,
        }
        return build(Settings.model_validate(given), self.clock)

    def calls(self, program: str) -> Sequence[str]:
        file = self.home / "calls"
        lines = file.read_text().splitlines() if file.exists() else []
        return [line for line in lines if line.startswith(f"{program} ")]

    def runs_at_once(self) -> None:
        (self.home / "runs").touch()

    def says(self, program: str, text: str) -> None:
        (self.home / f"{program}-says").write_text(text)

    def turns(self, state: str, *, why: str = "None", ended: datetime = NOW) -> None:
        (job,) = (self.home / "queue").iterdir()
        words = job.read_text().split("|")
        job.write_text("|".join([*words[:2], state, words[3], str(int(ended.timestamp())), why]))


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    return Desk(tmp_path)


ASK = Ask(key=StepKey("run_1/win/gpu001/verify/1"), unit="gpu001")


def check(ports: AdapterPorts, ask: Ask = ASK) -> Answer:
    assert ports.verifier is not None
    return ports.verifier.check([ask])[ask.key]


def look(ports: AdapterPorts) -> object:
    assert ports.verifier is not None
    return ports.verifier.observe([ASK])[ASK.key]


def test_a_job_goes_to_its_node_under_the_reservation_and_ends_with_its_result(desk: Desk) -> None:
    ports = desk.open()
    assert look(ports) == NeverAsked()
    desk.runs_at_once()
    assert check(ports) == Accepted()
    (line,) = desk.calls("sbatch")
    assert {"--nodelist=gpu001", "--reservation=fermata", "--nodes=1", "--time=12"} <= set(line.split())
    assert isinstance(look(ports), Succeeded)


def test_a_check_that_is_asked_for_twice_is_submitted_once(desk: Desk) -> None:
    ports = desk.open()
    check(ports)
    assert check(desk.open()) == Accepted()
    assert len(desk.calls("sbatch")) == 1
    assert look(ports) == Running()


def test_a_job_that_the_controller_forgot_is_known_by_its_result(desk: Desk) -> None:
    desk.runs_at_once()
    ports = desk.open()
    check(ports)
    for job in (desk.home / "queue").iterdir():
        job.unlink()
    assert check(ports) == Accepted()
    assert len(desk.calls("sbatch")) == 1
    assert isinstance(look(ports), Succeeded)


def test_a_job_that_was_submitted_twice_runs_once(tmp_path: Path) -> None:
    command = ("sh", "-c", f"echo run >>{tmp_path}/ran")
    job = Job(name="fermata-1-quick", unit="gpu001", command=command, time_limit=timedelta(minutes=1))
    for _ in range(2):
        subprocess.run(["/bin/sh", "-c", write_run(job, str(tmp_path / "results"))], check=True, timeout=60)
    assert (tmp_path / "ran").read_text().splitlines() == ["run"]


def test_a_job_that_does_not_begin_is_cancelled_and_fails_with_slurms_own_reason(desk: Desk) -> None:
    ports = desk.open(start_minutes=10)
    check(ports)
    desk.turns("PENDING", why="ReqNodeNotAvail, UnavailableNodes:gpu001")
    desk.clock.now_is = NOW + timedelta(minutes=9)
    assert look(ports) == Running()
    desk.clock.now_is = NOW + timedelta(minutes=11)
    found = look(ports)
    assert isinstance(found, Failed)
    assert "did not begin within 10 minutes and was cancelled: Slurm says ReqNodeNotAvail" in found.why
    assert desk.calls("scancel") == ["scancel 7"]


@pytest.mark.parametrize("state", ["NODE_FAIL", "CANCELLED", "TIMEOUT", "COMPLETED"])
def test_a_job_that_ended_without_a_result_is_lost_once_file_servers_had_their_time(desk: Desk, state: str) -> None:
    ports = desk.open()
    check(ports)
    desk.turns(state)
    desk.clock.now_is = NOW + timedelta(minutes=1)
    assert look(ports) == Running()
    desk.clock.now_is = NOW + timedelta(minutes=3)
    found = look(ports)
    assert isinstance(found, Failed)
    assert f"job 7 is {state} and left no result" in found.why


def test_a_job_whose_command_fails_says_so(desk: Desk) -> None:
    desk.runs_at_once()
    ports = desk.open("echo fan 3 stands still; exit 2")
    check(ports)
    found = look(ports)
    assert isinstance(found, Failed)
    assert found.why == "exit code 2: fan 3 stands still"


@pytest.mark.parametrize(
    ("said", "answer"),
    [
        ("sbatch: error: Batch job submission failed: Unable to contact slurm controller", Later(after=LATER)),
        ("sbatch: error: Batch job submission failed: Socket timed out on send/recv operation", Unsure()),
    ],
)
def test_what_sbatch_says_tells_whether_a_job_may_be_there(desk: Desk, said: str, answer: Answer) -> None:
    desk.says("sbatch", said)
    assert check(desk.open()) == answer


def test_what_slurm_refuses_is_denied_with_its_words(desk: Desk) -> None:
    desk.says("sbatch", "sbatch: error: Batch job submission failed: Invalid node name specified")
    answer = check(desk.open())
    assert isinstance(answer, Denied)
    assert "Invalid node name" in answer.why


def test_a_queue_that_cannot_be_read_is_no_empty_one(desk: Desk) -> None:
    desk.says("squeue", "slurm_load_jobs error: Unable to contact slurm controller (connect failure)")
    with pytest.raises(TryLater, match="Unable to contact"):
        look(desk.open())
    with pytest.raises(TryLater):
        check(desk.open())
    assert desk.calls("sbatch") == []


def test_a_program_that_is_not_there_is_told(desk: Desk) -> None:
    with pytest.raises(Refused, match="squeue cannot be run"):
        check(desk.open(programs=desk.home / "nowhere"))


def test_figures_of_a_check_come_with_its_success_and_are_judged_beside_the_fleet(desk: Desk) -> None:
    learned = {"sku": "gb200", "figure": "busbw", "nodes": 412, "median": 186.8, "spread": 0.5}
    baselines = desk.home / "baselines.json"
    baselines.write_text(json.dumps({"schema": "x", "baselines": [learned], "nodes": {"gpu001": "gb200"}}))
    rule = {"figure": "busbw", "better": "higher", "limit": 100}
    told = json.dumps({"node": "gpu001", "a/return_code": 0, "busbw": 181})
    quick = {"command": ["echo", told], "parser": "superbench", "figures": [rule]}
    desk.runs_at_once()
    ports = desk.open(checks={"quick": quick, "baselines": baselines})
    check(ports)
    found = look(ports)
    assert isinstance(found, Failed)
    assert found.why == "busbw 181, 3.1 % under what 412 nodes of SKU gb200 reach"
    alone = look(desk.open(checks={"quick": quick}))
    assert isinstance(alone, Succeeded)
    assert alone.measured is not None
    assert alone.measured.figures == {"busbw": 181.0}
    baselines.write_text("{")
    with pytest.raises(Refused, match="baselines cannot be read"):
        look(ports)
