"""Kill it anywhere and start it again: nothing is lost, nothing is done twice. The world itself forbids doing twice."""

import os
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import pytest
from tests.simulation import small, stagehand
from tests.simulation.crashing import Killed, Saboteur

from fermata.domain.run_states import RunState
from fermata.sim.fates import NO_FAULTS, Faults
from fermata.store import journal

TINY = small.fleet(nodes=4)
ONCE = {"step.ended", "unit.proven", "node.returned", "window.opened", "window.closed", "unit.failed"}
ROUGH = Faults(fails=0.1, hangs=0.0, false_done=0.05, busy=0.05, lost=0.1, fallout=0.3, mean_days_to_repair=0.2)


def conduct_through(rig: stagehand.Rig, saboteur: Saboteur) -> int:
    """Starts again after every kill until the run is over: how often it was killed."""
    kills = 0
    while True:
        rig.site = saboteur.around(rig.site)
        try:
            run = rig.conduct(crash=saboteur)
        except Killed:
            kills += 1
            rig.restart()
        else:
            assert run.state is RunState.FINISHED
            return kills


def journal_of(rig: stagehand.Rig) -> Counter[tuple[str, str, str, int]]:
    with rig.database.read() as conn:
        lines = journal.read(conn, limit=10_000)
    return Counter(
        (line.event, line.subject, str(line.data.get("step")), line.data.get("attempt", 0))
        for line in lines
        if line.event in ("step.ended", "unit.proven", "node.returned", "window.opened", "window.closed", "unit.failed")
    )


@pytest.mark.timeout(300)
@pytest.mark.parametrize("faults", [NO_FAULTS, ROUGH], ids=["calm", "rough"])
def test_killed_at_every_single_point_once_nothing_is_lost_or_done_twice(tmp_path: Path, faults: Faults) -> None:
    url = stagehand.fresh_sqlite(tmp_path)
    rig = stagehand.set_up(url, tmp_path, fleet=TINY, faults=faults, seed=5)
    spared: set[tuple[object, str]] = set()

    def kills(_number: int, point: str) -> bool:
        """Every point at every instant, once: the second time it is passed the process lives on."""
        place = (rig.clock.now(), point)
        if place in spared:
            return False
        spared.add(place)
        return True

    killed = conduct_through(rig, Saboteur(kills))
    assert killed > 100
    stagehand.assert_nothing_lost(rig)
    assert max(journal_of(rig).values()) == 1


@pytest.mark.timeout(120)
@pytest.mark.parametrize("every", [29, 61, 97])
def test_killed_now_and_then_it_ends_as_if_it_never_was(store_url: str, tmp_path: Path, every: int) -> None:
    rig = stagehand.set_up(store_url, tmp_path, fleet=TINY, faults=ROUGH, seed=every)
    conduct_through(rig, Saboteur(lambda number, _point: number % every == 0))
    stagehand.assert_nothing_lost(rig)
    assert max(journal_of(rig).values()) == 1


def test_torn_last_line_of_the_world_log_never_happened(tmp_path: Path) -> None:
    url = stagehand.fresh_sqlite(tmp_path)
    rig = stagehand.set_up(url, tmp_path, fleet=TINY)
    rig.conduct(until=small.START + stagehand.hours(1))
    log = small.world_path(tmp_path)
    whole = log.read_bytes()
    log.write_bytes(whole + b'{"at": 17, "op": "apply", "items": [["win')
    rig.restart()
    assert log.read_bytes() == whole
    assert rig.conduct().state is RunState.FINISHED
    stagehand.assert_nothing_lost(rig)


SCRIPT = """
import sys
from pathlib import Path
from tests.simulation import small, stagehand
from fermata.sim.fates import Faults
folder = Path(sys.argv[1])
rig = stagehand.reopen(f"sqlite:///{folder / 'store.sqlite'}", folder, faults=Faults(), seed=3)
print("on stage", flush=True)
rig.conduct()
print("over", flush=True)
"""


@pytest.mark.timeout(180)
def test_real_process_killed_with_signal_9_goes_on_where_it_was(tmp_path: Path) -> None:
    url = stagehand.fresh_sqlite(tmp_path)
    rig = stagehand.set_up(url, tmp_path, fleet=small.fleet(nodes=48), faults=Faults(), seed=3)
    kills = 0
    root = Path(__file__).parents[2]
    environment = {**os.environ, "PYTHONPATH": f"{root / 'src'}:{root}"}
    for _ in range(40):
        process = subprocess.Popen(
            [sys.executable, "-c", SCRIPT, str(tmp_path)], stdout=subprocess.PIPE, env=environment, text=True
        )
        assert process.stdout is not None
        assert process.stdout.readline() == "on stage\n"
        time.sleep(0.05 + 0.1 * kills)
        process.send_signal(signal.SIGKILL)
        rest = process.stdout.read()
        process.wait()
        process.stdout.close()
        if "over" in rest:
            break
        kills += 1
    assert kills >= 2
    rig.restart()
    assert rig.conduct().state is RunState.FINISHED
    stagehand.assert_nothing_lost(rig)
    assert max(journal_of(rig).values()) == 1
