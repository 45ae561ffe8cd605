"""Turns what the journal records into notices, in the same transaction. Nobody can change something and not tell."""

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from weakref import WeakKeyDictionary

from sqlalchemy import Connection, Engine, select

from fermata.domain.announcements import BACK_EVENTS, PHASES, UNIT_KEY, is_back, tell_announcement, tell_back
from fermata.domain.ids import (
    ClusterId,
    CustomerId,
    OrderId,
    PlanId,
    RequestId,
    SubscriptionId,
    SupercomputerId,
    WindowId,
)
from fermata.domain.notices import (
    OF_CONSENT,
    OF_FREEZES,
    WINDOW_EVENTS,
    Change,
    Home,
    Notice,
    NoticeKind,
    Place,
    knows_items,
    notified_at,
    tell_overdue,
    tell_plan,
    tell_request,
    tell_window,
)
from fermata.domain.plans import Window
from fermata.domain.policy import ScopeLevel
from fermata.domain.requests import Request
from fermata.domain.scope_notices import names_orders, scope_words, tell_scopes
from fermata.domain.subscriptions import Subscription, is_spoken_for
from fermata.store import handovers, inventory, outbox, plans, requests, runs
from fermata.store.subscriptions import load_subscriptions

NAMES_PER_STATEMENT = 500
SCOPED = frozenset(kind.value for kind in (*OF_CONSENT, *OF_FREEZES))
REQUEST_EVENT, PLAN_EVENT = "request.changed", "plan.published"
OVERDUE_EVENT = NoticeKind.REQUEST_OVERDUE.value
OTHERS = frozenset({OVERDUE_EVENT, PLAN_EVENT, *SCOPED, *WINDOW_EVENTS})
EVENTS = frozenset({REQUEST_EVENT, *OTHERS, *PHASES, *BACK_EVENTS})


def tell(conn: Connection, changes: Iterable[Change]) -> tuple[Notice, ...]:
    """Writes the notices of these changes, and a delivery to everyone who hears them. Returns them as stored.

    What nobody subscribed to is not kept, but for what is asked of a customer and what is announced.
    """
    told = [change for change in changes if change.event in EVENTS]
    if not told:
        return ()
    subscriptions = tuple(load_subscriptions(conn).values())
    asked = [change for change in told if change.event == REQUEST_EVENT]
    stored = [put(conn, notice, subscriptions) for notice in _requests(conn, asked)]
    if subscriptions:
        others = [change for change in told if change.event in OTHERS]
        heard = (n for n in _others(conn, others) if any(each.hears(n) for each in subscriptions))
        stored += [put(conn, notice, subscriptions) for notice in heard]
    stored += _announce(conn, told, subscriptions)
    stored += _bring_back(conn, told, subscriptions)
    return tuple(stored)


def _announce(conn: Connection, changes: Sequence[Change], subscriptions: Collection[Subscription]) -> Iterator[Notice]:
    """What is announced reaches each subscription once, though it may hear for several customers. It is kept whoever
    hears it: who subscribes while it is open is told.
    """
    announced = [change for change in changes if change.event in PHASES]
    homes = _homes(conn) if announced else {}
    for change in announced:
        left = {each.id: each for each in subscriptions}
        for notice in tell_announcement(change, homes):
            receivers = [name for name, each in left.items() if each.hears(notice)]
            yield put_to(conn, notice, receivers, subscriptions)
            left = {name: each for name, each in left.items() if name not in receivers}


def _bring_back(
    conn: Connection, changes: Sequence[Change], subscriptions: Collection[Subscription]
) -> Iterator[Notice]:
    """Closes what the conductor told of units that need nobody any more."""
    back = {change.name: change for change in changes if is_back(change)}
    for opened in outbox.open_incidents(conn, UNIT_KEY) if back else ():
        change = back.get(opened.facts["unit"])
        if change is not None:
            yield put(conn, tell_back(change, opened), subscriptions)


def put(conn: Connection, notice: Notice, subscriptions: Collection[Subscription]) -> Notice:
    """Stores one. A customer for whom no subscription stands counts as told when the request is on record."""
    return put_to(conn, notice, [each.id for each in subscriptions if each.hears(notice)], subscriptions)


def put_to(
    conn: Connection, notice: Notice, receivers: Sequence[SubscriptionId], subscriptions: Collection[Subscription]
) -> Notice:
    """The same, to those receivers."""
    stored = replace(notice, seq=outbox.add_notice(conn, notice))
    outbox.add_deliveries(conn, stored, receivers, notice.at)
    if not is_spoken_for(subscriptions, notice.customer, notice.supercomputer):
        outbox.add_notified(conn, knows_items(stored, notice.at))
    return stored


def mark_known(conn: Connection, notice: Notice, at: datetime) -> None:
    """A notice has reached who stands for its customer: what it asks for is known there from `at` on. A request is
    notified once all of its customers know all of it.
    """
    items = knows_items(notice, at)
    if not items:
        return
    outbox.add_notified(conn, items)
    request = requests.load_requests(conn).get(notice.thread)
    if request is not None and notified_at(request, outbox.load_notified(conn)) is not None:
        requests.mark_notified(conn, [request.id], at)


def notify_left_alone(conn: Connection, subscriptions: Collection[Subscription], now: datetime) -> None:
    """After a subscription went: customers for whom none stands any more count as told of open requests from now on."""
    for notice in outbox.latest_asking(conn):
        if not is_spoken_for(subscriptions, notice.customer, notice.supercomputer):
            outbox.add_notified(conn, knows_items(notice, now))


def _requests(conn: Connection, changes: Sequence[Change]) -> Iterator[Notice]:
    known = requests.load_requests(conn, {RequestId(change.name) for change in changes}) if changes else {}
    for change in changes:
        yield from tell_request(change, known[RequestId(change.name)])


def _overdue(conn: Connection, changes: Sequence[Change]) -> Iterator[Notice]:
    """Each customer is told once of each incarnation, though a request may turn overdue again, as when a yes is
    taken back.
    """
    known = requests.load_requests(conn, {RequestId(change.name) for change in changes}) if changes else {}
    customers = inventory.load_stated_policy(conn).customers if changes else {}
    for change in changes:
        for notice in tell_overdue(change, known[RequestId(change.name)], customers):
            last = outbox.find_last(conn, notice)
            if last is None or last.facts["incarnation"] != notice.facts["incarnation"]:
                yield notice


def _others(conn: Connection, changes: Sequence[Change]) -> Iterator[Notice]:
    yield from _overdue(conn, [change for change in changes if change.event == OVERDUE_EVENT])
    by_cluster = _homes(conn) if changes else {}
    for change in changes:
        if change.event == PLAN_EVENT:
            plan = plans.load_plan(conn, PlanId(change.name))
            parent = plans.load_plan(conn, plan.parent) if plan.parent else None
            yield from tell_plan(change, plan, parent, by_cluster)
    scoped = [change for change in changes if change.event in SCOPED]
    yield from tell_scopes(scoped, _scope_homes(conn, scoped, by_cluster), _holders(conn, scoped))
    for group in _by_window(changes):
        place = _place(conn, group[0], by_cluster)
        if place is not None:
            yield tell_window(group, place)


def _holders(conn: Connection, changes: Sequence[Change]) -> dict[OrderId, tuple[CustomerId, ...]]:
    """Who hold the nodes of the work orders that words or exemptions are on, by the requests that ask for these. Of an
    exemption it is not known which requests these are.
    """
    found: Iterable[Request] = ()
    of_orders = [each for each in changes if names_orders(each)]
    if of_orders:
        names = {RequestId(each.data["request"]) for each in of_orders if "request" in each.data}
        is_known = all("request" in each.data for each in of_orders)
        found = requests.load_requests(conn, names if is_known else None).values()
    return {order.id: order.customers for request in found for order in request.orders}


def _homes(conn: Connection) -> dict[ClusterId, Home]:
    table = inventory.cluster
    rows = conn.execute(select(table.c.name, table.c.customer, table.c.supercomputer).order_by(table.c.name))
    return {
        ClusterId(row.name): Home(customer=CustomerId(row.customer), supercomputer=SupercomputerId(row.supercomputer))
        for row in rows
    }


def _by_window(changes: Iterable[Change]) -> Iterator[list[Change]]:
    """Changes of windows; those of nodes together, by what happened and in which window."""
    groups: dict[tuple[str, str], list[Change]] = {}
    for change in changes:
        if change.event not in WINDOW_EVENTS:
            continue
        kind = change.subject.partition(":")[0]
        if kind == "window":
            yield [change]
        elif kind == "node":
            groups.setdefault((change.event, str(change.data["window"])), []).append(change)
    yield from groups.values()


def _place(conn: Connection, change: Change, by_cluster: dict[ClusterId, Home]) -> Place | None:
    """None for a window that no plan has any more, or of a cluster that is not in the inventory any more."""
    name = change.name if change.subject.startswith("window:") else str(change.data["window"])
    table = runs.window_run
    row = conn.execute(
        select(table).join(runs.run).where(table.c.window == name).order_by(runs.run.c.started_at.desc()).limit(1)
    ).one()
    home = by_cluster.get(ClusterId(row.cluster))
    if home is None:
        return None
    planned = _windows(conn, PlanId(row.plan)).get(WindowId(name)) or handovers.find_window(conn, WindowId(name))
    if planned is None:
        return None
    return Place(
        window=planned.id,
        cluster=planned.cluster,
        home=home,
        start=planned.start,
        end=planned.end,
        nodes=planned.nodes,
        reboots_per_node=planned.reboots_per_node,
    )


def _windows(conn: Connection, plan: PlanId) -> Mapping[WindowId, Window]:
    """The windows of a plan, which never change: the last one asked for is at hand, since reading it takes a while."""
    known = _LAST_PLAN.get(conn.engine)
    if known is None or known[0] != plan:
        known = plan, {window.id: window for window in plans.load_plan(conn, plan).windows}
        _LAST_PLAN[conn.engine] = known
    return known[1]


_LAST_PLAN: WeakKeyDictionary[Engine, tuple[PlanId, Mapping[WindowId, Window]]] = WeakKeyDictionary()


def _scope_homes(
    conn: Connection, changes: Sequence[Change], by_cluster: dict[ClusterId, Home]
) -> dict[str, tuple[Home, ...]]:
    """Whom a scope concerns, by the scope in words. What is said of a freeze concerns whom the freeze does."""
    words = list(dict.fromkeys(scope_words(change) for change in changes))
    scopes = {each: each for each in words} | _freeze_scopes(conn, words)
    pairs = [tuple(scope.split(" ", 1)) for scope in dict.fromkeys(scopes.values())]
    found: dict[str, set[ClusterId]] = {scope: set() for scope in scopes.values()}
    is_whole = any(level == ScopeLevel.SUPERCOMPUTER for level, _ in pairs)
    peopled = set(conn.execute(select(inventory.node.c.cluster).distinct()).scalars()) if is_whole else set()
    for level, name in pairs:
        if level == ScopeLevel.CLUSTER:
            found[f"{level} {name}"].add(ClusterId(name))
        if level == ScopeLevel.SUPERCOMPUTER:
            meant = (c for c, home in by_cluster.items() if home.supercomputer == name and c in peopled)
            found[f"{level} {name}"].update(meant)
    for level in (ScopeLevel.NODE, ScopeLevel.RACK):
        for name, cluster in _clusters_of(conn, level, [name for each, name in pairs if each == level]):
            found[f"{level} {name}"].add(cluster)
    for name, cluster in _clusters_behind(conn, [name for each, name in pairs if each == ScopeLevel.GROUP]):
        found[f"{ScopeLevel.GROUP} {name}"].add(cluster)
    homes = {scope: {by_cluster[c] for c in clusters if c in by_cluster} for scope, clusters in found.items()}
    return {
        each: tuple(sorted(homes[scope], key=lambda home: (home.supercomputer, home.customer)))
        for each, scope in scopes.items()
    }


def _freeze_scopes(conn: Connection, words: Iterable[str]) -> dict[str, str]:
    """The scopes of freezes that are named as `freeze NAME`."""
    named = {each for each in words if each.startswith("freeze ")}
    freezes = inventory.load_policy(conn).freezes if named else ()
    return {f"freeze {freeze.id}": str(freeze.scope) for freeze in freezes if f"freeze {freeze.id}" in named}


def _clusters_behind(conn: Connection, names: Sequence[str]) -> Iterator[tuple[str, ClusterId]]:
    """Where the shared devices are behind which groups stand."""
    table = inventory.device
    for start in range(0, len(names), NAMES_PER_STATEMENT):
        chunk = names[start : start + NAMES_PER_STATEMENT]
        query = select(table.c.name, table.c.cluster).where(table.c.name.in_(chunk))
        yield from ((name, ClusterId(cluster)) for name, cluster in conn.execute(query))


def _clusters_of(conn: Connection, level: ScopeLevel, names: Sequence[str]) -> Iterator[tuple[str, ClusterId]]:
    column = inventory.node.c.name if level is ScopeLevel.NODE else inventory.node.c.rack
    for start in range(0, len(names), NAMES_PER_STATEMENT):
        chunk = names[start : start + NAMES_PER_STATEMENT]
        query = select(column, inventory.node.c.cluster).where(column.in_(chunk)).distinct()
        yield from ((name, ClusterId(cluster)) for name, cluster in conn.execute(query))
