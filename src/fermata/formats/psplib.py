"""Reads the classic project-scheduling files: `.sm` of PSPLIB (one mode a task) and `.rcp` of Patterson.

`fermata bench rcpsp` calls it. Tasks are numbered from 1 in both; their numbers are their names.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from fermata.formats.faults import NOWHERE, FaultLog, Place, one_of, quote, raise_faults
from fermata.formats.tablefiles import read_table
from fermata.formats.tables import Columns, check_unique
from fermata.formats.text import read_text
from fermata.planning.rcpsp.project import Project, Resource, Task, find_faults

SUFFIXES = (".sm", ".rcp")
FILE_BYTES_MAX = 8 * 2**20  # a project of 2,000 tasks has about 100 KiB
NUMBER_MAX = 10**9  # beyond every duration, demand and capacity that occurs
NUMBER_RULE = f"a whole number from 0 to {NUMBER_MAX}"
HEADINGS = ("PRECEDENCE RELATIONS", "REQUESTS/DURATIONS", "RESOURCEAVAILABILITIES")
NOT_RENEWABLE = re.compile(r"-\s*(nonrenewable|doubly constrained)\s*:\s*(\d+)", re.IGNORECASE)
MULTI_MODE = "only projects with one mode for each task and renewable resources are solved here"


@dataclass(frozen=True, slots=True, kw_only=True)
class _Word:
    text: str
    place: Place


@dataclass(frozen=True, slots=True, kw_only=True)
class _Row:
    """A task as written; `successors` holds their numbers, from 1."""

    place: Place
    duration: int
    demands: tuple[int, ...]
    successors: tuple[int, ...]


def find_projects(paths: Sequence[Path]) -> tuple[Path, ...]:
    """The files named, and of each folder the files in it that are read here, j30 before j120.

    Raises BadInput for a folder without any.
    """
    found: list[Path] = []
    logs = []
    for path in paths:
        if not path.is_dir():
            found.append(path)
            continue
        inside = [file for file in path.iterdir() if file.suffix.lower() in SUFFIXES and file.is_file()]
        if not inside:
            logs.append(FaultLog(path))
            logs[-1].add(f"This folder holds no file that ends with {one_of(SUFFIXES)}.")
        found += sorted(inside, key=_natural)
    raise_faults(logs)
    return tuple(found)


def _natural(path: Path) -> tuple[tuple[int, str], ...]:
    """Numbers in a name count as numbers."""
    return tuple((int(part), "") if part.isdecimal() else (0, part) for part in re.split(r"([0-9]+)", path.name))


def read_projects(paths: Sequence[Path]) -> tuple[Project, ...]:
    """The project of each file, named as the file. Raises BadInput with every fault of all files."""
    logs = [FaultLog(path) for path in paths]
    projects = [_decode(log.file, log) for log in logs]
    raise_faults(logs)
    return tuple(project for project in projects if project is not None)


def read_best_known(path: Path) -> dict[str, int]:
    """Makespan by file name, of a CSV file with these two columns. Raises BadInput with every fault of the file."""
    log = FaultLog(path)
    table = read_table(path, Columns(required=("file", "makespan")), log)
    known: dict[str, int] = {}
    if table is not None and {"file", "makespan"} <= table.columns.keys():
        check_unique(table, "file")
        for row, text in enumerate(table.columns["makespan"]):
            if _is_number(text):
                known[table.columns["file"][row]] = int(text)
            else:
                log.add(f"{quote(text)} is not {NUMBER_RULE}.", table.place(row, "makespan"))
    raise_faults([log])
    return known


def _decode(path: Path, log: FaultLog) -> Project | None:
    suffix = path.suffix.lower()
    if suffix == ".mm":
        log.add(f"A multi-mode file: {MULTI_MODE}.")
        return None
    if suffix not in SUFFIXES:
        log.add(f"The name must end with {one_of(SUFFIXES)}, which says how the file is written.")
        return None
    text = read_text(path, log, bytes_max=FILE_BYTES_MAX)
    if text is None:
        return None
    lines = [_split(line, number) for number, line in enumerate(text.splitlines(), start=1)]
    capacities, rows = _read_sm(text, lines, log) if suffix == ".sm" else _read_rcp(lines, log)
    return None if len(log) else _build(path.name, capacities, rows, log)


def _split(line: str, number: int) -> tuple[_Word, ...]:
    found = re.finditer(r"\S+", line)
    return tuple(_Word(text=word.group(), place=Place(line=number, column=word.start() + 1)) for word in found)


def _build(name: str, capacities: Sequence[int], rows: Sequence[_Row], log: FaultLog) -> Project | None:
    """The project, after the checks that need all of the file."""
    for number, row in enumerate(rows, start=1):
        for successor in row.successors:
            if not 1 <= successor <= len(rows):
                log.add(f"Task {number} has the successor {successor}; tasks run from 1 to {len(rows)}.", row.place)
    if len(log):
        return None
    resources = tuple(Resource(name=f"R{i}", capacity=capacity) for i, capacity in enumerate(capacities, start=1))
    tasks = tuple(
        Task(
            name=str(number),
            duration=row.duration,
            demands=row.demands,
            successors=tuple(dict.fromkeys(successor - 1 for successor in row.successors)),
        )
        for number, row in enumerate(rows, start=1)
    )
    for fault in find_faults(tasks, resources):
        log.add(fault.sentence, NOWHERE if fault.task is None else rows[fault.task].place)
    return None if len(log) else Project(name=name, tasks=tasks, resources=resources)


def _read_sm(text: str, lines: Sequence[tuple[_Word, ...]], log: FaultLog) -> tuple[tuple[int, ...], tuple[_Row, ...]]:
    for match in NOT_RENEWABLE.finditer(text):
        if int(match.group(2)):
            line = text.count("\n", 0, match.start()) + 1
            log.add(f"{match.group(2)} {match.group(1)} resources: {MULTI_MODE}.", Place(line=line))
    orders, requests, capacity_rows = (_read_section(lines, heading, log) for heading in HEADINGS)
    if len(log):
        return (), ()
    capacities = _numbers(capacity_rows[0], log) if capacity_rows else ()
    if len(capacity_rows) != 1:
        log.add(f"{HEADINGS[2]} must have one row of numbers, it has {len(capacity_rows)}.")
    if len(orders) != len(requests):
        log.add(f"{len(orders)} tasks under {HEADINGS[0]}, {len(requests)} under {HEADINGS[1]}.")
    successors = [_read_order(row, number, log) for number, row in enumerate(orders, start=1)]
    needs = [_read_request(row, number, len(capacities), log) for number, row in enumerate(requests, start=1)]
    rows = tuple(
        _Row(place=words[0].place, duration=need[0], demands=need[1:], successors=those)
        for words, need, those in zip(requests, needs, successors, strict=False)  # counts that differ are a fault
        if need
    )
    return capacities, rows


def _read_section(lines: Sequence[tuple[_Word, ...]], heading: str, log: FaultLog) -> list[tuple[_Word, ...]]:
    """The rows under a heading and its line of column names, up to the next line of asterisks."""
    at = [i for i, words in enumerate(lines) if " ".join(w.text for w in words).upper().startswith(heading)]
    if len(at) != 1:
        what = "is missing" if not at else f"stands here {len(at)} times"
        log.add(f"The heading {heading} {what}.", lines[at[1]][0].place if at else NOWHERE)
        return []
    rows = []
    for words in lines[at[0] + 2 :]:
        if words and words[0].text.startswith("*"):
            break
        if words and not words[0].text.startswith("--"):
            rows.append(words)
    if not rows:
        log.add(f"Nothing stands under {heading}.", lines[at[0]][0].place)
    return rows


def _read_order(words: tuple[_Word, ...], number: int, log: FaultLog) -> tuple[int, ...]:
    """Successors of: task, modes, count, successors."""
    found = _numbers(words, log)
    if not found or not _is_task(found, words, number, log):
        return ()
    if len(found) < 3 or found[2] != len(found) - 3:
        told = f"says {found[2]} and lists {len(found) - 3}" if len(found) > 2 else "does not say how many"
        log.add(f"Successors of task {number}: the row {told}.", words[0].place)
        return ()
    if found[1] != 1:
        log.add(f"Task {number} has {found[1]} modes: {MULTI_MODE}.", words[1].place)
    return found[3:]


def _read_request(words: tuple[_Word, ...], number: int, resources: int, log: FaultLog) -> tuple[int, ...]:
    """Duration and demands of: task, mode, duration, demands."""
    found = _numbers(words, log)
    if not found or not _is_task(found, words, number, log):
        return ()
    if len(found) != 3 + resources:
        shape = f"task, mode, duration and {resources} demands"
        log.add(f"{len(found)} numbers; a row here has {3 + resources}: {shape}.", words[0].place)
        return ()
    return found[2:]


def _is_task(found: Sequence[int], words: Sequence[_Word], number: int, log: FaultLog) -> bool:
    if found[0] != number:
        log.add(f"Task {found[0]} stands where task {number} is due; tasks are in order, one row each.", words[0].place)
    return found[0] == number


def _read_rcp(lines: Sequence[tuple[_Word, ...]], log: FaultLog) -> tuple[tuple[int, ...], tuple[_Row, ...]]:
    """Numbers alone, line ends anywhere: tasks, resources; capacities; of each task duration, demands, successors."""
    words = [word for line in lines for word in line]
    numbers = _numbers(words, log)
    if len(log):
        return (), ()
    if len(numbers) < 2:
        log.add("The file must begin with two numbers: of tasks and of resources.")
        return (), ()
    count, resources = numbers[:2]
    at = 2 + resources
    rows: list[_Row] = []
    while len(rows) < count:
        listed = at + 1 + resources  # where the number of successors stands
        if listed >= len(numbers) or (end := listed + 1 + numbers[listed]) > len(numbers):
            log.add(f"The file ends before task {len(rows) + 1} of {count} does.", words[-1].place)
            return (), ()
        demands, successors = numbers[at + 1 : listed], numbers[listed + 1 : end]
        rows.append(_Row(place=words[at].place, duration=numbers[at], demands=demands, successors=successors))
        at = end
    if at < len(words):
        log.add(f"More follows after the last of {count} tasks.", words[at].place)
    return numbers[2 : 2 + resources], tuple(rows)


def _numbers(words: Sequence[_Word], log: FaultLog) -> tuple[int, ...]:
    """All words as whole numbers from 0; none when one of them is not, with a fault for each that is not."""
    bad = [word for word in words if not _is_number(word.text)]
    for word in bad:
        log.add(f"{quote(word.text)} is not {NUMBER_RULE}.", word.place)
    return () if bad else tuple(int(word.text) for word in words)


def _is_number(text: str) -> bool:
    return re.fullmatch(r"[0-9]{1,10}", text) is not None and int(text) <= NUMBER_MAX
