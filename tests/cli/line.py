"""Runs the command line as a person or a script would, without a process of its own."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from tests.formats.conftest import Small

from fermata.cli.main import main


@dataclass(frozen=True)
class Answer:
    """What a command printed and ended with."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)


class Line:
    """A small scenario's folder, a store beside it, and the command."""

    def __init__(self, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
        self.small = Small(folder)
        self.store = folder / "store.db"
        self._capsys = capsys

    def run(self, *words: str, store: bool = True) -> Answer:
        arguments = [*words, "--store", str(self.store)] if store else list(words)
        with pytest.raises(SystemExit) as ended:
            main(arguments)
        captured = self._capsys.readouterr()
        return Answer(int(ended.value.code or 0), captured.out, captured.err)
