"""Conducts a whole scenario unpaced on the simulated fleet and prints what it cost.

    PYTHONPATH=src python benchmarks/conduct.py SCENARIO_DIR [--url URL] [--plan plan.json] [--seed N]

Without --plan the scenario is planned first; that time is not counted. Without --url the store is a fresh SQLite file.
"""

import argparse
import resource
import tempfile
import time
from collections import Counter
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

from fermata.domain.ids import ApprovalId, PlanId
from fermata.domain.plans import ConsentBasis, Plan
from fermata.domain.policy import ConsentEntry, Scope, ScopeLevel, Verdict
from fermata.domain.requests import request_id
from fermata.execution.embedded import conduct
from fermata.formats.plans import read_plan
from fermata.formats.scenario import Scenario, input_hashes, read_scenario
from fermata.planning.inputs import Planned, PlanningInput
from fermata.planning.planner import plan_campaign
from fermata.services import runs as services
from fermata.sim.clock import VirtualClock
from fermata.sim.fates import Faults
from fermata.sim.site import open_site
from fermata.sim.world import open_world
from fermata.store import consent, inventory, plans, runs, unit_counts
from fermata.store.database import Database
from fermata.store.opening import open_database


def main() -> None:
    """Sets up, conducts, prints."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("scenario", type=Path)
    parser.add_argument("--url")
    parser.add_argument("--plan", type=Path)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--days", type=float, default=30.0)
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="fermata-bench-") as name:
        folder = Path(name)
        scenario = read_scenario(asked.scenario)
        plan = read_plan(asked.plan) if asked.plan else make_plan(scenario)
        database = open_database(asked.url or f"sqlite:///{folder / 'store.sqlite'}")
        fill(database, scenario, plan)
        conduct_all(database, scenario, plan, folder, asked.seed, asked.days)
        database.close()


def make_plan(scenario: Scenario) -> Plan:
    """A draft plan, taken as published: the benchmark approves everything."""
    now = scenario.campaign.planned_as_of
    assert now is not None
    inputs = PlanningInput(
        fleet=scenario.fleet,
        catalogue=scenario.catalogue,
        policy=scenario.policy,
        campaign=scenario.campaign,
        ledger=None,
        now=now,
    )
    outcome = plan_campaign(inputs, new_plan_id=PlanId("plan_bench"), hashes=input_hashes(scenario))
    assert isinstance(outcome, Planned)
    return outcome.plan


def fill(database: Database, scenario: Scenario, plan: Plan) -> None:
    """Imports, approves, publishes."""
    plan = replace(plan, consent=ConsentBasis.RECORDED)
    now = plan.created_at
    with database.begin() as conn:
        inventory.save_fleet(conn, scenario.fleet)
        inventory.save_catalogue(conn, scenario.catalogue)
        inventory.save_policy(conn, scenario.policy)
        inventory.save_campaign(conn, scenario.campaign)
        computers = sorted({cluster.supercomputer for cluster in scenario.fleet.clusters.values()})
        entries = [
            ConsentEntry(
                seq=0,
                id=ApprovalId(f"appr_{i}"),
                request=request_id(name),
                incarnation=1,
                updates=frozenset(scenario.catalogue.updates),
                scope=Scope(level=ScopeLevel.SUPERCOMPUTER, name=name),
                verdict=Verdict.APPROVED,
                actor="bench",
                at=now,
                reason="",
            )
            for i, name in enumerate(computers)
        ]
        consent.append_entries(conn, entries)
        plans.save_snapshot(conn, plan.inputs.fleet, scenario.fleet)
        plans.save_plan(conn, plan, now)
        plans.publish_plan(conn, plan.id, now)


def conduct_all(database: Database, scenario: Scenario, plan: Plan, folder: Path, seed: int, days: float) -> None:
    """Runs it and prints the table."""
    campaign = scenario.campaign
    fallout = campaign.fallout
    faults = Faults(fallout=fallout.fraction, mean_days_to_repair=fallout.mean_days_to_repair)
    clock = VirtualClock(plan.created_at, None)
    world = open_world(scenario.fleet, scenario.catalogue, faults=faults, seed=seed, path=folder / "world.jsonl")
    run = services.start(database, campaign.id, now=plan.created_at, actor="bench", new_id=lambda kind: f"{kind}_bench")
    until = plan.created_at + timedelta(days=days)
    began, used = time.monotonic(), cpu_seconds()
    ended = conduct(database, open_site(world, clock), clock, run.id, stop=lambda: clock.now() >= until)
    wall, spent = time.monotonic() - began, cpu_seconds() - used
    with database.read() as conn:
        counts = unit_counts.state_counts(conn, run.id)
        windows = runs.load_windows(conn, run.id)
    nodes: Counter[str] = Counter()
    for count in counts:
        nodes[f"{count.kind} {count.state}{' (was in tail)' if count.in_tail else ''}"] += count.units
    print(f"run {ended.state}, virtual {ended.started_at:%m-%d %H:%M} to {ended.clock_at:%m-%d %H:%M}")
    print(f"wall {wall:.1f} s, CPU {spent:.1f} s, peak memory {peak_mib():.0f} MiB")
    for name, units in sorted(nodes.items()):
        print(f"  {units:7,d}  {name}")
    for state, number in sorted(Counter(w.state for w in windows).items()):
        print(f"  {number:7,d}  windows {state}")
    late = sorted(w.behind_minutes for w in windows if w.behind_minutes is not None)
    if late:
        print(f"window end against plan, minutes: {late[0]} .. median {late[len(late) // 2]} .. {late[-1]}")
    print(f"world log {(folder / 'world.jsonl').stat().st_size / 1e6:.1f} MB")


def cpu_seconds() -> float:
    """User and system time of this process."""
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime


def peak_mib() -> float:
    """Peak resident memory."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


if __name__ == "__main__":
    main()
