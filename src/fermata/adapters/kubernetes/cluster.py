"""The verbs that we use of an API server. Reads raise TryLater or Refused."""

from collections.abc import Collection
from threading import Lock
from typing import Any

from lightkube import ApiError
from lightkube.models.meta_v1 import DeleteOptions, ObjectMeta, Preconditions
from lightkube.resources.core_v1 import Node, Pod, PodEviction
from lightkube.types import PatchType

from fermata.adapters.inventory_http import Access, Asking
from fermata.adapters.kubernetes.holds import Hold, read_hold
from fermata.adapters.kubernetes.link import NO_ANSWER, NOT_FOUND, answer_of, connect, patience, told
from fermata.adapters.kubernetes.pods import Resident, read_residents
from fermata.adapters.kubernetes.settings import Settings
from fermata.domain.health import shorten
from fermata.domain.observations import Accepted, Answer, Unsure
from fermata.ports import Refused, TryLater

PAGE_SIZE = 500
SINGLY_MAX = 8  # nodes that are asked for one by one; of more, all are listed
POLICY_V1_SINCE = (1, 22)


class Cluster:
    """One API server."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self._client = connect(settings.url, settings.token_file, settings.ca_file, settings.answer_seconds)
        self._version: tuple[int, int] | None = None
        self._lock = Lock()

    def close(self) -> None:
        """Evictions go on; the next to ask finds them."""
        self._client.close()

    def version(self) -> str:
        """Such as v1.33.1."""
        access = Access(
            url=self.settings.url,
            scheme="Bearer",
            token_file=str(self.settings.token_file) if self.settings.token_file else None,
            ca_file=str(self.settings.ca_file) if self.settings.ca_file else None,
        )
        with Asking(access) as asking:
            found = asking.get("/version", {})
        try:
            numbers = str(found["gitVersion"]).removeprefix("v").split(".")
            with self._lock:
                self._version = int(numbers[0]), int(numbers[1])
            return str(found["gitVersion"])
        except (KeyError, TypeError, ValueError, IndexError) as error:
            raise Refused(f"{self.settings.url} is no API server of Kubernetes") from error

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
        except ApiError as error:
            return answer_of(error, f"a change of {hold.name}")
        except NO_ANSWER:
            return Unsure()
        return Accepted()

    def evict(self, pod: Resident, *, dry_run: bool = False) -> str | None:
        """Why a pod stays for now; None: it was told to end, or is gone. Raises TryLater when the server is busy."""
        meta = ObjectMeta(name=pod.name, namespace=pod.namespace)
        options = DeleteOptions(preconditions=Preconditions(uid=pod.uid), dryRun=["All"] if dry_run else None)
        body = PodEviction(apiVersion=self._eviction(), kind="Eviction", metadata=meta, deleteOptions=options)
        try:
            self._client.create(body, pod.name, namespace=pod.namespace)
        except ApiError as error:
            return _read_refusal(pod, error)
        except NO_ANSWER:
            return f"{pod.title}: the answer to its eviction was lost"
        return None

    def _node(self, name: str) -> Node | None:
        try:
            with told(self.settings.url):
                return self._client.get(Node, name)
        except Refused as refused:
            cause = refused.__cause__
            if isinstance(cause, ApiError) and cause.response.status_code == NOT_FOUND:
                return None
            raise

    def _eviction(self) -> str:
        if self._version is None:
            self.version()
        assert self._version is not None
        return "policy/v1" if self._version >= POLICY_V1_SINCE else "policy/v1beta1"


def _read_refusal(pod: Resident, error: ApiError) -> str | None:
    """A budget's refusal names it as the cause. Without a cause, it is the server that is busy."""
    status = error.response.status_code
    if status == NOT_FOUND:
        return None
    causes = (error.status.details.causes if error.status.details is not None else None) or ()
    budget = next((cause for cause in causes if cause.reason == "DisruptionBudget"), None)
    if status == 429 and budget is None:
        raise TryLater(patience(error), shorten(str(error)))
    said = (budget.message if budget is not None else None) or str(error)
    return f"{pod.title}: {shorten(said)}"
