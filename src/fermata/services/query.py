"""Queries in KQL over what the store, or a set of files, holds: loaded when first asked, and again after a change."""

import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import islice

from fermata.domain import arm
from fermata.domain.ids import CampaignId, CustomerId, RequestId, RunId
from fermata.domain.plans import Window
from fermata.domain.policy import Policy
from fermata.domain.reasons import Code, reason
from fermata.domain.requests import Request
from fermata.query.answers import Answer, Column, Fault, FaultKind, QueryFault, Question
from fermata.query.engine import DEFAULT_LIMITS, Engine, EngineLimits
from fermata.query.facts import (
    Facts,
    KindSorter,
    NodeColumns,
    OrderedNode,
    PlannedWindow,
    UnitWork,
    nodes_of_fleet,
    only_customers,
)
from fermata.query.tables import build_tables
from fermata.query.views import COLUMNS
from fermata.services.errors import Refusal, nearest, refuse_all
from fermata.services.lanes import SLOW_AFTER_SECONDS, Lane, Lanes
from fermata.services.ordered_work import hand_over, read_ordered_work
from fermata.services.requests import Inputs
from fermata.store import board as board_rows
from fermata.store import handovers, inventory, plans, query_rows, runs
from fermata.store import requests as request_rows
from fermata.store.database import Connection, Database, NotStored

__all__ = [
    "COLUMNS", "DEFAULT_LIMITS", "ENGINES_MAX", "ROWS_MAX", "ROWS_USUAL", "Answer", "Column", "EngineLimits", "Fault",
    "FaultKind", "QueryDesk", "QueryRefused", "Question", "facts_of_files", "facts_of_store", "find_customers",
    "name_customers", "read_windows",
]  # fmt: skip

ROWS_USUAL = 1000
ROWS_MAX = 10_000  # of one answer; the next ones are asked for with `skip`
ENGINES_MAX = 4  # processes, each with tables of its own: those who asked last, quick or slow, of all customers or some
CODES = {
    FaultKind.UNPARSABLE: Code.QUERY_UNREADABLE,
    FaultKind.UNKNOWN_FUNCTION: Code.QUERY_UNKNOWN_NAME,
    FaultKind.UNKNOWN_NAME: Code.QUERY_UNKNOWN_NAME,
    FaultKind.UNSUPPORTED: Code.QUERY_NOT_ANSWERED,
    FaultKind.FORBIDDEN: Code.QUERY_NOT_ANSWERED,
    FaultKind.INVALID: Code.QUERY_NOT_ANSWERED,
    FaultKind.OVER_LIMIT: Code.QUERY_OVER_LIMIT,
    FaultKind.STOPPED: Code.QUERY_STOPPED,
    FaultKind.BUSY: Code.QUERY_STOPPED,
}
Customers = frozenset[CustomerId] | None  # None: all of them


class QueryRefused(Refusal):
    """The query has no answer; `fault` says where in its text, as far as there is a place."""

    def __init__(self, fault: Fault) -> None:
        super().__init__(reason(CODES[fault.kind], why=fault.sentence))
        self.fault = fault


class QueryDesk:
    """Answers queries over what `load` gives. Safe for many threads; `close` it at the end.

    `mark` says whether anything changed: as long as it is equal, tables that were loaded are used again.
    """

    def __init__(
        self, load: Callable[[], Facts], mark: Callable[[], object], limits: EngineLimits = DEFAULT_LIMITS
    ) -> None:
        self._load = load
        self._mark = mark
        self._limits = limits
        self._lock = threading.Lock()
        self._lanes = Lanes()
        self._loaded: object = None
        self._engines: dict[tuple[Customers, Lane], Engine] = {}

    @classmethod
    def of_store(cls, db: Database, limits: EngineLimits = DEFAULT_LIMITS) -> "QueryDesk":
        """Over a store."""

        def load() -> Facts:
            with db.read() as conn:
                return facts_of_store(conn)

        def mark() -> object:
            with db.read() as conn:
                return query_rows.read_mark(conn)

        return cls(load, mark, limits)

    @classmethod
    def of_files(cls, inputs: Inputs, limits: EngineLimits = DEFAULT_LIMITS) -> "QueryDesk":
        """Over what was read from files."""
        return cls(lambda: facts_of_files(inputs), lambda: None, limits)

    def ask(self, question: Question, customers: Customers = None) -> Answer:
        """The answer, over what those customers hold alone if any are named. Raises QueryRefused."""
        try:
            return self._ask(question, customers)
        except QueryFault as error:
            raise QueryRefused(error.fault) from error

    def _ask(self, question: Question, customers: Customers) -> Answer:
        """In the quick lane for as long as a quick query takes; then in the other, with whoever else is there."""
        if self._lanes.lane() is Lane.QUICK:
            try:
                return self._engine(customers, Lane.QUICK).ask(question)
            except QueryFault as error:
                if error.fault.kind is not FaultKind.STOPPED:
                    raise
                self._lanes.note_slow()
        return self._engine(customers, Lane.SLOW).ask(question)

    def close(self) -> None:
        """Ends every process."""
        with self._lock:
            for engine in self._engines.values():
                engine.retire()
            self._engines = {}

    def _engine(self, customers: Customers, lane: Lane) -> Engine:
        with self._lock:
            mark = self._mark()
            if mark != self._loaded:
                for old in self._engines.values():
                    old.retire()
                self._engines, self._loaded = {}, mark
            engine = self._engines.pop((customers, lane), None)
            if engine is None:
                facts = self._load()
                tables = build_tables(facts if customers is None else only_customers(facts, customers))
                engine = Engine(tables, self._limits if lane is Lane.SLOW else quick(self._limits))
            self._engines[customers, lane] = engine  # the one asked last is the last to go
            for stale in list(islice(self._engines, max(0, len(self._engines) - ENGINES_MAX))):
                self._engines.pop(stale).retire()
            return engine


def quick(limits: EngineLimits) -> EngineLimits:
    """Of the quick lane: what takes longer is no failure there, so that it is ended at once."""
    return replace(limits, seconds=min(limits.seconds, SLOW_AFTER_SECONDS), niceness=0)


def find_customers(db: Database, subscriptions: frozenset[str]) -> frozenset[CustomerId]:
    """The customers that those GUIDs stand for; GUIDs of nobody are passed over."""
    wanted = {guid.lower() for guid in subscriptions}
    with db.read() as conn:
        known = inventory.list_customers(conn)
    return frozenset(customer for customer in known if arm.subscription_id(customer) in wanted)


def name_customers(source: Database | Inputs, names: Iterable[str]) -> Customers:
    """Those customers, None when no name is given. Raises Refusal for a name that nobody has."""
    wanted = frozenset(CustomerId(name) for name in names)
    if not wanted:
        return None
    if isinstance(source, Database):
        with source.read() as conn:
            known = inventory.list_customers(conn)
    else:
        known = frozenset(cluster.customer for cluster in source.fleet.clusters.values())
    unknown = sorted(wanted - known)
    refuse_all(
        reason(Code.SCOPE_UNKNOWN, level="customer", name=name, nearest=nearest(name, known)) for name in unknown
    )
    return wanted


def facts_of_files(inputs: Inputs) -> Facts:
    """What files tell: no plan is in force, so nothing is scheduled."""
    return Facts(
        clusters={str(name): cluster for name, cluster in inputs.fleet.clusters.items()},
        nodes=nodes_of_fleet(inputs.fleet),
        devices=[inputs.fleet.devices[name] for name in sorted(inputs.fleet.devices)],
        catalogue=inputs.catalogue,
        policy=inputs.policy,
        requests=inputs.list_requests(),
    )


def facts_of_store(conn: Connection) -> Facts:
    """What the store tells, in columns: nodes never become objects, since there may be a million."""
    parts = inventory.load_parts(conn)
    try:
        catalogue, policy = inventory.load_catalogue(conn), inventory.load_policy(conn)
    except NotStored:
        catalogue, policy = None, None
    windows, requests = tuple(read_windows(conn)), request_rows.load_requests(conn)
    conducted = sorted({planned.run.run for planned in windows if planned.run is not None})
    return Facts(
        clusters={str(name): cluster for name, cluster in parts.clusters.items()},
        nodes=_read_nodes(conn),
        devices=tuple(parts.devices.values()),
        catalogue=catalogue,
        policy=policy,
        requests=tuple(requests.values()),
        states={name: (seen.state, seen.since) for name, seen in request_rows.load_states(conn).items()},
        windows=windows,
        work=tuple(_work(row) for row in query_rows.read_work(conn, conducted)),
        ordered=tuple(_read_ordered(conn, policy, requests, conducted)) if policy is not None else (),
    )


def _read_ordered(
    conn: Connection,
    policy: Policy,
    requests: Mapping[RequestId, Request],
    runs: Sequence[RunId],
) -> Iterator[OrderedNode]:
    """Work orders on each node that they concern, by node."""
    found = read_ordered_work(conn, None, policy, requests)
    of_node = {name: node.cluster for name, node in inventory.named_nodes(conn, found).items()}
    handed = handovers.load_with_people(conn, runs) if found and runs else {}
    for node, works in sorted(found.items()):
        for work in works:
            yield OrderedNode(node=node, cluster=of_node[node], work=hand_over(work, handed.get((work.order, node))))


def _read_nodes(conn: Connection) -> NodeColumns:
    names = ("name", "cluster", "rack", "fault_domain", "scalable_unit", "role", "workload", "state")
    columns: dict[str, list[str]] = {name: [] for name in names}
    gpus: list[int | None] = []
    sorter, seen = KindSorter(), dict[str, str]()
    for row in query_rows.read_nodes(conn):
        columns["name"].append(row.name)
        for name in names[1:]:
            value: str = getattr(row, name)
            columns[name].append(seen.setdefault(value, value))
        gpus.append(row.gpus)
        kind = sorter.find(row.cluster, row.versions)
        sorter.kinds.append(sorter.learn(row.cluster, row.versions, row.read_versions()) if kind is None else kind)
    return NodeColumns(columns=columns, gpus=gpus, kinds=sorter.kinds, versions=sorter.versions)


def read_windows(conn: Connection) -> Iterator[PlannedWindow]:
    """Of each campaign: the windows of its plan in force, and of those that its newest run followed before."""
    for campaign in inventory.list_campaigns(conn):
        run = runs.latest_run(conn, campaign.id)
        found = _windows_followed(conn, campaign.id, run.id if run else None)
        conducted = {window.window: window for window in runs.load_windows(conn, run.id)} if run else {}
        for plan, window in found.values():
            yield PlannedWindow(plan=plan, window=window, run=conducted.get(window.id))


def _windows_followed(conn: Connection, campaign: CampaignId, run: RunId | None) -> dict[str, tuple[str, Window]]:
    in_force = plans.published_plan_id(conn, campaign)
    earlier = board_rows.plans_followed(conn, run) if run else ()
    names = [name for name in earlier if name != in_force] + ([in_force] if in_force else [])
    return {window.id: (name, window) for name in names for window in plans.load_plan(conn, name).windows}


def _work(row: query_rows.WorkRow) -> UnitWork:
    return UnitWork(
        run=row.run,
        window=row.window,
        unit=row.unit,
        kind=row.kind,
        cluster=row.cluster,
        state=row.state,
        step=row.step,
        attempt=row.attempt,
        reason_code=row.reason_code,
        reason=row.reason,
        in_tail=row.tail_since is not None,
        started_at=row.locked_at,
        finished_at=row.finished_at,
    )
