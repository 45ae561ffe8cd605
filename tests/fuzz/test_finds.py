"""What fuzzing and reading found once stays found: input that made a reader fail."""

import json
import resource

import pytest
from tests.fuzz.file_targets import BRAKE, POINT
from tests.fuzz.target import try_input
from tests.fuzz.targets import list_targets

from fermata.adapters.slurm import hostlist, tags

EARLY, LATE = "0001-01-01T00:00:00+23:59", "9999-12-31T23:59:59-23:59"  # no time in UTC
AT = "2026-01-01T00:00:00+00:00"
BRAKES = (BRAKE.replace(AT, EARLY), BRAKE.replace(AT, LATE), "[" * 100_000, '{"at": 1e999}', "\udcff")
NAIVE_LINE = (
    b'{"schema": "fermata.archive/1", "first": 1, "last": 1, "head": "00", "previous": "00", "signature": "",'
    b' "at": "2026-01-01T00:00:00+00:00"}\n'
    b'{"line": {"seq": 1, "at": "2026-01-01T00:00:00", "actor": "a", "event": "b", "subject": "c", "why": "",'
    b' "data": {}, "hash": "00"}}\n'
)
POINTS = ({"seq": float("inf")}, {"at": EARLY}, {"at": LATE})


@pytest.mark.parametrize("text", BRAKES, ids=["early", "late", "deep", "number", "bytes"])
def test_a_brake_file_that_nobody_can_read_is_a_brake_that_is_on(text: str) -> None:
    assert try_input(list_targets()["brake.json"], text.encode("utf-8", "surrogateescape"))


@pytest.mark.parametrize("change", POINTS, ids=["endless", "early", "late"])
def test_a_checkpoint_with_a_number_or_a_time_that_there_is_not_is_refused(change: dict[str, object]) -> None:
    text = json.dumps(POINT | change)
    assert not try_input(list_targets()["one.checkpoint.json"], text.encode())


@pytest.mark.parametrize("head", [b"Host: [", b"Host: [x]:80", b"Host: 127.0.0.1\r\nOrigin: http://["])
def test_a_head_with_brackets_around_nothing_is_refused(head: bytes) -> None:
    assert try_input(list_targets()["head"], head)


FAULTS = {
    "slurm names": (b"a[0-999999][0-999999]", b"a" + b"[1]" * 20_000),
    "slurm words on a node": (
        b"fermata{lock=r/w/*/lock/1@99999999999999999+}", b"fermata{lock=r/w/*/lock/1@" + b"9" * 5000 + b"+}",
    ),
    "slurm abilities": (b'{"paths": [1]}', b'{"paths": 7}'),
    "slurm reservations": (b'[{"name": "x", "flags": 7}]',),
    "answers of redfish": (b'{"Systems": {"@odata.id": "//["}}', b'{"Tasks": {"@odata.id": "http://[/x"}}'),
    "samples of prometheus": (
        b'{"status": "success", "data": {"resultType": "vector", "result": [{"metric": {"node": "a"}, "value": [1, 1'
        + b"0" * 400
        + b"]}]}}",
    ),
    "archive in lines": (NAIVE_LINE,),
    "retry-after": (b"9" * 5000,),
    "keys of a provider": (b'{"keys": [{"kty": "OKP", "crv": "ed25519", "x": "AAAA"}]}',),
}  # fmt: skip


@pytest.mark.parametrize(
    ("name", "data"),
    [pytest.param(name, data, id=f"{name} {at}") for name, every in FAULTS.items() for at, data in enumerate(every)],
)
def test_what_made_a_reader_fail_is_read_or_refused(name: str, data: bytes) -> None:
    try_input(list_targets()[name], data)


def test_a_list_of_more_names_than_memory_holds_is_refused_before_any_is_made() -> None:
    held = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises(ValueError, match="more than 1,000,000 names"):
        hostlist.expand("gpu[0-999999][0-999999]")
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - held < 50 * 1024


def test_a_comment_with_a_time_that_there_is_not_keeps_what_else_it_says() -> None:
    trail = tags.read_comment("fermata", "ann: mine fermata{lock=a/b@99999999999999999+ drain=c/d@5+}")
    assert (trail.human, [entry.template for entry in trail.entries]) == ("ann: mine", ["c/d"])


def test_names_in_brackets_come_as_slurm_writes_them() -> None:
    assert hostlist.expand("r[1-2]n[08-10,3],login") == [
        "r1n08", "r1n09", "r1n10", "r1n3", "r2n08", "r2n09", "r2n10", "r2n3", "login",
    ]  # fmt: skip
