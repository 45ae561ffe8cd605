"""Scripts of commands with what they print. `$ ` starts a command; `tests/golden/NAME.txt` is run line by line.

After a rightful change: `FERMATA_GOLDEN=write pytest tests/golden`, read the difference, say why in the commit.
"""

import os
import re
import shlex
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from tests.cli.conftest import line
from tests.cli.line import Line

__all__ = ["line"]
FOLDER = Path(__file__).parent
LINES_MAX = 200
MINTED = re.compile(r"\b(hold)_[0-9A-HJKMNP-TV-Z]{26}\b")
SCRIPTS = sorted(path.name for path in FOLDER.glob("*.txt"))


@pytest.mark.slow
@pytest.mark.timeout(300)  # a process for each command that asks
@pytest.mark.parametrize("name", SCRIPTS)
def test_a_script_prints_what_it_printed(line: Line, name: str) -> None:
    script = FOLDER / name
    told = script.read_text()
    assert len(told.splitlines()) <= LINES_MAX
    printed = play(line, told)
    if os.environ.get("FERMATA_GOLDEN") == "write":
        script.write_text(printed)
    assert printed == told


class Minted:
    """Ids that differ from run to run: a script calls the first hold hold_1, and so on."""

    def __init__(self) -> None:
        self._names: dict[str, str] = {}

    def name(self, text: str) -> str:
        """The text with short names for ids, and NOW for times of today."""
        for found in MINTED.finditer(text):
            number = 1 + sum(name.startswith(f"{found[1]}_") for name in self._names)
            self._names.setdefault(found[0], f"{found[1]}_{number}")
        for known, short in self._names.items():
            text = text.replace(known, short)
        now = datetime.now(UTC)
        days = "|".join(f"{day:%Y-%m-%d}" for day in (now - timedelta(days=1), now))
        return re.sub(rf"({days}) [0-9:]+Z", "NOW", text)

    def find(self, word: str) -> str:
        """The id that a script's short name stands for."""
        return next((known for known, short in self._names.items() if short == word), word)


def place(word: str, line: Line) -> str:
    """SMALL is the folder of a small scenario, HERE this one."""
    return word.replace("SMALL", str(line.small.folder)).replace("HERE", str(FOLDER))


def displace(text: str) -> str:
    """What a command says of this folder is said of HERE."""
    return text.replace(str(FOLDER), "HERE")


def play(line: Line, told: str) -> str:
    """The script again: its narration and commands as they stand, below each command what it prints now."""
    parts, minted = [], Minted()
    for text in told.splitlines():
        if text.startswith("# "):
            parts += ["", text]
        elif text.startswith("$ fermata "):
            words = [minted.find(place(word, line)) for word in shlex.split(text)[2:]]
            answer = line.run(*words, store="--scenario" not in words)
            shown = [row.rstrip() for row in minted.name(displace(answer.out + answer.err)).rstrip().splitlines()]
            parts += [text, *shown, *([f"(exit {answer.code})"] if answer.code else [])]
    return "\n".join(parts).lstrip("\n") + "\n"
