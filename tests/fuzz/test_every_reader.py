"""No reader of what others wrote without a target: each is found in the source, and has to run when targets do."""

import ast
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from types import FrameType

import pytest
from tests.fuzz.door_targets import list_door_targets
from tests.fuzz.target import Target
from tests.fuzz.targets import list_targets

import fermata

ROOT = Path(fermata.__file__).parent
PLACES = (
    "formats",
    "adapters",
    "query/text.py",
    "services/archive_reading.py",
    "server/doors",
    "server/identity",
    "server/api/cursors.py",
    "server/api/tags.py",
    "server/api/answers.py",
    "server/said.py",
    "server/conditional.py",
    "domain/arm.py",
    "domain/reach.py",
    "domain/recurrence.py",
    "client/link.py",
)
NAMED = re.compile(
    r"(?:read|parse|expand|unpack|unproven|seen_incarnation|is_known|name_in|find_host|find_address|prepare)(?:_|$)"
)
BY_ITSELF = {  # what reads nothing that somebody else wrote, or is a request whose answer another reader here reads
    "read_path": "of a request to a door, which is asked as a whole server: tests/fuzz/door_targets.py",
    "read": "asks Slurm or Kubernetes for a list, whose readers have targets",
    "read_inventory": "of three files, each of which has a target, and a scenario with each",
    "read_line": "a secret of the site's own, judged as a whole: tests/adapters/secrets",
    "read_list": "asks Kubernetes, page by page; the answers' objects have targets",
    "read_field": "asks Kubernetes for one word of its own",
    "read_protection": "of an object that Azure's own library has read and typed",
    "read_hold": "of an object that the library of Kubernetes or Azure has typed; Slurm's are of its nodes",
    "read_residents": "of pods that the library of Kubernetes has read and typed",
    "read_steps": "an annotation of such an object: step_trail.read_trail, which has a target, reads it",
}

Readers = dict[tuple[str, int], str]


def find_readers() -> Readers:
    """Public functions of modules by file and first line, with the names that tell what they do."""
    found = {}
    for place in PLACES:
        path = ROOT / place
        for file in sorted(path.rglob("*.py")) if path.is_dir() else [path]:
            for each in ast.parse(file.read_text(encoding="utf-8")).body:
                if isinstance(each, ast.FunctionDef | ast.AsyncFunctionDef) and NAMED.match(each.name):
                    line = min([each.lineno, *(mark.lineno for mark in each.decorator_list)])
                    found[str(file), line] = f"{file.relative_to(ROOT).with_suffix('')}.{each.name}"
    return found


def watch(readers: Readers, targets: Iterator[Target]) -> set[str]:
    """Those that ran while the targets read their seeds, in this thread."""
    ran = set[str]()

    def note(frame: FrameType, event: str, _argument: object) -> None:
        if event == "call":
            name = readers.get((frame.f_code.co_filename, frame.f_code.co_firstlineno))
            if name is not None:
                ran.add(name)

    before = sys.getprofile()
    sys.setprofile(note)
    try:
        for target in targets:
            for seed in target.seeds:
                try:
                    target.run(seed)
                except target.refusals:
                    continue
    finally:
        sys.setprofile(before)
    return ran


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_every_reader_of_what_others_wrote_is_reached_by_a_target() -> None:
    readers = find_readers()
    assert len(readers) > 60, "they are found"
    doors = {target.name for target in list_door_targets()}  # a server answers those in threads of its own
    ran = watch(readers, (target for name, target in list_targets().items() if name not in doors))
    without = {name for name in readers.values() if name.rpartition(".")[2] not in BY_ITSELF} - ran
    assert not without, "each of these needs a target in tests/fuzz, or a reason in BY_ITSELF"


def test_what_needs_no_target_is_still_there() -> None:
    names = {name.rpartition(".")[2] for name in find_readers().values()}
    assert set(BY_ITSELF) <= names


def test_a_reader_without_a_target_is_told_of() -> None:
    readers = find_readers()
    few = (target for name, target in list_targets().items() if name == "slurm names")
    ran = watch(readers, few)
    assert ran == {"adapters/slurm/hostlist.expand"}
