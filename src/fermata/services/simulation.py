"""The operator verb of simulation: play a plan as a whole campaign many times. Nothing is stored."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from fermata.domain.campaign import Campaign
from fermata.domain.ids import PlanId
from fermata.domain.plans import Plan
from fermata.planning.inputs import PlanningInput
from fermata.planning.risk.figures import CampaignRisk
from fermata.planning.risk.record import Record
from fermata.planning.risk.simulate import Campaigns, Simulation
from fermata.services.plans import load_plan_inputs
from fermata.store.database import Database

RUNS_MOST = 100_000  # an hour or two for January; the figures do not get better in any way that shows
THREADS = 2  # most of the time is spent in arrays, which leave the interpreter to others

Told = Callable[[int, int], None]  # blocks of runs that are played, and all of them


@dataclass(frozen=True, slots=True, kw_only=True)
class Simulated:
    """The figures of one plan, and the campaign that they are about."""

    plan: PlanId
    campaign: Campaign
    risk: CampaignRisk


def ignore_blocks(_played: int, _all: int) -> None:
    """For those who do not watch."""


def simulate_stored(db: Database, plan: PlanId, asked: Simulation, told: Told = ignore_blocks) -> Simulated:
    """A stored plan, from what it was made from with the freezes and the consent of this moment. Raises Refusal."""
    made, inputs = load_plan_inputs(db, plan)
    return simulate(inputs, made, asked, told)


def simulate(inputs: PlanningInput, plan: Plan, asked: Simulation, told: Told = ignore_blocks) -> Simulated:
    """All blocks, judged in their order whoever finishes first; `told` may raise to end it between two."""
    campaigns = Campaigns(inputs, plan, asked)
    found: list[tuple[Record, ...]] = []
    told(0, campaigns.blocks)
    with ThreadPoolExecutor(THREADS) as pool:
        try:
            for records in pool.map(campaigns.play, range(campaigns.blocks)):
                found.append(records)
                told(len(found), campaigns.blocks)
        finally:
            pool.shutdown(cancel_futures=True)
    return Simulated(plan=plan.id, campaign=inputs.campaign, risk=campaigns.judge(found))
