"""What a NodeMaintenance of NVIDIA's maintenance-operator says, and what we write into one. Pure.

One that is ours keeps everybody else's from beginning on its node: the operator lets one begin on a node at a time.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from fermata.adapters.kubernetes.settings import MaintenanceOperator, Settings
from fermata.adapters.kubernetes_lists import AGREED
from fermata.domain.ids import StepKey
from fermata.ports import Refused

API = "maintenance.nvidia.com/v1alpha1"
_NOT_BEGUN = frozenset({"", "Pending"})  # any other phase, an unknown one too, counts as begun
SHOWN_MAX = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Claim:
    """One NodeMaintenance. `phase`: the reason of its condition Ready, "" while the operator has not seen it. `step`:
    of one that we made, the step that it is for. `pods`: those that it waits for. `is_agreed`: of somebody else's, its
    customers let it begin.
    """

    namespace: str
    name: str
    uid: str
    node: str
    requestor: str
    phase: str
    is_ready: bool
    is_leaving: bool
    step: str
    pods: tuple[str, ...]
    is_agreed: bool

    @property
    def title(self) -> str:
        """As kubectl users write it."""
        return f"NodeMaintenance {self.namespace}/{self.name}"

    @property
    def is_begun(self) -> bool:
        """The operator has let it begin; it has not ended as long as it is there."""
        return self.phase not in _NOT_BEGUN

    def say(self) -> str:
        """Whose it is and how it stands."""
        return f"{self.title} of {self.requestor} is {self.phase or 'not yet seen by its operator'}"


@dataclass(frozen=True, slots=True)
class Claims:
    """All that there are. `words` None: the site has no such operator, and there are none."""

    words: MaintenanceOperator | None
    found: Sequence[Claim] = ()

    def ours(self, node: str) -> Claim | None:
        """The one in our place, whoever made it."""
        if self.words is None:
            return None
        place = self.words.namespace, name_of(self.words, node)
        return next((claim for claim in self.found if (claim.namespace, claim.name) == place), None)

    def find_other(self, node: str) -> Claim | None:
        """Somebody else's that has begun on `node`."""
        ours = self.ours(node)
        begun = (claim for claim in self.found if claim.node == node and claim.is_begun)
        return next((claim for claim in begun if claim is not ours), None)

    def find_unagreed(self, node: str) -> Claim | None:
        """Somebody else's that has begun on `node`, or would as soon as we cordon it, and that nobody consented to."""
        ours = self.ours(node)
        others = (claim for claim in self.found if claim.node == node and claim is not ours)
        return next((claim for claim in others if claim.is_begun or not claim.is_agreed), None)


NO_CLAIMS = Claims(None)


def name_of(words: MaintenanceOperator, node: str) -> str:
    """One name for each node, so that asking twice makes one object."""
    return f"{words.requestor}-{node}"


def write_claim(settings: Settings, words: MaintenanceOperator, node: str, key: StepKey) -> dict[str, Any]:
    """It never cordons: the cordon is ours, so that nothing the operator does takes it off."""
    spec: dict[str, Any] = {"requestorID": words.requestor, "nodeName": node, "cordon": False}
    if words.drains:
        spec["drainSpec"] = {
            "force": settings.evict_bare_pods,
            "deleteEmptyDir": True,
            "timeoutSeconds": settings.drain_minutes_max * 60,
        }
    return {
        "apiVersion": API,
        "kind": "NodeMaintenance",
        "metadata": {
            "namespace": words.namespace,
            "name": name_of(words, node),
            "annotations": {f"{settings.prefix}/step": key},
        },
        "spec": spec,
    }


def read_claims(items: Iterable[Any], prefix: str) -> list[Claim]:
    """Raises Refused for what is no NodeMaintenance: half a list would let a node pass that somebody else has."""
    try:
        return [_read(item, prefix) for item in items]
    except (LookupError, TypeError, AttributeError) as error:
        raise Refused(f"a NodeMaintenance cannot be read: {type(error).__name__} {error}") from error


def _read(item: Mapping[str, Any], prefix: str) -> Claim:
    meta, spec, status = item["metadata"], item["spec"], item.get("status") or {}
    ready: Mapping[str, Any] = next((each for each in status.get("conditions") or () if each["type"] == "Ready"), {})
    phase = str(ready.get("reason") or "")
    drain = status.get("drain") or {}
    return Claim(
        namespace=str(meta["namespace"]),
        name=str(meta["name"]),
        uid=str(meta.get("uid") or ""),
        node=str(spec["nodeName"]),
        requestor=str(spec["requestorID"]),
        phase=phase,
        is_ready=ready.get("status") == "True" and phase == "Ready",
        is_leaving=bool(meta.get("deletionTimestamp")),
        is_agreed=bool((meta.get("annotations") or {}).get(AGREED)),
        step=str((meta.get("annotations") or {}).get(f"{prefix}/step") or ""),
        pods=tuple(
            str(pod) for pod in (*(status.get("waitForCompletion") or ()), *(drain.get("waitForEviction") or ()))
        ),
    )
