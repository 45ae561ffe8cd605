"""How many units of one update run at once in a window: isolation and the owner team's limit cut them into batches.
Batches are as few, and then as equal, as both allow.
"""

import math
from collections.abc import Sequence
from itertools import accumulate, pairwise
from operator import attrgetter
from typing import assert_never

from fermata.domain.fleet import Device, Fleet
from fermata.domain.updates import IsolationBy, Update


def node_batches(update: Update, domains: Sequence[int], *, limit: int | None, window: int) -> tuple[int, ...]:
    """Sizes of the batches, in the order of `domain.plans.batch_members`, for nodes of which so many stand in each
    fault domain; `window`: nodes of the window.
    """
    nodes = sum(domains)
    most = nodes if limit is None else limit
    match update.isolation.by:
        case IsolationBy.NONE:
            return cut_evenly(nodes, most)
        case IsolationBy.PERCENT:
            return cut_evenly(nodes, min(most, share_of_window(update, window)))
        case IsolationBy.FAULT_DOMAIN:
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
    ordered = sorted(devices, key=attrgetter("name"))
    most = len(ordered) if limit is None else limit
    if update.isolation.by is IsolationBy.NONE:
        cuts = [0, *accumulate(cut_evenly(len(ordered), most))]
        return tuple(tuple(ordered[a:b]) for a, b in pairwise(cuts))
    by_percent = update.isolation.by is IsolationBy.PERCENT
    room = share_of_window(update, window) if by_percent else update.isolation.at_once
    batches: list[list[Device]] = []
    spread: set[str] = set()  # what the last batch reaches
    for device in ordered:
        reached = {node.name if by_percent else node.fault_domain for node in fleet.nodes_behind(device)}
        if batches and len(batches[-1]) < most and len(spread | reached) <= room:
            batches[-1].append(device)
            spread |= reached
        else:
            batches.append([device])
            spread = reached
    return tuple(tuple(batch) for batch in batches)


def share_of_window(update: Update, window: int) -> int:
    """Nodes of a window of `window` nodes that an update isolated by percent may take at once, at least one."""
    return max(1, window * update.isolation.at_once // 100)


def cut_evenly(count: int, most: int) -> tuple[int, ...]:
    """`count` in the fewest parts of at most `most`, sizes one apart at the most, larger ones first."""
    parts = math.ceil(count / most)
    small, larger = divmod(count, parts)
    return tuple(small + 1 if i < larger else small for i in range(parts))
