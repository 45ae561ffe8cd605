"""Real processes of two releases on one store. The older is the code as it is; the newer a copy of it with one more
migration: whoever runs the older when the store is upgraded ends by itself, and the campaign ends right.
"""

import contextlib
import json
import os
import shutil
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.conformance import engines
from tests.conformance.test_killed_workers import SOURCE, Crew, assert_ended_right, crew, is_over, set_up, taken
from tests.conftest import free_port
from tests.simulation.conftest import closed_stores

from fermata.domain.reasons import Code
from fermata.store import leases
from fermata.store.database import Database, migrate

__all__ = ["closed_stores"]

pytestmark = [pytest.mark.timeout(240), pytest.mark.xdist_group("temporal")]

NEXT = "9999"
ENDS_WITHIN_SECONDS = 150
STOPS_WITHIN_SECONDS = 60  # it takes one; starting and refusing as much as the machine is busy
MIGRATION = """
import sqlalchemy as sa
from alembic import op

revision = "{revision}"
down_revision = "{before}"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("run", sa.Column("mood", sa.String(), nullable=False, server_default="calm"))
"""


@pytest.fixture(scope="module")
def next_release(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of its packages."""
    source = tmp_path_factory.mktemp("next") / "next"
    shutil.copytree(SOURCE, source, ignore=shutil.ignore_patterns("__pycache__", "january"))
    package = source / "fermata"
    before = migrate(f"sqlite:///{source / 'head.sqlite'}")
    migration = package / "store" / "migrations" / "versions" / f"{NEXT}_next.py"
    migration.write_text(MIGRATION.format(revision=NEXT, before=before), encoding="utf-8")
    about = package / "__init__.py"
    about.write_text(about.read_text(encoding="utf-8") + '__version__ = "99.0"\n', encoding="utf-8")
    return source


def wait_for(is_true: Callable[[], bool], seconds: float, say: Callable[[], str]) -> None:
    deadline = time.monotonic() + seconds
    while not is_true():
        assert time.monotonic() < deadline, say()
        time.sleep(0.1)


def held_windows(url: str, run: str) -> int:
    database = Database(url)
    with database.read() as conn:
        found = len(leases.load_leases(conn, run))
    database.close()
    return found


def last_said(text: str) -> dict[str, Any]:
    """The object that a process printed last."""
    found: dict[str, Any] = json.loads(text[f"\n{text}".rindex("\n{") :])
    return found


def open_once(url: str, source: Path) -> None:
    """As any command of that release does."""
    command = [sys.executable, "-c", "import sys; from fermata.store.opening import *; open_database(sys.argv[1])"]
    subprocess.run([*command, url], env={**os.environ, "PYTHONPATH": str(source)}, check=True, timeout=60)


@contextlib.contextmanager
def engine_of(kind: str, folder: Path) -> Iterator[tuple[str, ...]]:
    """The options of a worker."""
    if kind == "embedded":
        yield ()
        return
    with engines.temporal_server(folder, free_port()) as address:
        yield ("--engine", "temporal", "--temporal", address)


@pytest.mark.parametrize("engine", ["embedded", "temporal"])
@pytest.mark.parametrize("store_url", ["postgresql"], indirect=True)
def test_workers_end_when_the_store_is_upgraded_and_those_of_the_next_release_go_on(
    store_url: str, tmp_path: Path, next_release: Path, engine: str
) -> None:
    rig = set_up(store_url, tmp_path)
    with (
        engine_of(engine, tmp_path) as extra,
        crew(store_url, tmp_path, *extra, workers=2) as old,
        crew(store_url, tmp_path, *extra, workers=0, source=next_release) as new,
    ):
        wait_for(lambda: taken(rig.database, rig.run) >= 2, ENDS_WITHIN_SECONDS, old.logs)
        time.sleep(3)  # steps of both windows are under way
        assert held_windows(store_url, rig.run) >= 2
        open_once(store_url, next_release)
        assert_old_ones_end(old)
        assert not is_over(rig.database, rig.run), "nothing was left for the next release to do"
        old.hire()  # whoever starts it again, as a supervisor does
        assert_old_ones_end(old)
        for _ in range(2):
            new.hire()
        wait_for(lambda: is_over(rig.database, rig.run), ENDS_WITHIN_SECONDS, new.logs)
        new.dismiss()
    assert_ended_right(rig)


def assert_old_ones_end(old: Crew) -> None:
    """With the exit code of a refusal and a sentence, each of them."""
    for process in old.processes:
        assert process.wait(timeout=STOPS_WITHIN_SECONDS) == 1, old.logs()
    said = sorted(old.folder.glob(f"worker-{old.source.name}-*.log"))
    codes = [last_said(path.read_text())["error"]["code"] for path in said]
    assert codes == [Code.STORE_OF_OTHER_RELEASE] * len(said), old.logs()
    assert "Traceback" not in old.logs()


@pytest.mark.parametrize("store_url", ["postgresql"], indirect=True)
def test_server_ends_when_the_store_is_upgraded(store_url: str, tmp_path: Path, next_release: Path) -> None:
    """And says so to whoever started it; one of the next release serves on."""
    set_up(store_url, tmp_path)
    with serving(store_url, tmp_path, SOURCE) as (old, url):
        with urllib.request.urlopen(f"{url}/api/v1/imports", timeout=10) as answer:
            assert answer.status == 200
        with serving(store_url, tmp_path, next_release) as (_, other):
            assert old.wait(timeout=STOPS_WITHIN_SECONDS) == 1
            with urllib.request.urlopen(f"{other}/api/v1/imports", timeout=10) as answer:
                assert answer.status == 200
    said = last_said((tmp_path / f"serve-{SOURCE.name}.log").read_text())
    assert said["error"]["code"] == Code.STORE_OF_OTHER_RELEASE


@contextlib.contextmanager
def serving(url: str, folder: Path, source: Path) -> Iterator[tuple[subprocess.Popen[bytes], str]]:
    """The process, and where it listens."""
    path = folder / f"serve-{source.name}.log"
    command = [sys.executable, "-m", "fermata", "serve", "--store", url, "--port", "0", "--json"]
    with path.open("wb") as log:
        process = subprocess.Popen(
            command, env={**os.environ, "PYTHONPATH": str(source)}, stdout=log, stderr=log, cwd=folder
        )
    try:
        wait_for(lambda: "}" in path.read_text(), ENDS_WITHIN_SECONDS, path.read_text)
        yield process, last_said(path.read_text())["url"]
    finally:
        process.kill()
        process.wait()
