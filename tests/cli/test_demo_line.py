"""The demo's line: from files to returned capacity, cut off anywhere and taken up again."""

from datetime import timedelta
from pathlib import Path

import pytest
from tests.cli.demo_world import play, report_of

from fermata.cli.demo_line import DemoLine
from fermata.domain.policy import Scope, ScopeLevel
from fermata.domain.report import Outcome, Report
from fermata.services.freezes import FreezeOrder, add_freeze
from fermata.wiring import clocks

pytestmark = pytest.mark.xdist_group("demo line")  # one whole demo for all
STEPS = ("import", "approve", "plan", "publish")


def outcomes(report: Report) -> dict[str, tuple[Outcome, dict[str, str]]]:
    return {line.node: (line.outcome, dict(line.proven)) for line in report.nodes}


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder in which the demo ran to its end in one go."""
    folder = tmp_path_factory.mktemp("whole")
    play(folder)
    return folder


def test_every_node_comes_back_proven_or_has_a_reason(whole: Path) -> None:
    report = report_of(whole)
    assert report.nodes
    for line in report.nodes:
        assert line.outcome in {Outcome.RETURNED, Outcome.TAIL, Outcome.NO_WORK}
        assert line.reason is not None or dict(line.proven) == dict(line.targets)
    assert report.unproven == ()


def test_no_limit_is_exceeded(whole: Path) -> None:
    assert [use for use in report_of(whole).limits if use.exceeded] == []


def test_a_finished_demo_has_nothing_more_to_do(whole: Path) -> None:
    assert play(whole).names == []


@pytest.mark.parametrize("cut_at", [f"{step}.{side}" for step in STEPS for side in ("begin", "finish")])
def test_demo_cut_off_by_an_error_at_any_step_goes_on(cut_at: str, tmp_path: Path, whole: Path) -> None:
    class Cut(Exception):
        """As sudden as kill -9: nothing after it runs."""

    def cut(line: DemoLine, event: str) -> None:
        if event == cut_at:
            raise Cut

    with pytest.raises(Cut):
        play(tmp_path, cut)
    play(tmp_path)
    assert outcomes(report_of(tmp_path)) == outcomes(report_of(whole))


def test_demo_stopped_while_it_conducts_goes_on_to_the_same_end(tmp_path: Path, whole: Path) -> None:
    seen = 0

    def stop_at_first_status(line: DemoLine, event: str) -> None:
        nonlocal seen
        seen += event == "status"
        if event == "status":
            line.stop.set()

    for _ in range(3):
        play(tmp_path, stop_at_first_status)
    assert seen == 3
    play(tmp_path)
    assert outcomes(report_of(tmp_path)) == outcomes(report_of(whole))


def test_nothing_is_imported_or_approved_twice(tmp_path: Path) -> None:
    first = play(tmp_path, lambda line, event: line.stop.set() if event == "publish.finish" else None)
    assert first.names[0] == "import.begin"
    assert not set(play(tmp_path).names) & {"import.begin", "approve.begin"}


def test_what_a_freeze_kept_from_its_window_is_planned_again(tmp_path: Path) -> None:
    frozen: list[str] = []

    def freeze_once(line: DemoLine, event: str) -> None:
        if event == "run_started" and not frozen:
            frozen.append(event)
            start = line.clock.now()
            order = FreezeOrder(
                scope=Scope(level=ScopeLevel.CLUSTER, name="alpha"),
                start=start,
                end=start + timedelta(days=2),
                reason="launch",
            )
            add_freeze(line.database, order, now=start, new_id=clocks.mint_id)

    told = play(tmp_path, freeze_once)
    report = report_of(tmp_path)
    first, second = report.plans
    assert second.parent == first.id
    assert told.names.count("run_started") == 2
    assert not {line.outcome for line in report.nodes} - {Outcome.RETURNED, Outcome.TAIL}
