"""The embedded driver: a whole run in one process. Whatever calls it - a thread, a process, a test - it works until
nothing is due, then waits.
"""

from collections.abc import Callable

from fermata.domain.ids import RunId
from fermata.domain.operations import Run
from fermata.domain.run_states import LIVE_RUNS
from fermata.execution.conduct import Beat, load, next_instant, work
from fermata.execution.ownership import Ownership
from fermata.execution.stage import Stage, set_stage
from fermata.ports import Clock, Site
from fermata.store import runs
from fermata.store.database import Database


def conduct(  # noqa: PLR0913 - what it works with, and the two handles that tests hold it by
    database: Database,
    site: Site,
    clock: Clock,
    run_id: RunId,
    *,
    stop: Callable[[], bool],
    crash: Callable[[str], None] | None = None,
    ownership: Ownership | None = None,
) -> Run:
    """Conducts a run, lead and cohorts, until it is over or `stop` turns true; call it again to go on. Returns the run
    as it is then. Raises HeldElsewhere when another worker has some of it, Outdated when one took it over meanwhile.

    `crash`: called at every point where a kill could hurt; for tests.
    """
    stage = set_stage(database, site, clock, run_id, ownership=ownership)
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
        clock.wait_until(next_instant(stage, clock.now()), _changed(stage, run, stop))
    with stage.database.begin() as conn:
        stage.ownership.release(conn)
    return load(stage)


def _changed(stage: Stage, run: Run, stop: Callable[[], bool]) -> Callable[[], bool]:
    """True when the wait should end: somebody wants the loop, or the run, to do something else."""

    def check() -> bool:
        if stop():
            return True
        stage.ownership.keep(stage.database)
        with stage.database.read() as conn:
            found = runs.load_run(conn, run.id)
        return found is None or found.desired is not run.desired or found.plan != run.plan

    return check
