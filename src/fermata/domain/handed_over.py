"""Nodes that change hands or join those of others: what others said of them ends, for consent is its owner's alone."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from datetime import datetime

from fermata.domain.fleet import Fleet
from fermata.domain.ids import ApprovalId, CustomerId, NodeId
from fermata.domain.ledger import Decisions, nodes_of
from fermata.domain.policy import NO_CONDITIONS, ConsentEntry, Policy, Scope, ScopeLevel, Verdict

WIDE = frozenset({ScopeLevel.SUPERCOMPUTER, ScopeLevel.RACK, ScopeLevel.GROUP})  # may hold nodes of several customers


def find_handed_over(before: Fleet, after: Fleet) -> Mapping[NodeId, tuple[CustomerId, CustomerId]]:
    """Nodes of both fleets that another customer holds now, with whose they were and whose they are."""
    were = {name: cluster.customer for name, cluster in before.clusters.items()}
    are = {name: cluster.customer for name, cluster in after.clusters.items()}
    return {
        name: (were[before.nodes[name].cluster], are[node.cluster])
        for name, node in sorted(after.nodes.items())
        if name in before.nodes and were[before.nodes[name].cluster] != are[node.cluster]
    }


def end_words(
    before: Fleet,
    handed: Mapping[NodeId, tuple[CustomerId, CustomerId]],
    ledger: Iterable[ConsentEntry],
    *,
    now: datetime,
    actor: str,
) -> Iterator[ConsentEntry]:
    """For each node of which something was said that still stands, an entry that takes it back. Their seqs follow on
    the ledger's, and their ids are made of these.
    """
    said = tuple(ledger)
    decisions = Decisions(before, said)
    seq = max((entry.seq for entry in said), default=0)
    for name, (was, is_now) in handed.items():
        last = decisions.entry(before.nodes[name])
        if last is None or last.verdict is Verdict.WITHDRAWN:
            continue
        seq += 1
        yield _take_back(last, name, seq, f"{name} went from {was} to {is_now}, who has to be asked anew", now, actor)


def end_words_on_joined(
    before: Fleet, after: Fleet, ledger: Iterable[ConsentEntry], policy: Policy, *, now: datetime, actor: str
) -> Iterator[ConsentEntry]:
    """For each node that came to a place of which somebody spoke, and whose customer was not heard in that word: an
    entry that keeps it from the node, since it was not said for that customer. So it is with a node that left and came
    back: what was said of itself, or of its cluster, stands only if whoever said it may speak for whom it serves now.
    """
    said = tuple(ledger)
    if not said:
        return
    decisions, asked = Decisions(after, said), _Asked(before, said)
    seq = max(entry.seq for entry in said)
    for name, node in sorted(after.nodes.items()):
        was = before.nodes.get(name)
        if was is not None and (was.cluster, was.rack) == (node.cluster, node.rack):
            continue
        standing = decisions.standing(node)
        if not standing or standing[0].verdict is Verdict.WITHDRAWN:
            continue
        customer = after.clusters[node.cluster].customer
        unheard = [entry for entry in standing if not _is_heard(entry, customer, asked, policy)]
        if unheard:
            seq += 1
            why = f"{name} came for {customer}, who said nothing of {unheard[0].scope} and has to be asked"
            yield _take_back(unheard[0], name, seq, why, now, actor)


def _is_heard(entry: ConsentEntry, customer: CustomerId, asked: "_Asked", policy: Policy) -> bool:
    return customer in asked.customers(entry) or (
        entry.scope.level not in WIDE and may_speak(policy, customer, entry.actor)
    )


def may_speak(policy: Policy, customer: CustomerId, actor: str) -> bool:
    """True when the policy lets that person decide for the customer."""
    return customer in policy.customers and actor in policy.customers[customer].approvers


class _Asked:
    """For whose nodes a word stands in a fleet, found once for each word."""

    def __init__(self, fleet: Fleet, said: Iterable[ConsentEntry]) -> None:
        self._fleet, self._decisions = fleet, Decisions(fleet, said)
        self._found: dict[int, frozenset[CustomerId]] = {}

    def customers(self, entry: ConsentEntry) -> frozenset[CustomerId]:
        if entry.seq not in self._found:
            self._found[entry.seq] = frozenset(
                self._fleet.clusters[node.cluster].customer
                for node in nodes_of(self._fleet, entry)
                if any(each.seq == entry.seq for each in self._decisions.standing(node))
            )
        return self._found[entry.seq]


def _take_back(last: ConsentEntry, name: NodeId, seq: int, why: str, now: datetime, actor: str) -> ConsentEntry:
    return replace(
        last,
        seq=seq,
        id=ApprovalId(f"apr_handed_over_{seq}"),
        scope=Scope(level=ScopeLevel.NODE, name=name),
        verdict=Verdict.WITHDRAWN,
        actor=actor,
        at=now,
        reason=why,
        excluded=frozenset(),
        is_part=False,
        flight=None,
        place=None,
        conditions=NO_CONDITIONS,
        until=None,
        then=None,
        offer=None,
    )
