"""One round of a drain: what may leave is told to, what may not is named with the reason. Members of a gang leave
together or not yet, since it ends with the first of them.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field

from fermata.adapters.kubernetes.cluster import Cluster
from fermata.adapters.kubernetes.pods import Resident
from fermata.ports import Refused, TryLater

Gang = tuple[str, str]


@dataclass(slots=True)
class Waits:
    """What a node still waits for, in sentences. `refused`: those of them that do not change by waiting."""

    told: list[str] = field(default_factory=list)
    refused: list[str] = field(default_factory=list)


def evict_all(cluster: Cluster, residents: Sequence[Resident]) -> Mapping[str, Waits]:
    """By node; every node of `residents` is in the answer. A server that is busy ends the round, a pod that may not be
    evicted ends that of its node.
    """
    waits = {pod.node: Waits() for pod in residents}
    if not waits:
        return waits
    gangs: dict[Gang, str | Refused | None] = {}
    try:
        api = cluster.eviction()
        for pod in residents:
            why = _move(cluster, pod, api, gangs) if not waits[pod.node].refused else f"{pod.title} is still there"
            waits[pod.node].told.append(str(why) if why is not None else f"{pod.title}: it ends")
            if isinstance(why, Refused):
                waits[pod.node].refused.append(str(why))
    except TryLater as busy:
        for each in waits.values():
            each.told.append(str(busy))
    except Refused as refused:
        for each in waits.values():
            each.refused.append(refused.why)
    return waits


def _move(cluster: Cluster, pod: Resident, api: str, gangs: dict[Gang, str | Refused | None]) -> str | Refused | None:
    """Why it stays, or None."""
    if pod.gang is None:
        return _try(cluster, [pod], api)
    gang = pod.namespace, pod.gang
    if gang not in gangs:
        gangs[gang] = _try(cluster, cluster.gang(pod), api)
    return gangs[gang]


def _try(cluster: Cluster, pods: Collection[Resident], api: str) -> str | Refused | None:
    try:
        return _evict_together(cluster, pods, api)
    except Refused as refused:
        return refused


def _evict_together(cluster: Cluster, members: Collection[Resident], api: str) -> str | None:
    """Asks for each whether it might leave, before the first one does. Once one was told to end, so are the others."""
    staying = [pod for pod in members if not pod.is_leaving]
    bare = [] if cluster.settings.evict_bare_pods else [pod for pod in staying if pod.is_bare]
    if bare:
        return f"{bare[0].title}: nobody would make another one (evict_bare_pods is off)"
    if len(staying) == len(members) > 1:
        for pod in staying:
            why = cluster.evict(pod, api, dry_run=True)
            if why is not None:
                return f"{why}; it leaves with {len(members) - 1} others, or not"
    refused = [why for pod in staying if (why := cluster.evict(pod, api)) is not None]
    return refused[0] if refused else None
