"""Scripts of commands with what they print. `$ ` starts a command; `tests/golden/NAME.txt` is run line by line.

`@ 2026-01-05T12:00:00Z` sets the clock; it stands still from there on, and ids count up. `> 500 200` is what the
receiver at HOOK answers next; it agrees to notices by itself.

After a rightful change: `FERMATA_GOLDEN=write pytest tests/golden`, read the difference, say why in the commit.
"""

import os
import re
import shlex
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from itertools import count
from pathlib import Path

import pytest
from tests.cli.conftest import line
from tests.cli.line import Line
from tests.conformance.receivers import Answer, Receiver, receiving

from fermata.wiring import clocks

__all__ = ["line"]
FOLDER = Path(__file__).parent
LINES_MAX = 200
MINTED = re.compile(r"\b([a-z]+)_[0-9A-HJKMNP-TV-Z]{26}\b")
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
        self._patch.setattr(clocks, "utc_now", lambda: at)
        self._patch.setattr(clocks, "mint_id", lambda prefix: f"{prefix}_{next(self._ids)}")


class Minted:
    """Ids that differ from run to run: a script calls the first hold hold_1, and so on."""

    def __init__(self) -> None:
        self._names: dict[str, str] = {}

    def name(self, text: str) -> str:
        """The text with short names for ids, NOW for times of today, and no word of how long a check took."""
        for found in MINTED.finditer(text):
            number = 1 + sum(name.startswith(f"{found[1]}_") for name in self._names)
            self._names.setdefault(found[0], f"{found[1]}_{number}")
        for known, short in self._names.items():
            text = text.replace(known, short)
        now = datetime.now(UTC)
        days = "|".join(f"{day:%Y-%m-%d}" for day in (now - timedelta(days=1), now))
        text = re.sub(r"rules checked in [0-9.]+ s", "rules checked", text)
        return re.sub(rf"({days}) [0-9:]+Z", "NOW", text)

    def find(self, word: str) -> str:
        """The id that a script's short name stands for."""
        return next((known for known, short in self._names.items() if short == word), word)


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with receiving() as opened:
        yield opened


def place(word: str, line: Line, receiver: Receiver) -> str:
    """SMALL is the folder of a small scenario, HERE this one, HOOK a web server's address."""
    return word.replace("SMALL", str(line.small.folder)).replace("HERE", str(FOLDER)).replace("HOOK", receiver.url)


def displace(text: str) -> str:
    """What a command says of this folder is said of HERE."""
    return text.replace(str(FOLDER), "HERE")


def play(line: Line, receiver: Receiver, clock: Clock, told: str) -> str:
    """The script again: its narration and commands as they stand, below each command what it prints now."""
    parts, minted = [], Minted()
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
            words = [minted.find(place(word, line, receiver)) for word in shlex.split(text)[2:]]
            answer = line.run(*words, store="--scenario" not in words)
            shown = [row.rstrip() for row in minted.name(displace(answer.out + answer.err)).rstrip().splitlines()]
            parts += [text, *shown, *([f"(exit {answer.code})"] if answer.code else [])]
    return "\n".join(parts).lstrip("\n") + "\n"
