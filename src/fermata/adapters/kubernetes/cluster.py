"""The verbs that we use of an API server. Reads raise TryLater or Refused."""

from collections.abc import Collection
from typing import Any

from lightkube.resources.core_v1 import Node, Pod
from lightkube.types import PatchType

from fermata.adapters.kubernetes.holds import Hold, read_hold
from fermata.adapters.kubernetes.pods import Resident, read_residents
from fermata.adapters.kubernetes.settings import Settings
from fermata.adapters.kubernetes_link import (
    BUSY,
    CONFLICT,
    NO_ANSWER,
    NOT_FOUND,
    TOO_MANY,
    Rejected,
    answer_of,
    connect,
    connect_plainly,
    patience,
    read_field,
    read_status,
    told,
)
from fermata.domain.health import shorten
from fermata.domain.observations import Accepted, Answer, Unsure
from fermata.ports import Refused, TryLater

PAGE_SIZE = 500
SINGLY_MAX = 8  # nodes that are asked for one by one; of more, all are listed


class Cluster:
    """One API server."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        access = settings.url, settings.secret, settings.ca_file, settings.answer_seconds
        self._client, self.plain = connect(*access), connect_plainly(*access)

    def close(self) -> None:
        """Evictions go on; the next to ask finds them."""
        self._client.close()
        self.plain.close()

    def version(self) -> str:
        """Such as v1.33.1."""
        return str(self._read("/version", "gitVersion"))

    def eviction(self) -> str:
        """In which API this server takes evictions: policy/v1 (since 1.22), or policy/v1beta1. As kubectl looks it up:
        the server names it beside the subresource.
        """
        for found in self._read("/api/v1", "resources"):
            if isinstance(found, dict) and found.get("name") == "pods/eviction":
                return f"{found.get('group')}/{found.get('version')}"
        raise Refused(f"{self.settings.url} takes no evictions: it names no pods/eviction")

    def holds(self, names: Collection[str]) -> dict[str, Hold]:
        """With what we wrote there."""
        return {name: read_hold(self.settings.prefix, node) for name, node in self.nodes(names).items()}

    def nodes(self, names: Collection[str]) -> dict[str, Node]:
        """The nodes that are known of `names`, as the server tells them."""
        wanted = frozenset(names)
        if len(wanted) <= SINGLY_MAX:
            found = [node for name in sorted(wanted) if (node := self._node(name)) is not None]
        else:
            with told(self.settings.url):
                found = list(self._client.list(Node, chunk_size=PAGE_SIZE))
        return {node.metadata.name: node for node in found if node.metadata and node.metadata.name in wanted}

    def residents(self, names: Collection[str]) -> list[Resident]:
        """The pods that have to leave these nodes."""
        wanted = frozenset(names)
        pods: list[Pod] = []
        with told(self.settings.url):
            if len(wanted) <= SINGLY_MAX:
                for name in sorted(wanted):
                    pods += self._client.list(Pod, namespace="*", fields={"spec.nodeName": name}, chunk_size=PAGE_SIZE)
            else:
                pods += self._client.list(Pod, namespace="*", chunk_size=PAGE_SIZE)
        return [pod for pod in read_residents(pods) if pod.node in wanted]

    def gang(self, member: Resident) -> list[Resident]:
        """All that leaves together with one of it, wherever it runs."""
        with told(self.settings.url):
            pods = list(self._client.list(Pod, namespace=member.namespace, chunk_size=PAGE_SIZE))
        return [pod for pod in read_residents(pods) if pod.gang == member.gang]

    def patch(self, hold: Hold, patch: dict[str, Any]) -> Answer:
        """Writes to a node, if nobody wrote since the look."""
        try:
            self._client.patch(Node, hold.name, patch, patch_type=PatchType.MERGE)
        except Rejected as error:
            return answer_of(error, f"a change of {hold.name}")
        except NO_ANSWER:
            return Unsure()
        return Accepted()

    def evict(self, pod: Resident, api: str, *, dry_run: bool = False) -> str | None:
        """Why a pod stays for now; None: it was told to end, or is gone. `api`: see `eviction`. Raises TryLater when
        the server is busy, Refused when asking again would not help.
        """
        options: dict[str, Any] = {"preconditions": {"uid": pod.uid}}
        if dry_run:
            options["dryRun"] = ["All"]
        body = {
            "apiVersion": api,
            "kind": "Eviction",
            "metadata": {"name": pod.name, "namespace": pod.namespace},
            "deleteOptions": options,
        }
        try:
            path = f"/api/v1/namespaces/{pod.namespace}/pods/{pod.name}/eviction"
            self.plain.post(path, json=body).raise_for_status()
        except Rejected as error:
            return _read_refusal(pod, error)
        except NO_ANSWER:
            return f"{pod.title}: the answer to its eviction was lost"
        return None

    def _read(self, path: str, key: str) -> Any:
        return read_field(self.plain, self.settings.url, path, key)

    def _node(self, name: str) -> Node | None:
        try:
            with told(self.settings.url):
                return self._client.get(Node, name)
        except Refused as refused:
            cause = refused.__cause__
            if isinstance(cause, Rejected) and cause.response.status_code == NOT_FOUND:
                return None
            raise


def _read_refusal(pod: Resident, error: Rejected) -> str | None:
    """Budgets refuse with 429 and no word on when; a server that is busy says when. A namespace that ends takes its
    pods along. What else is refused stays refused until a person changes something.
    """
    code = error.response.status_code
    status = read_status(error.response)
    causes, said = status if status is not None else (frozenset(), str(error))
    if code == NOT_FOUND and status is not None:
        return None
    budget = "DisruptionBudget" in causes
    if code == TOO_MANY and not budget and "retry-after" in error.response.headers:
        raise TryLater(patience(error), shorten(said))
    if code in BUSY or code == CONFLICT or budget or "NamespaceTerminating" in causes:
        return f"{pod.title}: {shorten(said)}"
    raise Refused(f"{pod.title} may not be evicted ({code}): {shorten(said)}")
