"""`fermata bench rcpsp`: what it prints and the exit code it ends with."""

import json
from pathlib import Path

import pytest
from tests.formats.test_psplib import RCP, SM, write
from tests.unit.planning.rcpsp.projects import hard_project

from fermata.cli.main import main
from fermata.planning.rcpsp.project import find_violations


def run(*arguments: str) -> int:
    with pytest.raises(SystemExit) as ended:
        main(["bench", "rcpsp", *arguments])
    assert isinstance(ended.value.code, int)
    return ended.value.code


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    write(tmp_path, "a.sm", SM)
    write(tmp_path, "b.rcp", RCP)
    return tmp_path


def test_each_file_gets_a_line_and_all_a_summary(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    best = write(folder, "best.csv", "file,makespan\na.sm,5\n")
    assert run(str(folder), "--seconds", "2", "--best-known", str(best)) == 0
    told = [" ".join(line.split()) for line in capsys.readouterr().out.splitlines()]
    assert told[0] == "file tasks makespan bound gap seconds"
    assert told[1].startswith("a.sm 4 5 5 0.0% proven")
    assert told[1].endswith("best known 5")
    assert told[2].startswith("b.rcp 4 5 5 0.0% proven")
    assert told[3].startswith("2 files in")
    assert told[4] == "Against the best known of 1 file: 1 proven or equal, 1 equal, mean gap 0.00%"


def test_json_has_the_schedule_too(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(str(folder / "a.sm"), "--effort", "1", "--workers", "1", "--json") == 0
    told = json.loads(capsys.readouterr().out)
    [line] = told["files"]
    assert {key: line[key] for key in ("file", "tasks", "makespan", "bound", "gap", "proven", "best_known")} == {
        "file": "a.sm", "tasks": 4, "makespan": 5, "bound": 5, "gap": 0.0, "proven": True, "best_known": None,
    }  # fmt: skip
    assert sorted(line["starts"]) in ([0, 0, 2, 5], [0, 0, 3, 5])
    assert told["summary"]["proven"] == 1
    assert told["summary"]["equal_to_best_known"] is None


def test_a_file_that_cannot_be_read_ends_with_2_and_solves_none(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write(folder, "c.rcp", "4 x")
    assert run(str(folder)) == 2
    said = capsys.readouterr()
    assert said.out == ""
    assert 'c.rcp:1:3: "x" is not a whole number' in said.err


def test_two_threads_share_a_project_until_the_seconds_are_over(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    project = hard_project(60)
    rows = [f"{len(project.tasks)} {len(project.resources)}", "6 7"]
    for task in project.tasks:
        successors = [other + 1 for other in task.successors]
        rows.append(" ".join(map(str, (task.duration, *task.demands, len(successors), *successors))))
    path = write(tmp_path, "hard.rcp", "\n".join(rows))
    assert run(str(path), "--seconds", "1", "--workers", "2", "--json") == 0
    [line] = json.loads(capsys.readouterr().out)["files"]
    assert find_violations(project, line["starts"]) == ()
    assert line["bound"] <= line["makespan"]
