"""Where in the fleet the paths of other clouds' clients lead: to the clusters of what they name, or of its group. A
rack may reach beyond these: what is said of it is said of all of it.
"""

from collections.abc import Collection, Mapping
from urllib.parse import unquote

from fermata.domain import arm
from fermata.domain.fleet import Cluster
from fermata.domain.ids import ClusterId
from fermata.services.places import COMPUTE, INFRASTRUCTURE

OF_CLUSTER = ("clusters", "virtualmachinescalesets")


def clusters_at(clusters: Mapping[ClusterId, Cluster], path: str) -> Collection[ClusterId]:
    """Of a path below an Azure subscription: of the cluster that it names, else of all of the group, else
    of all that the customer holds. Nothing when it leads nowhere.
    """
    parts = [unquote(part).lower() for part in path.split("/") if part]
    if len(parts) < 2:
        return ()
    found: Mapping[ClusterId, Cluster] = {
        n: c for n, c in clusters.items() if arm.subscription_id(c.customer).lower() == parts[1]
    }
    if len(parts) > 3 and parts[2] == "resourcegroups":
        found = {name: c for name, c in found.items() if c.supercomputer.lower() == parts[3]}
    if len(parts) > 5 and parts[5] in (COMPUTE, INFRASTRUCTURE):
        found = _narrow(found, [unquote(part) for part in path.split("/") if part][6:])
    return found


def clusters_of_instance(clusters: Mapping[ClusterId, Cluster], path: str) -> Collection[ClusterId]:
    """Of `project/zone/reservation/block/...` as Google's paths have them: what the customer holds in that datacenter,
    and in all others of a supercomputer that is meant as a whole. Nothing when it has nothing there.
    """
    project, zone, reservation, block = (part.lower() for part in path.split("/")[:4])
    own = {name: cluster for name, cluster in clusters.items() if cluster.customer.lower() == project}
    there = [name for name, cluster in own.items() if cluster.datacenter.lower() == zone]
    whole = [name for name, c in own.items() if c.supercomputer.lower() == reservation and not block]
    return frozenset({*there, *whole}) if there else ()


def rack_at(path: str) -> str:
    """The rack that a path below an Azure subscription leads to, without case; "" for one that leads to none, or to a
    node of it.
    """
    tail = [unquote(part).lower() for part in path.split("/") if part][6:]
    named = dict(zip(tail[::2], tail[1::2], strict=False))
    return "" if "nodes" in named else named.get("racks", "")


def rack_of_instance(path: str) -> str:
    """The same of `project/zone/reservation/block/subblock/...`."""
    return path.split("/")[4].lower()


def _narrow(found: Mapping[ClusterId, Cluster], tail: list[str]) -> Mapping[ClusterId, Cluster]:
    """By the clusters that the path names. By nodes and racks it is not narrowed: their names stand there in any case,
    and what is asked of the whole group is asked of them, too.
    """
    for kind, name in zip(tail[::2], tail[1::2], strict=False):
        if kind.lower() in OF_CLUSTER:
            found = {cluster: about for cluster, about in found.items() if cluster.lower() == name.lower()}
    return found
