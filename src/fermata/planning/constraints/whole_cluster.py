"""A cluster that gets a window gives all its nodes with work that may go: whole in one window, rolling in its parts.

What a re-plan leaves as it ran, or as it was told within the notice, does not count as one of several. Nodes stay
behind only where consent, a withdrawal, an unknown version, an unmet requirement or a freeze without a gap keeps
them, or keeps a node that must be out together with them. Protects the customer from paying for the same outage
twice.
"""

from collections.abc import Iterator

from fermata.domain.ids import ClusterId, NodeId
from fermata.domain.plans import Mode, Window
from fermata.planning.case import some
from fermata.planning.excuses import find_excused
from fermata.planning.inputs import Violation
from fermata.planning.reading import Reading

CODE = "WHOLE_CLUSTER"
WRITTEN = "Every way takes all nodes of its cluster that may go: whole in one window, otherwise in its parts."


def check(reading: Reading) -> Iterator[Violation]:
    """Clusters with a whole window and another one; of whole plans, unplanned nodes that a window could have taken."""
    case = reading.case
    left: dict[ClusterId, set[NodeId]] = {}
    for group in reading.plan.unplanned:
        left.setdefault(group.cluster, set()).update(group.nodes)
    for cluster, windows in reading.by_cluster.items():
        yield from _one_window(cluster, tuple(w for w in windows if w.id not in reading.settled))
        if reading.only is not None:
            continue  # what else could go by now is no reason to hold a window that may
        if cluster not in left or cluster not in case.in_scope:
            continue
        names = left[cluster] & case.working_in(cluster) - {name for window in windows for name in window.nodes}
        if not names:
            continue
        shortest = min(window.end - window.start for window in windows)
        free = tuple(sorted(names - find_excused(case, reading, names, shortest)))
        if free:
            sentence = f"{cluster} has a window, but {len(free):,} nodes that may go are left out: {some(free)}."
            yield Violation(rule=CODE, sentence=sentence, window=windows[0].id, nodes=free)


def _one_window(cluster: ClusterId, windows: tuple[Window, ...]) -> Iterator[Violation]:
    whole = [window for window in windows if window.mode is Mode.WHOLE]
    if whole and len(windows) > 1:
        names = ", ".join(window.id for window in windows)
        sentence = f"{cluster} is taken whole by {whole[0].id} and yet has {len(windows)} windows: {names}."
        yield Violation(rule=CODE, sentence=sentence, window=whole[0].id)
    for window in whole:
        if (window.part, window.parts) != (1, 1):
            sentence = f"Window {window.id} takes {cluster} whole and calls itself part {window.part}/{window.parts}."
            yield Violation(rule=CODE, sentence=sentence, window=window.id)
