"""One round of a drain: what may leave is told to, what may not is named with the reason. Members of a gang leave
together or not yet, since it ends with the first of them.
"""

from collections.abc import Collection, Mapping, Sequence

from fermata.adapters.kubernetes.cluster import Cluster
from fermata.adapters.kubernetes.pods import Resident
from fermata.ports import Refused, TryLater

Gang = tuple[str, str]


def evict_all(cluster: Cluster, residents: Sequence[Resident]) -> Mapping[str, list[str]]:
    """By node: what it waits for; every node of `residents` is in the answer. A server that is busy ends the round."""
    waits: dict[str, list[str]] = {pod.node: [] for pod in residents}
    gangs: dict[Gang, str | None] = {}
    try:
        for pod in residents:
            why = _move(cluster, pod, gangs)
            waits[pod.node].append(why or f"{pod.title}: it ends")
    except (TryLater, Refused) as error:
        for node, told in waits.items():
            told.append(f"{node}: {error}")
    return waits


def _move(cluster: Cluster, pod: Resident, gangs: dict[Gang, str | None]) -> str | None:
    if pod.gang is None:
        return _evict(cluster, pod)
    gang = pod.namespace, pod.gang
    if gang not in gangs:
        gangs[gang] = _evict_gang(cluster, cluster.gang(pod))
    return gangs[gang]


def _evict(cluster: Cluster, pod: Resident) -> str | None:
    """Why it stays, or None."""
    if pod.is_leaving:
        return None
    if pod.is_bare and not cluster.settings.evict_bare_pods:
        return f"{pod.title}: nobody would make another one (evict_bare_pods is off)"
    return cluster.evict(pod)


def _evict_gang(cluster: Cluster, members: Collection[Resident]) -> str | None:
    """Asks for each whether it might leave, before the first one does. Once one was told to end, so are the others."""
    staying = [pod for pod in members if not pod.is_leaving]
    if len(staying) == len(members):
        for pod in staying:
            why = cluster.evict(pod, dry_run=True)
            if why is not None:
                return f"{why}; it leaves with {len(members) - 1} others, or not"
    refused = [why for pod in staying if (why := cluster.evict(pod)) is not None]
    return refused[0] if refused else None
