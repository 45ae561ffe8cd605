"""Which nodes are kept free of jobs before a window and how, what a drain would cost, and how both are told."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from fermata.domain.ahead import CONSIDERED, FLOATS_LEAST, Ahead, JobsAhead, Keeping, plan_ahead, read_kept
from fermata.domain.ids import ClusterId, NodeId, PlanId, RunId, WindowId
from fermata.domain.jobs import LONGEST_MAX, USERS_MAX, Job, count_cost
from fermata.domain.observations import Accepted, Answer, Denied, Unsure
from fermata.domain.operations import WindowRun
from fermata.domain.plans import Mode
from fermata.domain.run_states import WindowState
from fermata.services.job_words import say_cost, say_keeping

NOW = datetime(2026, 1, 5, 18, tzinfo=UTC)
HOUR = timedelta(hours=1)
NODES = [NodeId("n1"), NodeId("n2")]
DRAIN = timedelta(minutes=15)


def row(start: datetime = NOW + 6 * HOUR, state: WindowState = WindowState.PLANNED) -> WindowRun:
    return WindowRun(
        run=RunId("run_1"),
        window=WindowId("w"),
        plan=PlanId("plan_1"),
        cluster=ClusterId("c"),
        mode=Mode.WHOLE,
        part=1,
        parts=1,
        nodes=2,
        planned_start=start,
        planned_end=start + 2 * HOUR,
        back_by=start + 3 * HOUR,
        hard_stop=start + 4 * HOUR,
        state=state,
    )


def job(number: int, *nodes: str, ends: datetime | None = NOW + HOUR, user: str = "ada") -> Job:
    return Job(id=str(number), user=user, state="RUNNING", nodes=frozenset(nodes), ends_at=ends, requeues=True)


def test_jobs_are_kept_off_from_the_start_until_the_promised_end() -> None:
    found = plan_ahead(row(), NODES, DRAIN, NOW)
    assert found == Ahead(
        window=WindowId("w"), nodes=frozenset(NODES), starts_at=NOW + 6 * HOUR, ends_at=NOW + 9 * HOUR
    )


@pytest.mark.parametrize("state", [WindowState.PLANNED, WindowState.WAITING, WindowState.OPEN])
def test_beyond_the_start_only_jobs_longer_than_the_drain_are_kept_off(state: WindowState) -> None:
    found = plan_ahead(row(NOW, state), NODES, DRAIN, NOW)
    assert found is not None
    assert found.floats == DRAIN
    none = plan_ahead(row(NOW, state), NODES, timedelta(0), NOW)
    assert none is not None
    assert none.floats == FLOATS_LEAST


@pytest.mark.parametrize("state", [WindowState.CLOSED, WindowState.MISSED, WindowState.SKIPPED, WindowState.CANCELLED])
def test_windows_that_are_over_or_will_not_come_keep_nobody_off(state: WindowState) -> None:
    assert plan_ahead(row(state=state), NODES, DRAIN, NOW) is None


def test_nothing_is_kept_free_without_nodes_or_weeks_ahead() -> None:
    assert plan_ahead(row(), [], DRAIN, NOW) is None
    assert plan_ahead(row(NOW + CONSIDERED), NODES, DRAIN, NOW) is not None
    assert plan_ahead(row(NOW + CONSIDERED + timedelta(minutes=1)), NODES, DRAIN, NOW) is None


@pytest.mark.parametrize("answer", [Denied(why="no"), Unsure(), None])
def test_only_what_the_target_accepted_keeps_jobs_off(answer: Answer | None) -> None:
    wanted = plan_ahead(row(), NODES, DRAIN, NOW)
    assert read_kept(wanted, answer) == (Keeping.NONE, 0)
    assert read_kept(wanted, Accepted()) == (Keeping.UNTIL_START, 2)
    assert read_kept(plan_ahead(row(NOW), NODES, DRAIN, NOW), Accepted()) == (Keeping.FLOATING, 2)
    assert read_kept(None, Accepted()) == (Keeping.NONE, 0)


def test_cost_counts_each_job_once_and_nodes_that_lose_it_beside_the_window() -> None:
    jobs = [job(1, "n1", "n2", "x"), job(1, "n1", "n2", "x"), job(2, "n2", user="bo"), job(3, "y")]
    cost = count_cost(jobs, NODES, NOW)
    assert (cost.job_count, cost.node_count, cost.outside, cost.lasting, cost.endless) == (2, 2, 1, 2, 0)
    assert cost.over_at == NOW + HOUR
    assert list(cost.users.items()) == [("ada", 1), ("bo", 1)]


def test_job_that_is_over_as_the_drain_begins_is_not_waited_for() -> None:
    cost = count_cost([job(1, "n1"), job(2, "n2", ends=NOW + 2 * HOUR)], NODES, NOW + HOUR)
    assert (cost.job_count, cost.lasting) == (2, 1)


def test_jobs_without_a_limit_come_first_and_nobody_knows_when_all_are_over() -> None:
    cost = count_cost([job(1, "n1"), job(2, "n2", ends=None), job(3, "n1", ends=NOW + 2 * HOUR)], NODES, NOW)
    assert [each.id for each in cost.longest] == ["2", "3", "1"]
    assert (cost.endless, cost.lasting, cost.over_at) == (1, 3, None)


def test_of_many_jobs_and_users_those_that_matter_most_are_named() -> None:
    jobs = [job(n, "n1", ends=NOW + n * HOUR, user=f"u{n % 60:02}") for n in range(1, 70)]
    cost = count_cost(jobs, NODES, NOW)
    assert len(cost.longest) == LONGEST_MAX
    assert cost.longest[0].id == "69"
    assert len(cost.users) == USERS_MAX
    assert next(iter(cost.users.values())) == 2
    assert cost.job_count == 69


def seen(**words: object) -> JobsAhead:
    base = JobsAhead(run=RunId("run_1"), window=WindowId("w"), at=NOW, nodes=2)
    return replace(base, **words)  # type: ignore[arg-type]


def clock(at: datetime) -> str:
    return f"{at:%H:%M}"


@pytest.mark.parametrize(
    ("jobs", "sentence"),
    [
        ([], "no job on its nodes"),
        ([job(1, "n1", ends=NOW)], "1 job of ada on 1 of 2 nodes; all are over before it begins"),
        ([job(1, "n1")], "1 job of ada on 1 of 2 nodes; 1 may outlast its start, the last until 19:00"),
        (
            [job(1, "n1"), job(2, "n2", ends=None, user="bo")],
            "2 jobs of ada, bo on 2 of 2 nodes; 2 may outlast its start, 1 without a limit",
        ),
        (
            [job(n, "n1", user=f"u{n}", ends=NOW) for n in range(5)],
            "5 jobs of u0, u1, u2 and 2 others on 1 of 2 nodes; all are over before it begins",
        ),
    ],
)
def test_cost_is_told_in_a_sentence(jobs: list[Job], sentence: str) -> None:
    assert say_cost(seen(cost=count_cost(jobs, NODES, NOW)), clock) == sentence
    assert say_cost(seen(), clock) == ""


def test_how_jobs_are_kept_off_is_told_in_a_sentence() -> None:
    until = seen(keeping=Keeping.UNTIL_START, kept=2)
    floating = seen(keeping=Keeping.FLOATING, kept=1, floats=DRAIN)
    assert say_keeping(until) == "jobs that would run into its start are kept off 2 of 2 nodes"
    assert say_keeping(floating) == "jobs longer than 15 min are kept off 1 of 2 nodes"
    assert say_keeping(seen()) == "no jobs are kept off"
