"""`start`, `serve` and `worker` on a real site: who conducts, and who refuses to begin."""

import json
import signal
import threading
import time
from pathlib import Path
from typing import Any

import pytest
from tests.simulation import stagehand
from tests.simulation.conftest import closed_stores
from tests.wiring.registered import register

from fermata.cli import conducting, main
from fermata.cli.simulating import chosen_settings
from fermata.services.site_served import SUBJECT
from fermata.store import journal
from fermata.wiring.clocks import SystemClock
from fermata.wiring.errors import SiteUnusable
from fermata.wiring.site import open_site

__all__ = ["closed_stores"]

MODULE = '''"""A whole site in one adapter, for tests."""
from pydantic import BaseModel
from tests.simulation import small
from fermata.ports import AdapterPorts
from fermata.sim.fates import NO_FAULTS
from fermata.sim.site import open_site
from fermata.sim.world import open_world

KIND = "whole"
PORTS = frozenset({"inventory", "workloads", "firmware", "power", "verifier", "notifier"})
CLOSED = []


class Settings(BaseModel, frozen=True, extra="forbid"):
    lacks: tuple[str, ...] = ()


def build(settings, clock):
    site = open_site(open_world(small.fleet(), small.catalogue(), faults=NO_FAULTS, seed=1, path=None), clock)
    served = {name: getattr(site, name) for name in PORTS if name not in settings.lacks}
    return AdapterPorts(close=lambda: CLOSED.append(1), probe=lambda: {"product": "w", "version": "1"}, **served)
'''


@pytest.fixture
def rig(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> stagehand.Rig:
    """A store with a run that is live; its windows lie in the past of the wall clock."""
    (tmp_path / "whole_site.py").write_text(MODULE, encoding="utf-8")
    register(tmp_path, {"whole": "whole_site"}, name="whole-site")
    monkeypatch.syspath_prepend(str(tmp_path))
    return stagehand.set_up(stagehand.fresh_sqlite(tmp_path), tmp_path)


def write_site(folder: Path, serves: str = "", settings: str = "{}") -> Path:
    path = folder / "site.yaml"
    extra = f", serves: {serves}" if serves else ""
    path.write_text(f"adapters: [{{id: all, kind: whole, settings: {settings}{extra}}}]\n", encoding="utf-8")
    return path


def run_command(capsys: pytest.CaptureFixture[str], *words: str) -> tuple[int, Any]:
    with pytest.raises(SystemExit) as ended:
        main.main([*words, "--json"])
    said = capsys.readouterr().out
    return int(ended.value.code or 0), json.loads(said) if said else None


NO_POWER = "[{ports: [inventory, workloads, firmware, verifier]}]"


@pytest.mark.parametrize("words", [("serve", "--port", "0"), ("worker",), ("start",)])
def test_nobody_begins_while_part_of_the_plan_in_force_is_served_by_nobody(
    words: tuple[str, ...], rig: stagehand.Rig, capsys: pytest.CaptureFixture[str]
) -> None:
    site = write_site(rig.folder, NO_POWER)
    store = str(rig.folder / "store.sqlite")
    with pytest.raises(SystemExit) as ended:
        main.main([*words, "--site", str(site), "--store", store])
    assert ended.value.code == 1
    said = " ".join(capsys.readouterr().err.split())
    assert "SITE_UNUSABLE" in said
    assert "c0: no adapter serves power for node c0-n" in said


def test_doctor_says_what_the_plan_in_force_needs_and_nobody_serves(
    rig: stagehand.Rig, capsys: pytest.CaptureFixture[str]
) -> None:
    store = ("--store", str(rig.folder / "store.sqlite"))
    code, said = run_command(capsys, "adapters", "doctor", "--site", str(write_site(rig.folder, NO_POWER)), *store)
    assert code == 1
    assert [one for one in said["wrong"] if "serves power for node" in one] == said["wrong"]
    code, said = run_command(capsys, "adapters", "doctor", "--site", str(write_site(rig.folder)), *store)
    assert (code, said["well"]) == (0, True)


def test_an_adapter_that_lacks_with_its_settings_what_its_routes_say_is_told(rig: stagehand.Rig) -> None:
    site = write_site(rig.folder, settings="{lacks: [power]}")
    with (
        open_site(site, SystemClock()) as opened,
        pytest.raises(SiteUnusable, match="all: with its settings it serves no power"),
    ):
        opened.require(rig.database)


def test_a_conductor_beside_the_board_takes_live_runs_and_lets_go_at_the_end(rig: stagehand.Rig) -> None:
    """Its windows lie in the past: what it does with them is on record, and is what conducting them by hand does."""
    settings = chosen_settings(store=str(rig.folder / "store.sqlite"))
    before = lines(rig)
    with conducting.conducting(rig.database, settings, write_site(rig.folder), threading.Event()) as over:
        deadline = time.monotonic() + 60
        while lines(rig) == before and not over.is_set() and time.monotonic() < deadline:
            time.sleep(0.02)
        assert not over.is_set()
    assert lines(rig) != before
    with rig.database.read() as conn:
        (served,) = journal.read(conn, subject=SUBJECT)
    assert served.data["routes"][0]["adapter"] == "all"
    assert all(t.name != "fermata-conductor" for t in threading.enumerate())


def test_a_conductor_that_fails_ends_whoever_waits_for_it(rig: stagehand.Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object, **__: object) -> None:
        raise ValueError("planted")

    monkeypatch.setattr(conducting, "work_along", fail)
    settings, over = chosen_settings(store=str(rig.folder / "store.sqlite")), threading.Event()
    with (
        pytest.raises(ValueError, match="planted"),
        conducting.conducting(rig.database, settings, write_site(rig.folder), over),
    ):
        assert over.wait(60)


def test_start_with_a_site_goes_on_with_a_live_run_until_it_is_told_to_end(
    rig: stagehand.Rig, capsys: pytest.CaptureFixture[str]
) -> None:
    before, handler = lines(rig), signal.getsignal(signal.SIGTERM)

    def end() -> None:
        deadline = time.monotonic() + 50
        while lines(rig) == before and time.monotonic() < deadline:
            time.sleep(0.02)
        signal.raise_signal(signal.SIGTERM)

    threading.Thread(target=end, daemon=True).start()
    code, said = run_command(
        capsys, "start", "--site", str(write_site(rig.folder)), "--store", str(rig.folder / "store.sqlite")
    )
    assert (code, said["run"]["id"]) == (0, rig.run)
    assert signal.getsignal(signal.SIGTERM) is handler
    assert lines(rig) != before


def lines(rig: stagehand.Rig) -> int:
    with rig.database.read() as conn:
        return len(journal.read(conn, limit=10_000))


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("worker",), "name the fleet: --site FILE for a real one, or --simulate FILE"),
        (("worker", "--site", "s.yaml", "--simulate", "f"), "name the fleet"),
        (("serve", "--site", "s.yaml", "--simulate", "f"), "a fleet is real or simulated"),
        (("start", "--site", "s.yaml", "--server", "http://127.0.0.1:1"), "leave --site or --server out"),
    ],
)
def test_a_fleet_is_named_once(words: tuple[str, ...], said: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main.main([*words])
    assert ended.value.code == 2
    assert said in " ".join(capsys.readouterr().err.replace("│", " ").split())
