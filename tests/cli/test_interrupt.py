"""Ctrl-C while a plan is computed: the command ends at once, with its exit code, and leaves no file."""

import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from fermata import scenarios

AT_ONCE_SECONDS = 20  # generous for a loaded machine; without the care taken it is the rest of the plan, or an abort


@pytest.mark.slow
@pytest.mark.parametrize("seconds", [4.0, 9.0])
def test_interrupt_ends_planning_at_once_and_leaves_nothing(tmp_path: Path, seconds: float) -> None:
    out = tmp_path / "plan.json"
    words = [sys.executable, "-m", "fermata", "plan", str(scenarios.path("january")), "--out", str(out)]
    with subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        time.sleep(seconds)
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=AT_ONCE_SECONDS)
    assert process.returncode == 130
    assert not out.exists()


WHILE_LOADING = """
import signal, sys
class Interrupting:
    def find_spec(self, name, path=None, target=None):
        if name == "fermata.cli.main":
            signal.raise_signal(signal.SIGINT)
sys.meta_path.insert(0, Interrupting())
from fermata.__main__ import run
run()
"""


def test_interrupt_while_modules_load_ends_with_the_same_code_and_no_traceback() -> None:
    ended = subprocess.run([sys.executable, "-c", WHILE_LOADING, "--version"], capture_output=True, check=False)
    assert (ended.returncode, ended.stdout, ended.stderr) == (130, b"", b"")
