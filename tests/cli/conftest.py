"""A command line over a small scenario."""

from pathlib import Path

import pytest
from tests.cli.line import Line


@pytest.fixture
def line(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Line:
    monkeypatch.setenv("COLUMNS", "120")
    return Line(tmp_path, capsys)


@pytest.fixture
def imported(line: Line) -> Line:
    assert line.run("import", "scenario", str(line.small.folder)).code == 0
    return line
