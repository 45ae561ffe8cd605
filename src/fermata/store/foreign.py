"""Which names the store gives to something that a connection does not show. Those asked for are looked up, each in its
table's index: a change names few things, and a store has many.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

import orjson
from sqlalchemy import Column, Connection, func, select

from fermata.domain import arm
from fermata.domain.ids import OrderId
from fermata.domain.phrases import is_word
from fermata.store import consent, inventory, plans, requests, runs, subscriptions, work_orders
from fermata.store.asking import ask_value
from fermata.store.bulk import NAMES_PER_STATEMENT
from fermata.store.database import Database, NotStored, recall, remember
from fermata.store.fleet_changes import last_change
from fermata.store.parts import part_of

_PLACES, _WINDOWS = "names of racks and units", "windows by plan"  # what is remembered of each connection's store
_THINGS, _SPEAKERS = "things that no word names", "who said what is on record"
_WORDS = (consent.consent_entry, work_orders.order_word)
_COLUMNS: tuple["Column[str]", ...] = (
    inventory.node.c.name,
    inventory.device.c.name,
    runs.window_run.c.window,
    requests.request.c.id,
    consent.consent_entry.c.id,
)


def names_out_of_sight(whole: Database, view: Database, asked: frozenset[str]) -> frozenset[str]:
    """Those of `asked` that are names in the whole store, and not in the view of it. Both are asked for all of them,
    so that what there is of others takes as long as what there is not.
    """
    with whole.read() as conn:
        every = frozenset(_known(conn, asked))
    with view.read() as conn:
        return every.difference(_known(conn, asked))


def phrases_by_sight(whole: Database, view: Database) -> Mapping[str, bool]:
    """Names in the whole store that are no single word: whether each of them is out of sight."""
    with whole.read() as conn:
        every = frozenset(_phrases(conn))
    with view.read() as conn:
        own = frozenset(_phrases(conn))
    return {name: name not in own for name in every}


def _phrases(conn: Connection) -> Iterator[str]:
    for few in (_things, _places, _planned, _others, _speakers):
        yield from (name for name in few(conn) if not is_word(name))


def _things(conn: Connection) -> frozenset[str]:
    """Of nodes and devices those that are no single word, read again when the fleet is another."""
    change = last_change(conn)
    known: tuple[int, frozenset[str]] | None = recall(conn, _THINGS)
    if known is None or known[0] != change:
        columns = (inventory.node.c.name, inventory.device.c.name)
        every = (name for column in columns for name in conn.execute(select(column)).scalars())
        known = change, frozenset(name for name in every if not is_word(name))
        remember(conn, _THINGS, known)
    return known[1]


def _speakers(conn: Connection) -> frozenset[str]:
    """Whose words stand: approvers no more, maybe. Read again when there are more words, or the fleet is another."""
    part = part_of(conn)
    last = _last_words(conn) if part is None else part.read(_last_words)
    known: tuple[Any, frozenset[str]] | None = recall(conn, _SPEAKERS)
    if known is None or known[0] != last:
        actors = (conn.execute(select(table.c.actor).distinct()).scalars() for table in _WORDS)
        known = last, frozenset(name for names in actors for name in names)
        remember(conn, _SPEAKERS, known)
    return known[1]


def _last_words(conn: Connection) -> tuple[int | None, ...]:
    """What changes with every word and with the fleet, found without reading any."""
    return last_change(conn), *(conn.execute(select(func.max(table.c.seq))).scalar() for table in _WORDS)


def _known(conn: Connection, asked: frozenset[str]) -> Iterator[str]:
    names = sorted(asked)
    for start in range(0, len(names), NAMES_PER_STATEMENT):
        chunk = names[start : start + NAMES_PER_STATEMENT]
        for column in _COLUMNS:
            yield from conn.execute(select(column).where(column.in_(chunk))).scalars()
        yield from work_orders.load_named(conn, [OrderId(name) for name in chunk])
    for few in (_places, _planned, _others, _speakers):
        yield from asked.intersection(few(conn))


def _places(conn: Connection) -> frozenset[str]:
    """What nodes stand in, read again when the fleet is another."""
    change = last_change(conn)
    known: tuple[int, frozenset[str]] | None = recall(conn, _PLACES)
    if known is None or known[0] != change:
        known = change, frozenset(_read_places(conn))
        remember(conn, _PLACES, known)
    return known[1]


def _read_places(conn: Connection) -> Iterator[str]:
    for cluster in inventory.load_clusters(conn).values():
        yield from (cluster.name, cluster.supercomputer, cluster.customer, arm.subscription_id(cluster.customer))
    of = inventory.node.c
    for rack, unit in conn.execute(select(of.rack, of.scalable_unit).distinct()):
        yield from (rack, unit)


def _planned(conn: Connection) -> Iterator[str]:
    """Windows of the plans in force."""
    part = part_of(conn)
    read: Callable[[Callable[[Connection], Mapping[str, str]]], Mapping[str, str]]
    read = part.read if part is not None else lambda load: load(conn)
    for window, cluster in read(_read_windows).items():
        if part is None or cluster in part.clusters:
            yield window


def _read_windows(conn: Connection) -> Mapping[str, str]:
    """By id: the cluster. Of each plan read once, without the rest of it."""
    known: Mapping[str, Mapping[str, str]] = recall(conn, _WINDOWS) or {}
    in_force = [plans.published_plan_id(conn, each.id) for each in inventory.list_campaigns(conn)]
    found = {
        plan: known[plan] if plan in known else _windows_of(ask_value(conn, plans.BODY, of_plan=plan))
        for plan in in_force
        if plan is not None
    }
    if found.keys() != known.keys():
        remember(conn, _WINDOWS, found)
    return {window: cluster for windows in found.values() for window, cluster in windows.items()}


def _windows_of(body: str) -> Mapping[str, str]:
    return {window["id"]: window["cluster"] for window in orjson.loads(body)["windows"]}


def _others(conn: Connection) -> Iterable[str]:
    for each in subscriptions.load_subscriptions(conn).values():
        yield from (each.id, str(each.target.get("topic", "")), each.created_by)
    try:
        policy = inventory.load_policy(conn)
    except NotStored:
        return
    yield from (name for customer in policy.customers.values() for name in customer.approvers)
    yield from (freeze.id for freeze in policy.freezes)
    yield from (exemption.id for exemption in policy.exemptions)
