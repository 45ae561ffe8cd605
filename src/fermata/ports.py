"""What execution needs from the world: Protocols, the values they exchange and the three errors they raise.

Every call is bulk, at most `CALL_SIZE_MAX` items, and answers per item. A step key is an idempotency key: asking
twice with one key does the work once. A whole call may raise TryLater, Refused or OutcomeUnknown.

Every ask says under which generation it is made. A target that can remember keeps, for each run, window and unit (the
first three parts of a key), the newest that it has heard, in a call that acts or that observes, and answers Overtaken
to any older one that acts: whoever was paused on its way to a call does nothing to what somebody else conducts by now.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Protocol

from fermata.domain.ahead import Ahead, Kept
from fermata.domain.announcements import Incident
from fermata.domain.deliveries import Outcome
from fermata.domain.ids import DeviceId, NodeId, RequestId, RunId, StepKey, SubscriptionId, UpdateId
from fermata.domain.inventory_reports import Report
from fermata.domain.jobs import Job
from fermata.domain.metrics import Reading
from fermata.domain.observations import Answer, DeviceSeen, NodeSeen, Progress
from fermata.domain.outside_asks import OutsideAsk
from fermata.domain.replans import Replan
from fermata.domain.routing import RouteTable
from fermata.domain.subscriptions import Greeting, Subscription

CALL_SIZE_MAX = 1000  # items of one call: real targets page at about this size, and 1,000 rows keep a transaction short


class TryLater(Exception):
    """The target is busy and did nothing; ask again after `after`. `why`: what it said, if it said something."""

    def __init__(self, after: timedelta, why: str = "") -> None:
        super().__init__(why or f"try again after {after}")
        self.after = after


class Refused(Exception):
    """The target will not do this, now or later; nothing was done."""

    def __init__(self, why: str) -> None:
        super().__init__(why)
        self.why = why


class OutcomeUnknown(Exception):
    """The call may have been carried out, in whole or in part: observe before acting again."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Ask:
    """Do, or observe, the step that `key` names on `unit` (a node or a device)."""

    key: StepKey
    unit: str
    generation: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class ApplyAsk:
    """Write one update to `unit`; what is written becomes active at once, or with the next reboot."""

    key: StepKey
    unit: str
    update: UpdateId
    component: str
    to_version: str
    generation: int = 0


class NoticeKind(StrEnum):
    """What somebody outside is told."""

    NEEDS_REPAIR = "needs_repair"
    ASTRAY = "astray"


@dataclass(frozen=True, slots=True, kw_only=True)
class Notice:
    """One message; the same key is delivered once. `subject` is a unit."""

    key: StepKey
    kind: NoticeKind
    subject: str
    sentence: str


class Reached(StrEnum):
    """How far a notice in the outbox came."""

    SOMEBODY = "somebody"
    NOBODY_YET = "nobody_yet"  # it is on its way
    NOBODY = "nobody"  # and nobody tries any more
    UNHEARD = "unheard"  # nobody subscribed


@dataclass(frozen=True, slots=True, kw_only=True)
class Posted:
    """Where a notice stands in the outbox. `why`: what keeps it from coming through."""

    reached: Reached
    why: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class OutboxLook:
    """Subscriptions that hear what the conductor tells, and those of them that may not be written to."""

    subscriptions: tuple[SubscriptionId, ...]
    silent: tuple[SubscriptionId, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Parcel:
    """A notice made ready for one subscription: each channel takes of it what it can carry.

    `posts` are bodies of `content_type`, to be posted in their order; `calendar` is iCalendar, None where there is
    none. `attempt` counts from 1. Parcels of one `thread` belong together. `incident`: of an announcement.
    """

    key: StepKey
    thread: RequestId
    attempt: int
    title: str
    text: str
    posts: tuple[bytes, ...] = ()
    content_type: str = ""
    calendar: bytes | None = None
    incident: Incident | None = None


class Clock(Protocol):
    """The only reader of time."""

    def now(self) -> datetime:
        """Aware UTC."""
        ...

    def wait_until(self, instant: datetime, stop: Callable[[], bool]) -> datetime:
        """Returns at `instant`, or earlier (when `stop` turns true, or from time to time): the time it is then."""
        ...


class Inventory(Protocol):
    """Reads nodes and devices; changes nothing. Units it does not know are absent from the answer."""

    def observe_nodes(self, nodes: Sequence[NodeId]) -> Mapping[NodeId, NodeSeen]:
        """Reachability, versions, service state. Of a node that is not seen whole, its service and its lock."""
        ...

    def observe_devices(self, devices: Sequence[DeviceId]) -> Mapping[DeviceId, DeviceSeen]:
        """Reachability and version."""
        ...


class InventorySource(Protocol):
    """Says which units there are and where; changes nothing."""

    def read(self, now: datetime) -> Report:
        """All that the source says, as of `now`. Raises TryLater or Refused: half a list is never an answer."""
        ...


class AskSource(Protocol):
    """Says what operators outside want of nodes."""

    def read(self) -> Sequence[OutsideAsk]:
        """All that is asked. Raises TryLater or Refused: half a list is never an answer, since what is gone is over."""
        ...

    def mark(self, agreed: Mapping[str, bool]) -> None:
        """Has objects show that they may begin, or no more. Raises TryLater or Refused."""
        ...

    def hand_over(self, nodes: Sequence[NodeId]) -> None:
        """Leaves nodes to those who asked for them: what is ours there keeps them from beginning no more. Nodes that we
        keep nobody from are fine. Raises TryLater or Refused.
        """
        ...


class WorkloadManager(Protocol):
    """Takes nodes from their workloads and gives them back."""

    def lock(self, asks: Sequence[Ask]) -> Mapping[StepKey, Answer]:
        """From now on the node cannot be scaled in. Done when accepted."""
        ...

    def drain(self, asks: Sequence[Ask]) -> Mapping[StepKey, Answer]:
        """Workloads leave the node; ends when `observe` says Succeeded."""
        ...

    def give_back(self, asks: Sequence[Ask]) -> Mapping[StepKey, Answer]:
        """Unlocks the node and lets workloads on it; a drain that goes on ends. Done when accepted; accepted with a
        time to check again, it is done when `observe` says Succeeded. A placement group may take all nodes of a call or
        none: Refused then says that nothing was done for any of them.
        """
        ...

    def release(self, asks: Sequence[Ask]) -> Mapping[StepKey, Answer]:
        """Unlocks the node and leaves it out of service, as it was found; a drain ends. Done when accepted."""
        ...

    def observe(self, asks: Sequence[Ask]) -> Mapping[StepKey, Progress]:
        """How far each step is; every key asked about is in the answer."""
        ...


class Firmware(Protocol):
    """Writes firmware, drivers, agents and operating systems of nodes and devices."""

    def apply(self, asks: Sequence[ApplyAsk]) -> Mapping[StepKey, Answer]:
        """Starts writing."""
        ...

    def observe(self, asks: Sequence[Ask]) -> Mapping[StepKey, Progress]:
        """How far each step is; every key asked about is in the answer."""
        ...


class Power(Protocol):
    """Power and boot of nodes and devices."""

    def reboot(self, asks: Sequence[Ask]) -> Mapping[StepKey, Answer]:
        """An orderly reboot that makes active what was written; ends when the node is reachable again."""
        ...

    def reset(self, asks: Sequence[Ask]) -> Mapping[StepKey, Answer]:
        """A hard power cycle that ends whatever hangs on the unit; ends when it is reachable again."""
        ...

    def observe(self, asks: Sequence[Ask]) -> Mapping[StepKey, Progress]:
        """How far each step is; every key asked about is in the answer."""
        ...


class Verifier(Protocol):
    """Health checks of nodes."""

    def check(self, asks: Sequence[Ask]) -> Mapping[StepKey, Answer]:
        """Starts a health check; Failed means unhealthy."""
        ...

    def observe(self, asks: Sequence[Ask]) -> Mapping[StepKey, Progress]:
        """How far each check is; every key asked about is in the answer."""
        ...


class Jobs(Protocol):
    """Jobs on nodes: who is there now, and who may still begin there ahead of a window. Kills nobody."""

    def list_jobs(self, nodes: Sequence[NodeId]) -> Sequence[Job]:
        """The jobs that are on any of these nodes, each once; perhaps others too. Raises TryLater or Refused: half a
        list is never an answer.
        """
        ...

    def keep_ahead(self, run: RunId, wanted: Sequence[Ahead]) -> Kept:
        """Makes what is kept free for `run` all that is wanted, and nothing else: what is missing is made before what
        is not wanted any more is given up. Asking twice with the same changes nothing.
        """
        ...


class Metrics(Protocol):
    """What is measured of nodes all the time, by others."""

    def read(self, names: Sequence[str]) -> Mapping[str, Reading]:
        """Each metric by the name that the site's settings give it; every name is in the answer. Raises nothing."""
        ...


class Notifier(Protocol):
    """Tells people and their automation."""

    def notify(self, notices: Sequence[Notice]) -> Mapping[StepKey, Answer]:
        """Delivers each key once."""
        ...


class Outbox(Protocol):
    """Keeps notices until those who subscribed have them."""

    def post(self, notices: Sequence[Notice]) -> Mapping[StepKey, Posted]:
        """Puts on record what is not there under its key, and reads back where each stands. Raises OutcomeUnknown."""
        ...

    def look(self) -> OutboxLook:
        """Who would hear. Raises OutcomeUnknown."""
        ...


class Channel(Protocol):
    """Carries notices to subscribers of one kind. Nothing is raised: a channel that is down says NotNow."""

    def find_fault(self, subscription: Subscription) -> str | None:
        """Why its target cannot be used, or None. Nobody is called."""
        ...

    def greet(self, subscription: Subscription, address: str | None) -> Greeting:
        """Asks whether the target wants to be written to. `address`: where its owner can say so by hand."""
        ...

    def send(self, subscription: Subscription, parcels: Sequence[Parcel]) -> Mapping[StepKey, Outcome]:
        """Delivers in this order, each at least once; every key is in the answer."""
        ...


class Engine(Protocol):
    """Whatever drives the run loop."""

    def wake(self, run: RunId) -> None:
        """A hint that an operator changed what is wanted of `run`; the truth is in the rows, so it may be lost."""
        ...


class Replanner(Protocol):
    """Plans again from the store while a campaign is conducted."""

    def consider(self, run: RunId, now: datetime) -> Replan | None:
        """Looks whether the run deviates from its plan and, if that is new, plans again as the run's mode says. None:
        nothing differs, that was answered before, or facts changed meanwhile, so that it is worth asking again soon.
        """
        ...

    def foresee(self, run: RunId, now: datetime) -> bool:
        """Keeps how likely the deadline is missed, worked out once a day and plan. False: it is being worked out, and
        kept by whoever asks again soon.
        """
        ...


class Rooms(Protocol):
    """The rooms of the windows of a run, kept in the store."""

    def tend(self, run: RunId, now: datetime) -> datetime | None:
        """Tells in every room what is due at `now`; asking twice tells nothing twice. Returns when a message is due at
        the latest if nothing changes before; None: never again.
        """
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Site:
    """All ports of one site. `replanner` None: nobody plans again while a campaign is conducted. `metrics` None: there
    are none, and whoever asks for them waits. `jobs` None: none are counted, and none kept off. `rooms` None: nobody
    is told of windows.
    `served`: who serves what; None: everything is served.
    """

    inventory: Inventory
    workloads: WorkloadManager
    firmware: Firmware
    power: Power
    verifier: Verifier
    notifier: Notifier
    replanner: Replanner | None = None
    metrics: Metrics | None = None
    jobs: Jobs | None = None
    rooms: Rooms | None = None
    served: RouteTable | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class AdapterPorts:
    """What one adapter serves, each a port or None, and the two questions that every adapter answers.

    `close`: lets go of connections; what still hangs ends, as Later, Unsure or one of the three errors. Harmless twice.
    `probe`: asks the target harmlessly who it is: `product`, `version`, and what our credentials may do; no secrets.
    Raises TryLater when it does not answer, Refused when it does not want us. `attach`: takes the outbox of the store
    that is conducted from, before anything is asked; None where that is of no use.
    """

    close: Callable[[], None]
    probe: Callable[[], Mapping[str, str]]
    inventory: Inventory | None = None
    workloads: WorkloadManager | None = None
    firmware: Firmware | None = None
    power: Power | None = None
    verifier: Verifier | None = None
    notifier: Notifier | None = None
    jobs: Jobs | None = None
    attach: Callable[[Outbox], None] | None = None
