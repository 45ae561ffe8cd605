"""Project files: what is read, and every way in which one is refused, with its place."""

from pathlib import Path

import pytest

from fermata.formats.faults import BadInput
from fermata.formats.psplib import find_projects, read_best_known, read_projects

SM = """\
************************************************************************
file with basedata            : handmade
************************************************************************
projects                      :  1
jobs (incl. supersource/sink ):  4
horizon                       :  5
RESOURCES
  - renewable                 :  2   R
  - nonrenewable              :  0   N
  - doubly constrained        :  0   D
************************************************************************
PRECEDENCE RELATIONS:
jobnr.    #modes  #successors   successors
   1        1          2           2   3
   2        1          1           4
   3        1          1           4
   4        1          0
************************************************************************
REQUESTS/DURATIONS:
jobnr. mode duration  R 1  R 2
------------------------------------------------------------------------
  1      1     0       0    0
  2      1     3       2    0
  3      1     2       1    1
  4      1     0       0    0
************************************************************************
RESOURCEAVAILABILITIES:
  R 1  R 2
    2    1
************************************************************************
"""
RCP = "4 2\n2 1\n\n0 0 0 2 2 3\n3 2 0 1\n 4\n2 1 1 1 4\n0 0 0 0\n"


def write(folder: Path, name: str, text: str) -> Path:
    path = folder / name
    path.write_text(text, encoding="utf-8")
    return path


def faults(path: Path) -> list[str]:
    with pytest.raises(BadInput) as refused:
        read_projects([path])
    return [str(fault).removeprefix(str(path)) for fault in refused.value.faults]


def test_both_forms_give_the_same_project(tmp_path: Path) -> None:
    one, two = read_projects([write(tmp_path, "a.sm", SM), write(tmp_path, "a.rcp", RCP)])
    assert (one.tasks, one.resources) == (two.tasks, two.resources)
    assert [task.duration for task in one.tasks] == [0, 3, 2, 0]
    assert [task.successors for task in one.tasks] == [(1, 2), (3,), (3,), ()]
    assert [resource.capacity for resource in one.resources] == [2, 1]


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        ("   2        1 ", "   2        3 ", [":15:13: Task 2 has 3 modes: only projects with one mode"]),
        ("nonrenewable              :  0", "nonrenewable              :  2", [":9: 2 nonrenewable resources: only"]),
        ("     3       2    0", "     x       2   -1", [':23:16: "x" is not a whole', ':23:28: "-1" is not a whole']),
        ("  2      1     3 ", "  5      1     3 ", [":23:3: Task 5 stands where task 2 is due"]),
        ("       1    1\n", "       1\n", [":24:3: 4 numbers; a row here has 5: task, mode, duration and 2 demands"]),
        (
            "   2        1          1           4",
            "   2  1  2  4",
            [":15:4: Successors of task 2: the row says 2 and l"],
        ),
        ("   3        1          1           4", "   3  1", [":16:4: Successors of task 3: the row does not say how"]),
        ("           2   3\n", "           2   9\n", [":22:3: Task 1 has the successor 9; tasks run from 1 to 4."]),
        ("       2    0\n", "       7    0\n", [":23:3: Task 2 asks for 7 of R1, which has 2."]),
        ("   4        1          0", "   4  1  1  2", [":23:3: Tasks wait for each other in a circle: 2 before 4"]),
        ("REQUESTS/DURATIONS:", "REQUESTS:", [": The heading REQUESTS/DURATIONS is missing."]),
        ("    2    1\n", "", [":27:1: Nothing stands under RESOURCEAVAILABILITIES."]),
        ("    2    1\n", "    2    1\n    1    1\n", [": RESOURCEAVAILABILITIES must have one row of numbers, it has"]),
        ("   4        1          0\n", "", [": 3 tasks under PRECEDENCE RELATIONS, 4 under REQUESTS/DURATIONS."]),
        ("RESOURCES\n", "PRECEDENCE RELATIONS:\n", [":12:1: The heading PRECEDENCE RELATIONS stands here 2 times."]),
    ],
)
def test_every_fault_of_an_sm_file_is_told_with_its_place(tmp_path: Path, old: str, new: str, told: list[str]) -> None:
    assert SM.count(old) == 1
    found = faults(write(tmp_path, "bad.sm", SM.replace(old, new)))
    assert len(found) == len(told)
    for fault, beginning in zip(found, told, strict=True):
        assert fault.startswith(beginning)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("", ": The file is empty."),
        ("4", ": The file must begin with two numbers: of tasks and of resources."),
        ("4 two", ':1:3: "two" is not a whole number from 0 to 1000000000.'),
        (RCP.replace("0 0 0 0\n", "0 0 0\n"), ":8:5: The file ends before task 4 of 4 does."),
        (RCP + "9", ":9:1: More follows after the last of 4 tasks."),
        (RCP.replace("2 2 3", "2 2 5"), ":4:1: Task 1 has the successor 5; tasks run from 1 to 4."),
        ("0 0", ": The project has no task."),
        ("99999999999 1 1", ':1:1: "99999999999" is not a whole number'),
    ],
)
def test_every_fault_of_an_rcp_file_is_told_with_its_place(tmp_path: Path, text: str, told: str) -> None:
    [found] = faults(write(tmp_path, "bad.rcp", text))
    assert found.startswith(told)


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("m.mm", ": A multi-mode file: only projects with one mode for each task and renewable resources are solved"),
        ("m.txt", ": The name must end with .sm or .rcp, which says how the file is written."),
    ],
)
def test_other_kinds_of_file_are_refused_by_name(tmp_path: Path, name: str, told: str) -> None:
    [found] = faults(write(tmp_path, name, SM))
    assert found.startswith(told)


def test_faults_of_all_files_are_told_together(tmp_path: Path) -> None:
    with pytest.raises(BadInput) as refused:
        read_projects([tmp_path / "none.sm", write(tmp_path, "bad.rcp", "1")])
    assert [Path(fault.file).name for fault in refused.value.faults] == ["none.sm", "bad.rcp"]


def test_a_folder_gives_its_files_in_the_order_of_their_numbers(tmp_path: Path) -> None:
    for name in ("j10_2.sm", "j9_1.sm", "j10_10.SM", "notes.txt"):
        write(tmp_path, name, SM)
    assert [path.name for path in find_projects([tmp_path])] == ["j9_1.sm", "j10_2.sm", "j10_10.SM"]


def test_a_folder_without_any_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="holds no file that ends with"):
        find_projects([tmp_path])


def test_best_known_makespans_are_read_by_file_name(tmp_path: Path) -> None:
    assert read_best_known(write(tmp_path, "best.csv", "file,makespan\na.sm,5\nb.sm,7\n")) == {"a.sm": 5, "b.sm": 7}


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("file,makespan\na.sm,five\n", ':2:2 (makespan): "five" is not a whole number'),
        ("file,makespan\na.sm,5\na.sm,6\n", ':3:1 (file): file "a.sm" stands already on line 2.'),
        ("file,span\na.sm,5\n", "makespan"),
    ],
)
def test_a_faulty_table_of_best_known_makespans_is_refused(tmp_path: Path, text: str, told: str) -> None:
    with pytest.raises(BadInput) as refused:
        read_best_known(write(tmp_path, "best.csv", text))
    assert told in str(refused.value)
