"""Plan files: what is written is what is read back, byte for byte; hostile files are refused, never a crash."""

import contextlib
import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fermata.domain.plans import (
    ConsentBasis,
    DeviceApplyStep,
    DrainStep,
    InputHashes,
    Mode,
    NodeApplyStep,
    ObjectiveTerm,
    Plan,
    RebootStep,
    SolverNote,
    Unplanned,
    VerifyStep,
    Window,
)
from fermata.domain.reasons import Code, Reason
from fermata.formats.faults import BadInput
from fermata.formats.plans import plan_to_bytes, plan_to_json, read_plan, write_plan

START = datetime(2026, 1, 3, 19, tzinfo=UTC)


def at(minutes: int) -> datetime:
    return START + timedelta(minutes=minutes)


WINDOW = Window(
    id="w1",
    cluster="alpha",
    mode=Mode.WHOLE,
    part=1,
    parts=1,
    start=at(0),
    end=at(100),
    nodes=("alpha-n0", "alpha-n1"),
    updates=("leaf-31.2016", "nic-28.43"),
    steps=(
        DrainStep(start=at(0), end=at(20)),
        DeviceApplyStep(update="leaf-31.2016", devices=("leaf",), batch=1, batches=1, start=at(20), end=at(35)),
        NodeApplyStep(update="nic-28.43", batch=1, batches=1, nodes=2, start=at(35), end=at(70)),
        RebootStep(nodes=2, activates=("nic-28.43",), start=at(70), end=at(80)),
        VerifyStep(start=at(80), end=at(100)),
    ),
    reboots_per_node=1,
    end_confidence=0.93,
)
PLAN = Plan(
    id="plan_1",
    parent=None,
    campaign="small",
    created_at=datetime(2026, 1, 2, 20, tzinfo=UTC),
    inputs=InputHashes(fleet="a", updates="b", policy="c", campaign="d"),
    consent=ConsentBasis.ASSUMED,
    windows=(WINDOW,),
    unplanned=(
        Unplanned(cluster="beta", nodes=("beta-n0",), reason=Reason(code=Code.VERSION_UNKNOWN, sentence="Unknown.")),
    ),
    objective=(ObjectiveTerm(term="fewest_windows", value=1.0, bound=0.5),),
    solver=SolverNote(status="optimal", seconds=7.1, seed=1),
)


def test_plan_is_written_as_the_schema_says():
    plain = plan_to_json(PLAN)
    assert list(plain)[:2] == ["schema", "id"]
    assert plain["schema"] == "fermata.plan/1"
    assert plain["created_at"] == "2026-01-02T20:00:00Z"
    assert plain["consent"] == "assumed"
    assert plain["windows"][0]["steps"][:4] == [
        {"step": "drain", "start": "2026-01-03T19:00:00Z", "end": "2026-01-03T19:20:00Z"},
        {
            "step": "apply",
            "update": "leaf-31.2016",
            "batch": 1,
            "batches": 1,
            "devices": ["leaf"],
            "start": "2026-01-03T19:20:00Z",
            "end": "2026-01-03T19:35:00Z",
        },
        {
            "step": "apply",
            "update": "nic-28.43",
            "batch": 1,
            "batches": 1,
            "nodes": 2,
            "start": "2026-01-03T19:35:00Z",
            "end": "2026-01-03T20:10:00Z",
        },
        {
            "step": "reboot",
            "nodes": 2,
            "activates": ["nic-28.43"],
            "start": "2026-01-03T20:10:00Z",
            "end": "2026-01-03T20:20:00Z",
        },
    ]
    assert '"value": 1,' in plan_to_bytes(PLAN).decode()


def test_plan_reads_back_equal_and_writes_the_same_bytes(tmp_path):
    path = tmp_path / "plan.json"
    write_plan(PLAN, path)
    assert read_plan(path) == PLAN
    assert path.read_bytes() == plan_to_bytes(read_plan(path))
    assert list(tmp_path.iterdir()) == [path]


def test_a_plan_that_cannot_be_written_leaves_the_old_file(tmp_path):
    path = tmp_path / "plan.json"
    write_plan(PLAN, path)
    broken = replace(PLAN, windows=(replace(WINDOW, start=START + timedelta(microseconds=1)),))
    with pytest.raises(ValueError, match="whole seconds"):
        write_plan(broken, path)
    assert read_plan(path) == PLAN
    with pytest.raises(OSError, match="nowhere"):
        write_plan(PLAN, tmp_path / "nowhere" / "plan.json")


names = st.text(st.characters(codec="utf-8", categories=["L", "N", "P", "S"]), min_size=1, max_size=12)
name_lists = st.lists(names, max_size=3).map(tuple)
counts = st.integers(0, 10**9)
numbers = st.floats(-(2.0**53), 2.0**53)
times = st.integers(0, 6_000_000_000).map(lambda seconds: datetime(2000, 1, 2, tzinfo=UTC) + timedelta(seconds=seconds))
spans = st.tuples(times, times).map(lambda pair: dict(zip(("start", "end"), sorted(pair), strict=True)))
steps = st.one_of(
    st.builds(lambda s: DrainStep(**s), spans),
    st.builds(lambda s: VerifyStep(**s), spans),
    st.builds(lambda s, n, u: RebootStep(nodes=n, activates=u, **s), spans, counts, name_lists),
    st.builds(
        lambda s, u, b, n: NodeApplyStep(update=u, batch=b, batches=b, nodes=n, **s), spans, names, counts, counts
    ),
    st.builds(
        lambda s, u, b, d: DeviceApplyStep(update=u, batch=b, batches=b, devices=d, **s),
        spans,
        names,
        counts,
        name_lists,
    ),
)
reasons = st.builds(Reason, code=st.sampled_from(Code), sentence=names)
windows = st.builds(
    lambda span, **rest: Window(**span, **rest),
    spans,
    id=names,
    cluster=names,
    mode=st.sampled_from(Mode),
    part=counts,
    parts=counts,
    nodes=name_lists,
    updates=name_lists,
    steps=st.lists(steps, max_size=5).map(tuple),
    reboots_per_node=counts,
    end_confidence=st.floats(0, 1),
    unsure=st.none() | reasons,
)
plans = st.builds(
    Plan,
    id=names,
    parent=st.none() | names,
    campaign=names,
    created_at=times,
    inputs=st.builds(InputHashes, fleet=names, updates=names, policy=names, campaign=names),
    consent=st.sampled_from(ConsentBasis),
    windows=st.lists(windows, max_size=3, unique_by=lambda w: w.id).map(tuple),
    unplanned=st.lists(
        st.builds(
            Unplanned,
            cluster=names,
            nodes=name_lists,
            reason=reasons,
        ),
        max_size=2,
    ).map(tuple),
    objective=st.lists(st.builds(ObjectiveTerm, term=names, value=numbers, bound=numbers), max_size=2).map(tuple),
    solver=st.builds(
        SolverNote,
        status=st.sampled_from(["optimal", "feasible"]),
        seconds=st.floats(0, 10**9),
        seed=st.integers(0, 2**63 - 1),
    ),
)


@given(plan=plans)
@settings(max_examples=150, deadline=None)
def test_any_plan_reads_back_equal(tmp_path_factory, plan):
    path = tmp_path_factory.mktemp("plan") / "plan.json"
    write_plan(plan, path)
    assert read_plan(path) == plan


def damaged(change) -> bytes:
    plain = plan_to_json(PLAN)
    change(plain)
    return json.dumps(plain).encode()


def put(value, *path):
    def change(plain):
        for key in path[:-1]:
            plain = plain[key]
        if value is None:
            del plain[path[-1]]
        else:
            plain[path[-1]] = value

    return change


CASES = {
    "other schema": (put("fermata.plan/2", "schema"), "/schema", "fermata.plan/1"),
    "missing key": (put(None, "windows", 0, "nodes"), "/windows/0", None),
    "unknown key": (put(1, "windows", 0, "nodez"), "/windows/0/nodez", "nodes"),
    "wrong mode": (put("hole", "windows", 0, "mode"), "/windows/0/mode", "whole"),
    "naive time": (put("2026-01-03T19:00:00", "windows", 0, "start"), "/windows/0/start", None),
    "backwards": (put("2026-01-03T18:00:00Z", "windows", 0, "end"), "/windows/0/end", None),
    "huge count": (put(10**400, "windows", 0, "part"), "/windows/0/part", None),
    "fraction of a node": (put(1.5, "windows", 0, "steps", 2, "nodes"), "/windows/0/steps/2/nodes", None),
    "truth for a count": (put(True, "windows", 0, "part"), "/windows/0/part", None),
    "number for a name": (put([1], "windows", 0, "nodes"), "/windows/0/nodes/0", None),
    "lone surrogate": (put("\ud800", "id"), "/id", None),
    "list for an object": (put([], "inputs"), "/inputs", None),
    "object for a list": (put({"a": 1}, "windows"), "/windows", None),
    "unknown step": (put("drian", "windows", 0, "steps", 0, "step"), "/windows/0/steps/0/step", "drain"),
    "step that is a number": (put(7, "windows", 0, "steps", 0), "/windows/0/steps/0", None),
    "unknown reason": (put("VERSION_UNKNWN", "unplanned", 0, "reason"), "/unplanned/0/reason", "VERSION_UNKNOWN"),
    "certainty over one": (put(1.1, "windows", 0, "end_confidence"), "/windows/0/end_confidence", None),
    "unknown status": (put("optimum", "solver", "status"), "/solver/status", "optimal"),
}


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_each_fault_of_a_plan_has_its_pointer(tmp_path, refused, case):
    change, pointer, suggestion = case
    path = tmp_path / "plan.json"
    path.write_bytes(damaged(change))
    (fault,) = refused(lambda: read_plan(path))
    assert (fault.field, fault.suggestion) == (pointer, suggestion)


def test_a_plan_with_30_faults_reports_30(tmp_path, refused):
    path = tmp_path / "plan.json"
    path.write_bytes(damaged(put(list(range(30)), "windows", 0, "nodes")))
    assert len(refused(lambda: read_plan(path))) == 30


def test_a_repeated_window_or_key_is_refused(tmp_path, refused):
    path = tmp_path / "plan.json"
    path.write_bytes(plan_to_bytes(replace(PLAN, windows=(WINDOW, WINDOW))))
    assert "at /windows/0/id" in refused(lambda: read_plan(path))[0].sentence
    path.write_bytes(plan_to_bytes(PLAN).replace(b'"parent": null', b'"id": "x"'))
    assert "twice" in refused(lambda: read_plan(path))[0].sentence


def test_what_only_the_checker_may_judge_is_read(tmp_path):
    path = tmp_path / "plan.json"
    odd = replace(PLAN, windows=(replace(WINDOW, nodes=("b", "a", "a"), end=at(5), part=9),))
    write_plan(odd, path)
    assert read_plan(path) == odd


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"null",
        b"[]",
        b"7",
        b"{}",
        b'{"schema": NaN}',
        b'{"schema": 1e999}',
        b'{"schema": ' + b"9" * 5000 + b"}",
        b"[" * 100_000,
        b'{"windows":' * 50_000,
        b'{"schema": "fermata.plan/1"',
        b'{"schema": "\\ud800"}',
        b"\xff\xfe{\0}\0",
        b"\xff",
    ],
    ids=lambda data: repr(data[:20]),
)
def test_hostile_json_is_refused(tmp_path, refused, data):
    path = tmp_path / "plan.json"
    path.write_bytes(data)
    assert refused(lambda: read_plan(path))


@given(data=st.data())
@settings(max_examples=300, deadline=None)
def test_a_mutated_plan_never_crashes_the_reader(tmp_path_factory, data):
    path = tmp_path_factory.mktemp("plan") / "plan.json"
    raw = bytearray(plan_to_bytes(PLAN))
    for _ in range(data.draw(st.integers(1, 4))):
        start = data.draw(st.integers(0, len(raw)))
        raw[start : start + data.draw(st.integers(0, 12))] = data.draw(
            st.sampled_from([b"", b"{", b"]", b'"', b"null", b"-1", b"1e999", b"\0", b"\xff", b",,", b"[[", b"true"])
        )
    path.write_bytes(raw)
    with contextlib.suppress(BadInput):
        assert isinstance(read_plan(path), Plan)


def test_faults_can_be_shown_whatever_the_file_says(tmp_path, refused):
    path = tmp_path / "plan.json"
    path.write_bytes(damaged(put(1, "inputs", "\ud800\x1b[2J" + "x" * 500)))
    (fault,) = refused(lambda: read_plan(path))
    assert str(fault).encode()
    assert "\x1b" not in str(fault)
    assert len(str(fault)) < 600
