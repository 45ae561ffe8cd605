"""A short, repeatable part of what `make fuzz` does: every reader gets bytes near what it reads."""

import json
from contextlib import suppress
from itertools import islice
from pathlib import Path
from random import Random

import pytest
from tests.fuzz.mutating import inputs_of
from tests.fuzz.target import Broken, Target, of_file, try_input
from tests.fuzz.targets import list_targets

from fermata.formats.faults import FaultLog, Place, raise_faults

TARGETS = list_targets()
INPUTS = 40  # of each target
DEAR = {"kql answered": 15}


@pytest.mark.parametrize("name", TARGETS)
def test_bytes_near_what_a_reader_reads_are_read_or_refused(name: str) -> None:
    target = TARGETS[name]
    for data in islice(inputs_of(target, Random(name)), DEAR.get(name, INPUTS)):
        try_input(target, data)


@pytest.mark.parametrize("name", TARGETS)
def test_every_target_begins_with_something_that_is_read(name: str) -> None:
    target = TARGETS[name]
    assert any(try_input(target, seed) for seed in target.seeds)


def test_a_reader_that_fails_takes_long_or_says_nothing_is_told_of() -> None:
    def fail(data: bytes) -> None:
        raise KeyError(data)

    def refuse(_data: bytes) -> None:
        raise ValueError

    for run in (fail, refuse):
        with pytest.raises(Broken):
            try_input(Target(name="bent", run=run, seeds=(b"a",), refusals=(ValueError,)), b"a")


@pytest.mark.parametrize(
    "place", [Place(line=0), Place(line=4), Place(line=1, column=6)], ids=["none", "line", "column"]
)
def test_a_refusal_that_names_a_place_beyond_its_file_is_told_of(place: Place) -> None:
    def refuse(path: Path) -> None:
        log = FaultLog(path)
        log.add("This is wrong.", place)
        raise_faults([log])

    with pytest.raises(Broken, match="no place"):
        try_input(Target(name="a.yaml", run=of_file(refuse, "a.yaml"), seeds=(b"a",)), b"a\nbc")


def test_what_is_made_of_json_mostly_still_is_json_and_never_holds_itself() -> None:
    target = Target(name="json", run=json.loads, seeds=(b'{"a": [1, {"b": "c"}], "d": null}',))
    made = list(islice(inputs_of(target, Random(7)), 4000))
    read = 0
    for data in made:
        with suppress(ValueError, RecursionError):
            json.loads(data)
            read += 1
    assert read > len(made) / 2
    assert len(set(made)) > len(made) / 3
