"""With a control phase, few windows go first, and no other starts before these have ended and baked.

Protects the fleet from an update that few nodes would have shown to be bad, and windows from waiting at a gate that
cannot open in time.
"""

from collections.abc import Iterator
from dataclasses import replace

from fermata.domain.control import Reserved, choose_control, control_room, find_reserved, settle_control
from fermata.domain.phases import ControlPhase
from fermata.planning.case import at, some
from fermata.planning.encoding import Facts, Turns
from fermata.planning.inputs import Violation
from fermata.planning.reading import Reading

CODE = "CONTROL_FIRST"


def check(reading: Reading) -> Iterator[Violation]:
    """Windows that start before the evidence of the control phase can be there, or a plan without such a phase.

    What the parent plan reserved is settled in a re-plan, and waits for control windows that are late; what ran, or was
    told within the notice, stays as it was. Before a single window the gate itself is asked instead.
    """
    inputs = reading.case.inputs
    phase = inputs.campaign.phases.control
    if phase is None or reading.only is not None or not reading.plan.windows:
        return
    if inputs.parent is not None:
        settled = settle_control(inputs.parent.windows, phase, inputs.standing, inputs.now)
        if settled is not None:
            stays = {window.id for window in (*inputs.standing.history, *inputs.standing.held)}
            yield from _find_early(reading, replace(settled, windows=settled.windows | stays), phase)
        return
    if find_reserved(reading.plan.windows, phase) is not None:
        return
    names = choose_control(reading.plan.windows, phase, reading.case.fleet)
    if names:
        first = [window for window in reading.plan.windows if window.id in names]
        ends = max(window.end for window in first)
        nodes = sum(len(window.nodes) for window in first)
        group = Reserved(windows=names, nodes=nodes, ends=ends, opens=ends + phase.gap)
        yield from _find_early(reading, group, phase)
        return
    sizes = [len(window.nodes) for window in reading.plan.windows]
    sentence = (
        f"No window is small enough to go first: {control_room(sum(sizes), phase.max_fraction):,} of {sum(sizes):,}"
        f" nodes may, and the smallest window takes {min(sizes):,}."
    )
    yield Violation(rule=CODE, sentence=sentence)


def _find_early(reading: Reading, group: Reserved, phase: ControlPhase) -> Iterator[Violation]:
    for window in reading.selected:
        if window.id not in group.windows and window.start < group.opens:
            sentence = (
                f"Window {window.id} starts at {at(window.start)}, before {at(group.opens)}: control windows"
                f" {some(sorted(group.windows))} end at {at(group.ends)} and bake for"
                f" {phase.gate.bake.total_seconds() / 60:g} minutes."
            )
            yield Violation(rule=CODE, sentence=sentence, window=window.id)


def encode(facts: Facts) -> Turns:
    """The campaign's control phase; in a re-plan, when the one of the plan it follows lets others go."""
    phase = facts.inputs.campaign.phases.control
    if phase is None:
        return Turns()
    if facts.inputs.parent is None:
        return Turns(fraction=phase.max_fraction, at_least=phase.gate.at_least, gap=phase.gap)
    settled = settle_control(facts.inputs.parent.windows, phase, facts.inputs.standing, facts.inputs.now)
    if settled is None:
        return Turns()
    return Turns(opens=settled.opens, first=settled.windows)
