"""No node goes into a window, and no device is touched, without the consent that is on record.

A draft assumes consent and is let through here; it cannot be published. Protects the customer's word.
"""

from collections.abc import Iterator

from fermata.domain.consent import consent_gaps, device_gaps
from fermata.domain.ids import NodeId
from fermata.domain.plans import ConsentBasis
from fermata.domain.reasons import Reason
from fermata.planning.case import some
from fermata.planning.encoding import Facts, Takes
from fermata.planning.inputs import Violation
from fermata.planning.reading import Reading

CODE = "CONSENT"


def check(reading: Reading) -> Iterator[Violation]:
    """Nodes with a gap in their consent, impactless device work with one, recorded consent that nobody recorded."""
    if reading.plan.consent is ConsentBasis.ASSUMED:
        return
    if reading.case.inputs.ledger is None:
        sentence = f"Plan {reading.plan.id} says that its consent is on record, but no record of consent was given."
        yield Violation(rule=CODE, sentence=sentence)
    for view in reading.windows:
        missing: dict[Reason, list[NodeId]] = {}
        for name in view.window.nodes:
            if name in reading.gaps:
                missing.setdefault(reading.gaps[name], []).append(name)
        for reason, nodes in missing.items():
            sentence = f"Window {view.window.id} takes {some(nodes)} without consent. {reason}"
            yield Violation(rule=CODE, sentence=sentence, window=view.window.id, nodes=tuple(nodes))
        worked_on = {name for step in view.device_steps for name in step.devices}
        blocked = [name for name in worked_on if reading.is_blocked(name)]
        if blocked:
            sentence = f"Window {view.window.id} works on {some(blocked)} without consent of all nodes behind."
            yield Violation(rule=CODE, sentence=sentence, window=view.window.id)


def encode(facts: Facts) -> Takes:
    """Keeps out every gap in the consent on record; a draft, which has no record, keeps out nothing."""
    inputs = facts.inputs
    if inputs.ledger is None:
        return Takes()
    return Takes(
        blocked=consent_gaps(inputs.fleet, inputs.policy, facts.pending, inputs.ledger),
        barred=device_gaps(inputs.fleet, inputs.policy, facts.pending, inputs.ledger),
    )
