"""Which pods leave a node, which stay, and which leave together. Pure."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from lightkube.models.meta_v1 import OwnerReference
from lightkube.resources.core_v1 import Pod

MIRROR = "kubernetes.io/config.mirror"
# who writes which: Kueue, JobSet, LeaderWorkerSet, Volcano, the coscheduling plugin, Kubeflow's trainer
GROUP_LABELS = (
    "kueue.x-k8s.io/pod-group-name",
    "jobset.sigs.k8s.io/jobset-name",
    "leaderworkerset.sigs.k8s.io/group-key",
    "volcano.sh/job-name",
    "scheduling.x-k8s.io/pod-group",
    "training.kubeflow.org/job-name",
)
GROUP_NOTE = "scheduling.k8s.io/group-name"  # annotation of Volcano
_TOGETHER = frozenset({"batch.volcano.sh", "kubeflow.org", "jobset.x-k8s.io", "leaderworkerset.x-k8s.io", "ray.io"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Resident:
    """One pod on a node. `gang`: what it leaves together with, in its namespace; None: by itself. `is_bare`: nobody
    makes another one. `is_leaving`: it was told to end.
    """

    namespace: str
    name: str
    uid: str
    node: str
    gang: str | None
    is_bare: bool
    is_leaving: bool

    @property
    def title(self) -> str:
        """As kubectl users write it."""
        return f"{self.namespace}/{self.name}"


def read_residents(pods: Iterable[Pod]) -> list[Resident]:
    """The pods that have to leave: not those of a DaemonSet, mirrors of static ones, or what ended."""
    return [found for pod in pods if (found := _read(pod)) is not None]


def _read(pod: Pod) -> Resident | None:
    meta, spec, status = pod.metadata, pod.spec, pod.status
    if meta is None or (status is not None and status.phase in ("Succeeded", "Failed")):
        return None
    owner = next((each for each in meta.ownerReferences or () if each.controller), None)
    if MIRROR in (meta.annotations or {}) or (owner is not None and owner.kind == "DaemonSet"):
        return None
    return Resident(
        namespace=meta.namespace or "",
        name=meta.name or "",
        uid=meta.uid or "",
        node=(spec.nodeName if spec is not None else None) or "",
        gang=_gang(meta.labels or {}, meta.annotations or {}, owner),
        is_bare=owner is None,
        is_leaving=meta.deletionTimestamp is not None,
    )


def _gang(labels: Mapping[str, str], notes: Mapping[str, str], owner: OwnerReference | None) -> str | None:
    for label in GROUP_LABELS:
        if labels.get(label):
            return f"{label}={labels[label]}"
    if notes.get(GROUP_NOTE):
        return f"{GROUP_NOTE}={notes[GROUP_NOTE]}"
    if owner is not None and owner.apiVersion.split("/")[0] in _TOGETHER:
        return f"{owner.kind} {owner.uid}"
    return None
