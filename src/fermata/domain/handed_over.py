"""Nodes that change hands: what their customer before said of them ends, since consent is its owner's alone."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from datetime import datetime

from fermata.domain.fleet import Fleet
from fermata.domain.ids import ApprovalId, CustomerId, NodeId
from fermata.domain.ledger import Decisions
from fermata.domain.policy import NO_CONDITIONS, ConsentEntry, Scope, ScopeLevel, Verdict


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
        yield replace(
            last,
            seq=seq,
            id=ApprovalId(f"apr_handed_over_{seq}"),
            scope=Scope(level=ScopeLevel.NODE, name=name),
            verdict=Verdict.WITHDRAWN,
            actor=actor,
            at=now,
            reason=f"{name} went from {was} to {is_now}, who has to be asked anew",
            excluded=frozenset(),
            is_part=False,
            flight=None,
            place=None,
            conditions=NO_CONDITIONS,
            until=None,
            then=None,
            offer=None,
        )
