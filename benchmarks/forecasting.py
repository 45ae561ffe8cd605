"""How often the 90 % bound of a forecast holds, over windows that the conductor runs on the simulated fleet, and what a
forecast of January's fullest day costs.

    PYTHONPATH=src python benchmarks/forecasting.py [--windows 1000] [--nodes 1500] [--world NAME ...] [--json FILE]

A window is forecast three times: when it opens, half its planned time later, and when half of its nodes are back. Times
at which to forecast never depend on what comes after. What a level has reached by then is not forecast any more.
"""

import argparse
import json
import math
import tempfile
import time
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np

import conduct as whole
from conducted import Conducted, Look, Truth, conduct_once
from fermata.domain.forecasts import LEVELS
from fermata.domain.ids import ClusterId, RunId, WindowId
from fermata.domain.node_states import UnitKind, UnitState
from fermata.domain.operations import UnitOp, WindowRun
from fermata.domain.pending import find_pending
from fermata.domain.plans import Plan
from fermata.domain.scripts import read_script
from fermata.formats.scenario import Scenario, read_scenario
from fermata.planning.forecast.evidence import EVENTS, MINUTE, Evidence
from fermata.planning.forecast.learning import Lessons
from fermata.planning.forecast.odds import find_odds
from fermata.planning.forecast.outlook import Learned, look_out
from fermata.planning.forecast.standing import Layout, lay_out, under_way
from fermata.sim.fates import NO_FAULTS, Faults
from fleets import write_scenario

MOMENTS = ("start", "half", "end")
AIM = (0.88, 0.92)


def worlds(scenario: Scenario) -> tuple[Truth, ...]:
    """In which ways the world differs from the catalogue. `as assumed`: just as the forecast's priors say."""
    fallout = scenario.campaign.fallout
    told: dict[str, Any] = {"fallout": fallout.fraction, "mean_days_to_repair": fallout.mean_days_to_repair}
    faults = Faults(**told)
    return (
        Truth(name="as claimed", faults=faults),
        Truth(name="as assumed", faults=faults, everywhere=0.1**0.5, here=0.1**0.5, own=0.8**0.5),
        Truth(name="40 % slower", faults=faults, factor=1.4),
        Truth(name="slow drains", faults=Faults(slow_drain=0.1, slow_factor=8.0, **told)),
        Truth(name="no faults", faults=NO_FAULTS),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Judged:
    """One forecast of one level at one moment. Minutes from then; `first_day`: nothing had been learned before."""

    window: WindowId
    moment: str
    level: float
    held: bool
    held_median: bool
    place: float
    median: float
    bound: float
    actual: float
    first_day: bool


class Judge:
    """Forecasts the windows of conducted campaigns of one plan, as far as was known at each look."""

    def __init__(self, scenario: Scenario, plan: Plan) -> None:
        self._scenario = scenario
        fleet = scenario.fleet
        pending = find_pending(fleet, scenario.catalogue, scenario.campaign.updates)
        self.layouts: Mapping[WindowId, Layout] = {
            window.id: lay_out(read_script(window, fleet, pending, scenario.catalogue), fleet.nodes)
            for window in plan.windows
        }
        self._cluster = {unit.name: unit.cluster for unit in (*fleet.nodes.values(), *fleet.devices.values())}
        self._skus = {name: cluster.sku for name, cluster in fleet.clusters.items()}

    def judge(self, campaign: Conducted) -> Iterator[Judged]:
        """Every forecast of one campaign."""
        evidence, lines = Evidence(), iter(campaign.lines)
        line = next(lines, None)
        done: dict[WindowId, set[str]] = defaultdict(set)
        for look in campaign.looks:
            while line is not None and line.at <= look.at:
                if line.event in EVENTS:
                    unit = line.subject.split(":", 1)[1]
                    evidence.note(line.event, unit, self._cluster[unit], line.at, line.why, line.data)
                line = next(lines, None)
            due = {
                w: found for w, ops in look.ops.items() if (found := moments(campaign.windows[w], ops, look) - done[w])
            }
            if due:
                learned = self.learn(evidence, look)
                for window, found in due.items():
                    done[window] |= found
                    yield from self._judge(campaign, look, window, sorted(found), learned)

    def learn(self, evidence: Evidence, look: Look) -> Learned:
        """What was known at a look."""
        scenario = self._scenario
        odds = find_odds(evidence, scenario.catalogue, scenario.campaign.fallout, look.at)
        lessons = Lessons(
            evidence,
            [step for ops in look.ops.values() for step in under_way(ops, look.at)],
            catalogue=scenario.catalogue,
            skus=self._skus,
            hang_share={kind: share.mean for kind, share in odds.hang.items()},
        )
        return Learned(lessons=lessons, odds=odds, catalogue=scenario.catalogue)

    def _judge(
        self, campaign: Conducted, look: Look, window: WindowId, found: Sequence[str], learned: Learned
    ) -> Iterator[Judged]:
        row = campaign.windows[window]
        outlook = look_out(row, self.layouts[window], look.ops[window], learned, look.at)
        names = [name for name, column in self.layouts[window].column.items() if outlook.standing.counts[column]]
        back = sorted(_minutes(campaign.back[window].get(name), look.at) for name in names)
        first_day = min(w.planned_start for w in campaign.windows.values()).date()
        for level in LEVELS if names else ():
            nodes = outlook.needed(level)
            if nodes <= len(outlook.since):
                continue
            told, actual = outlook.back_at(level), back[nodes - 1]
            median, bound = _minutes(told.median, look.at), _minutes(told.bound, look.at)
            runs = outlook.minutes(nodes)
            for moment in found:
                yield Judged(
                    window=window,
                    moment=moment,
                    level=level,
                    held=actual <= bound,
                    held_median=actual <= median,
                    place=float((np.searchsorted(runs, actual) + 0.5) / (len(runs) + 1)),
                    median=median,
                    bound=bound,
                    actual=actual,
                    first_day=row.planned_start.date() == first_day,
                )


def moments(row: WindowRun, ops: Sequence[UnitOp], look: Look) -> set[str]:
    """Which of the moments have come."""
    base = [
        op for op in ops if op.kind is UnitKind.NODE and op.in_service_before and op.state is not UnitState.LEFT_OUT
    ]
    back = sum(op.state is UnitState.RETURNED for op in base)
    assert row.opened_at is not None
    half = look.at >= row.opened_at + (row.planned_end - row.planned_start) / 2
    return {"start"} | ({"half"} if half else set()) | ({"end"} if 2 * back >= len(base) else set())


def _minutes(instant: datetime | None, since: datetime) -> float:
    return math.inf if instant is None else (instant - since) / MINUTE


def render(world: str, judged: Sequence[Judged]) -> Iterator[str]:
    """The table of one world."""
    yield f"== {world}"
    yield "forecast at    level  windows  bound held  median held  first day  median to bound"
    for moment in MOMENTS:
        for level in LEVELS:
            found = [one for one in judged if one.moment == moment and one.level == level]
            if not found:
                continue
            first = [one.held for one in found if one.first_day]
            yield (
                f"{moment:12} {level:7.0%} {len(found):8,} {_mean(one.held for one in found):11.1%}"
                f" {_mean(one.held_median for one in found):12.1%} {_mean(first):10.1%}"
                f" {np.median([one.bound - one.median for one in found]):12.0f} min"
            )


def _mean(values: Iterator[bool] | Sequence[bool]) -> float:
    return float(np.mean(list(values) or [math.nan]))


def cost_of_fullest_day() -> tuple[int, int, float]:
    """Windows, nodes and CPU seconds of one forecast of all windows that are open when January has most nodes out."""
    with tempfile.TemporaryDirectory(prefix="fermata-bench-") as name:
        scenario = read_scenario(write_scenario(Path(name), None))
    plan = whole.make_plan(scenario)
    judge = Judge(scenario, plan)
    at = max(
        (w.start for w in plan.windows), key=lambda s: sum(len(w.nodes) for w in plan.windows if w.start <= s < w.end)
    )
    windows = [w for w in plan.windows if w.start <= at < w.end]
    ops = {w.id: tuple(_pending(judge, w.id)) for w in windows}
    rows = {w.id: _opened(plan, w.id) for w in windows}
    look = Look(at=at, ops=ops)
    evidence = Evidence()
    for kind in scenario.catalogue.updates:
        for cluster in scenario.fleet.clusters:
            evidence.minutes[kind][cluster] = Counter(range(10, 60))
    used = time.process_time()
    learned = judge.learn(evidence, look)
    for window, members in ops.items():
        look_out(rows[window], judge.layouts[window], members, learned, at).back_all()
    return len(windows), sum(len(w.nodes) for w in windows), time.process_time() - used


def _pending(judge: Judge, window: WindowId) -> Iterator[UnitOp]:
    """Every unit of a window as when it opens."""
    script = judge.layouts[window].script
    units = [*((name, UnitKind.NODE) for name in script.nodes), *((name, UnitKind.DEVICE) for name in script.devices)]
    for unit, kind in units:
        yield UnitOp(
            id=0,
            run=RunId("run"),
            window=window,
            unit=unit,
            kind=kind,
            cluster=ClusterId(script.window.cluster),
            fault_domain="",
            rank=0,
            in_service_before=True,
        )


def _opened(plan: Plan, window: WindowId) -> WindowRun:
    found = next(w for w in plan.windows if w.id == window)
    return WindowRun(
        run=RunId("run"),
        window=window,
        plan=plan.id,
        cluster=found.cluster,
        mode=found.mode,
        part=found.part,
        parts=found.parts,
        nodes=len(found.nodes),
        planned_start=found.start,
        planned_end=found.end,
        back_by=found.end,
        hard_stop=found.end,
    )


def main() -> None:
    """Conducts, judges, prints."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--windows", type=int, default=1000, help="of each world, at least")
    parser.add_argument("--nodes", type=int, default=1500, help="of the fleet of each campaign")
    parser.add_argument("--world", action="append", help="only this one; may be given several times")
    parser.add_argument("--json", type=Path)
    asked = parser.parse_args()
    windows, nodes, cpu = cost_of_fullest_day()
    print(f"January's fullest day: {windows} windows, {nodes:,} nodes, {cpu:.2f} s CPU a forecast", flush=True)
    with tempfile.TemporaryDirectory(prefix="fermata-bench-") as name:
        scenario = read_scenario(write_scenario(Path(name), asked.nodes))
    plan = whole.make_plan(scenario)
    told: dict[str, Any] = {}
    for truth in worlds(scenario):
        if asked.world and truth.name not in asked.world:
            continue
        judged: list[Judged] = []
        jobs = [(scenario, plan, truth, seed) for seed in range(1, -(-asked.windows // len(plan.windows)) + 1)]
        with get_context("spawn").Pool(2, maxtasksperchild=1) as pool:
            for found in pool.imap_unordered(conduct_and_judge, jobs):
                judged += found
        print("\n".join(render(truth.name, judged)), flush=True)
        told[truth.name] = {
            f"{moment} {level:.0%}": _mean([one.held for one in judged if (one.moment, one.level) == (moment, level)])
            for moment in MOMENTS
            for level in LEVELS
        }
    if asked.json:
        asked.json.write_text(json.dumps({"schema": "fermata.forecasting/1", "held": told}, indent=2) + "\n")


def conduct_and_judge(job: tuple[Scenario, Plan, Truth, int]) -> list[Judged]:
    """One campaign, in a process of its own."""
    scenario, plan, truth, seed = job
    return list(Judge(scenario, plan).judge(conduct_once(scenario, plan, truth, seed)))


if __name__ == "__main__":
    main()
