"""A command line over a small scenario."""

from pathlib import Path

import pytest
from tests.cli.line import Line


@pytest.fixture
def line(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Line:
    monkeypatch.setenv("COLUMNS", "120")
    return Line(tmp_path, capsys)


@pytest.fixture(scope="session")
def imported_stores() -> list[bytes]:
    """The store that the first import left, for all tests after it: an import of the same files costs half a second."""
    return []


@pytest.fixture
def imported(line: Line, imported_stores: list[bytes]) -> Line:
    """The scenario as it is written, imported into a store that was not there."""
    if imported_stores:
        line.store.write_bytes(imported_stores[0])
    else:
        assert line.run("import", "scenario", str(line.small.folder)).code == 0
        assert not line.store.with_name(f"{line.store.name}-wal").exists(), "the command left its store open"
        imported_stores.append(line.store.read_bytes())
    return line
