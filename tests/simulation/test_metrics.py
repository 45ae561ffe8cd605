"""Metrics as evidence at gates, on the simulated fleet: a breach counts against the update, silence lets nobody in."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import timedelta
from pathlib import Path

from tests.simulation import small, stagehand

from fermata.domain.gates import GateState, GateVerdict
from fermata.domain.hashing import to_plain
from fermata.domain.ids import NodeId, UpdateId
from fermata.domain.metrics import MetricRule, Read, Reading, Unread
from fermata.domain.phases import ControlPhase, GateTerms, Phases
from fermata.domain.reasons import Code
from fermata.domain.run_states import RunState
from fermata.ports import Clock
from fermata.sim.fates import NO_FAULTS
from fermata.store import gates, journal

BAKE = timedelta(minutes=60)
CONTROL = ControlPhase(max_fraction=0.5, gate=GateTerms(at_least=8, decide_within=timedelta(hours=72), bake=BAKE))
PHASES = Phases(control=CONTROL, full=GateTerms(bake=BAKE), metrics=("xid",))
NODES = tuple(NodeId(f"c{cluster}-n{node:03d}") for cluster in range(2) for node in range(8))
RULE = MetricRule(name="xid", query="q", series="s", label="Hostname", above=0)
LATER = timedelta(days=1, hours=9)


@dataclass
class Measured:
    """Metrics of every node: fine, but of those that are `bad`; none at all while it is `silent`."""

    clock: Clock
    bad: frozenset[NodeId] = frozenset()
    silent: bool = False
    asked: list[tuple[str, ...]] = field(default_factory=list)

    def read(self, names: Sequence[str]) -> Mapping[str, Reading]:
        self.asked.append(tuple(names))
        if self.silent:
            return dict.fromkeys(names, Unread(why="it does not answer"))
        now = self.clock.now()
        values = {name: (79.0 if name in self.bad else 0.0,) for name in NODES}
        return dict.fromkeys(names, Read(rule=RULE, values=values, seen_at=dict.fromkeys(NODES, now)))


def two_windows(folder: Path, phases: Phases = PHASES) -> stagehand.Rig:
    """One window tries everything, the other follows on the next day if the gate lets it."""
    fleet, updates = small.fleet(clusters=2, nodes=8), small.catalogue()
    campaign = replace(small.campaign(), phases=phases)
    starts = [small.START, small.START + timedelta(days=1)]
    plan = small.plan(fleet, updates, campaign, starts)
    url = stagehand.fresh_sqlite(folder)
    return stagehand.set_up(url, folder, fleet=fleet, plan=plan, faults=NO_FAULTS, campaign=campaign)


def gate(rig: stagehand.Rig) -> GateState:
    with rig.database.read() as conn:
        return gates.load_gates(conn, rig.run)[UpdateId("os")]


def begun(rig: stagehand.Rig, cluster: str) -> set[str]:
    return {
        step.unit for step in rig.world.steps.values() if step.op == "apply" and step.unit.startswith(f"{cluster}n")
    }


def test_nodes_whose_metrics_are_fine_let_the_others_begin(tmp_path: Path) -> None:
    rig = two_windows(tmp_path)
    rig.site = replace(rig.site, metrics=Measured(rig.clock))
    assert rig.conduct().state is RunState.FINISHED
    found = gate(rig)
    assert (found.judged.verdict, len(begun(rig, "c1-"))) == (GateVerdict.PROCEED, 8)
    assert found.evidence.good >= 15  # the run is over with its last node, which nobody looks at any more


def test_silence_lets_nobody_begin_and_says_what_is_missing(tmp_path: Path) -> None:
    rig = two_windows(tmp_path)
    rig.site = replace(rig.site, metrics=Measured(rig.clock, silent=True))
    rig.conduct(until=small.START + LATER)
    found = gate(rig)
    assert (found.judged.verdict, found.judged.reason.code) == (GateVerdict.WAIT, Code.GATE_UNMEASURED)
    assert (found.evidence.good, found.evidence.open, found.evidence.unmeasured) == (
        1,
        7,
        7,
    )  # one was found out of service, and is kept out
    assert "xid: it does not answer" in found.judged.reason.sentence
    assert begun(rig, "c1-") == set()


def test_a_site_without_metrics_never_passes_a_gate_that_names_them(tmp_path: Path) -> None:
    rig = two_windows(tmp_path)
    rig.conduct(until=small.START + LATER)
    assert "FERMATA_METRICS" in gate(rig).judged.reason.sentence
    assert begun(rig, "c1-") == set()


def test_metrics_that_speak_again_let_the_others_begin(tmp_path: Path) -> None:
    rig = two_windows(tmp_path)
    measured = Measured(rig.clock, silent=True)
    rig.site = replace(rig.site, metrics=measured)
    rig.conduct(until=small.START + timedelta(hours=10))
    assert gate(rig).judged.verdict is GateVerdict.WAIT
    measured.silent = False
    rig.conduct(until=small.START + LATER)
    assert len(begun(rig, "c1-")) == 8


def test_nodes_over_a_threshold_count_as_regressed_and_stop_the_update(tmp_path: Path) -> None:
    rig = two_windows(tmp_path)
    rig.site = replace(rig.site, metrics=Measured(rig.clock, bad=frozenset(NODES[:4])))
    rig.conduct(until=small.START + LATER)
    found = gate(rig)
    assert (found.judged.verdict, found.evidence.regressed) == (GateVerdict.HOLD, 4)
    assert begun(rig, "c1-") == set()
    with rig.database.read() as conn:
        lines = [entry for entry in journal.read(conn, limit=10_000) if entry.event == "node.regressed"]
    assert {(line.subject, line.why) for line in lines} == {
        (f"node:{name}", "xid is 79, above 0") for name in NODES[:4]
    }


def test_a_campaign_that_names_no_metrics_asks_for_none_and_hashes_as_before(tmp_path: Path) -> None:
    phases = replace(PHASES, metrics=())
    rig = two_windows(tmp_path, phases)
    measured = Measured(rig.clock, silent=True)
    rig.site = replace(rig.site, metrics=measured)
    rig.conduct(until=small.START + timedelta(hours=10))
    assert gate(rig).judged.verdict is GateVerdict.PROCEED
    assert measured.asked == []
    assert "metrics" not in to_plain(phases)
