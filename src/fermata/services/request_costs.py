"""What approving some of what is pending would cost, from what stands in the store: nothing is recorded."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from fermata.domain.fleet import Node
from fermata.domain.ids import ApprovalId, NodeId, PlanId
from fermata.domain.ledger import Decisions
from fermata.domain.plans import Window
from fermata.domain.policy import ConsentEntry, Scope, Verdict
from fermata.domain.reasons import Code, Reason, reason
from fermata.domain.request_costs import Cost, WindowShare, claimed_minutes, find_cost
from fermata.domain.request_kinds import request_id
from fermata.domain.run_states import NOT_OPENED_YET
from fermata.domain.scopes import Scopes
from fermata.services.approvers import find_approver, judge_scope
from fermata.services.errors import refusing_unknown
from fermata.services.observed import find_rows
from fermata.services.request_record import Inputs, read_inputs_in
from fermata.store import inventory, plans
from fermata.store.database import Connection, Database, recall, remember

_WINDOWS = "windows of plans, for what a word would cost"


@dataclass(frozen=True, slots=True, kw_only=True)
class Priced:
    """What a word on all the scopes would cost, and `refused`: why it would not be recorded. `draft`: the newest plan,
    not in force, that windows are read from where a campaign has none in force.
    """

    cost: Cost
    refused: tuple[Reason, ...]
    draft: PlanId | None


def price_words(db: Database, scopes: Sequence[Scope], *, actor: str | None, now: datetime) -> Priced:
    """What approvals by `actor` of all that is pending on the scopes would cost; None: by each customer's first
    approver. Raises Refusal before all is imported.
    """
    with refusing_unknown(), db.read() as conn:
        inputs = read_inputs_in(conn, now)
        windows, draft = _windows_to_come(conn, now)
    fleet, basis = inputs.fleet, inputs.basis
    known = Scopes(fleet=fleet)
    refused: list[Reason] = []
    chosen: dict[NodeId, Node] = {}
    entries: list[ConsentEntry] = []
    for scope in scopes:
        wrong = judge_scope(known, scope) or _judge_actor(inputs, known, scope, actor)
        if wrong is not None:
            refused.append(wrong)
            continue
        entry = _assume(inputs, known, scope, len(entries), now)
        if entry is None:
            refused.append(reason(Code.NOTHING_PENDING, scope=scope))
            continue
        entries.append(entry)
        chosen.update((node.name, node) for node in known.nodes(scope))
    clusters = frozenset(node.cluster for node in chosen.values())
    working = [node for name in clusters for node in map(fleet.nodes.__getitem__, basis.share(name).working)]
    nodes = [node for node in working if node.name in chosen]
    decided = Decisions(fleet, (*inputs.ledger, *entries))
    taken, shares = _shares(windows, chosen)
    whole = [name for name in clusters if all(node.name in chosen for node in fleet.nodes_by_cluster[name])]
    cost = find_cost(
        nodes,
        devices=sum(basis.share(name).shared for name in whole),
        minutes=claimed_minutes(fleet, basis.pending, inputs.catalogue.defaults, nodes),
        gaps=basis.judged.consent.gaps,
        gaps_then=basis.gaps_with(decided, clusters),
        windows=shares,
        taken=taken,
    )
    return Priced(cost=cost, refused=tuple(dict.fromkeys(refused)), draft=draft if shares else None)


def _judge_actor(inputs: Inputs, known: Scopes, scope: Scope, actor: str | None) -> Reason | None:
    found = find_approver(inputs.policy, known.customers(scope), actor)
    return found if isinstance(found, Reason) else None


def _assume(inputs: Inputs, known: Scopes, scope: Scope, count: int, now: datetime) -> ConsentEntry | None:
    """The entry that an approval of the scope would add; None when nothing was ever pending there."""
    (supercomputer,) = known.supercomputers(scope)
    request = inputs.stored.get(request_id(supercomputer))
    if request is None:
        return None
    last = inputs.ledger[-1].seq if inputs.ledger else 0
    return ConsentEntry(
        seq=last + count + 1,
        id=ApprovalId(""),
        request=request.id,
        incarnation=request.incarnation,
        updates=request.updates,
        scope=scope,
        verdict=Verdict.APPROVED,
        actor="",
        at=now,
        reason="",
        place=known.place(scope),
    )


def _windows_to_come(conn: Connection, now: datetime) -> tuple[tuple[Window, ...], PlanId | None]:
    """Windows that have not ended of every campaign's plan in force, or of its newest one."""
    known: Mapping[PlanId, tuple[Window, ...]] = recall(conn, _WINDOWS) or {}
    read: dict[PlanId, tuple[Window, ...]] = {}
    found: list[Window] = []
    draft: PlanId | None = None
    for campaign in inventory.list_campaigns(conn):
        name = plans.published_plan_id(conn, campaign.id)
        if name is None:
            lines = plans.list_plans(conn, campaign.id)
            if not lines:
                continue
            name = draft = max(lines, key=lambda line: line.created_at).id
        read[name] = known[name] if name in known else plans.load_plan(conn, name).windows
        rows = find_rows(conn, campaign.id) if draft != name else {}
        for window in read[name]:
            row = rows.get(window.id)
            if now < window.end if row is None else row.state in NOT_OPENED_YET:
                found.append(window)
    remember(conn, _WINDOWS, read)
    return tuple(found), draft


def _shares(
    windows: Iterable[Window], chosen: Mapping[NodeId, Node]
) -> tuple[Mapping[NodeId, int], tuple[WindowShare, ...]]:
    """The minutes for which windows have each of the nodes out, and the windows that take any of them."""
    taken: dict[NodeId, int] = {}
    shares: list[WindowShare] = []
    for window in windows:
        inside = [name for name in window.nodes if name in chosen]
        if inside:
            minutes = round((window.end - window.start).total_seconds() / 60)
            taken.update(dict.fromkeys(inside, minutes))
            shares.append(
                WindowShare(
                    window=window.id, cluster=window.cluster, start=window.start, end=window.end, nodes=len(inside)
                )
            )
    return taken, tuple(shares)
