"""What is usual of a SKU, learned from its healthy nodes, and what a node is told that stays under it."""

from datetime import UTC, datetime, timedelta

import pytest

from fermata.domain.baselines import NODES_MIN, Baseline, Better, FigureRule, Grade, Measurement
from fermata.domain.baselines import judge_figure as judge
from fermata.domain.baselines import learn_baselines as learn
from fermata.domain.health import Figure, Findings, Health, Unreadable, judge_findings
from fermata.domain.ids import NodeId

NOW = datetime(2026, 11, 1, tzinfo=UTC)
BUSBW = FigureRule(figure="busbw", better=Better.HIGHER, limit=100.0)
HEAT = FigureRule(figure="temperature", better=Better.LOWER, limit=85.0)
GB200 = Baseline(sku="gb200", figure="busbw", nodes=412, median=186.8, spread=0.5)


def measured(value: float, node: int, *, days: float = 1, sku: str = "gb200") -> Measurement:
    return Measurement(node=NodeId(f"n{node}"), sku=sku, figure="busbw", value=value, at=NOW - timedelta(days=days))


def test_a_node_under_the_baseline_is_told_by_how_much_and_of_how_many() -> None:
    assert judge(BUSBW, 181.0, "GB/s", GB200, sku="gb200") == (
        Grade.ODD,
        "busbw 181 GB/s, 3.1 % under what 412 nodes of SKU gb200 reach",
    )


@pytest.mark.parametrize(
    ("value", "grade"),
    [(190.0, Grade.FINE), (182.0, Grade.FINE), (180.0, Grade.ODD), (160.0, Grade.BAD), (99.0, Grade.BAD)],
)
def test_the_further_under_the_median_the_worse(value: float, grade: Grade) -> None:
    assert judge(BUSBW, value, "GB/s", GB200, sku="gb200")[0] is grade


def test_where_nodes_differ_much_a_little_under_is_not_odd() -> None:
    wide = Baseline(sku="gb200", figure="busbw", nodes=412, median=186.8, spread=8.0)
    assert judge(BUSBW, 160.0, "GB/s", wide, sku="gb200")[0] is Grade.FINE


def test_a_figure_that_is_better_when_lower_is_odd_above_the_median() -> None:
    usual = Baseline(sku="gb200", figure="temperature", nodes=50, median=40.0, spread=1.0)
    assert [judge(HEAT, value, "°C", usual, sku="gb200")[0] for value in (30.0, 45.0, 60.0, 86.0)] == [
        Grade.FINE,
        Grade.ODD,
        Grade.BAD,
        Grade.BAD,
    ]


def test_without_a_baseline_the_fixed_limit_decides_and_the_sentence_says_so() -> None:
    grade, words = judge(BUSBW, 101.0, "GB/s", None, sku="h100")
    assert (grade, words) == (Grade.FINE, "busbw 101 GB/s, no baseline of SKU h100: judged by the fixed limit")
    assert judge(BUSBW, 99.0, "GB/s", None, sku="h100") == (Grade.BAD, "busbw 99 GB/s, under the limit of 100")


def test_fewer_nodes_than_the_minimum_are_no_baseline() -> None:
    few = [measured(180.0, node) for node in range(NODES_MIN - 1)]
    assert learn(few, NOW) == {}
    assert learn([*few, measured(180.0, NODES_MIN)], NOW)["gb200", "busbw"].nodes == NODES_MIN


def test_a_node_that_was_measured_often_counts_once_with_its_last() -> None:
    often = [measured(10.0, 0, days=2 + days) for days in range(100)]
    usual = [measured(180.0 + node % 3, node) for node in range(NODES_MIN)]
    found = learn([*often, *usual], NOW)["gb200", "busbw"]
    assert (found.nodes, found.median) == (NODES_MIN, 181.0)


def test_a_few_sick_nodes_do_not_move_what_is_usual() -> None:
    usual = [measured(180.0 + node % 5, node) for node in range(100)]
    sick = [measured(20.0, 100 + node) for node in range(10)]
    found = learn([*usual, *sick], NOW)["gb200", "busbw"]
    assert 181.0 <= found.median <= 182.0
    assert found.spread < 3.0


def test_measurements_of_long_ago_of_the_future_and_of_other_skus_do_not_count() -> None:
    old = [measured(10.0, node, days=200) for node in range(NODES_MIN)]
    ahead = [measured(10.0, node, days=-1) for node in range(NODES_MIN)]
    other = [measured(10.0, node, sku="h100") for node in range(NODES_MIN)]
    found = learn([*old, *ahead, *other], NOW)
    assert set(found) == {("h100", "busbw")}


def findings(*, value: float | None = 186.0, faults: tuple[str, ...] = ()) -> Findings:
    figures = () if value is None else (Figure(name="busbw", value=value, unit="GB/s"),)
    return Findings(faults=faults, figures=figures)


@pytest.mark.parametrize(
    ("found", "exit_code", "health", "said"),
    [
        (findings(), 0, Health.HEALTHY, "0.4 % under what 412 nodes"),
        (findings(value=180.0), 0, Health.DOUBTFUL, "3.6 % under"),
        (findings(value=90.0), 0, Health.UNHEALTHY, "under the limit of 100"),
        (findings(value=None), 0, Health.DOUBTFUL, "measured no busbw"),
        (findings(), 1, Health.DOUBTFUL, "exit code 1 and names no fault"),
        (findings(faults=("5 wrong values",)), 1, Health.UNHEALTHY, "5 wrong values"),
    ],
)
def test_what_is_missing_or_contradicts_itself_is_doubted(
    found: Findings, exit_code: int, health: Health, said: str
) -> None:
    verdict = judge_findings(found, exit_code, [BUSBW], {"busbw": GB200}, sku="gb200")
    assert verdict.health is health
    assert said in verdict.sentence


def test_the_worst_rank_speaks_for_the_node() -> None:
    ranks = Findings(figures=tuple(Figure(name=f"busbw:{n}", value=v) for n, v in enumerate((186.0, 150.0, 190.0))))
    verdict = judge_findings(ranks, 0, [BUSBW], {"busbw": GB200}, sku="gb200")
    assert verdict.health is Health.UNHEALTHY


def test_a_figure_is_finite() -> None:
    with pytest.raises(Unreadable):
        Figure(name="busbw", value=float("nan"))
