"""No node is planned that does not report the version of a component an update targets: unknown blocks.

Protects against updating from nobody knows what.
"""

from collections.abc import Iterator

from fermata.planning.case import some
from fermata.planning.inputs import Violation
from fermata.planning.reading import Reading

CODE = "UNKNOWN_VERSION"


def check(reading: Reading) -> Iterator[Violation]:
    """Window nodes with an empty version."""
    case = reading.case
    for window in reading.selected:
        unknown = tuple(name for name in window.nodes if name in case.unknown)
        if unknown:
            components = sorted({x.component for name in unknown for x in case.pending.nodes[name].unknown})
            sentence = (
                f"Window {window.id} takes {some(unknown)}, which do not report {', '.join(components)}:"
                " unknown blocks, mend inventory."
            )
            yield Violation(rule=CODE, sentence=sentence, window=window.id, nodes=unknown)
