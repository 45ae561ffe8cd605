"""Scripts of commands with what they print. `$ ` starts a command; `tests/golden/NAME.txt` is run line by line.

After a rightful change: `FERMATA_GOLDEN=write pytest tests/golden`, read the difference, say why in the commit.
"""

import os
import shlex
from pathlib import Path

import pytest
from tests.cli.conftest import line
from tests.cli.line import Line

__all__ = ["line"]
FOLDER = Path(__file__).parent
LINES_MAX = 200
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


def place(word: str, line: Line) -> str:
    """SMALL is the folder of a small scenario, HERE this one."""
    return word.replace("SMALL", str(line.small.folder)).replace("HERE", str(FOLDER))


def play(line: Line, told: str) -> str:
    """The script again: its narration and commands as they stand, below each command what it prints now."""
    parts = []
    for text in told.splitlines():
        if text.startswith("# "):
            parts += ["", text]
        elif text.startswith("$ fermata "):
            words = [place(word, line) for word in shlex.split(text)[2:]]
            answer = line.run(*words, store="--scenario" not in words)
            shown = [row.rstrip() for row in (answer.out + answer.err).rstrip().splitlines()]
            parts += [text, *shown, *([f"(exit {answer.code})"] if answer.code else [])]
    return "\n".join(parts).lstrip("\n") + "\n"
