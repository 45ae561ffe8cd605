"""Jobs kept off ahead of windows, by reservations of a real Slurm. Each test has nodes of its own."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from tests.adapters.slurm_desk import HOUR, MARKS, ask, close_all, jobs_of, progress, take, workloads_of
from tests.adapters.slurm_site import SlurmSite, wait_for

from fermata.domain.ahead import Ahead, Kept
from fermata.domain.ids import NodeId, RunId, WindowId
from fermata.domain.observations import Accepted, Denied, Succeeded
from fermata.sim.clock import SystemClock

pytestmark = MARKS
WINDOW = WindowId("c0-20260105")


@pytest.fixture(autouse=True)
def _closed() -> Iterator[None]:
    yield
    close_all()


def ahead_of(site: SlurmSite, *nodes: str, hours: float = 1, floats: timedelta | None = None) -> Ahead:
    start = (SystemClock().now() + hours * HOUR).replace(microsecond=0)
    named = frozenset(map(NodeId, nodes))
    return Ahead(window=WINDOW, nodes=named, starts_at=start, ends_at=start + HOUR, floats=floats)


def keep(site: SlurmSite, *wanted: Ahead, run: str = "run_1", **words: Any) -> Kept:
    found: Kept = jobs_of(site, **words).keep_ahead(RunId(run), wanted)
    return found


def reservations(site: SlurmSite) -> str:
    return site.run("scontrol", "show", "reservations", "-o")


def test_reservation_ahead_keeps_long_jobs_off_and_moves_with_the_plan(slurm: SlurmSite) -> None:
    done = Kept(answers={WINDOW: Accepted()})
    ahead = ahead_of(slurm, "gpu021", "gpu022")
    assert keep(slurm, ahead) == done
    made = reservations(slurm)
    assert "ReservationName=fermata_run_1_c0-20260105 " in made
    assert keep(slurm, ahead) == done
    assert reservations(slurm) == made
    long, short = (slurm.sbatch("gpu021", 300, f"--time={minutes}") for minutes in (120, 10))
    wait_for(lambda: slurm.run("squeue", "-h", "-j", short, "-o", "%t").strip() == "R")
    assert slurm.run("squeue", "-h", "-j", long, "-o", "%t").strip() == "PD"
    moved = ahead_of(slurm, "gpu021", "gpu022", hours=6)
    keep(slurm, moved)
    assert f"StartTime={moved.starts_at:%Y-%m-%dT%H:%M:%S}" in reservations(slurm)
    assert keep(slurm) == Kept()
    assert "fermata_" not in reservations(slurm)
    slurm.run("scancel", long, short)


def test_window_that_waits_keeps_off_jobs_longer_than_its_drain_and_no_others(slurm: SlurmSite) -> None:
    keep(slurm, ahead_of(slurm, "gpu023"))
    keep(slurm, ahead_of(slurm, "gpu023", hours=-0.1, floats=HOUR / 2))
    told = reservations(slurm)
    assert told.count("ReservationName=") == 1, "the one with a fixed start is given up"
    assert "ReservationName=fermata_run_1_c0-20260105_float " in told
    assert "TIME_FLOAT" in told
    long, short = (slurm.sbatch("gpu023", 300, f"--time={minutes}") for minutes in (45, 10))
    wait_for(lambda: slurm.run("squeue", "-h", "-j", short, "-o", "%t").strip() == "R")
    assert slurm.run("squeue", "-h", "-j", long, "-o", "%t").strip() == "PD"
    assert keep(slurm, ahead_of(slurm, "gpu023", hours=-0.2, floats=HOUR / 2)).answers == {WINDOW: Accepted()}
    assert keep(slurm) == Kept()
    wait_for(lambda: slurm.run("squeue", "-h", "-j", long, "-o", "%t").strip() == "R")
    slurm.run("scancel", long, short)


def test_reservation_that_has_begun_is_made_anew_for_a_later_start(slurm: SlurmSite) -> None:
    keep(slurm, ahead_of(slurm, "gpu025", hours=0.001))
    wait_for(lambda: "State=ACTIVE" in reservations(slurm))
    later = ahead_of(slurm, "gpu025", hours=3)
    assert keep(slurm, later).answers == {WINDOW: Accepted()}
    assert f"StartTime={later.starts_at:%Y-%m-%dT%H:%M:%S}" in reservations(slurm)
    keep(slurm)


def test_reservations_are_made_only_so_far_ahead_as_the_settings_say(slurm: SlurmSite) -> None:
    ahead = ahead_of(slurm, "gpu025", hours=30)
    assert keep(slurm, ahead, reserve_hours_ahead=24) == Kept()
    assert keep(slurm, ahead, reserve_hours_ahead=0) == Kept()
    assert "fermata_" not in reservations(slurm)
    assert keep(slurm, ahead, reserve_hours_ahead=36).answers == {WINDOW: Accepted()}
    keep(slurm)


def test_one_run_leaves_the_reservations_of_others_and_of_people(slurm: SlurmSite) -> None:
    words = ("nodes=gpu026", "starttime=now+2hours", "duration=60", "user=root", "flags=maint,ignore_jobs")
    slurm.run("scontrol", "create", "reservation", "reservationname=marys", *words)
    keep(slurm, ahead_of(slurm, "gpu026"), run="run_2")
    keep(slurm, ahead_of(slurm, "gpu026"))
    keep(slurm)
    told = reservations(slurm)
    assert "ReservationName=marys " in told
    assert "ReservationName=fermata_run_2_c0-20260105 " in told
    assert told.count("ReservationName=") == 2
    keep(slurm, run="run_2")
    slurm.run("scontrol", "delete", "reservationname=marys")


def test_node_that_goes_back_leaves_the_reservation_of_its_window_and_stays_in_that_of_a_later_one(
    slurm: SlurmSite,
) -> None:
    later = replace(ahead_of(slurm, "gpu027", hours=40), window=WindowId("c0-20260107"))
    keep(slurm, ahead_of(slurm, "gpu027", "gpu028", hours=-0.5, floats=HOUR / 2), later)
    take(slurm, "gpu027")
    back = ask("gpu027", "give_back")
    assert workloads_of(slurm).give_back([back]) == {back.key: Accepted()}
    lines = {line.split("=")[1].split(" ")[0]: line for line in reservations(slurm).splitlines() if line}
    assert " Nodes=gpu028 " in lines["fermata_run_1_c0-20260105_float"]
    assert " Nodes=gpu027 " in lines["fermata_run_1_c0-20260107"]
    wait_for(lambda: isinstance(progress(slurm, back), Succeeded))  # a later window of its own does not hold it back
    keep(slurm)


def test_reservation_that_slurm_refuses_is_answered_with_its_words(slurm: SlurmSite) -> None:
    found = keep(slurm, ahead_of(slurm, "gpu029", "nobody"))
    denied = found.answers[WINDOW]
    assert isinstance(denied, Denied)
    assert "node" in denied.why.lower()
    assert keep(slurm, ahead_of(slurm, "gpu029"), reservation_user="no-such-user").left == {}
    keep(slurm)
