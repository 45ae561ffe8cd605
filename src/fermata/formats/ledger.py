"""Makes the consent ledger that an approvals file stands for, when files are used without a store."""

from collections import defaultdict
from collections.abc import Mapping
from datetime import datetime

from fermata.domain.campaign import Campaign
from fermata.domain.fleet import Fleet
from fermata.domain.ids import ApprovalId, NodeId, SupercomputerId, UpdateId
from fermata.domain.order_scopes import judge_companions, judge_flight
from fermata.domain.orders import Asked, find_spoken, judge_terms, names_flight
from fermata.domain.pending import FleetPending, find_pending
from fermata.domain.policy import NO_CONDITIONS, ConsentEntry, Policy, Verdict
from fermata.domain.reasons import Reason
from fermata.domain.requests import nodes_concerned, request_id
from fermata.domain.scopes import Scopes
from fermata.domain.updates import Catalogue, Update
from fermata.formats.approvals import ApprovalOrder, PlacedOrder
from fermata.formats.faults import FaultLog, quote

FIRST_INCARNATION = 1  # files remember no earlier request


class LedgerMaker:
    """Orders of a file as the ledger they make: given for what is pending now, in the file's order."""

    def __init__(self, fleet: Fleet, catalogue: Catalogue, policy: Policy, campaign: Campaign, log: FaultLog) -> None:
        self._scopes = Scopes(fleet=fleet)
        self._updates: Mapping[UpdateId, Update] = catalogue.updates
        self._policy = policy
        self._log = log
        self._at = campaign.planned_as_of
        asked = [find_pending(fleet, catalogue)]
        if campaign.updates is not None:  # an older update, if the campaign names it, is due in place of a newer one
            asked.append(find_pending(fleet, catalogue, campaign.updates))
        self._due: dict[SupercomputerId, set[UpdateId]] = defaultdict(set)
        self._touched: set[NodeId] = set()
        for pending in asked:
            self._touched |= nodes_concerned(fleet, pending)
            self._collect(fleet, pending)

    def _collect(self, fleet: Fleet, pending: FleetPending) -> None:
        clusters = [(fleet.nodes[name].cluster, unit) for name, unit in pending.nodes.items()]
        clusters += [(fleet.devices[name].cluster, unit) for name, unit in pending.devices.items()]
        for cluster, unit in clusters:
            self._due[fleet.clusters[cluster].supercomputer].update(item.update.id for item in unit.due)

    def entries(self, placed: list[PlacedOrder]) -> tuple[ConsentEntry, ...]:
        """One entry for each order; what cannot be one is faulted."""
        made: list[ConsentEntry] = []
        for seq, item in enumerate(placed, start=1):
            entry = self._entry(seq, item, made)
            made += [entry] if entry is not None else []
        return tuple(made)

    def _entry(self, seq: int, item: PlacedOrder, made: list[ConsentEntry]) -> ConsentEntry | None:
        order = item.order
        supercomputers = self._scopes.supercomputers(order.scope)
        at: datetime | None = order.at or self._at
        if len(supercomputers) != 1:
            names = ", ".join(supercomputers)
            self._log.add(f"{order.scope} stands in {names or 'no supercomputer'}: name its nodes instead.", item.place)
        elif not names_flight(order.terms, self._updates) and not any(
            node.name in self._touched for node in self._scopes.nodes(order.scope)
        ):
            self._log.add(f"Nothing is pending on {order.scope.level} {quote(order.scope.name)}.", item.place)
        elif at is None:
            self._log.add("Say when, with `at`: the campaign has no planned_as_of to take instead.", item.place)
        else:
            made_of = self._judge(seq, order, at, supercomputers[0], made)
            if isinstance(made_of, ConsentEntry):
                return made_of
            self._log.add(made_of.sentence, item.place)
        return None

    def _judge(
        self, seq: int, order: ApprovalOrder, at: datetime, supercomputer: SupercomputerId, made: list[ConsentEntry]
    ) -> ConsentEntry | Reason:
        items = frozenset(self._due[supercomputer])
        asked = Asked(
            request=request_id(supercomputer),
            items=items,
            due={name: self._policy.due_at(self._updates[name]) for name in items},
            updates=self._updates,
            now=at,
        )
        terms = order.terms
        other = terms.conditions.with_scope if terms.conditions is not None else None
        wrong = judge_terms(order.scope, terms, order.verdict, order.reason, asked)
        if wrong is None and other is not None:
            wrong = judge_companions(self._scopes, order.scope, other)
        if wrong is not None:
            return wrong
        spoken = find_spoken(terms, order.verdict, asked)
        entry = ConsentEntry(
            seq=seq,
            id=ApprovalId(f"apr_file_{seq:06}"),
            request=asked.request,
            incarnation=FIRST_INCARNATION,
            updates=spoken.updates,
            scope=order.scope,
            verdict=order.verdict,
            actor=order.actor,
            at=at,
            reason=order.reason,
            excluded=spoken.excluded,
            is_part=spoken.is_part,
            flight=spoken.flight,
            place=self._scopes.place(order.scope),
            conditions=terms.conditions or NO_CONDITIONS,
            until=terms.until,
            then=terms.then,
        )
        if spoken.flight is not None and order.verdict is Verdict.APPROVED:
            return judge_flight(self._scopes, self._policy, self._updates, made, entry) or entry
        return entry
