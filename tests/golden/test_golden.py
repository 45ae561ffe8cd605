"""Scripts of commands with what they print. `$ ` starts a command; `tests/golden/NAME.txt` is run line by line.

`@ 2026-01-05T12:00:00Z` sets the clock; it stands still from there on, and ids count up. `> 500 200` is what the
receiver at HOOK answers next; it agrees to notices by itself.

After a rightful change: `FERMATA_GOLDEN=write pytest tests/golden`, read the difference, say why in the commit.
"""

import os
import shlex
from collections.abc import Iterator
from datetime import datetime
from itertools import count
from pathlib import Path

import pytest
from tests.cli.conftest import line
from tests.cli.line import Line
from tests.conformance.receivers import Answer, Receiver, receiving

from fermata import wiring

__all__ = ["line"]
FOLDER = Path(__file__).parent
LINES_MAX = 200
SCRIPTS = sorted(path.name for path in FOLDER.glob("*.txt"))


@pytest.mark.slow
@pytest.mark.timeout(300)  # a process for each command that asks
@pytest.mark.parametrize("name", SCRIPTS)
def test_a_script_prints_what_it_printed(
    line: Line, receiver: Receiver, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    script = FOLDER / name
    told = script.read_text()
    assert len(told.splitlines()) <= LINES_MAX
    monkeypatch.setenv("FERMATA_LOCAL_TARGETS", "1")
    printed = play(line, receiver, Clock(monkeypatch), told)
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


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with receiving() as opened:
        yield opened


def place(word: str, line: Line, receiver: Receiver) -> str:
    """SMALL is the folder of a small scenario, HERE this one, HOOK a web server's address."""
    return word.replace("SMALL", str(line.small.folder)).replace("HERE", str(FOLDER)).replace("HOOK", receiver.url)


def play(line: Line, receiver: Receiver, clock: Clock, told: str) -> str:
    """The script again: its narration and commands as they stand, below each command what it prints now."""
    parts = []
    for text in told.splitlines():
        sign, _, said = text.partition(" ")
        if sign == "#":
            parts += ["", text]
        elif sign == "@":
            clock.set(said)
            parts.append(text)
        elif sign == ">":
            receiver.answers = [Answer(int(status)) for status in said.split()]
            parts.append(text)
        elif text.startswith("$ fermata "):
            words = [place(word, line, receiver) for word in shlex.split(text)[2:]]
            answer = line.run(*words, store="--scenario" not in words)
            shown = [row.rstrip() for row in (answer.out + answer.err).rstrip().splitlines()]
            parts += [text, *shown, *([f"(exit {answer.code})"] if answer.code else [])]
    return "\n".join(parts).lstrip("\n") + "\n"
