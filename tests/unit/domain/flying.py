"""Flights to try: updates that are flight-ready, test nodes, a policy that tries flights, and words on them."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

from tests.constraints import world as w

from fermata.domain.fleet import Fleet, Role
from fermata.domain.ids import ApprovalId, CustomerId, NodeId, RequestId, UpdateId
from fermata.domain.policy import ConsentEntry, Customer, Flighting, Notice, Policy, Scope, ScopeLevel, Verdict
from fermata.domain.updates import Catalogue, Stage, Update

NIC3, NIC4, TOR5 = UpdateId("nic-3"), UpdateId("nic-4"), UpdateId("tor-5")
N0, N1, N2 = (NodeId(f"alpha-n{i:02}") for i in range(3))
RACK0 = [NodeId(f"alpha-n{i:02}") for i in range(3)]
HOUR = timedelta(hours=1)


def flight(of: str, name: str, version: str, **changes: Any) -> Update:
    found = w.catalogue().updates[UpdateId(of)]
    return replace(found, id=UpdateId(name), to_version=version, stage=Stage.FLIGHT_READY, **changes)


def catalogue(*more: Update) -> Catalogue:
    base = w.catalogue()
    flights = (flight("nic", "nic-3", "3.0"), flight("nic", "nic-4", "4.0"), flight("tor-os", "tor-5", "5.0"))
    return replace(base, updates=base.updates | {u.id: u for u in (*flights, *more)})


def fleet(*names: NodeId, **versions: str) -> Fleet:
    """`names` are test nodes that report these versions."""
    base = w.fleet()
    changed = {
        n: replace(base.nodes[n], role=Role.TEST, versions={**base.nodes[n].versions, **versions}) for n in names
    }
    return Fleet(clusters=base.clusters, nodes=base.nodes | changed, devices=base.devices)


def policy(most: int = 3, **changes: Any) -> Policy:
    flighting = Flighting(allowed_roles=frozenset({"test"}), max_nodes=most)
    holder: Customer = replace(w.customer(), flighting=flighting, **changes)
    return Policy(customers={CustomerId("lumen"): holder}, notice=Notice(), freezes=())


def approve(seq: int, scope: str, name: UpdateId, **more: Any) -> ConsentEntry:
    level, of = scope.split()
    entry = ConsentEntry(
        seq=seq,
        id=ApprovalId(f"apr_{seq}"),
        request=RequestId("req_sc-alpha_deployment"),
        incarnation=1,
        updates=frozenset({name}),
        scope=Scope(level=ScopeLevel(level), name=of),
        verdict=Verdict.APPROVED,
        actor="ann",
        at=w.NOW,
        reason="",
        is_part=True,
        flight=name,
    )
    return replace(entry, **more)
