"""Has Schemathesis ask everything of a server as one caller: `make fuzz-api`, and a short part of it with the tests."""

import json
import os
import re
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.conftest import copy_sqlite
from tests.fuzz.api_callers import Caller, judge_journal, serving
from tests.tenants import world

from fermata.store.database import Database, migrate

ROOT = Path(__file__).parents[2]
CONFIG = ROOT / "tests" / "server" / "schemathesis.toml"
LATE_SECONDS = 240  # of a run that was told when to end: the request under way, and what is told of it
LINES_MAX, LINE_MAX = 200, 400


@dataclass(frozen=True, kw_only=True)
class Ran:
    """`statuses`: how many answers had each; `done`: operations of which something came; `faults`: what was found, in
    lines for people, none when all is well.
    """

    statuses: Mapping[str, int]
    done: Sequence[str]
    faults: Sequence[str]

    @property
    def requests(self) -> int:
        """In all."""
        return sum(self.statuses.values())


def build_world(folder: Path) -> Path:
    """A store of two customers with something of each in every place; every run has a copy of its own."""
    store = folder / "world.sqlite"
    url = f"sqlite:///{store}"
    migrate(url)
    db = Database(url)
    world.build(db, folder / "scenario")
    db.close()
    return store


def ask_all(caller: Caller, world_store: Path, folder: Path, words: Sequence[str], *, seconds: float) -> Ran:
    """`words`: of Schemathesis' command line. `seconds`: of it, as far as it keeps to that."""
    folder.mkdir(parents=True, exist_ok=True)
    store = folder / f"{caller.key}.sqlite"
    copy_sqlite(world_store, store)
    with serving(caller, store) as (asked, described):
        told, counted, document = folder / "asked.json", folder / "counted.json", folder / "openapi.json"
        told.write_text(asked.to_json())
        document.write_text(json.dumps(_as_signed_in(described) if caller.name else described))
        command = [sys.executable, "-m", "schemathesis.cli", "--config-file", str(CONFIG), "--no-color", "run"]
        command += [str(document), "--url", asked.url, "--continue-on-failure", "--warnings", "off", *words]
        command += [word for name, value in asked.headers.items() for word in ("--header", f"{name}: {value}")]
        command += ["--output-sanitize", "true", *_checks_of(caller)]
        env = os.environ | {
            "SCHEMATHESIS_HOOKS": "tests.fuzz.api_checks",
            "PYTHONPATH": os.pathsep.join([str(ROOT), str(ROOT / "src"), os.environ.get("PYTHONPATH", "")]),
            "FERMATA_ASKED": str(told),
            "FERMATA_COUNTED": str(counted),
        }
        ran = subprocess.run(
            command, cwd=folder, env=env, capture_output=True, text=True, timeout=seconds + LATE_SECONDS, check=False
        )
    counts: dict[str, Any] = json.loads(counted.read_text()) if counted.exists() else {"statuses": {}, "done": []}
    faults = [] if ran.returncode == 0 else _shorten(ran.stdout + ran.stderr)
    if not counts["statuses"]:
        faults.append("Nothing was asked: the time was over before the first request, or no operation was chosen.")
    faults += judge_journal(store, caller)
    return Ran(statuses=counts["statuses"], done=counts["done"], faults=faults)


def _as_signed_in(described: Mapping[str, Any]) -> Any:
    """The description for who signed in: who speaks is who asks, and need not be said."""
    changed = json.loads(json.dumps(described))
    operations = [each for path in changed["paths"].values() for each in path.values()]
    for parameter in (each for operation in operations for each in operation.get("parameters", ())):
        if parameter["name"] == "actor":
            parameter["required"] = False
            parameter["schema"].pop("minLength", None)
    for schema in changed["components"]["schemas"].values():
        if "actor" in schema.get("properties", {}):
            schema["required"] = [name for name in schema.get("required", ()) if name != "actor"]
            schema["properties"]["actor"].pop("minLength", None)
    return changed


def _checks_of(caller: Caller) -> Sequence[str]:
    """Nobody gets one answer, whatever is asked: what the description says of others does not hold."""
    if caller.name:
        return ()
    return (
        "--checks",
        "not_a_server_error,nobody_unknown_is_answered,response_schema_conformance,status_code_conformance",
    )


def _shorten(text: str) -> list[str]:
    """From the first failure on."""
    lines = [line[:LINE_MAX] for line in text.splitlines()]
    begins = next((at for at, line in enumerate(lines) if re.match(r"=+ (FAILURES|ERRORS)", line)), 0)
    return lines[begins : begins + LINES_MAX] or ["it failed and said nothing"]
