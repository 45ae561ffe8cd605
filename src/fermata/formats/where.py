"""`where` and `scope` conditions: a column of clusters or nodes, and the value or values it may have."""

from collections.abc import Sequence

from fermata.domain.campaign import Where
from fermata.formats.fields import Fields


def decode_where(fields: Fields, key: str, columns: Sequence[str]) -> Where:
    """The conditions under `key`, on `columns` only; each name is remembered for the check against the fleet."""
    where = fields.fields(key, optional=columns)
    conditions = {}
    for column in columns:
        if where.spot(column) is None:
            continue
        where.refer(column, column)
        allowed = where.names(column)
        if where.reads(column) and not allowed:
            where.fault(column, "An empty list matches nothing: leave the condition out, or name a value.")
        conditions[column] = frozenset(allowed)
    return Where(conditions=conditions)
