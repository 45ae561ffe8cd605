"""Scripts of commands with what they print. `$ ` starts a command; `tests/golden/NAME.txt` is run line by line.

`@ 2026-01-05T12:00:00Z` sets the clock; it stands still from there on, and ids count up.

After a rightful change: `FERMATA_GOLDEN=write pytest tests/golden`, read the difference, say why in the commit.
"""

import os
import shlex
from datetime import datetime
from itertools import count
from pathlib import Path

import pytest
from tests.cli.conftest import line
from tests.cli.line import Line

from fermata import wiring

__all__ = ["line"]
FOLDER = Path(__file__).parent
LINES_MAX = 200
SCRIPTS = sorted(path.name for path in FOLDER.glob("*.txt"))


@pytest.mark.slow
@pytest.mark.timeout(300)  # a process for each command that asks
@pytest.mark.parametrize("name", SCRIPTS)
def test_a_script_prints_what_it_printed(line: Line, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    script = FOLDER / name
    told = script.read_text()
    assert len(told.splitlines()) <= LINES_MAX
    printed = play(line, told, Clock(monkeypatch))
    if os.environ.get("FERMATA_GOLDEN") == "write":
        script.write_text(printed)
    assert printed == told


class Clock:
    """The wall clock, until it is set."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self._patch = monkeypatch
        self._ids = count(1)

    def set(self, text: str) -> None:
        at = datetime.fromisoformat(text)
        self._patch.setattr(wiring, "utc_now", lambda: at)
        self._patch.setattr(wiring, "mint_id", lambda prefix: f"{prefix}_{next(self._ids)}")


def place(word: str, line: Line) -> str:
    """SMALL is the folder of a small scenario, HERE this one."""
    return word.replace("SMALL", str(line.small.folder)).replace("HERE", str(FOLDER))


def play(line: Line, told: str, clock: Clock) -> str:
    """The script again: its narration and commands as they stand, below each command what it prints now."""
    parts = []
    for text in told.splitlines():
        if text.startswith("# "):
            parts += ["", text]
        elif text.startswith("@ "):
            clock.set(text.removeprefix("@ "))
            parts.append(text)
        elif text.startswith("$ fermata "):
            words = [place(word, line) for word in shlex.split(text)[2:]]
            answer = line.run(*words, store="--scenario" not in words)
            shown = [row.rstrip() for row in (answer.out + answer.err).rstrip().splitlines()]
            parts += [text, *shown, *([f"(exit {answer.code})"] if answer.code else [])]
    return "\n".join(parts).lstrip("\n") + "\n"
