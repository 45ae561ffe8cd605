"""May this node go back? Service verb, command, route, typed client, the conductor and the target's own gate agree."""

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from pathlib import Path

import httpx
import pytest
from tests.server.conftest import HandClock, make_app
from tests.simulation import small, stagehand
from tests.simulation.meddling import MeddlingClock, in_state

from fermata.cli.main import main
from fermata.client import connect
from fermata.domain.decide import Seen, decide
from fermata.domain.decisions import Repeat
from fermata.domain.evidence import note_progress
from fermata.domain.ids import NodeId, StepKey
from fermata.domain.node_states import UnitState
from fermata.domain.observations import NeverAsked
from fermata.domain.operations import Asked, UnitOp
from fermata.domain.reasons import Code
from fermata.domain.tally import Tally
from fermata.execution.consented import find_gaps
from fermata.execution.stage import Stage, set_stage
from fermata.ports import Ask
from fermata.server.serving import BackgroundServer, bind_socket, url_of
from fermata.services.readmission import MayReturn, judge_nodes
from fermata.sim.fates import NO_FAULTS
from fermata.sim.machines import Machine, WorldBroken
from fermata.store import runs, unit_ops

MINUTE = timedelta(minutes=1)


def as_it_is(_machine: Machine, op: UnitOp, _now: datetime) -> UnitOp:
    return op


def old_version(machine: Machine, op: UnitOp, _now: datetime) -> UnitOp:
    machine.versions["nic_fw"] = "1.0"
    return op


def scaled_in(machine: Machine, op: UnitOp, now: datetime) -> UnitOp:
    machine.scale_in(now, keeps_lock=True)
    return op


def unlocked(machine: Machine, op: UnitOp, _now: datetime) -> UnitOp:
    machine.locked = False
    return op


def rebooted_since(machine: Machine, op: UnitOp, now: datetime) -> UnitOp:
    machine.changed_at = now
    return replace(op, evidence=replace(op.evidence, changed_at=now))


def never_checked(machine: Machine, op: UnitOp, _now: datetime) -> UnitOp:
    machine.healthy_at = None
    return replace(op, evidence=replace(op.evidence, checked_at=None, healthy=False))


def gone(machine: Machine, op: UnitOp, now: datetime) -> UnitOp:
    machine.gone_since = now
    return op


CASES: dict[str, tuple[Callable[[Machine, UnitOp, datetime], UnitOp], set[Code]]] = {
    "all is proven": (as_it_is, set()),
    "an old version": (old_version, {Code.RETURN_VERSION}),
    "scaled in by somebody": (scaled_in, {Code.RETURN_IN_SERVICE}),
    "lock taken off": (unlocked, {Code.RETURN_UNLOCKED}),
    "rebooted since its check": (rebooted_since, {Code.RETURN_CHECK_EARLY}),
    "never checked": (never_checked, {Code.RETURN_UNCHECKED}),
    "out of reach": (gone, {Code.RETURN_NOT_READ}),
}


@dataclass(kw_only=True)
class Bench:
    """A proven node whose return was turned away by a busy target, seen again a minute later."""

    rig: stagehand.Rig
    op: UnitOp
    now: datetime

    @property
    def store(self) -> str:
        return str(self.rig.folder / "store.sqlite")


def set_bench(folder: Path, change: Callable[[Machine, UnitOp, datetime], UnitOp]) -> Bench:
    rig = stagehand.set_up(stagehand.fresh_sqlite(folder), folder, faults=replace(NO_FAULTS, busy=1.0), seed=3)
    clock = MeddlingClock(rig, in_state(UnitState.PROVEN), lambda _op, _now: None)
    rig.clock = clock
    rig.world, rig.site = stagehand.open_sim(rig.plan, rig.folder, rig.database, clock, rig.faults, rig.seed)
    while clock.done is None:
        rig.conduct(until=rig.clock.now() + MINUTE)
    op = next(op for op in rig.ops() if op.unit == clock.done.unit)
    assert (op.state, op.asked) == (UnitState.PROVEN, Asked.INTENDED)
    now = rig.clock.now()
    changed = change(rig.world.nodes[NodeId(op.unit)], op, now)
    seen = rig.site.inventory.observe_nodes([NodeId(op.unit)])[NodeId(op.unit)]
    script = stage_of(rig).script(op.window)
    after = replace(note_progress(changed, None, seen, script), version=op.version + 1)
    with rig.database.begin() as conn:
        unit_ops.save_ops(conn, [(op.version, after)])
        runs.touch_clock(conn, rig.run, now)
    return Bench(rig=rig, op=after, now=now)


def stage_of(rig: stagehand.Rig) -> Stage:
    """What a conductor holds in memory that has just taken the whole run; it lets go of it at once."""
    stage = set_stage(rig.database, rig.site, rig.clock, rig.run)
    with stage.database.begin() as conn:
        stage.ownership.take_all(conn)
    stage.reload()
    with stage.database.begin() as conn:
        stage.ownership.release(conn)
    return stage


def by_verb(bench: Bench) -> tuple[str, set[str]]:
    (found,) = judge_nodes(bench.rig.database, [bench.op.unit], now=bench.now)
    return found.answer.value, {why.code.value for why in found.missing}


def by_command(bench: Bench, capsys: pytest.CaptureFixture[str], *where: str) -> tuple[str, set[str]]:
    with pytest.raises(SystemExit) as ended:
        main(["readmission", bench.op.unit, "--json", *where])
    (found,) = json.loads(capsys.readouterr().out)["nodes"]
    assert (ended.value.code or 0) == (1 if found["answer"] == "no" else 0)
    return found["answer"], {why["code"] for why in found["missing"]}


def by_route(bench: Bench, url: str) -> tuple[str, set[str]]:
    one = httpx.get(f"{url}/api/v1/nodes/{bench.op.unit}/readmission").json()
    many = httpx.post(f"{url}/api/v1/readmission", json={"nodes": [bench.op.unit, bench.op.unit]}).json()
    assert many == [one]
    return one["answer"], {why["code"] for why in one["missing"]}


def by_client(bench: Bench, url: str) -> tuple[str, set[str]]:
    with connect(url) as place:
        (found,) = place.judge_returns([bench.op.unit])
    return found.answer.value, {why.code.value for why in found.missing}


def conductor_lets_go(bench: Bench) -> bool:
    """Whether the conductor asks again for the return that it intended."""
    rig = bench.rig
    stage = stage_of(rig)
    op = stage.roster.get(bench.op.id)
    gaps = find_gaps(stage, [op], ())
    tally = Tally(stage.catalogue, ())
    facts = stage.facts(op.window, now=bench.now, tally=tally, gaps=gaps)
    return isinstance(decide(op, Seen(progress=NeverAsked()), facts), Repeat)


def gate_opens(bench: Bench) -> bool:
    key = StepKey(f"run_1/{bench.op.window}/{bench.op.unit}/{bench.op.step}/7")
    ask = Ask(key=key, unit=bench.op.unit, generation=100)  # whoever owns it now
    call = bench.rig.site.workloads.give_back if bench.op.step == "give_back" else bench.rig.site.workloads.release
    call([ask])  # busy once
    try:
        call([ask])
    except WorldBroken:
        return False
    return True


@contextmanager
def served(bench: Bench) -> Iterator[str]:
    listener = bind_socket("127.0.0.1", 0)
    server = BackgroundServer(make_app(bench.rig.database, HandClock(bench.now)), listener)
    server.start()
    yield url_of(listener)
    server.stop()


@pytest.mark.parametrize(("change", "missing"), CASES.values(), ids=CASES.keys())
def test_everybody_who_is_asked_gives_the_same_answer(
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    change: Callable[[Machine, UnitOp, datetime], UnitOp],
    missing: set[Code],
) -> None:
    bench = set_bench(tmp_path, change)
    answer = (MayReturn.NO if missing else MayReturn.YES).value, {code.value for code in missing}
    assert by_verb(bench) == answer
    assert by_command(bench, capsys, "--store", bench.store) == answer
    with served(bench) as url:
        assert by_command(bench, capsys, "--server", url) == answer
        assert by_route(bench, url) == answer
        assert by_client(bench, url) == answer
    assert conductor_lets_go(bench) is not bool(missing)
    assert gate_opens(bench) is not bool(missing)


def test_unknown_nodes_are_named_with_the_nearest(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rig = stagehand.set_up(stagehand.fresh_sqlite(tmp_path), tmp_path)
    with pytest.raises(SystemExit) as ended:
        main(["readmission", "c0-n001", "c0-n0x1", "--store", str(tmp_path / "store.sqlite")])
    told = capsys.readouterr()
    assert ended.value.code == 2
    assert told.out == ""
    assert "No node c0-n0x1 is on record; the nearest is c0-n001." in told.err
    bench = HandClock(rig.clock.now())
    listener = bind_socket("127.0.0.1", 0)
    server = BackgroundServer(make_app(rig.database, bench), listener)
    server.start()
    found = httpx.get(f"{url_of(listener)}/api/v1/nodes/c0-n0x1/readmission")
    server.stop()
    assert (found.status_code, found.json()["code"]) == (404, Code.NODE_UNKNOWN)


def test_of_a_node_that_no_window_has_nothing_is_asked(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    stagehand.set_up(stagehand.fresh_sqlite(tmp_path), tmp_path)
    with pytest.raises(SystemExit) as ended:
        main(["readmission", "c0-n001", "c0-n000", "--store", str(tmp_path / "store.sqlite")])
    assert (ended.value.code or 0) == 0
    told = capsys.readouterr().out
    assert "c0-n001 is in service and no window has it: nothing is asked of it." in told
    assert "c0-n000 is out of service and no window has it: nothing is asked of it." in told


def test_of_a_node_that_went_back_the_proof_is_shown(tmp_path: Path) -> None:
    rig = stagehand.set_up(stagehand.fresh_sqlite(tmp_path), tmp_path)
    rig.conduct()
    found = judge_nodes(rig.database, sorted(small.fleet().nodes))
    assert {each.answer for each in found} == {MayReturn.YES}
    assert {each.state for each in found} == {UnitState.RETURNED, UnitState.KEPT_OUT}
    for each in found:
        assert {piece.component: piece.version for piece in each.proven} == {
            "nic_fw": "2.0",
            "host_os": "2.0",
            "gpu_fw": "2.0",
            "bmc_fw": "2.0",
        }
