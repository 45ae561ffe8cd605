"""Jobs are kept off the nodes of windows to come, and those that are there are told: with the conductor, on the
simulated fleet and on one that answers as a test says.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from itertools import pairwise
from pathlib import Path

import httpx
import pytest
from tests.server.conftest import HandClock, make_app
from tests.simulation import small, stagehand

from fermata.cli.runs import status
from fermata.domain.ahead import Ahead, JobsAhead, Keeping, Kept
from fermata.domain.ids import NodeId, RunId, WindowId
from fermata.domain.jobs import Job
from fermata.domain.node_states import UnitState
from fermata.domain.observations import Accepted, Answer, Denied, Unsure
from fermata.domain.policy import Scope, ScopeLevel, Verdict
from fermata.domain.reasons import Code
from fermata.domain.run_states import RunState, WindowState
from fermata.formats.brake import brake_file
from fermata.ports import Clock, OutcomeUnknown, Refused, TryLater
from fermata.server.serving import BackgroundServer, bind_socket, url_of
from fermata.services import runs as services
from fermata.sim.site import open_site
from fermata.store import consent, journal, runs, window_jobs
from fermata.store.database import Database

MINUTE, HOUR = timedelta(minutes=1), timedelta(hours=1)
FIRST, SECOND = WindowId("win-c0"), WindowId("win-c1")
LATER = small.START + timedelta(days=1)


@dataclass
class Scheduler:
    """Keeps what it is told, and answers as a test wants. `calls`: all that it was asked to keep free, with when."""

    clock: Clock
    running: tuple[Job, ...] = ()
    fails: Exception | None = None
    lists: Exception | None = None
    answer: Answer = field(default_factory=Accepted)
    left: Mapping[str, Answer] = field(default_factory=dict)
    calls: list[tuple[datetime, tuple[Ahead, ...]]] = field(default_factory=list)

    def list_jobs(self, nodes: Sequence[NodeId]) -> Sequence[Job]:
        if self.lists is not None:
            raise self.lists
        return [job for job in self.running if job.nodes & set(nodes)]

    def keep_ahead(self, run: RunId, wanted: Sequence[Ahead]) -> Kept:
        self.calls.append((self.clock.now(), tuple(wanted)))
        if self.fails is not None:
            raise self.fails
        return Kept(answers={ahead.window: self.answer for ahead in wanted}, left=self.left)

    def stands(self) -> Mapping[WindowId, Ahead]:
        return {ahead.window: ahead for ahead in self.calls[-1][1]}


@dataclass(kw_only=True)
class Rig:
    stage: stagehand.Rig
    scheduler: Scheduler

    def conduct(self, until: datetime | None = None) -> RunState:
        return self.stage.conduct(until=until).state

    def known(self, window: WindowId = FIRST) -> JobsAhead | None:
        with self.stage.database.read() as conn:
            return window_jobs.load(conn, self.stage.run).get(window)

    def events(self) -> list[tuple[str, str, str]]:
        names = ("jobs.kept_off", "jobs.not_kept_off", "jobs.let_on", "jobs.left_off")
        with self.stage.database.read() as conn:
            lines = list(journal.read_events(conn, names))
        return [(line.event.removeprefix("jobs."), line.subject, line.why.partition(":")[0]) for line in lines]


def rig(folder: Path, *starts: datetime) -> Rig:
    begins = starts or (small.START,)
    fleet = small.fleet(len(begins), 8)
    plan = small.plan(fleet, small.catalogue(), small.campaign(), begins)
    stage = stagehand.set_up(stagehand.fresh_sqlite(folder), folder, fleet=fleet, plan=plan)
    scheduler = Scheduler(stage.clock)
    stage.site = replace(stage.site, jobs=scheduler)
    return Rig(stage=stage, scheduler=scheduler)


def say(database: Database, verdict: Verdict, *, seq: int = 2, scope: Scope | None = None) -> None:
    with database.begin() as conn:
        consent.append_entry(conn, small.approval(small.catalogue(), verdict, seq=seq, scope=scope))
        journal.append(conn, journal.Entry(at=small.NOW, actor="x", event="consent.said", subject="x", why=""))


def job(number: str, *nodes: str, hours: float | None = 10, user: str = "ada") -> Job:
    ends = small.NOW + hours * HOUR if hours is not None else None
    named = frozenset(nodes)
    return Job(id=number, user=user, state="RUNNING", nodes=named, ends_at=ends, requeues=True)


def test_jobs_are_kept_off_until_the_window_begins_and_let_on_once_its_nodes_are_locked(tmp_path: Path) -> None:
    found = rig(tmp_path)
    found.conduct(until=small.NOW + 5 * MINUTE)
    (ahead,) = found.scheduler.calls[-1][1]
    window = found.stage.plan.windows[0]
    assert (ahead.window, ahead.starts_at, ahead.floats) == (FIRST, window.start, None)
    assert ahead.nodes == frozenset(window.nodes)
    assert ahead.ends_at >= window.end
    known = found.known()
    assert known is not None
    assert (known.keeping, known.kept, known.nodes) == (Keeping.UNTIL_START, 8, 8)
    assert found.conduct() is RunState.FINISHED
    opened = next(at for at, wanted in found.scheduler.calls if not wanted)
    assert opened == small.START, "locked nodes are kept free by their locks"
    assert found.scheduler.stands() == {}
    assert found.known() is None
    assert found.events() == [("kept_off", f"window:{FIRST}", ""), ("let_on", f"window:{FIRST}", "")]


def test_a_target_that_has_all_of_it_is_asked_once_an_hour(tmp_path: Path) -> None:
    found = rig(tmp_path, LATER)
    found.conduct(until=small.NOW + 5 * HOUR)
    times = [at for at, _ in found.scheduler.calls]
    assert len(times) in (5, 6)
    assert all(later - earlier >= HOUR for earlier, later in pairwise(times))


def test_only_nodes_that_customers_let_go_are_kept_free(tmp_path: Path) -> None:
    found = rig(tmp_path, LATER)
    node = Scope(level=ScopeLevel.SUPERCOMPUTER, name="sc")
    say(found.stage.database, Verdict.WITHDRAWN, scope=node)
    found.conduct(until=small.NOW + 15 * MINUTE)
    assert found.scheduler.stands() == {}
    known = found.known()
    assert known is not None
    assert known.keeping is Keeping.NONE
    assert known.why is not None
    assert known.why.code is Code.APPROVAL_WITHDRAWN
    say(found.stage.database, Verdict.APPROVED, seq=3)
    found.conduct(until=small.NOW + 40 * MINUTE)
    assert len(found.scheduler.stands()[FIRST].nodes) == 8
    say(found.stage.database, Verdict.WITHDRAWN, seq=4)
    found.conduct(until=small.NOW + 70 * MINUTE)
    assert found.scheduler.stands() == {}, "a word that is taken back gives the nodes to jobs again"


def test_windows_that_are_weeks_away_keep_nobody_off(tmp_path: Path) -> None:
    found = rig(tmp_path, small.START, small.START + timedelta(days=20))
    found.conduct(until=small.NOW + 5 * MINUTE)
    assert set(found.scheduler.stands()) == {FIRST}


def test_a_window_that_waits_beyond_its_start_keeps_off_only_jobs_longer_than_its_drain(tmp_path: Path) -> None:
    found = rig(tmp_path)
    services.pause(found.stage.database, None, now=small.NOW, actor="dana", why="a leak")
    found.conduct(until=small.START + 20 * MINUTE)
    ahead = found.scheduler.stands()[FIRST]
    assert ahead.floats == 15 * MINUTE, "what the plan gives jobs to leave"
    known = found.known()
    assert known is not None
    assert (known.keeping, known.floats) == (Keeping.FLOATING, 15 * MINUTE)


def test_a_window_that_will_not_come_lets_jobs_on_at_once(tmp_path: Path) -> None:
    found = rig(tmp_path, LATER)
    found.conduct(until=small.NOW + 5 * MINUTE)
    assert set(found.scheduler.stands()) == {FIRST}
    services.stop(found.stage.database, None, now=found.stage.clock.now(), actor="dana", why="enough")
    assert found.conduct() is RunState.STOPPED
    assert found.scheduler.stands() == {}
    assert found.known() is None
    assert found.events()[-1] == ("let_on", f"window:{FIRST}", "")


def test_a_run_does_not_end_while_the_target_still_keeps_nodes_for_it(tmp_path: Path) -> None:
    found = rig(tmp_path)
    found.conduct(until=small.START + 5 * MINUTE)
    found.scheduler.fails = TryLater(MINUTE)
    services.stop(found.stage.database, None, now=found.stage.clock.now(), actor="dana", why="enough")
    found.stage.conduct(until=small.START + 12 * HOUR)
    with found.stage.database.read() as conn:
        run = runs.load_run(conn, found.stage.run)
    assert run is not None
    assert run.state is RunState.STOPPING or found.scheduler.calls[-1][1] == ()
    found.scheduler.fails = None
    assert found.conduct() is RunState.STOPPED
    assert found.scheduler.stands() == {}


@pytest.mark.parametrize("error", [TryLater(MINUTE), OutcomeUnknown()])
def test_a_target_that_never_answers_holds_the_end_for_a_day_and_is_told(tmp_path: Path, error: Exception) -> None:
    found = rig(tmp_path)
    found.scheduler.fails = error
    assert found.conduct() is RunState.FINISHED
    with found.stage.database.read() as conn:
        run = runs.load_run(conn, found.stage.run)
    assert run is not None
    assert run.ended_at is not None
    assert run.ended_at - small.START < timedelta(days=2)
    assert found.events()[-1] == ("left_off", f"run:{found.stage.run}", "RESERVATION_LEFT")


def test_what_the_target_refuses_to_give_up_is_told_once_and_the_run_ends(tmp_path: Path) -> None:
    found = rig(tmp_path)
    found.scheduler.left = {"fermata_run_1_win-c9": Denied(why="Access denied")}
    assert found.conduct() is RunState.FINISHED
    left = [event for event in found.events() if event[0] == "left_off"]
    assert left == [("left_off", f"run:{found.stage.run}", "RESERVATION_LEFT")]


@pytest.mark.parametrize(
    ("answer", "code"),
    [(Denied(why="Access denied"), Code.RESERVATION_REFUSED), (Unsure(), Code.RESERVATION_AWAITED)],
)
def test_a_refusal_is_told_with_its_reason_asked_again_and_keeps_no_window_shut(
    tmp_path: Path, answer: Answer, code: Code
) -> None:
    found = rig(tmp_path)
    found.scheduler.answer = answer
    found.conduct(until=small.NOW + 16 * MINUTE)
    known = found.known()
    assert known is not None
    assert known.why is not None
    assert (known.keeping, known.why.code) == (Keeping.NONE, code)
    assert len(found.scheduler.calls) >= 3
    assert found.events() == [("not_kept_off", f"window:{FIRST}", code.value)]
    found.scheduler.answer = Accepted()
    found.conduct(until=small.NOW + 30 * MINUTE)
    known = found.known()
    assert known is not None
    assert (known.keeping, known.why) == (Keeping.UNTIL_START, None)
    assert found.conduct() is RunState.FINISHED
    assert {op.state for op in found.stage.ops()} <= {UnitState.RETURNED, UnitState.PROVEN, UnitState.KEPT_OUT}


def test_a_refusal_of_all_is_told_by_window(tmp_path: Path) -> None:
    found = rig(tmp_path)
    found.scheduler.fails = Refused("who are you?")
    found.conduct(until=small.NOW + 5 * MINUTE)
    known = found.known()
    assert known is not None
    assert known.why is not None
    assert "who are you?" in known.why.sentence


def test_what_a_drain_would_cost_is_told_a_day_ahead(tmp_path: Path) -> None:
    found = rig(tmp_path, small.START, LATER)
    found.scheduler.running = (
        job("7", "c0-n001", "c0-n002", "elsewhere", hours=10),
        job("8", "c0-n002", hours=0.5, user="blaise"),
        job("9", "c1-n001", hours=None),
    )
    found.conduct(until=small.NOW + 5 * MINUTE)
    known = found.known()
    assert known is not None
    cost = known.cost
    assert cost is not None
    assert (cost.job_count, cost.node_count, cost.outside, cost.lasting, cost.endless) == (2, 2, 1, 1, 0)
    assert dict(cost.users) == {"ada": 1, "blaise": 1}
    assert cost.over_at == small.NOW + 10 * HOUR
    assert [each.id for each in cost.longest] == ["7", "8"]
    far = found.known(SECOND)
    assert far is not None
    assert far.cost is None, "25 hours ahead"
    found.conduct(until=small.NOW + 2 * HOUR)
    far = found.known(SECOND)
    assert far is not None
    assert far.cost is not None
    assert (far.cost.endless, far.cost.lasting, far.cost.over_at) == (1, 1, None)


def test_jobs_that_nobody_can_list_are_told_as_not_known_and_the_last_count_stays(tmp_path: Path) -> None:
    found = rig(tmp_path, small.START + 3 * HOUR)
    found.scheduler.running = (job("7", "c0-n001"),)
    found.conduct(until=small.NOW + 5 * MINUTE)
    found.scheduler.lists = TryLater(MINUTE, "slurmctld is away")
    found.conduct(until=small.NOW + 45 * MINUTE)
    known = found.known()
    assert known is not None
    assert known.cost is not None
    assert known.cost_at == small.NOW
    assert known.why is not None
    assert (known.why.code, "slurmctld is away" in known.why.sentence) == (Code.JOBS_UNKNOWN, True)
    found.scheduler.lists = None
    found.conduct(until=small.START + 2 * HOUR)
    known = found.known()
    assert known is not None
    assert known.why is None


def test_the_brake_changes_nothing_of_what_stands(tmp_path: Path) -> None:
    found = rig(tmp_path, LATER)
    found.conduct(until=small.NOW + 5 * MINUTE)
    brake = brake_file(found.stage.database.url)
    brake.pull("dana", "smoke", small.NOW)
    asked = len(found.scheduler.calls)
    say(found.stage.database, Verdict.WITHDRAWN)
    found.conduct(until=small.NOW + 3 * HOUR)
    assert len(found.scheduler.calls) == asked
    known = found.known()
    assert known is not None
    assert known.keeping is Keeping.UNTIL_START
    brake.release()
    found.conduct(until=small.NOW + 4 * HOUR)
    assert found.scheduler.stands() == {}


def test_who_starts_again_asks_for_all_of_it_again(tmp_path: Path) -> None:
    found = rig(tmp_path, LATER)
    found.conduct(until=small.NOW + 5 * MINUTE)
    found.stage.restart()
    scheduler = Scheduler(found.stage.clock)
    found.stage.site = replace(found.stage.site, jobs=scheduler)
    found.stage.conduct(until=small.NOW + 2 * HOUR)
    assert set(scheduler.stands()) == {FIRST}
    assert found.events() == [("kept_off", f"window:{FIRST}", "")], "nothing changed, so nothing is told"


def test_the_simulated_fleet_has_jobs_and_none_begins_that_would_run_into_a_window(tmp_path: Path) -> None:
    found = rig(tmp_path, LATER)
    stage = found.stage
    stage.site = open_site(stage.world, stage.clock, with_jobs=True)
    jobs = stage.site.jobs
    assert jobs is not None
    nodes = list(stage.plan.windows[0].nodes)
    before = jobs.list_jobs(nodes)
    assert before
    assert jobs.list_jobs(nodes) == before
    stage.conduct(until=LATER - MINUTE)
    assert jobs.list_jobs(nodes) == [], "all that began since would have been over by now"
    stage.restart()
    again = open_site(stage.world, stage.clock, with_jobs=True).jobs
    assert again is not None
    assert again.list_jobs(nodes) == [], "the log remembers what was kept free"
    stage.site = open_site(stage.world, stage.clock, with_jobs=True)
    assert stage.conduct().state is RunState.FINISHED
    with stage.database.read() as conn:
        assert {row.state for row in runs.load_windows(conn, stage.run)} == {WindowState.CLOSED}


def test_without_anybody_keeping_jobs_off_they_would_have_begun(tmp_path: Path) -> None:
    found = rig(tmp_path, LATER)
    stage = found.stage
    stage.site = replace(open_site(stage.world, stage.clock), jobs=None)
    stage.conduct(until=LATER - MINUTE)
    jobs = open_site(stage.world, stage.clock, with_jobs=True).jobs
    assert jobs is not None
    assert jobs.list_jobs(list(stage.plan.windows[0].nodes))


@contextmanager
def serving(database: Database) -> Iterator[httpx.Client]:
    """Board and API over a store, on loopback."""
    listener = bind_socket("127.0.0.1", 0)
    server = BackgroundServer(make_app(database, HandClock(small.NOW)), listener)
    server.start()
    try:
        with httpx.Client(base_url=url_of(listener), timeout=20) as client:
            yield client
    finally:
        server.stop()


def test_status_board_and_window_page_tell_the_jobs_of_a_window(tmp_path: Path) -> None:
    found = rig(tmp_path)
    found.scheduler.running = (job("4711", "c0-n001", "elsewhere", hours=10, user="mallory"),)
    found.conduct(until=small.NOW + 5 * MINUTE)
    (window,) = services.status(found.stage.database).windows
    assert window.jobs == found.known()
    told = "1 job of mallory on 1 of 8 nodes; 1 may outlast its start"
    with serving(found.stage.database) as client:
        board, page = client.get("/").text, client.get(f"/windows/{FIRST}").text
        answer = client.get(f"/api/v1/campaigns/{small.CAMPAIGN}/run").json()
    for text in (board, page):
        assert told in text
        assert "jobs that would run into its start are kept off 8 of 8 nodes" in text
    assert "4711" in page
    assert "They run on 1 node beside the window’s too." in page
    assert answer["windows"][0]["jobs"]["cost"]["job_count"] == 1


def test_the_command_tells_the_jobs_of_windows_within_a_day(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    found = rig(tmp_path)
    found.scheduler.running = (job("4711", "c0-n001", hours=10, user="mallory"),)
    found.scheduler.answer = Denied(why="Access denied")
    found.conduct(until=small.NOW + 5 * MINUTE)
    status(store=found.stage.database.url)
    told = " ".join(capsys.readouterr().out.split())
    assert "Jobs ahead" in told
    assert "mallory" in told
    assert "Access denied" in told
