"""Keeps the chance that a plan exceeds a limit below what was asked, by spare room on the limits that need it.

`planner` calls this with a first plan. Room costs delay, so no limit gets more than its runs ask for, and in the end
some is given back where the plan can do without.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

import numpy as np

from fermata.domain.campaign import Limit, LimitKind
from fermata.domain.plans import Plan
from fermata.planning.encoding import Resource
from fermata.planning.inputs import PlanningInput
from fermata.planning.risk.simulate import Campaigns, Simulation
from fermata.planning.risk.stage import Cap

RUNS = 1000  # the standard error of a probability near 0.01 is then 0.003
RAISES_MOST = 6  # of spare room, each at least by what one run in a hundred lacked: a plan's days fill up alike
RETURNS_MOST = 2  # half of the last raise, then a quarter: what is left to gain is less than chance decides

Spare = Mapping[Limit, int]
Solve = Callable[[Spare], Plan | None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Bounded:
    """The best plan found: within the bound or, if `is_within` is false, the least likely to exceed a limit.

    `breach`: the probability that it does; `limit`: in words, the one that it exceeds most often.
    """

    plan: Plan
    breach: float
    limit: str
    is_within: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class _Trial:
    """A plan with what it lacked: per limit, how many more it would have taken in nearly all runs."""

    spare: Spare
    plan: Plan
    breach: float
    lacks: Spare
    limit: str

    @property
    def values(self) -> tuple[float, ...]:
        """What the plan costs, strongest preference first."""
        return tuple(term.value for term in self.plan.objective)


def bound_breach(inputs: PlanningInput, first: Plan, solve: Solve) -> Bounded:
    """`first`, or a plan with spare room. `solve` makes one that leaves so many of each limit unused, None: cannot."""
    assert inputs.max_breach is not None, "somebody asked for a bound"
    most = inputs.max_breach
    trials = [_try(inputs, {}, first, most)]
    while trials[-1].breach > most and len(trials) <= RAISES_MOST:
        now = trials[-1]
        raised = {**now.spare, **{limit: now.spare.get(limit, 0) + lack for limit, lack in now.lacks.items()}}
        plan = solve(raised) if raised != now.spare else None
        if plan is None:
            break
        trials.append(_try(inputs, raised, plan, most))
    if trials[-1].breach <= most and len(trials) > 1:
        trials += _give_back(inputs, trials[-2], trials[-1], solve, most)
    within = [trial for trial in trials if trial.breach <= most]
    best = min(within or trials, key=lambda trial: (trial.values if within else (), trial.breach))
    return Bounded(plan=best.plan, breach=best.breach, limit=best.limit, is_within=bool(within))


def _give_back(inputs: PlanningInput, low: _Trial, high: _Trial, solve: Solve, most: float) -> list[_Trial]:
    """Trials between one with too little room and one with enough, as long as the room costs anything."""
    found: list[_Trial] = []
    for _ in range(RETURNS_MOST):
        spare = {limit: (low.spare.get(limit, 0) + units) // 2 for limit, units in high.spare.items()}
        if high.values <= low.values or spare in (dict(low.spare), dict(high.spare)):
            break
        plan = solve(spare)
        if plan is None:
            break
        trial = _try(inputs, spare, plan, most)
        found.append(trial)
        low, high = (low, trial) if trial.breach <= most else (trial, high)
    return found


def _try(inputs: PlanningInput, spare: Spare, plan: Plan, most: float) -> _Trial:
    campaigns = Campaigns(inputs, plan, Simulation(runs=RUNS, seed=inputs.seed))
    excess = np.concatenate([campaigns.play(block)[0].find_excess() for block in range(campaigns.blocks)])
    exceeded = (excess > 0).mean(axis=0)
    caps = campaigns.caps
    worst = int(exceeded.argmax()) if len(caps) else 0
    return _Trial(
        spare=spare,
        plan=plan,
        breach=float((excess > 0).any(axis=1).mean()),
        lacks={
            cap.limit: lack for cap, column in zip(caps, excess.T, strict=True) if (lack := _lack(cap, column, most))
        },
        limit=caps[worst].name if caps else "",
    )


def _lack(cap: Cap, excess: np.ndarray[tuple[int, ...], np.dtype[np.int32]], most: float) -> int:
    """What a limit on nodes out lacks in all but half of the share of runs that may exceed one."""
    if cap.limit.what is not LimitKind.NODES_OUT:
        return 0
    return max(0, int(np.quantile(excess, 1 - most / 2, method="higher")))


def leave_unused(resources: tuple[Resource, ...], spare: Spare) -> tuple[Resource, ...]:
    """The resources with so much of each limit kept free in any case."""
    return tuple(
        replace(resource, capacity=max(0, resource.capacity - spare[resource.source]), reserve=0)
        if isinstance(resource.source, Limit) and resource.source in spare
        else resource
        for resource in resources
    )
