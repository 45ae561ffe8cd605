"""The embedded driver: a whole run in one process, or parts of any run in each of several. Whatever calls it - a
thread, a process, a test - it works until nothing is due, then waits.
"""

import contextlib
import time
from collections.abc import Callable, Iterator
from datetime import datetime
from threading import Event, Thread

from fermata.domain.ids import PlanId, RunId
from fermata.domain.operations import Run
from fermata.domain.run_states import LIVE_RUNS, Desired
from fermata.execution.conduct import LOOK_EVERY, Beat, load, next_instant, work
from fermata.execution.ownership import Ownership, is_gone
from fermata.execution.parts import Parts
from fermata.execution.patrol import PATROL, make_round, next_round
from fermata.execution.stage import Stage, set_stage
from fermata.formats.brake import BrakeFile
from fermata.ports import Clock, Site
from fermata.store import leases, runs
from fermata.store.database import Database, OtherRelease, StoreUnavailable
from fermata.store.leases import LEAD, Lease
from fermata.store.news import read_news
from fermata.store.runs import Stale

LOOK_SECONDS = 0.5  # of real time, at the latest, until a free part is found: 1 ms of reading


def conduct(  # noqa: PLR0913 - what it works with, and the two handles that tests hold it by
    database: Database,
    site: Site,
    clock: Clock,
    run_id: RunId,
    *,
    stop: Callable[[], bool],
    crash: Callable[[str], None] | None = None,
    ownership: Ownership | None = None,
    brake: BrakeFile | None = None,
    has_trains: bool = False,
) -> Run:
    """Conducts a run, lead and cohorts, until it is over or `stop` turns true; call it again to go on. Returns the run
    as it is then. Raises HeldElsewhere when another worker has some of it, Outdated when one took it over meanwhile.

    `crash`: called at every point where a kill could hurt; for tests. `brake`: this machine's, if it is not where the
    store's is by itself. `has_trains`: impactless work that is near no window rides on trains.
    """
    stage = set_stage(database, site, clock, run_id, ownership=ownership)
    stage.brake = brake or stage.brake
    stage.has_trains = has_trains
    if crash is not None:
        stage.crash = crash
    with stage.database.begin() as conn:
        stage.ownership.take_all(conn)
    stage.reload()
    beat = Beat()
    while not stop():
        run = work(stage, beat, clock.now())
        if run.state not in LIVE_RUNS:
            return run
        _wait(stage, beat, stop, _changed(stage, run, stop))
    with stage.database.begin() as conn:
        stage.ownership.release(conn)
    return load(stage)


def _wait(stage: Stage, beat: Beat, stop: Callable[[], bool], changed: Callable[[], bool]) -> None:
    """Until something is due, or is wanted. While nodes are out the patrol goes on meanwhile: most of its rounds find
    everything as it should be, and nothing else is worked on for that.
    """
    until = next_instant(stage, stage.clock.now())
    while (round_at := next_round(stage, beat.done_at.get(PATROL))) is not None and round_at < until:
        now = stage.clock.wait_until(round_at, changed)
        if now < round_at or now >= until or stop() or not _all_well(stage, now):
            return
        beat.done_at[PATROL] = now
    stage.clock.wait_until(until, changed)


def _all_well(stage: Stage, now: datetime) -> bool:
    """A round of the patrol that leaves nothing to do."""
    try:
        return not make_round(stage, now)
    except Stale:
        stage.reload()
        return False


def _changed(stage: Stage, run: Run, stop: Callable[[], bool]) -> Callable[[], bool]:
    """True when the wait should end: somebody wants the loop, or the run, to do something else."""

    braked, seq = stage.brake is not None and stage.brake.is_on(), stage.intents.seq

    def check() -> bool:
        if stop() or (stage.brake is not None and stage.brake.is_on()) is not braked:
            return True
        stage.ownership.keep(stage.database)
        with stage.database.read() as conn:
            found = read_news(conn, run.id)
        if found is None or found.gate_word != stage.gates.latest_word or found.intent != seq:
            return True
        if found.room_word != stage.rooms.newest:
            return True
        return (found.run.plan, found.run.replan) != (run.plan, run.replan) or found.order != stage.undo.latest

    return check


def work_along(parts: Parts, *, stop: Callable[[], bool], heard: Event) -> None:
    """Conducts what nobody else does, of any live run, beside other workers, until `stop` turns true.

    It takes one free part a round, so that workers who look at the same time share what is there. A store that cannot
    be reached is tried again: nothing was saved, and nothing is lost. `heard` is set when somebody says that there is
    work. Raises OtherRelease, at the next look, when the store was upgraded: what was held is free when it runs out.
    """
    due: dict[RunId, datetime] = {}
    looked_at = -LOOK_SECONDS
    while not stop():
        try:
            if heard.is_set() or time.monotonic() - looked_at >= LOOK_SECONDS:
                heard.clear()
                _take_one_more(parts, due, heard)
                looked_at = time.monotonic()
            _work_once(parts, due)
        except OtherRelease:
            raise
        except StoreUnavailable:
            looked_at = time.monotonic()
        again = min((at for at in due.values()), default=parts.clock.now() + LOOK_EVERY)
        look = looked_at + LOOK_SECONDS
        parts.clock.wait_until(again, lambda: stop() or heard.is_set() or time.monotonic() >= look)  # noqa: B023 - now
    with contextlib.suppress(StoreUnavailable):
        parts.release()


def _take_one_more(parts: Parts, due: dict[RunId, datetime], heard: Event) -> None:
    """Takes one part that nobody conducts; and looks again at every run of which a part was roused."""
    with parts.database.read() as conn:
        parts.database.look(conn)
        live = [run.id for run in runs.list_runs(conn) if run.state in LIVE_RUNS]
        held = {run: leases.load_leases(conn, run) for run in live}
        there = [(run, window) for run in live for window in (LEAD, *leases.cohorts(conn, run))]
    now, own = parts.wall(), set(parts.holds())
    free = [part for part in there if part not in own and _is_free(held[part[0]].get(part[1]), now)]
    for part in free[:1]:
        if parts.take(*part):
            due[part[0]] = parts.clock.now()
    if len(free) > 1:
        heard.set()
    for run, window in own:
        if run in held and parts.is_roused(run, window, held[run].get(window)):
            due[run] = parts.clock.now()


def _is_free(lease: Lease | None, now: datetime) -> bool:
    return lease is None or lease.until <= now or is_gone(lease.owner)


def _work_once(parts: Parts, due: dict[RunId, datetime]) -> None:
    """One look at every run of which something is due."""
    now = parts.clock.now()
    for run in [run for run, at in due.items() if at <= now]:
        found = parts.tick_all(run)
        if found.is_over:
            del due[run]
        else:
            due[run] = found.again_at


def wake_live(database: Database, wake: Callable[[RunId], None], *, stop: Callable[[], bool], heard: Event) -> None:
    """For a durable engine: wakes every live run when it is first seen, when its operator or its plan changes, and
    when somebody says that there is work, until `stop` turns true. Raises OtherRelease when the store was upgraded.
    """
    told: dict[RunId, tuple[Desired, PlanId]] = {}
    while not stop():
        hinted = heard.is_set()
        heard.clear()
        try:
            with database.read() as conn:
                database.look(conn)
                for run in runs.list_runs(conn):
                    if run.state in LIVE_RUNS and (hinted or told.get(run.id) != (run.desired, run.plan)):
                        wake(run.id)
                        told[run.id] = (run.desired, run.plan)
        except OtherRelease:
            raise
        except StoreUnavailable:
            pass  # the next look finds it
        heard.wait(LOOK_SECONDS)


@contextlib.contextmanager
def keeping(parts: Parts) -> Iterator[None]:
    """Renews leases beside the work, however long a port call takes. A process that is paused renews nothing."""
    over = Event()

    def keep() -> None:
        while not over.wait(parts.lease.total_seconds() / 10):
            with contextlib.suppress(StoreUnavailable):
                parts.keep()

    thread = Thread(target=keep, name="fermata-leases", daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()
