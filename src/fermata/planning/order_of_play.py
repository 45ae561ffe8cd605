"""In which order the steps of a window are played: by start, and the batches of an update together wherever they can.
Rehearsals and forecasts play windows so.
"""

from collections.abc import Iterator, Mapping, Sequence

import numpy as np

from fermata.domain.ids import UpdateId
from fermata.domain.plans import NodeApplyStep, Step
from fermata.domain.updates import IsolationBy, Update
from fermata.planning.dice import Columns


def order_of_play(
    steps: Sequence[Step], takes_part: Sequence[Columns], updates: Mapping[UpdateId, Update]
) -> Iterator[tuple[int, ...]]:
    """Steps by start, as indices; the batches of an update together as soon as their nodes have done what comes
    before: of one that takes turns by fault domain all, of others those whose nodes have.

    `takes_part`: the columns of each step's nodes.
    """
    nodes = max((int(columns.max()) + 1 for columns in takes_part if len(columns)), default=0)
    members = [_as_bits(columns, nodes) for columns in takes_part]
    waiting = list(range(len(steps)))
    while waiting:
        earlier = 0
        open_: list[int] = []
        for index in waiting:
            if not members[index] & earlier:
                open_.append(index)
            earlier |= members[index]
        chosen = next((found for i in open_ if (found := _together(i, open_, steps, updates))), (open_[0],))
        waiting = [index for index in waiting if index not in chosen]
        yield chosen


def takes_turns(update: Update) -> bool:
    """True when fault domains take turns at it."""
    return update.isolation.by is IsolationBy.FAULT_DOMAIN


def _as_bits(columns: Columns, nodes: int) -> int:
    """A bit per node: sets of nodes meet where two of these have one in common."""
    is_in = np.zeros(nodes, dtype=np.bool_)
    is_in[columns] = True
    return int.from_bytes(np.packbits(is_in).tobytes())


def _together(
    index: int, open_: Sequence[int], steps: Sequence[Step], updates: Mapping[UpdateId, Update]
) -> tuple[int, ...]:
    """The batches among `open_` that are played with this step, itself included; none: it waits for the rest."""
    step = steps[index]
    if not isinstance(step, NodeApplyStep):
        return (index,)
    own = [(s.batch, i) for i in open_ if isinstance(s := steps[i], NodeApplyStep) and s.update == step.update]
    if len(own) < step.batches and takes_turns(updates[step.update]):
        return ()
    return tuple(i for _, i in sorted(own))
