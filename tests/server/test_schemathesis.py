"""Every documented operation, asked with what its description allows and with what it forbids: no surprise.

Schemathesis makes the requests from the OpenAPI document itself. A failure prints how to repeat it. Where people sign
in `make fuzz-api` asks for half an hour as callers of every kind; a little of that is here.
"""

import subprocess
import sys
from pathlib import Path

import pytest
from tests.formats.conftest import Small
from tests.fuzz.api_callers import list_callers
from tests.fuzz.api_run import ask_all, build_world
from tests.server.conftest import HandClock

from fermata.services import inventory
from fermata.services.import_files import ImportKind, place_of, read_import
from fermata.store.database import Database

CONFIG = Path(__file__).with_name("schemathesis.toml")
EXAMPLES = 6  # of each operation, beside the edge cases that are tried anyway
SECONDS_MAX = 240
SHOWN = 6_000  # characters of a failing run


@pytest.fixture
def imported(db: Database, clock: HandClock, tmp_path: Path) -> None:
    read = read_import(ImportKind.SCENARIO, place_of(ImportKind.SCENARIO, Small(tmp_path).folder))
    inventory.import_set(db, read, now=clock.at, actor="operator", why="")


@pytest.mark.slow
@pytest.mark.timeout(SECONDS_MAX + 60)
def test_the_api_keeps_what_its_description_says(url: str, imported: None, tmp_path: Path) -> None:
    words = ["--phases", "coverage,fuzzing", "--max-examples", str(EXAMPLES), "--seed", "1", "--continue-on-failure"]
    command = [sys.executable, "-m", "schemathesis.cli", "--config-file", str(CONFIG), "--no-color", "run"]
    ran = subprocess.run(
        [*command, f"{url}/api/v1/openapi.json", *words, "--warnings", "off"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=SECONDS_MAX,
        check=False,
    )
    lines = "\n".join(line[:400] for line in ran.stdout.splitlines())
    assert ran.returncode == 0, lines[-SHOWN:] + ran.stderr[-SHOWN:]
    assert "operations" in ran.stdout.lower() or "Tested" in ran.stdout


@pytest.fixture(scope="module")
def two_customers(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build_world(tmp_path_factory.mktemp("api"))


@pytest.mark.slow
@pytest.mark.timeout(2 * SECONDS_MAX + 60)
@pytest.mark.parametrize("key", ["nobody", "approver-of-a-customer"])
def test_where_people_sign_in_nobody_is_answered_beyond_what_is_theirs(
    two_customers: Path, key: str, tmp_path: Path
) -> None:
    words = ["--phases", "fuzzing", "--max-examples", "1", "--seed", "1"]
    ran = ask_all(list_callers()[key], two_customers, tmp_path, words, seconds=SECONDS_MAX)
    assert not ran.faults, "\n".join(ran.faults)
    assert ran.requests > 100
    assert (len(ran.done) > 20) == (key != "nobody")
