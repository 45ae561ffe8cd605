"""The control phase as a rule that can keep a plan from existing: without it, with more nodes that go first, with a
shorter bake.
"""

from dataclasses import replace
from datetime import timedelta
from math import floor

from fermata.domain.phases import CONTROL_FRACTION_MAX, ControlPhase
from fermata.domain.reasons import Code, reason
from fermata.planning.inputs import PlanningInput
from fermata.planning.ladders import Ladder, Rule
from fermata.planning.problem import Problem

PERMILLE = 1000
BAKE_STEP = timedelta(minutes=15)


def list_control(problem: Problem) -> tuple[Rule, ...]:
    """The rule, if the campaign has a control phase, with what it told this problem."""
    phase = problem.inputs.campaign.phases.control
    if phase is None:
        return ()
    if problem.lack is not None:
        why = problem.lack
    else:
        assert problem.barrier is not None, "a control phase is reserved, or why not is told"
        ends = problem.barrier.ends
        opens = f"{problem.barrier.opens:%Y-%m-%d %H:%MZ}"
        why = reason(Code.CONTROL_IN_THE_WAY, ends=f"{ends:%Y-%m-%d %H:%MZ}" if ends else opens, opens=opens)
    more = max(0, floor((CONTROL_FRACTION_MAX - phase.max_fraction) * PERMILLE))
    shorter = phase.gate.bake // BAKE_STEP
    last = max(more, shorter) + 1  # to go without comes after everything else

    def enlarge(inputs: PlanningInput, step: int) -> tuple[PlanningInput, str]:
        return _leave_out(inputs) if step == last else _enlarge(inputs, min(step, more))

    ladders = (Ladder(steps=last, loosen=enlarge), *([Ladder(steps=shorter, loosen=_shorten)] if shorter else []))
    return (Rule(name=why.code, sentence=why.sentence, ladders=ladders),)


def _with_control(inputs: PlanningInput, control: ControlPhase | None) -> PlanningInput:
    phases = replace(inputs.campaign.phases, control=control)
    return replace(inputs, campaign=replace(inputs.campaign, phases=phases))


def _leave_out(inputs: PlanningInput) -> tuple[PlanningInput, str]:
    return _with_control(inputs, None), "Take out phases.control: updates are then watched while they run everywhere."


def _enlarge(inputs: PlanningInput, step: int) -> tuple[PlanningInput, str]:
    phase = inputs.campaign.phases.control
    if phase is None:
        return inputs, ""
    share = round(phase.max_fraction + step / PERMILLE, 3)
    words = f"Raise phases.control.max_fraction from {phase.max_fraction:g} to {share:g}."
    return _with_control(inputs, replace(phase, max_fraction=share)), words


def _shorten(inputs: PlanningInput, step: int) -> tuple[PlanningInput, str]:
    phase = inputs.campaign.phases.control
    if phase is None:
        return inputs, ""
    bake = phase.gate.bake - step * BAKE_STEP
    before, after = (length // timedelta(minutes=1) for length in (phase.gate.bake, bake))
    words = f"Shorten phases.control.bake_minutes from {before} to {after}."
    return _with_control(inputs, replace(phase, gate=replace(phase.gate, bake=bake))), words
