"""How many units of one update run at once in a window: isolation and the owner team's limit cut them into batches.
Batches are as few, and then as equal, as both allow.
"""

import math
from collections.abc import Sequence
from itertools import groupby
from typing import assert_never

from fermata.domain.fleet import Device, Fleet, Node
from fermata.domain.updates import IsolationBy, Update


def node_batches(update: Update, nodes: Sequence[Node], *, limit: int | None, window: int) -> tuple[int, ...]:
    """Sizes of the batches for `nodes`, in the order of `domain.plans.batch_members`; `window`: nodes of the window."""
    most = len(nodes) if limit is None else limit
    match update.isolation.by:
        case IsolationBy.NONE:
            return cut_evenly(len(nodes), most)
        case IsolationBy.PERCENT:
            return cut_evenly(len(nodes), min(most, share_of_window(update, window)))
        case IsolationBy.FAULT_DOMAIN:
            domains = [len(list(g)) for _, g in groupby(sorted(node.fault_domain for node in nodes))]
            sizes: list[int] = []
            at = 0
            for domains_at_once in cut_evenly(len(domains), max(1, update.isolation.at_once)):
                sizes.extend(cut_evenly(sum(domains[at : at + domains_at_once]), most))
                at += domains_at_once
            return tuple(sizes)
        case _:
            assert_never(update.isolation.by)


def device_batches(
    update: Update, devices: Sequence[Device], *, fleet: Fleet, limit: int | None, window: int
) -> tuple[tuple[Device, ...], ...]:
    """The devices of each batch, by name. Isolation counts the nodes behind a batch; one device is always allowed."""
    ordered = sorted(devices, key=lambda device: device.name)
    most = len(ordered) if limit is None else limit
    if update.isolation.by is IsolationBy.NONE:
        sizes = cut_evenly(len(ordered), most)
        starts = [sum(sizes[:i]) for i in range(len(sizes))]
        return tuple(tuple(ordered[at : at + size]) for at, size in zip(starts, sizes, strict=True))
    batches: list[list[Device]] = []
    for device in ordered:
        if batches and len(batches[-1]) < most and _fits(update, [*batches[-1], device], fleet, window):
            batches[-1].append(device)
        else:
            batches.append([device])
    return tuple(tuple(batch) for batch in batches)


def _fits(update: Update, devices: Sequence[Device], fleet: Fleet, window: int) -> bool:
    behind = {node.name: node for device in devices for node in fleet.nodes_behind(device)}
    if update.isolation.by is IsolationBy.PERCENT:
        return len(behind) <= share_of_window(update, window)
    return len({node.fault_domain for node in behind.values()}) <= update.isolation.at_once


def share_of_window(update: Update, window: int) -> int:
    """Nodes of a window of `window` nodes that an update isolated by percent may take at once, at least one."""
    return max(1, window * update.isolation.at_once // 100)


def cut_evenly(count: int, most: int) -> tuple[int, ...]:
    """`count` in the fewest parts of at most `most`, sizes one apart at the most, larger ones first."""
    parts = math.ceil(count / most)
    small, larger = divmod(count, parts)
    return tuple(small + 1 if i < larger else small for i in range(parts))
