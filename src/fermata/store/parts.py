"""The part of the fleet that a connection shows, by name: what is cut where it is decoded is cut to this."""

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

import orjson
from sqlalchemy import Connection, text

from fermata.domain.identity import Sight
from fermata.domain.ids import ClusterId, CustomerId, DeviceId, NodeId, SupercomputerId
from fermata.domain.phrases import Phrases, is_word
from fermata.store.database import Database, recall, remember, sight_of
from fermata.store.tenancy.owners import SOMEBODY

T = TypeVar("T")
Told = Callable[[str], str]

_CHANGE = text("SELECT max(seq) FROM fleet_change")
_CLUSTERS = text('SELECT name, supercomputer, customer FROM "cluster"')
_NODES = text("SELECT name, cluster, rack, scalable_unit, workload FROM node")
_DEVICES = text("SELECT name FROM device")
_POLICY = text("SELECT sha256, body FROM document WHERE kind = 'policy'")
_REMEMBERED, _PEOPLE, _ALL = "part in sight", "approvers by customer", "names without case"
_WORD = re.compile(r"[\w.\-]*\w")


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """What is in sight. `held`: customers of whom all is; `units`: scalable units; `workloads`: what nodes serve.
    `others`: names out of sight, without case; `apart`: those of them that longer words may begin with;
    `phrases`: those, and own ones, that are no single word.
    """

    whole: Database
    clusters: frozenset[ClusterId]
    supercomputers: frozenset[SupercomputerId]
    customers: frozenset[CustomerId]
    held: frozenset[CustomerId]
    nodes: Mapping[NodeId, ClusterId]
    racks: frozenset[str]
    units: frozenset[str]
    workloads: frozenset[str]
    devices: frozenset[DeviceId]
    own: frozenset[str]
    others: frozenset[str]
    apart: re.Pattern[str]
    phrases: Phrases

    def teller(self) -> Told:
        """What tells words that somebody wrote to the part's own people, or about what is theirs: as they are, or as
        SOMEBODY where they name a thing or an approver out of sight. Words that are not for them are not told at all.
        """
        approvers = self.read(_read_approvers)
        own = {name for customer in self.customers for name in approvers.get(customer, ())} | self.own
        people = {name for customer, names in approvers.items() if customer not in self.customers for name in names}
        strangers = _any_of(people - own)

        def tell(said: str) -> str:
            plain = said.casefold()
            words = (word for word in _WORD.findall(plain) if word not in own)
            names_others = any(word in self.others or self.apart.search(word) for word in words)
            names_others = names_others or any(name not in own for _, _, name in self.phrases.find(plain))
            return SOMEBODY if names_others or strangers.search(plain) else said

        return tell

    def read(self, load: Callable[[Connection], T]) -> T:
        """What `load` reads of the whole store. Whoever calls this cuts it before it gives it on."""
        with self.whole.read() as conn:
            return load(conn)


def part_of(conn: Connection) -> Part | None:
    """The part that the connection shows; None for one that shows everything."""
    shown = sight_of(conn)
    if shown is None:
        return None
    change = conn.execute(_CHANGE).scalar()
    known: tuple[Any, Part] | None = recall(conn, _REMEMBERED)
    if known is None or known[0] != change:
        known = change, _read(conn, *shown)
        remember(conn, _REMEMBERED, known)
    return known[1]


def tell_each(value: Any, tell: Told) -> Any:
    """JSON with each of its texts as it is told."""
    if isinstance(value, str):
        return tell(value)
    if isinstance(value, list):
        return [tell_each(part, tell) for part in value]
    return {key: tell_each(part, tell) for key, part in value.items()} if isinstance(value, dict) else value


def _read_approvers(conn: Connection) -> Mapping[str, frozenset[str]]:
    """By customer, without case."""
    row = conn.execute(_POLICY).one_or_none()
    if row is None:
        return {}
    known: tuple[str, Mapping[str, frozenset[str]]] | None = recall(conn, _PEOPLE)
    if known is None or known[0] != row.sha256:
        customers = orjson.loads(row.body)["customers"]
        people = {name: frozenset(each.casefold() for each in of["approvers"]) for name, of in customers.items()}
        known = row.sha256, people
        remember(conn, _PEOPLE, known)
    return known[1]


def _without_case(clusters: Any, nodes: Any, devices: Any) -> tuple[frozenset[str], frozenset[str]]:
    """Names of clusters and what holds them, and of what is in them."""
    above = {name for row in clusters for name in (row.name, row.supercomputer, row.customer)}
    below = {name for row in nodes for name in (row.name, row.rack, row.scalable_unit)}.union(devices)
    return frozenset(map(str.casefold, above)), frozenset(map(str.casefold, below))


def _all_names(conn: Connection) -> tuple[frozenset[str], frozenset[str]]:
    """Of the whole store, read once for every part of it, while the fleet is the same."""
    change = conn.execute(_CHANGE).scalar()
    known: tuple[Any, tuple[frozenset[str], frozenset[str]]] | None = recall(conn, _ALL)
    if known is None or known[0] != change:
        clusters, nodes = conn.execute(_CLUSTERS).all(), conn.execute(_NODES).all()
        known = change, _without_case(clusters, nodes, conn.execute(_DEVICES).scalars().all())
        remember(conn, _ALL, known)
    return known[1]


def _any_of(names: Iterable[str]) -> re.Pattern[str]:
    """Finds one of them that no letter or digit stands beside."""
    each = "|".join(sorted(map(re.escape, names), key=len, reverse=True))
    return re.compile(rf"(?<![^\W_])(?:{each})(?![^\W_])" if each else r"(?!)")


def _read(conn: Connection, whole: Database, sight: Sight) -> Part:
    clusters, nodes = conn.execute(_CLUSTERS).all(), conn.execute(_NODES).all()
    devices = conn.execute(_DEVICES).scalars().all()
    above, below = _without_case(clusters, nodes, devices)
    with whole.read() as everything:
        all_above, all_below = _all_names(everything)
    return Part(
        whole=whole,
        clusters=frozenset(ClusterId(row.name) for row in clusters),
        supercomputers=frozenset(SupercomputerId(row.supercomputer) for row in clusters),
        customers=frozenset(CustomerId(row.customer) for row in clusters),
        held=sight.customers,
        nodes={NodeId(row.name): ClusterId(row.cluster) for row in nodes},
        racks=frozenset(row.rack for row in nodes),
        units=frozenset(row.scalable_unit for row in nodes),
        workloads=frozenset(row.workload for row in nodes),
        devices=frozenset(DeviceId(name) for name in devices),
        own=above | below,
        others=(all_above | all_below) - above - below,
        apart=_any_of(all_above - above),
        phrases=Phrases(name for name in all_above | all_below if not is_word(name)),
    )
