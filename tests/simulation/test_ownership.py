"""Who may save what: a worker that was paused and comes back, two workers on one batch, limits shared by workers."""

import contextlib
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from tests.simulation import small, stagehand
from tests.simulation.test_kill import ROUGH, TINY, journal_of

from fermata.domain.ids import RunId
from fermata.domain.node_states import UnitState
from fermata.domain.operations import Run
from fermata.domain.run_states import LIVE_RUNS, RunState
from fermata.execution.conduct import Beat, load, next_instant, work
from fermata.execution.ownership import LEASE, HeldElsewhere, Outdated, Ownership, is_gone, new_owner
from fermata.execution.parts import Parts
from fermata.execution.stage import Stage, set_stage
from fermata.sim.fates import NO_FAULTS
from fermata.store import leases
from fermata.store.database import Connection, Database
from fermata.store.leases import LEAD

BETWEEN_TRANSACTIONS = frozenset({"observed", "decided", "intended", "performed", "recorded"})


@dataclass(kw_only=True)
class Wall:
    """Wall time that only the test moves."""

    at: datetime = datetime(2026, 1, 1, tzinfo=UTC)

    def __call__(self) -> datetime:
        return self.at

    def pass_lease(self) -> None:
        self.at += LEASE + timedelta(seconds=1)


@dataclass(kw_only=True)
class Worker:
    """One worker of a rig, driven by hand."""

    rig: stagehand.Rig
    stage: Stage
    beat: Beat = field(default_factory=Beat)

    def take(self, *windows: str) -> None:
        """All of the run, or the lead ("") and cohorts named; what it lost meanwhile is forgotten first."""
        self.stage.give_up()
        with self.stage.database.begin() as conn:
            if windows:
                assert all(self.stage.ownership.take(conn, small.WindowId(window)) for window in windows)
            else:
                self.stage.ownership.take_all(conn)
        self.stage.reload()

    def work(self) -> Run:
        return work(self.stage, self.beat, self.rig.clock.now())


def hire(rig: stagehand.Rig, name: str, wall: Wall, *, adopts: bool = True) -> Worker:
    ownership = Ownership(run=rig.run, owner=name, wall=wall, adopts=adopts)
    return Worker(rig=rig, stage=set_stage(rig.database, rig.site, rig.clock, rig.run, ownership=ownership))


def conduct(rig: stagehand.Rig, workers: Callable[[], list[Worker]]) -> Run:
    """Lets the workers have their turns at every instant until the run is over."""
    while True:
        now = rig.clock.now()
        for worker in workers():
            run = worker.work()
            if run.state not in LIVE_RUNS:
                return run
        instants = [next_instant(worker.stage, now) for worker in workers()]
        rig.clock.wait_until(min(instants), lambda: False)


def takers(rig: stagehand.Rig, to_take: dict[str, Worker], lead: Worker) -> Callable[[], list[Worker]]:
    """Who has a turn now: each hand from when its window has opened until it holds nothing any more, then the lead."""
    hands = tuple(to_take.values())

    def present() -> list[Worker]:
        with rig.database.read() as conn:
            there = leases.cohorts(conn, rig.run)
        for window in [name for name in there if name in to_take]:
            to_take.pop(window).take(window)
        return [*(hand for hand in hands if hand.stage.ownership.held), lead]

    return present


class Interrupted(Database):
    """A store in which somebody else writes just before a transaction begins: each of `words` once."""

    def __init__(self, url: str) -> None:
        super().__init__(url)
        self.words: list[Callable[[], None]] = []

    @contextlib.contextmanager
    def begin(self) -> Iterator[Connection]:
        if self.words:
            self.words.pop()()
        with super().begin() as conn:
            yield conn


def test_lead_that_is_told_something_while_it_works_looks_again_at_once(tmp_path: Path) -> None:
    """Else it would sleep for half an hour after the last cohort ended, with nothing left to do."""
    rig = stagehand.set_up(stagehand.fresh_sqlite(tmp_path), tmp_path, fleet=TINY, faults=NO_FAULTS)
    database = Interrupted(rig.database.url)
    parts = Parts(database=database, open_site=lambda _: rig.site, clock=rig.clock)

    def rouse() -> None:
        with rig.database.begin() as conn:
            leases.rouse_lead(conn, rig.run)

    assert parts.tick(rig.run, LEAD).again_at > rig.clock.now()
    now = rig.clock.wait_until(rig.clock.now() + timedelta(minutes=20), lambda: False)
    database.words.append(rouse)
    assert parts.tick(rig.run, LEAD).again_at == now
    assert database.words == []
    assert parts.tick(rig.run, LEAD).again_at > now
    database.close()


@pytest.mark.timeout(180)
@pytest.mark.parametrize("point", sorted(BETWEEN_TRANSACTIONS))
def test_worker_paused_past_its_lease_comes_back_and_saves_nothing(tmp_path: Path, point: str) -> None:
    """At every instant: somebody else takes over and does all that is due, then the first goes on where it stood."""
    rig = stagehand.set_up(stagehand.fresh_sqlite(tmp_path), tmp_path, fleet=TINY, faults=ROUGH, seed=5)
    wall = Wall()
    paused, other = hire(rig, "paused", wall), hire(rig, "other", wall)
    taken_over: set[datetime] = set()
    gave_up = 0

    def pause(passed: str) -> None:
        if passed == point and rig.clock.now() not in taken_over:
            taken_over.add(rig.clock.now())
            wall.pass_lease()
            other.take()
            other.work()

    paused.stage.crash = pause
    while True:
        now = rig.clock.now()
        wall.pass_lease()
        paused.take()
        with contextlib.suppress(Outdated):
            paused.work()
        gave_up += not paused.stage.ownership.held or now in taken_over
        run = load(paused.stage)
        if run.state not in LIVE_RUNS:
            break
        holder = other if now in taken_over else paused
        rig.clock.wait_until(next_instant(holder.stage, now), lambda: False)
    assert run.state is RunState.FINISHED
    assert gave_up > 10
    stagehand.assert_nothing_lost(rig)
    assert max(journal_of(rig).values()) == 1


@pytest.mark.timeout(300)
@pytest.mark.parametrize("point", sorted(BETWEEN_TRANSACTIONS))
def test_worker_of_the_last_release_that_knows_no_leases_is_fenced_by_the_rows(tmp_path: Path, point: str) -> None:
    """It works on the same rows, at one point of every step: who comes second finds them changed, saves nothing.

    One point per campaign: once the old one has worked, the new one passes no later point of that step.
    """
    rig = stagehand.set_up(stagehand.fresh_sqlite(tmp_path), tmp_path, fleet=TINY, faults=ROUGH, seed=5)
    wall = Wall()
    new, old = hire(rig, "new", wall), hire(rig, "old", wall)
    new.take()
    old.stage.database = rig.database  # nothing looks at its leases
    old.stage.ownership.ensure = lambda _: None  # type: ignore[method-assign]
    old.stage.ownership.held = dict(new.stage.ownership.held)
    old.stage.reload()
    seen: set[datetime] = set()

    def let_old_work(passed: str) -> None:
        if passed == point and rig.clock.now() not in seen:
            seen.add(rig.clock.now())
            old.stage.ownership.held = dict(new.stage.ownership.held)
            old.stage.reload()
            old.work()

    new.stage.crash = let_old_work
    while load(new.stage).state in LIVE_RUNS:
        new.take()
        with contextlib.suppress(Outdated):  # windows and runs that the old one ended
            new.work()
        rig.clock.wait_until(next_instant(new.stage, rig.clock.now()), lambda: False)
    assert load(new.stage).state is RunState.FINISHED
    assert len(seen) > 10
    stagehand.assert_nothing_lost(rig)
    assert max(journal_of(rig).values()) == 1


def test_lead_and_cohorts_in_different_hands_end_as_in_one(store_url: str, tmp_path: Path) -> None:
    def play(folder: Path, url: str, *, alone: bool) -> list[tuple[object, ...]]:
        folder.mkdir()
        found = small.fleet(clusters=2)
        rig = stagehand.set_up(url, folder, fleet=found, faults=ROUGH, seed=11)
        if alone:
            assert rig.conduct().state is RunState.FINISHED
        else:
            wall = Wall()
            crew = [hire(rig, name, wall, adopts=False) for name in ("lead", "one", "two")]
            crew[0].take(LEAD)
            lead, *hands = crew
            wanted = dict(zip(("win-c0", "win-c1"), hands, strict=True))
            assert conduct(rig, takers(rig, wanted, lead)).state is RunState.FINISHED
            with rig.database.read() as conn:
                assert leases.load_leases(conn, rig.run) == {}
        stagehand.assert_nothing_lost(rig)
        return sorted(
            (op.unit, op.state, op.step, op.attempt, op.finished_at, tuple(sorted(op.retries.items())))
            for op in rig.ops()
        )

    apart = play(tmp_path / "apart", store_url, alone=False)
    (tmp_path / "store").mkdir()
    together = play(tmp_path / "together", stagehand.fresh_sqlite(tmp_path / "store"), alone=True)
    assert apart == together


def test_two_workers_never_let_more_than_a_team_may_write_at_once(store_url: str, tmp_path: Path) -> None:
    limit = 5
    rig = stagehand.set_up(store_url, tmp_path, fleet=small.fleet(clusters=2), faults=NO_FAULTS)
    wall = Wall()
    lead, one, two = (hire(rig, name, wall, adopts=False) for name in ("lead", "one", "two"))
    lead.take(LEAD)
    at_once: Counter[int] = Counter()
    busy_in: Counter[str] = Counter()

    def look(point: str) -> None:
        if point == "intended":
            writing = [op for op in rig.ops() if op.state is UnitState.APPLYING and op.fault_domain]
            at_once[len(writing)] += 1
            busy_in.update({op.window for op in writing})

    for hand in (one, two):  # the team is smaller than the plan thinks, so that they get into each other's way
        hand.stage.crash = look
        hand.stage.catalogue = small.catalogue(team_limit=limit)
    assert conduct(rig, takers(rig, {"win-c0": one, "win-c1": two}, lead)).state is RunState.FINISHED
    assert max(at_once) == limit
    assert set(busy_in) == {"win-c0", "win-c1"}
    stagehand.assert_nothing_lost(rig)


class Dies(Exception):
    """The end of a worker's process."""


@dataclass(kw_only=True)
class Succession:
    """A cohort whose first worker dies while its nodes write, and that another takes over some instants later; and a
    second cohort beside it. `together`: how often as many wrote as may.
    """

    rig: stagehand.Rig
    wall: Wall
    limit: int
    died_with: int = 0
    turns_without: int = 0
    together: int = 0
    hands: dict[str, Worker] = field(init=False)

    def __post_init__(self) -> None:
        names = ("lead", "first", "second", "heir")
        self.lead, self.first, self.second, self.heir = (hire(self.rig, n, self.wall, adopts=False) for n in names)
        self.lead.take(LEAD)
        self.hands = {"win-c0": self.first, "win-c1": self.second}
        for hand in (self.first, self.second, self.heir):
            hand.stage.crash = self.die if hand is self.first else self.count
            hand.stage.catalogue = small.catalogue(team_limit=self.limit)

    def count(self, point: str) -> None:
        """Never more write than may."""
        if point in ("intended", "recorded"):
            writing = self.writing()
            assert len(writing) <= self.limit
            self.together += len(writing) == self.limit

    def writing(self) -> list[str]:
        """The window of each node that writes."""
        return [op.window for op in self.rig.ops() if op.state is UnitState.APPLYING and op.fault_domain]

    def die(self, point: str) -> None:
        """The end of the first worker, with the answers of its calls written down."""
        self.count(point)
        if point == "recorded" and "win-c0" in self.writing():
            self.died_with = self.writing().count("win-c0")
            raise Dies

    def present(self) -> list[Worker]:
        """Who has a turn now."""
        if self.died_with and self.hands["win-c0"] is self.first:
            self.turns_without += 1
            if self.turns_without < 4:
                return [hand for hand in (self.second, self.lead) if hand.stage.ownership.held]
            self.wall.pass_lease()
            self.hands["win-c0"] = self.heir
        with self.rig.database.read() as conn:
            there = leases.cohorts(conn, self.rig.run)
        for window, hand in self.hands.items():
            if window in there and not hand.stage.ownership.held:
                hand.take(window)
        return [*(hand for hand in self.hands.values() if hand.stage.ownership.held), self.lead]


def test_what_a_dead_workers_nodes_write_counts_once_before_and_after_they_are_taken_over(
    store_url: str, tmp_path: Path
) -> None:
    rig = stagehand.set_up(store_url, tmp_path, fleet=small.fleet(clusters=2), faults=NO_FAULTS)
    played = Succession(rig=rig, wall=Wall(), limit=5)
    with pytest.raises(Dies):
        conduct(rig, played.present)
    assert played.died_with
    assert conduct(rig, played.present).state is RunState.FINISHED
    assert played.together
    stagehand.assert_nothing_lost(rig)


def test_a_worker_reads_its_own_leases_alone(store_url: str, tmp_path: Path) -> None:
    rig = stagehand.set_up(store_url, tmp_path)
    wall = Wall()
    first, second = hire(rig, "first", wall), hire(rig, "second", wall)
    first.take(LEAD, "win-c0")
    second.take("win-c1")
    with rig.database.begin() as conn:
        first.stage.ownership.rouse_others(conn)
        assert leases.load_marks(conn, rig.run, "first") == {LEAD: (1, 0), "win-c0": (1, 0)}
        assert leases.load_marks(conn, rig.run, "second") == {"win-c1": (1, 1)}
        assert leases.load_marks(conn, RunId("another"), "first") == {}


def test_a_worker_that_lost_one_lease_keeps_the_others(store_url: str, tmp_path: Path) -> None:
    rig = stagehand.set_up(store_url, tmp_path)
    wall = Wall()
    first, second = hire(rig, "first", wall), hire(rig, "second", wall)
    first.take(LEAD, "win-c0", "win-c1")
    wall.pass_lease()
    second.take("win-c1")
    with rig.database.read() as conn:
        first.stage.ownership.drop_lost(conn)
    assert first.stage.ownership.held == {LEAD: 1, "win-c0": 1}
    with rig.database.begin() as conn:
        first.stage.ownership.check(conn)  # and is not told that they are another's


def test_what_a_living_worker_holds_is_taken_by_nobody_else(store_url: str, tmp_path: Path) -> None:
    rig = stagehand.set_up(store_url, tmp_path)
    wall = Wall()
    first, second = hire(rig, "first", wall), hire(rig, "second", wall)
    first.take()
    with pytest.raises(HeldElsewhere, match="first"):
        second.take()
    wall.pass_lease()
    second.take()
    with pytest.raises(Outdated, match="nothing was saved"):
        first.work()


def test_released_lease_keeps_its_generation_until_it_changes_hands(store_url: str, tmp_path: Path) -> None:
    rig = stagehand.set_up(store_url, tmp_path)
    wall = Wall()
    first, second = hire(rig, "first", wall), hire(rig, "second", wall)
    generations = []
    for worker in (first, first, second, first):
        worker.take()
        generations.append(worker.stage.ownership.held[LEAD])
        with worker.stage.database.begin() as conn:
            worker.stage.ownership.release(conn)
    assert generations == [1, 1, 2, 3]


def test_process_that_has_ended_on_this_machine_is_known_to_be_gone() -> None:
    own = new_owner()
    host, space, pid, _born, nonce = own.split("/")
    assert not is_gone(own)
    assert is_gone(f"{host}/{space}/{pid}/1/{nonce}")
    assert not is_gone(f"{host}/another machine/{pid}/1/{nonce}")
    assert not is_gone("rig")
