"""Bounds within which whoever asks for everything is told everything, however quickly: no clock says what is told."""

import sys
from dataclasses import replace

from fermata.server.limits.bounds import BOUNDS, Bounds, Rate, Room

_MANY = sys.maxsize
_FREELY = Rate(burst=_MANY, a_second=_MANY)
FREE: Bounds = replace(
    BOUNDS,
    rates=dict.fromkeys(BOUNDS.rates, _FREELY),
    rooms=dict.fromkeys(BOUNDS.rooms, Room(each=_MANY, all=_MANY)),
    body=_FREELY,
    work=_FREELY,
    share=_FREELY,
    strangers=_FREELY,
    graph_queries=_MANY,
    node_calls=_MANY,
)
