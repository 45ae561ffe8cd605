"""What an adapter is tried on: its ports over a target, and the handles that a target offers to whoever tries it.

A fixture builds a `Bench` for each trial. Every handle that it leaves out leaves sentences untried, and says so.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from enum import StrEnum
from typing import Protocol

from fermata.domain.ids import DeviceId, NodeId, StepKey, UpdateId
from fermata.domain.node_states import UnitKind
from fermata.domain.observations import Answer, Denied, Later, Progress, Unsure
from fermata.domain.routing import PortName
from fermata.ports import (
    AdapterPorts,
    ApplyAsk,
    Ask,
    Clock,
    Notice,
    NoticeKind,
    OutcomeUnknown,
    Refused,
    TryLater,
)

NO_UNIT = "no-such-unit"
ROUNDS_MAX = 600  # of `Bench.wait` until something ends: a real reboot within a minute, at ten looks a second


class Op(StrEnum):
    """What a port is asked to do, by the name of its method."""

    LOCK = "lock"
    DRAIN = "drain"
    GIVE_BACK = "give_back"
    RELEASE = "release"
    APPLY = "apply"
    REBOOT = "reboot"
    RESET = "reset"
    CHECK = "check"
    NOTIFY = "notify"


PORT_OF: Mapping[Op, PortName] = {
    Op.LOCK: PortName.WORKLOADS,
    Op.DRAIN: PortName.WORKLOADS,
    Op.GIVE_BACK: PortName.WORKLOADS,
    Op.RELEASE: PortName.WORKLOADS,
    Op.APPLY: PortName.FIRMWARE,
    Op.REBOOT: PortName.POWER,
    Op.RESET: PortName.POWER,
    Op.CHECK: PortName.VERIFIER,
    Op.NOTIFY: PortName.NOTIFIER,
}
STEPS: Mapping[Op, str] = {Op.CHECK: "verify", Op.REBOOT: "reboot:1", Op.RESET: "reset:reboot:1"}
OBSERVING = (PortName.WORKLOADS, PortName.FIRMWARE, PortName.POWER, PortName.VERIFIER)
OF_DEVICES = (PortName.INVENTORY, PortName.FIRMWARE, PortName.POWER)  # what is asked about shared devices


class Mishap(StrEnum):
    """What becomes of calls between the adapter and its target, until it is struck off again."""

    LOST_BEFORE = "lost before it arrives"
    LOST_AFTER = "answer lost after it was done"
    BUSY = "busy, with a time to ask again"
    ERROR = "error of the server"
    CUT = "half an answer"
    STALE = "an older answer instead of a new one"
    HANG = "no answer, and no end"
    ECHO = "an error that says back all it was told, credentials too"


class Broken(AssertionError):
    """The adapter does not keep a sentence; the message says what it did instead."""


class NotTried(Exception):
    """The bench lacks what a sentence needs; the message says what."""


class Strike(Protocol):
    """Makes a mishap befall calls from now on, None: none. `reads`: those that change nothing, too."""

    def __call__(self, mishap: Mishap | None, *, reads: bool = False) -> None: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Write:
    """One version that may be written to the nodes, or to the devices, of a bench."""

    update: UpdateId
    component: str
    to_version: str


@dataclass(kw_only=True)
class Bench:
    """`nodes`, `devices`: of those that an adapter serves, at least three that the target knows and that may be taken;
    `kind`: which of the two are tried now, as the trial says. `writes` are for nodes, `device_writes` for devices.
    `wait`: lets a moment pass in which the target gets on; a virtual clock goes forward, a real one runs a tenth of a
    second.

    `may_write`: False tries only what changes nothing. `reopen`: the ports as a process that was started again has
    them. `count_effects`: how often the target itself says that it did something to a unit. `mishaps`: those that
    `strike` can make. `retry_after`: what a busy target says. `count_requests`: calls that were made; `count_struck`:
    those that a mishap befell. `await_hanging`: returns when a call hangs, False when none does in so many seconds.
    `hold_as_other`: somebody else takes a node out; `is_held_by_other`: their hold stands. `secrets`: canaries in
    settings; `shown`: what else may tell them. `start_job`: puts a job that lasts for hours on a node, and tells its
    name; `begins_job`: whether one with such a limit begins there now. `count_kept`: for how many windows of a run the
    target itself keeps nodes free of jobs. `make_unhealthy`: from now on a check finds the node so, or well.
    `make_ready`: brings a unit to where an operation is allowed, if locking and draining it is not the way. `tidy`:
    after each trial. `cannot`: by sentence, or by trial, why this target cannot be tried with it.
    """

    ports: AdapterPorts
    clock: Clock
    nodes: Sequence[NodeId]
    wait: Callable[[], None]
    devices: Sequence[DeviceId] = ()
    kind: UnitKind = UnitKind.NODE
    may_write: bool = True
    writes: Sequence[Write] = ()
    device_writes: Sequence[Write] = ()
    reopen: Callable[[], AdapterPorts] | None = None
    count_effects: Callable[[Op, str], int] | None = None
    mishaps: frozenset[Mishap] = frozenset()
    strike: Strike | None = None
    await_hanging: Callable[[float], bool] | None = None
    retry_after: timedelta | None = None
    count_requests: Callable[[], int] | None = None
    count_struck: Callable[[], int] | None = None
    hold_as_other: Callable[[NodeId], None] | None = None
    is_held_by_other: Callable[[NodeId], bool] | None = None
    start_job: Callable[[NodeId], str] | None = None
    begins_job: Callable[[NodeId, timedelta], bool] | None = None
    count_kept: Callable[[str], int] | None = None
    make_unhealthy: Callable[[NodeId, bool], None] | None = None
    secrets: Sequence[str] = ()
    shown: Sequence[object] = ()
    make_ready: Callable[[Op, str], None] | None = None
    tidy: Callable[[], None] | None = None
    cannot: Mapping[str, str] = field(default_factory=dict)
    run: str = "run_conformance"
    window: str = "trial"

    @property
    def units(self) -> Sequence[str]:
        """Those that are tried now."""
        return self.devices if self.kind is UnitKind.DEVICE else self.nodes

    @property
    def may_be_written(self) -> Sequence[Write]:
        """To the units that are tried now."""
        return self.device_writes if self.kind is UnitKind.DEVICE else self.writes

    @property
    def any_unit(self) -> str:
        """For keys under which nothing is asked."""
        return self.units[0] if self.units else NO_UNIT

    def key(self, step: str, unit: str, attempt: int = 1) -> StepKey:
        """As the conductor makes them."""
        return StepKey(f"{self.run}/{self.window}/{unit}/{step}/{attempt}")

    def item(self, op: Op, unit: str, attempt: int = 1) -> Ask | ApplyAsk | Notice:
        """What the conductor would ask for."""
        if op is Op.APPLY:
            write = self.may_be_written[0]
            key = self.key(f"apply:{write.update}", unit, attempt)
            return ApplyAsk(
                key=key, unit=unit, update=write.update, component=write.component, to_version=write.to_version
            )
        key = self.key(STEPS.get(op, op.value), unit, attempt)
        if op is Op.NOTIFY:
            return Notice(key=key, kind=NoticeKind.NEEDS_REPAIR, subject=unit, sentence="A trial of the adapter.")
        return Ask(key=key, unit=unit)

    def about(self, op: Op, unit: str, attempt: int = 1) -> Ask:
        """How the conductor asks how far that is."""
        return Ask(key=self.item(op, unit, attempt).key, unit=unit)

    def ask(self, op: Op, *units: str, attempt: int = 1) -> Mapping[str, Answer]:
        """One bulk call, its answers by unit, read as the conductor reads them. Raises Broken for other errors than the
        three, and when an item has no answer or a stranger has one.
        """
        items = [self.item(op, unit, attempt) for unit in units]
        try:
            found: Mapping[StepKey, Answer] = getattr(self.port(PORT_OF[op]), op.value)(items)
        except TryLater as busy:
            return dict.fromkeys(units, Later(after=busy.after))
        except Refused as refused:
            return dict.fromkeys(units, Denied(why=refused.why))
        except OutcomeUnknown:
            return dict.fromkeys(units, Unsure())
        except Exception as error:
            raise Broken(f"{op} raises {type(error).__name__} ({error}); only three errors are allowed") from error
        if set(found) != {item.key for item in items}:
            raise Broken(f"{op} of {len(items)} items is answered for {sorted(found)}: each key once, and no other")
        return {unit: found[item.key] for unit, item in zip(units, items, strict=True)}

    def observe(self, op: Op, unit: str, attempt: int = 1) -> Progress:
        """How far the step is. Raises Broken when its key has no answer, or when there is any error."""
        asked = self.about(op, unit, attempt)
        key = asked.key
        try:
            found: Mapping[StepKey, Progress] = self.port(PORT_OF[op]).observe([asked])  # type: ignore[attr-defined]
        except Exception as error:
            raise Broken(f"observe of a {op} raises {type(error).__name__} ({error})") from error
        if set(found) != {key}:
            raise Broken(f"observe of one key answers for {sorted(found)}")
        return found[key]

    def port(self, name: PortName) -> object:
        """What the adapter serves under that name."""
        found: object = getattr(self.ports, name.value)
        if found is None:
            raise NotTried(f"the adapter serves no {name}")
        return found

    def effects(self, op: Op, unit: str) -> int | None:
        """None: the target cannot tell."""
        return self.count_effects(op, unit) if self.count_effects is not None else None
