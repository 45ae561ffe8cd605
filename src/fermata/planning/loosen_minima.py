"""The minima of services as rules that can keep a plan from existing, each lowered node by node."""

from dataclasses import replace
from fractions import Fraction
from math import floor

from fermata.domain.ids import ServiceId
from fermata.domain.workloads import Minimum, Service, find_serving
from fermata.planning.inputs import PlanningInput
from fermata.planning.ladders import Ladder, Rule

SHARE_STEPS = 1000  # shares are told in tenths of a percent


def list_minima(inputs: PlanningInput) -> tuple[Rule, ...]:
    """One rule for each service and geo with a minimum; none without a workload map."""
    if inputs.workloads is None:
        return ()
    serving = find_serving(inputs.workloads, inputs.fleet)
    return tuple(
        _minimum_rule(service, geo, len(nodes))
        for (name, geo), nodes in serving.items()
        for service in [inputs.workloads.services[name]]
        if geo in service.minimum and service.minimum[geo].of(len(nodes))
    )


def _minimum_rule(service: Service, geo: str, total: int) -> Rule:
    minimum = service.minimum[geo]
    least = minimum.of(total)
    name = f"minimum of {service.id} in {geo}"

    def loosen(inputs: PlanningInput, step: int) -> tuple[PlanningInput, str]:
        lower, words = _lower(minimum, least - step, total)
        return _with_minimum(inputs, service.id, geo, lower), f"Lower the {name} {words}."

    sentence = (
        f"{least:,} of the {total:,} nodes of {service.id} in {geo} must remain, done nodes that carry it counted."
    )
    return Rule(name=name, sentence=sentence, ladders=(Ladder(steps=least, loosen=loosen),))


def _lower(minimum: Minimum, nodes: int, total: int) -> tuple[Minimum, str]:
    if minimum.share is None:
        return Minimum(nodes=nodes), f"from {minimum.nodes:,} to {nodes:,} node{'' if nodes == 1 else 's'}"
    share = floor(Fraction(SHARE_STEPS * nodes, total)) / SHARE_STEPS
    return Minimum(share=share), f"from a share of {minimum.share:g} to {share:g}"


def _with_minimum(inputs: PlanningInput, name: ServiceId, geo: str, minimum: Minimum) -> PlanningInput:
    workloads = inputs.workloads
    assert workloads is not None, "only a map has minima"
    before = workloads.services[name]
    changed = replace(before, minimum={**before.minimum, geo: minimum})
    return replace(inputs, workloads=replace(workloads, services={**workloads.services, name: changed}))
