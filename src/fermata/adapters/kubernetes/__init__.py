"""A Kubernetes cluster: nodes are cordoned with our taint, emptied within disruption budgets, and given back there.

`build` makes the ports. What is remembered stands on the node itself, in annotations. See docs/adapters.md.
"""

from collections.abc import Mapping

from fermata.adapters.kubernetes.claiming import Operator
from fermata.adapters.kubernetes.cluster import Cluster
from fermata.adapters.kubernetes.inventory import KubernetesInventory
from fermata.adapters.kubernetes.settings import Settings
from fermata.adapters.kubernetes.workloads import KubernetesWorkloads
from fermata.ports import AdapterPorts, Clock

__all__ = ["KIND", "PORTS", "Settings", "build"]

KIND = "kubernetes"
PORTS = frozenset({"inventory", "workloads"})


def build(settings: Settings, clock: Clock) -> AdapterPorts:
    """Calls nobody. Raises Refused for files that cannot be read."""
    cluster = Cluster(settings)

    def probe() -> Mapping[str, str]:
        told = {"product": "Kubernetes", "version": cluster.version(), "evictions": cluster.eviction()}
        cluster.nodes(["no-such-node"])
        cluster.residents(["no-such-node"])
        if settings.maintenance_operator is not None:
            told["maintenances"] = str(len(Operator(cluster).claims().found))
        return {**told, "holds": f"{settings.prefix}/held"}

    return AdapterPorts(
        close=cluster.close,
        probe=probe,
        inventory=KubernetesInventory(cluster, clock),
        workloads=KubernetesWorkloads(cluster, clock),
    )
