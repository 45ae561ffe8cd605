"""No node is planned that does not report the version of a component an update targets: unknown blocks.

Protects against updating from nobody knows what.
"""

from collections.abc import Iterator

from fermata.domain.ids import NodeId
from fermata.domain.reasons import Code, Reason, reason
from fermata.planning.case import some
from fermata.planning.columns import look_up
from fermata.planning.encoding import Facts, Takes
from fermata.planning.inputs import Violation
from fermata.planning.reading import Reading

CODE = "UNKNOWN_VERSION"


def check(reading: Reading) -> Iterator[Violation]:
    """Window nodes with an empty version."""
    case = reading.case
    for view in reading.windows:
        window = view.window
        unknown = view.listed(look_up(case.dues.unknown, view.found, absent=False))
        if unknown:
            components = sorted({x.component for name in unknown for x in case.pending.nodes[name].unknown})
            sentence = (
                f"Window {window.id} takes {some(unknown)}, which do not report {', '.join(components)}:"
                " unknown blocks, mend inventory."
            )
            yield Violation(rule=CODE, sentence=sentence, window=window.id, nodes=unknown)


def encode(facts: Facts) -> Takes:
    """Keeps out nodes with an empty version, naming the components."""
    blocked: dict[NodeId, Reason] = {}
    for name, unit in facts.pending.nodes.items():
        if unit.unknown:
            components = ", ".join(sorted(item.component for item in unit.unknown))
            blocked[name] = reason(Code.VERSION_UNKNOWN, unit=name, components=components)
    return Takes(blocked=blocked)
