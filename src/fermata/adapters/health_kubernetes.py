"""Health checks as Kubernetes Jobs: one pod on the node that it is about, cordoned and tainted or not.

A Job is named after the step's key: the API server takes a name once, so that asking twice runs it once. It has a
deadline and no second try. Its pod's exit code and log are the result. See docs/health-checks.md.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime

import httpx2
from lightkube.models.batch_v1 import JobSpec
from lightkube.models.core_v1 import (
    Affinity,
    Container,
    ContainerStateTerminated,
    NodeAffinity,
    NodeSelector,
    NodeSelectorRequirement,
    NodeSelectorTerm,
    PodSpec,
    PodTemplateSpec,
    ResourceRequirements,
    SecurityContext,
    Toleration,
)
from lightkube.models.meta_v1 import ObjectMeta
from lightkube.resources.batch_v1 import Job as KubernetesJob
from lightkube.resources.core_v1 import Node, Pod
from pydantic import Field

from fermata.adapters.health_checks import OUTPUT_BYTES_MAX, Absent, Checks, Ended, Going, Job, Lost, PlanSettings, Seen
from fermata.adapters.kubernetes_access import ServerSettings
from fermata.adapters.kubernetes_link import (
    BUSY,
    CONFLICT,
    Rejected,
    connect,
    connect_plainly,
    patience,
    read_field,
    told,
)
from fermata.domain.health import shorten
from fermata.domain.observations import Accepted, Answer, Denied, Later, Unsure
from fermata.ports import AdapterPorts, Clock, Refused, TryLater

KIND = "health_kubernetes"
PORTS = frozenset({"verifier"})
ANSWER_SECONDS_MAX = 30.0
KEPT_SECONDS = 7 * 24 * 3600  # of a Job that is over: a deep check beside it takes hours at most
LABEL = "fermata.io/health-check"
PAGE_SIZE = 500
_NAME = r"^[a-z0-9]([a-z0-9-]*[a-z0-9])?$"


class Settings(ServerSettings):
    """Which API server, and what the pods of checks are."""

    checks: PlanSettings
    namespace: str = Field("fermata", pattern=_NAME)
    image: str = Field(min_length=1, description="Image that has the commands of the checks")
    service_account: str | None = Field(None, pattern=_NAME)
    limits: Mapping[str, str] = Field(default_factory=dict, description="Such as nvidia.com/gpu: '8'")
    privileged: bool = False
    host_pid: bool = False


def build(settings: Settings, clock: Clock) -> AdapterPorts:
    """Calls nobody. Raises Refused for files that cannot be read."""
    runner = KubernetesJobs(settings, clock)
    return AdapterPorts(verifier=Checks(runner, settings.checks, clock), close=runner.close, probe=runner.probe)


class KubernetesJobs:
    """Runner: one Job a check."""

    def __init__(self, settings: Settings, clock: Clock) -> None:
        self._settings, self._clock = settings, clock
        access = settings.url, settings.secret, settings.ca_file, ANSWER_SECONDS_MAX
        self._client, self._plain = connect(*access), connect_plainly(*access)

    def close(self) -> None:
        """Jobs go on; the next to ask finds them."""
        self._client.close()
        self._plain.close()

    def probe(self) -> Mapping[str, str]:
        """Its version, and whether Jobs of the namespace may be listed."""
        version = str(read_field(self._plain, self._settings.url, "/version", "gitVersion"))
        with told(self._settings.url):
            jobs = len(
                list(self._client.list(KubernetesJob, namespace=self._settings.namespace, labels={LABEL: "true"}))
            )
        return {
            "product": "Kubernetes",
            "version": version,
            "namespace": self._settings.namespace,
            "health checks on record": str(jobs),
        }

    def start(self, jobs: Sequence[Job]) -> Mapping[str, Answer]:
        """See Runner."""
        return {job.name: self._start(job) for job in jobs}

    def look(self, jobs: Sequence[Job]) -> Mapping[str, Seen]:
        """See Runner. Raises TryLater or Refused when Jobs cannot be listed."""
        namespace = self._settings.namespace
        with told(self._settings.url):
            found = self._client.list(KubernetesJob, namespace=namespace, labels={LABEL: "true"}, chunk_size=PAGE_SIZE)
            listed = list(found)
        known = {each.metadata.name: each for each in listed if each.metadata is not None}
        return {job.name: self._look(job, known.get(job.name)) for job in jobs}

    def _start(self, job: Job) -> Answer:
        try:
            with told(self._settings.url):
                self._client.get(Node, job.unit)
        except TryLater as busy:
            return Later(after=busy.after)
        except Refused as refused:
            return Denied(why=refused.why)
        try:
            self._client.create(self._describe(job), namespace=self._settings.namespace)
        except Rejected as error:
            return _answer_of(error)
        except (httpx2.HTTPError, ValueError):  # it may have been taken: the answer was lost, or is none
            return Unsure()
        return Accepted()

    def _look(self, job: Job, found: KubernetesJob | None) -> Seen:
        if found is None:
            return Absent()
        conditions = (found.status.conditions if found.status is not None else None) or ()
        over = next(
            (each for each in conditions if each.type in ("Complete", "Failed") and each.status == "True"), None
        )
        if over is None:
            return Going()
        now = self._clock.now()
        if over.reason == "DeadlineExceeded":
            return Ended(at=min(over.lastTransitionTime or now, now), exit_code=None, output="")
        return self._read_pod(job, now)

    def _read_pod(self, job: Job, now: datetime) -> Seen:
        with told(self._settings.url):
            pods = list(self._client.list(Pod, namespace=self._settings.namespace, labels={"job-name": job.name}))
        ended = [(pod, state) for pod in pods if (state := _terminated(pod)) is not None]
        if not ended:
            return Lost(at=now, why=f"Job {job.name} is over and its pod is gone, with exit code and log")
        pod, state = ended[-1]
        name = (pod.metadata.name if pod.metadata is not None else None) or ""
        at = state.finishedAt or now
        return Ended(at=min(at, now), exit_code=state.exitCode, output=self._read_log(name))

    def _read_log(self, pod: str) -> str:
        kept: list[str] = []
        size = 0
        with told(self._settings.url):
            for line in self._client.log(pod, namespace=self._settings.namespace):
                kept.append(line)
                size += len(line)
                if size >= OUTPUT_BYTES_MAX:
                    break
        return "".join(kept)[:OUTPUT_BYTES_MAX]

    def _describe(self, job: Job) -> KubernetesJob:
        settings = self._settings
        labels = {LABEL: "true"}
        on_node = NodeSelectorRequirement(key="metadata.name", operator="In", values=[job.unit])
        where = NodeSelector(nodeSelectorTerms=[NodeSelectorTerm(matchFields=[on_node])])
        container = Container(
            name="check",
            image=settings.image,
            command=list(job.command),
            resources=ResourceRequirements(limits=dict(settings.limits)),
            securityContext=SecurityContext(privileged=settings.privileged),
        )
        pod = PodSpec(
            containers=[container],
            restartPolicy="Never",
            affinity=Affinity(nodeAffinity=NodeAffinity(requiredDuringSchedulingIgnoredDuringExecution=where)),
            tolerations=[Toleration(operator="Exists")],
            hostPID=settings.host_pid,
            serviceAccountName=settings.service_account,
            automountServiceAccountToken=False,
        )
        spec = JobSpec(
            template=PodTemplateSpec(metadata=ObjectMeta(labels=labels), spec=pod),
            activeDeadlineSeconds=int(job.time_limit.total_seconds()),
            backoffLimit=0,
            ttlSecondsAfterFinished=KEPT_SECONDS,
        )
        notes = {"fermata.io/node": job.unit}
        return KubernetesJob(metadata=ObjectMeta(name=job.name, labels=labels, annotations=notes), spec=spec)


def _terminated(pod: Pod) -> ContainerStateTerminated | None:
    statuses = (pod.status.containerStatuses if pod.status is not None else None) or ()
    return next((each.state.terminated for each in statuses if each.state and each.state.terminated), None)


def _answer_of(error: Rejected) -> Answer:
    status = error.response.status_code
    if status == CONFLICT:
        return Accepted()
    if status in (httpx2.codes.TOO_MANY_REQUESTS, httpx2.codes.SERVICE_UNAVAILABLE):
        return Later(after=patience(error))
    if status in BUSY:
        return Unsure()
    return Denied(why=f"the API server refuses the Job: {shorten(str(error))}")
