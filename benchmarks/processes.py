"""`fermata serve` and `fermata worker` as processes of their own, as somebody would start them, for benchmarks that
look at them from outside: when they answer, and what they and their children hold of memory.
"""

import os
import shutil
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import harness
from conduct import fill, make_plan
from fermata.formats.plans import read_plan, write_plan
from fermata.formats.scenario import read_scenario
from fermata.services import runs as run_service
from fermata.services.inventory import ImportSet, import_set
from fermata.store.opening import open_database
from fleets import write_scenario
from stores import KEPT_VARIABLE

START_SECONDS = 600.0  # of a server over a million nodes on a busy machine
NAP_SECONDS = 0.02
BARE = "PYTHONDONTWRITEBYTECODE"  # with it each start compiles every module anew, as no installed program does


@contextmanager
def running(*arguments: str) -> Iterator["subprocess.Popen[str]"]:
    """A `fermata` command until the block ends."""
    command = [sys.executable, "-m", "fermata", *arguments]
    known = {name: value for name, value in os.environ.items() if name != BARE}
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, env=known) as process:
        try:
            yield process
        finally:
            process.kill()


@contextmanager
def serving(store: str) -> Iterator[tuple["subprocess.Popen[str]", str]]:
    """A server over the store, which may not answer yet, and its URL."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    with running("serve", "--store", store, "--port", str(port), "--json") as process:
        yield process, f"http://127.0.0.1:{port}"


def wait_for(process: "subprocess.Popen[str]", url: str) -> bytes:
    """The body of the first answer with 200. Raises SystemExit when the server ends or never answers."""
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline:
        try:
            return fetch(url)
        except (urllib.error.URLError, ConnectionError):
            if process.poll() is not None:
                raise SystemExit(f"the server ended with exit code {process.returncode}") from None
            time.sleep(NAP_SECONDS)
    raise SystemExit(f"the server did not answer within {START_SECONDS:g} s")


def fetch(url: str, body: bytes | None = None) -> bytes:
    """What is answered with 200; a body makes it a POST of JSON. Raises URLError otherwise."""
    asked = urllib.request.Request(url, data=body, headers={"Content-Type": "application/json"})
    with urllib.request.urlopen(asked, timeout=START_SECONDS) as answer:
        content: bytes = answer.read()
    return content


def peak_mib_of(process: int) -> float:
    """Most memory that the process has had resident; nothing once it is gone."""
    return _status(process).get("VmHWM", 0.0)


def children_of(process: int) -> list[int]:
    """Processes that it began and that live."""
    tasks = Path(f"/proc/{process}/task").glob("*/children")
    return [int(number) for file in tasks for number in file.read_text().split()]


def peak_mib_with_children(process: int) -> tuple[float, float]:
    """Of the process, and of all that it began, added up: more than was ever held at once if their peaks differ."""
    below: Sequence[int] = children_of(process)
    found = 0.0
    while below:
        found += sum(peak_mib_of(number) for number in below)
        below = [number for parent in below for number in children_of(parent)]
    return peak_mib_of(process), found


def cpu_seconds_of(process: int) -> float:
    """User and system time of the process, without its children."""
    fields = Path(f"/proc/{process}/stat").read_text().rpartition(") ")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def _status(process: int) -> dict[str, float]:
    try:
        lines = Path(f"/proc/{process}/status").read_text().splitlines()
    except FileNotFoundError:
        return {}
    pairs = (line.split(":", 1) for line in lines if line.endswith("kB"))
    return {name: int(value.split()[0]) / 1024 for name, value in pairs}


def imported(folder: Path, nodes: int) -> tuple[Path, Path]:
    """A made fleet of so many nodes: its scenario, and an SQLite store that it was imported into. Made in `folder`, or
    in a run of several tables once for all of them.
    """
    place = Path(os.environ.get(KEPT_VARIABLE, folder), f"imported-{nodes}")
    scenario, store, done = place / "scenario", place / "fleet.db", place / "done"
    if not done.exists():
        shutil.rmtree(place, ignore_errors=True)  # of a table that was ended
        write_scenario(scenario, nodes)
        harness.in_own_process(import_store, str(scenario), f"sqlite:///{store}")
        done.touch()
    return scenario, store


def import_store(scenario: str, store: str) -> None:
    """The scenario in a store of that URL, as of the campaign's own time; no plan."""
    read = read_scenario(Path(scenario))
    now = read.campaign.planned_as_of
    assert now is not None
    database = open_database(store)
    given = ImportSet(fleet=read.fleet, catalogue=read.catalogue, policy=read.policy, campaign=read.campaign)
    import_set(database, given, now=now, actor="bench")
    database.close()


def make_plan_file(scenario: str, file: str) -> None:
    """A plan of it."""
    write_plan(make_plan(read_scenario(Path(scenario))), Path(file))


def begin_store(scenario: str, plan: str, store: str) -> None:
    """The scenario in a store of that URL, approved, its plan in force and its run begun."""
    read, made = read_scenario(Path(scenario)), read_plan(Path(plan))
    database = open_database(store)
    fill(database, read, made)
    now = made.created_at
    run_service.start(database, made.campaign, now=now, actor="bench", new_id=lambda kind: f"{kind}_bench")
    database.close()
