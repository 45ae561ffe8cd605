"""What the wall of nodes is painted from, as columns: a fleet of values would take ten times as long to read."""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import ColumnElement, Connection, func, literal, select

from fermata.domain.fleet import NodeState
from fermata.domain.ids import ClusterId, NodeId, RunId
from fermata.domain.node_states import UnitKind, UnitState
from fermata.store.inventory import node
from fermata.store.unit_ops import unit_op

Place = tuple[ClusterId, str, str, NodeId, NodeState, str]  # cluster, scalable unit, rack, node, state, version


def count_nodes(conn: Connection) -> dict[ClusterId, int]:
    """Nodes of each cluster that has any, by name."""
    query = select(node.c.cluster, func.count()).group_by(node.c.cluster)
    return {ClusterId(name): count for name, count in sorted(map(tuple, conn.execute(query)))}


def read_places(conn: Connection, cluster: ClusterId | None, component: str | None) -> list[Place]:
    """Every node, or those of one cluster, in the order of the wall. The version of `component` is empty where the node
    reports none, and everywhere without one.
    """
    columns = (node.c.cluster, node.c.scalable_unit, node.c.rack, node.c.name, node.c.state, _version(component))
    query = select(*columns)
    found = conn.execute(query if cluster is None else query.where(node.c.cluster == cluster))
    return sorted((c, unit, rack, name, _STATES[state], version or "") for c, unit, rack, name, state, version in found)


def count_places(conn: Connection, component: str | None) -> list[tuple[ClusterId, NodeState, str, int]]:
    """How many nodes each cluster has in each state, with each version of `component`."""
    parts: tuple[ColumnElement[Any], ...] = (node.c.cluster, node.c.state, _version(component))
    labelled = [part.label(f"part_{number}") for number, part in enumerate(parts)]
    inner = select(*labelled).subquery()
    query = select(*inner.c, func.count()).group_by(*inner.c)
    rows = conn.execute(query).all()
    return [(ClusterId(row[0]), _STATES[row[1]], row[2] or "", row[3]) for row in rows]


def list_components(conn: Connection) -> tuple[str, ...]:
    """The components that any node reports, by name."""
    said = conn.execute(select(node.c.versions).distinct()).scalars()
    return tuple(sorted({component for versions in said for component in versions}))


def read_work(
    conn: Connection, runs: Sequence[RunId], cluster: ClusterId | None
) -> list[tuple[ClusterId, NodeId, NodeState, UnitState]]:
    """Every node that those runs took into a window and that the fleet has: its state, and where it stands there."""
    columns = (node.c.cluster, node.c.name, node.c.state, unit_op.c.state)
    query = select(*columns).join(node, node.c.name == unit_op.c.unit)
    query = query.where(unit_op.c.run.in_(list(runs)), unit_op.c.kind == UnitKind.NODE.value)
    found = conn.execute(query if cluster is None else query.where(node.c.cluster == cluster))
    return [(ClusterId(c), NodeId(name), _STATES[seen], _UNITS[state]) for c, name, seen, state in found]


def _version(component: str | None) -> ColumnElement[Any]:
    return literal("") if component is None else node.c.versions[component].as_string()


_STATES = {state.value: state for state in NodeState}
_UNITS = {state.value: state for state in UnitState}
