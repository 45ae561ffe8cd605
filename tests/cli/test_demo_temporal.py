"""The demo on Temporal, and what is said when there is none."""

from datetime import UTC, datetime
from pathlib import Path

import pytest
from tests.cli.demo_world import play, report_of
from tests.cli.line import Line
from tests.conftest import free_port

from fermata.cli.demo_line import DemoLine
from fermata.cli.driving import own_server
from fermata.domain.report import Outcome

SPEED = 20_000.0
FIRST_DAY_IS_OVER = datetime(2026, 1, 4, tzinfo=UTC)


@pytest.mark.timeout(180)
@pytest.mark.xdist_group("temporal")
def test_demo_on_a_temporal_server_of_its_own_is_stopped_and_goes_on(tmp_path: Path) -> None:
    def stop_at_first_status(line: DemoLine, event: str) -> None:
        if event == "status":
            line.stop.set()

    def stop_after_the_first_day(line: DemoLine, event: str) -> None:
        if event == "status" and line.clock.now() > FIRST_DAY_IS_OVER:
            line.stop.set()

    with own_server(tmp_path / "temporal.db") as address:
        first = play(tmp_path, stop_at_first_status, speed=SPEED, temporal=address)
        assert first.names[-1] == "run_started"
        play(tmp_path, stop_after_the_first_day, speed=SPEED, temporal=address)
    report = report_of(tmp_path)
    assert Outcome.RETURNED in {line.outcome for line in report.nodes}
    assert report.unproven == ()


def test_demo_without_a_server_at_the_address_says_so(line: Line, tmp_path: Path) -> None:
    nobody = f"127.0.0.1:{free_port()}"
    answer = line.run("demo", "--dir", str(tmp_path), "--json", "--temporal", nobody, store=False)
    assert answer.code == 2


def test_worker_says_what_goes_together(line: Line) -> None:
    assert line.run("worker", "--engine", "temporal").code == 2
    assert line.run("worker", "--temporal", "127.0.0.1:7233").code == 2
    assert line.run("worker").code == 2


def test_worker_of_a_server_that_does_not_answer_ends_with_a_reason(line: Line, tmp_path: Path) -> None:
    words = ("--engine", "temporal", "--temporal", f"127.0.0.1:{free_port()}", "--simulate", str(tmp_path / "world"))
    answer = line.run("worker", "--json", *words)
    assert (answer.code, answer.json["error"]["code"]) == (1, "ENGINE_UNREACHABLE")


def test_store_in_a_file_takes_one_worker(line: Line, tmp_path: Path) -> None:
    import fcntl

    with (line.store.with_name(f"{line.store.name}.worker")).open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        answer = line.run("worker", "--json", "--simulate", str(tmp_path / "world"))
    assert (answer.code, answer.json["error"]["code"]) == (1, "ONE_WORKER_ON_SQLITE")
