"""The conditions that the approvals of a window carry, in words: what its customers held their yes to."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from fermata.domain.fleet import Fleet, Node
from fermata.domain.ids import UpdateId
from fermata.domain.ledger import Decisions, approves, say_conditions
from fermata.domain.plans import Window
from fermata.domain.policy import NO_CONDITIONS, ConsentEntry, Policy, Stance
from fermata.domain.updates import Update


@dataclass(frozen=True, slots=True, kw_only=True)
class WindowTerm:
    """Of a window, `nodes` go by an approval that holds itself to something: `sentence` says what."""

    entry: ConsentEntry
    sentence: str
    nodes: int


class WindowTerms:
    """Asked window by window, of a fleet that holds the nodes of all of them. What the policy lets through at any time
    needs no approval, and is under no condition.
    """

    def __init__(
        self, fleet: Fleet, policy: Policy, updates: Mapping[UpdateId, Update], ledger: Iterable[ConsentEntry]
    ) -> None:
        self._fleet = fleet
        self._policy = policy
        self._updates = updates
        known = tuple(ledger)
        self._decided = Decisions(fleet, known) if has_conditions(known) else None

    def find(self, window: Window) -> tuple[WindowTerm, ...]:
        """In the order of the ledger; nothing where nobody set a condition."""
        if self._decided is None:
            return ()
        entries: dict[int, ConsentEntry] = {}
        nodes: dict[int, int] = {}
        for name in window.nodes:
            node = self._fleet.nodes.get(name)
            found = {entry.seq: entry for entry in self._deciding(node, window)} if node is not None else {}
            entries |= found
            for seq in found:
                nodes[seq] = nodes.get(seq, 0) + 1
        return tuple(
            WindowTerm(entry=entries[seq], sentence=say_conditions(entries[seq].conditions), nodes=nodes[seq])
            for seq in sorted(entries)
        )

    def _deciding(self, node: Node, window: Window) -> Iterator[ConsentEntry]:
        assert self._decided is not None
        standing = self._decided.standing(node)
        if not has_conditions(standing):
            return
        for name in window.updates:
            entry = self._decided.pick(standing, name)
            if entry is None or entry.conditions == NO_CONDITIONS or not approves(entry, name):
                continue
            update = self._updates.get(name)
            cluster = self._fleet.clusters[node.cluster]
            if update is None or self._policy.judge_update(update, node, cluster).stance is not Stance.ALLOW:
                yield entry


def has_conditions(entries: Iterable[ConsentEntry]) -> bool:
    """True when one of them holds itself to something."""
    return any(entry.conditions != NO_CONDITIONS for entry in entries)
