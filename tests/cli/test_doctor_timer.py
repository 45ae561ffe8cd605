"""The timer and the job in docs/operating.md that run `fermata doctor`: what stands there can be used as it stands."""

import configparser
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from tests.cli.line import Line

DOCS = Path(__file__).parents[2] / "docs" / "operating.md"
BLOCK = re.compile(r"```(?:ini|yaml)\n# (\S+)\n(.*?)```", re.DOTALL)
UNIT, TIMER, JOB = "fermata-doctor.service", "fermata-doctor.timer", "fermata-doctor.yaml"


def block(name: str) -> str:
    """The text of a sample, by the name that its first line says."""
    found = {Path(path).name: text for path, text in BLOCK.findall(DOCS.read_text(encoding="utf-8"))}
    return found[name]


def section(name: str, key: str) -> dict[str, str]:
    parser = configparser.ConfigParser(interpolation=None)
    parser.optionxform = str  # type: ignore[assignment,method-assign]
    parser.read_string(block(name))
    return dict(parser[key])


def test_the_command_of_the_timer_and_of_the_job_is_one_that_there_is(line: Line, tmp_path: Path) -> None:
    job = yaml.safe_load(block(JOB))
    (container,) = job["spec"]["jobTemplate"]["spec"]["template"]["spec"]["containers"]
    for words in (shlex.split(section(UNIT, "Service")["ExecStart"]), container["command"]):
        assert Path(words[0]).name == "fermata"
        own = [str(tmp_path) if word.startswith("/srv/") else word for word in words[1:]]
        assert line.run(*own).code in (0, 1), "2 would be a command line that nobody understands"


def test_the_timer_starts_the_service_and_nobody_looks_twice_at_once() -> None:
    assert Path(UNIT).stem == Path(TIMER).stem, "a timer starts the service of its own name"
    assert section(UNIT, "Service")["Type"] == "oneshot"
    assert section(TIMER, "Install")["WantedBy"] == "timers.target"
    assert yaml.safe_load(block(JOB))["spec"]["concurrencyPolicy"] == "Forbid"


def test_systemd_finds_nothing_wrong_with_the_timer(tmp_path: Path) -> None:
    program = shutil.which("systemd-analyze")
    if program is None:
        pytest.skip("NOT TESTED: the units of fermata doctor by systemd itself; there is no systemd-analyze")
    for name in (UNIT, TIMER):
        text = block(name).replace("/usr/bin/fermata", sys.executable)
        (tmp_path / name).write_text(text, encoding="utf-8")
    files = [str(tmp_path / name) for name in (UNIT, TIMER)]
    done = subprocess.run([program, "verify", "--man=no", *files], capture_output=True, text=True, check=False)
    own = [line for line in (done.stdout + done.stderr).splitlines() if "fermata-doctor" in line]
    assert own == []
