"""Temporal as the driver: a workflow for each run's lead and one for each cohort. The only module that names it.

Rows are the truth. A workflow only says when the next look is; an activity is one tick of a part, the very same as
without Temporal; a signal only wakes. Whatever is lost here, the next tick finds in the rows.
"""

import asyncio
import contextlib
import contextvars
import threading
from collections.abc import Awaitable, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import timedelta

from temporalio import activity, workflow
from temporalio.api.workflowservice.v1 import SetWorkerDeploymentCurrentVersionRequest
from temporalio.client import Client
from temporalio.common import RetryPolicy, VersioningBehavior, WorkflowIDConflictPolicy, WorkflowIDReusePolicy
from temporalio.exceptions import ApplicationError, TemporalError, WorkflowAlreadyStartedError
from temporalio.service import RPCError
from temporalio.worker import UnsandboxedWorkflowRunner, Worker, WorkerDeploymentConfig, WorkerDeploymentVersion

KIND = "temporal"
TICK, CAMPAIGN, COHORT, WAKE, ROUSE = "fermata.tick", "fermata.campaign", "fermata.cohort", "wake", "rouse"
TICKS_MAX = 500  # of one workflow run: some 3,000 events of history, of 51,200 that a server takes
LOOK_SECONDS_MAX = 30.0  # between two looks at a part, whatever it waits for: signals may be lost
HEARTBEAT_SECONDS = 1.0
UNHEARD_SECONDS = 5.0  # after which a worker counts as killed and its tick is begun elsewhere
TICK_HOURS_MAX = 1
RETRY = RetryPolicy(
    initial_interval=timedelta(seconds=0.5), backoff_coefficient=1.5, maximum_interval=timedelta(seconds=5)
)


@dataclass(kw_only=True)
class Seen:
    """What a tick found. `rouses`: it made room that other cohorts may wait for."""

    is_over: bool
    wait_seconds: float
    rouses: bool = False
    cohorts: list[str] = field(default_factory=list)


@dataclass(frozen=True, kw_only=True)
class Place:
    """Where the server is, and which of its queues our tasks are in."""

    address: str
    namespace: str = "default"
    task_queue: str = "fermata"


class UnknownRun(LookupError):
    """There is no such run: its workflow ends."""


class Unreachable(Exception):
    """The server does not answer."""


@workflow.defn(name=CAMPAIGN)
class CampaignWorkflow:
    """The lead of a run: ticks it, and sees that every cohort has a workflow."""

    def __init__(self) -> None:
        self._woken = False
        self._roused = False
        self._started: set[str] = set()

    @workflow.signal(name=WAKE)
    def wake(self) -> None:
        """Somebody wants something else of the run, or a cohort is over."""
        self._woken = self._roused = True

    @workflow.signal(name=ROUSE)
    def rouse(self) -> None:
        """A cohort made room."""
        self._roused = True

    @workflow.run
    async def run(self, run: str) -> None:
        """Until the run is over."""
        for _ in range(TICKS_MAX):
            self._woken = False
            seen = await _tick(run, "")
            if seen.is_over:
                return
            await self._start(run, seen.cohorts)
            await self._wait(run, seen.wait_seconds)
        workflow.continue_as_new(run)

    async def _start(self, run: str, cohorts: list[str]) -> None:
        for window in cohorts:
            if window not in self._started:
                with contextlib.suppress(WorkflowAlreadyStartedError):
                    await workflow.start_child_workflow(
                        COHORT,
                        args=[run, window],
                        id=_cohort_id(run, window),
                        parent_close_policy=workflow.ParentClosePolicy.ABANDON,
                        id_reuse_policy=WorkflowIDReusePolicy.ALLOW_DUPLICATE,
                    )
        self._started = set(cohorts)

    async def _wait(self, run: str, seconds: float) -> None:
        """Until there is work again; passes on to the cohorts that there is room on the way."""
        ends = workflow.time() + seconds
        while not self._woken and (left := ends - workflow.time()) > 0:
            await _wait_for(lambda: self._woken or self._roused, left)
            if self._roused:
                self._roused = False
                await asyncio.gather(*(_signal(_cohort_id(run, window), WAKE) for window in sorted(self._started)))


@workflow.defn(name=COHORT)
class CohortWorkflow:
    """One cohort: ticks it until nothing is left to do."""

    def __init__(self) -> None:
        self._woken = False

    @workflow.signal(name=WAKE)
    def wake(self) -> None:
        """There may be something to do before it was expected."""
        self._woken = True

    @workflow.run
    async def run(self, run: str, window: str) -> None:
        """Until its units are finished."""
        for _ in range(TICKS_MAX):
            self._woken = False
            seen = await _tick(run, window)
            if seen.is_over or seen.rouses:
                await _signal(_campaign_id(run), WAKE if seen.is_over else ROUSE)
            if seen.is_over:
                return
            await _wait_for(lambda: self._woken, seen.wait_seconds)
        workflow.continue_as_new(args=[run, window])


async def _tick(run: str, window: str) -> Seen:
    seen: Seen = await workflow.execute_activity(
        TICK,
        args=[run, window],
        result_type=Seen,
        start_to_close_timeout=timedelta(hours=TICK_HOURS_MAX),
        heartbeat_timeout=timedelta(seconds=UNHEARD_SECONDS),
        retry_policy=RETRY,
    )
    return seen


async def _wait_for(is_true: Callable[[], bool], seconds: float) -> None:
    with contextlib.suppress(asyncio.TimeoutError):
        await workflow.wait_condition(is_true, timeout=min(seconds, LOOK_SECONDS_MAX))


async def _signal(workflow_id: str, name: str) -> None:
    """A hint: whoever is not there any more needs none."""
    with contextlib.suppress(TemporalError):
        await workflow.get_external_workflow_handle(workflow_id).signal(name)


def campaign_id(task_queue: str, run: str) -> str:
    """The workflow of a run's lead."""
    return f"{task_queue}/{run}"


def _campaign_id(run: str) -> str:
    return campaign_id(workflow.info().task_queue, run)


def _cohort_id(run: str, window: str) -> str:
    return f"{_campaign_id(run)}/{window}"


@dataclass(kw_only=True)
class Temporal:
    """The Engine port, and the worker behind it, on one Temporal server. `tick` does all that is due in one part.

    `build`: the release of this worker: tasks of every workflow go to the newest that was started.
    `ticks_per_second`: over all workers of the queue; None: no limit.
    """

    place: Place
    tick: Callable[[str, str], Seen]
    build: str
    threads: int = 16
    ticks_per_second: float | None = None
    _loop: asyncio.AbstractEventLoop | None = None
    _client: Client | None = None

    def wake(self, run: str) -> None:
        """Starts the run's workflow if there is none, and wakes it; from any thread, while `work` goes on.

        What cannot be sent is left: the next look finds what is to do.
        """
        loop, client = self._loop, self._client
        if loop is not None and client is not None:
            asyncio.run_coroutine_threadsafe(self._wake(client, run), loop)

    def work(self, stop: threading.Event, ready: Callable[[], None]) -> None:
        """Works until `stop` is set; a tick that is under way ends first. Raises Unreachable when nobody answers at the
        start; a server that goes away later is waited for.
        """
        asyncio.run(self._work(stop, ready))

    async def _work(self, stop: threading.Event, ready: Callable[[], None]) -> None:
        try:
            client = await Client.connect(self.place.address, namespace=self.place.namespace)
        except RuntimeError as error:
            raise Unreachable(str(error)) from error
        version = WorkerDeploymentVersion(deployment_name=self.place.task_queue, build_id=self.build)
        with ThreadPoolExecutor(self.threads, thread_name_prefix="fermata-tick") as pool:
            worker = Worker(
                client,
                task_queue=self.place.task_queue,
                workflows=[CampaignWorkflow, CohortWorkflow],
                activities=[self._activity()],
                activity_executor=pool,
                max_concurrent_activities=self.threads,
                max_task_queue_activities_per_second=self.ticks_per_second,
                workflow_runner=UnsandboxedWorkflowRunner(),
                graceful_shutdown_timeout=timedelta(seconds=UNHEARD_SECONDS),
                deployment_config=WorkerDeploymentConfig(
                    version=version,
                    use_worker_versioning=True,
                    default_versioning_behavior=VersioningBehavior.AUTO_UPGRADE,
                ),
            )
            async with worker:
                await self._until(stop, lambda: self._make_current(client, version))
                self._loop, self._client = asyncio.get_running_loop(), client
                ready()
                await asyncio.to_thread(stop.wait)
                self._loop = self._client = None

    async def _until(self, stop: threading.Event, call: Callable[[], Awaitable[bool]]) -> None:
        while not stop.is_set() and not await call():
            await asyncio.to_thread(stop.wait, 0.1)

    async def _make_current(self, client: Client, version: WorkerDeploymentVersion) -> bool:
        """From now on tasks go to workers of this build. False: the server does not know of them yet."""
        asked = SetWorkerDeploymentCurrentVersionRequest(
            namespace=self.place.namespace,
            deployment_name=version.deployment_name,
            build_id=version.build_id,
            identity=client.identity,
            ignore_missing_task_queues=True,
        )
        try:
            await client.workflow_service.set_worker_deployment_current_version(asked)
        except RPCError:
            return False
        return True

    async def _wake(self, client: Client, run: str) -> None:
        with contextlib.suppress(RPCError):
            await client.start_workflow(
                CAMPAIGN,
                run,
                id=campaign_id(self.place.task_queue, run),
                task_queue=self.place.task_queue,
                start_signal=WAKE,
                id_conflict_policy=WorkflowIDConflictPolicy.USE_EXISTING,
                id_reuse_policy=WorkflowIDReusePolicy.ALLOW_DUPLICATE,
            )

    def _activity(self) -> Callable[[str, str], Seen]:
        tick = self.tick

        @activity.defn(name=TICK)
        def run_tick(run: str, window: str) -> Seen:
            with _heartbeats():
                try:
                    return tick(run, window)
                except UnknownRun as unknown:
                    raise ApplicationError(str(unknown), non_retryable=True) from unknown

        return run_tick


@contextlib.contextmanager
def _heartbeats() -> Iterator[None]:
    """While a tick goes on, the server hears that its process lives."""
    over = threading.Event()
    context = contextvars.copy_context()

    def beat() -> None:
        while not over.wait(HEARTBEAT_SECONDS):
            context.run(activity.heartbeat)

    thread = threading.Thread(target=beat, name="fermata-heartbeat", daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()
