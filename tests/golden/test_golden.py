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
MINTED = re.compile(r"\b[a-z]+_[0-9A-HJKMNP-TV-Z]{26}\b")
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


def number_ids(text: str, minted: dict[str, str]) -> str:
    """Ids that were minted get numbers, by which later commands may name them: apr_1 for the first. The time of the
    command itself is NOW.
    """
    for found in MINTED.findall(text):
        if found not in minted.values():
            prefix = found.partition("_")[0]
            minted[f"{prefix}_{1 + sum(name.startswith(prefix) for name in minted)}"] = found
    for name, found in minted.items():
        text = text.replace(found, name)
    now = datetime.now(UTC)
    days = "|".join(f"{day:%Y-%m-%d}" for day in (now - timedelta(days=1), now))
    return re.sub(rf"({days}) \d\d:\d\dZ", "NOW", text)


def place(word: str, line: Line) -> str:
    """SMALL is the folder of a small scenario, HERE this one."""
    return word.replace("SMALL", str(line.small.folder)).replace("HERE", str(FOLDER))


def play(line: Line, told: str) -> str:
    """The script again: its narration and commands as they stand, below each command what it prints now."""
    parts = []
    minted: dict[str, str] = {}
    for text in told.splitlines():
        if text.startswith("# "):
            parts += ["", text]
        elif text.startswith("$ fermata "):
            words = [minted.get(word, place(word, line)) for word in shlex.split(text)[2:]]
            answer = line.run(*words, store="--scenario" not in words)
            printed = number_ids(answer.out + answer.err, minted)
            shown = [row.rstrip() for row in printed.rstrip().splitlines()]
            parts += [text, *shown, *([f"(exit {answer.code})"] if answer.code else [])]
    return "\n".join(parts).lstrip("\n") + "\n"
