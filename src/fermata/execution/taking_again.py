"""Which nodes that were returned may be taken out again now, and whether a shared device may be worked on once more:
freezes, other work, every limit on nodes out, and of what is behind a device, what its customers say.
"""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, time, timedelta
from functools import cached_property

from fermata.domain.allowances import covers
from fermata.domain.closures import say_frozen, say_outside
from fermata.domain.consent import device_gaps, find_consent
from fermata.domain.daily_caps import find_daily_caps
from fermata.domain.fleet import Fleet
from fermata.domain.ids import NodeId, WindowId
from fermata.domain.node_states import UnitState
from fermata.domain.openings import limit_words
from fermata.domain.operations import UnitOp
from fermata.domain.pending import Due, FleetPending, UnitPending
from fermata.domain.reasons import Code, Reason, reason
from fermata.domain.scripts import DeviceScript
from fermata.domain.windows import Interval, calendar_day, local_to_utc
from fermata.execution.consented import Said, read_said
from fermata.execution.leaving import find_riders, leave_train, say_riding
from fermata.execution.promises import first_over, say_full
from fermata.execution.stage import Stage
from fermata.store import unit_ops, work_orders
from fermata.store.database import Connection

TAKE_AT_ONCE_MAX = 200  # returned nodes taken out again at one instant: a transaction stays short
MINUTE = timedelta(minutes=1)
_TAKING = "Taking them out again"
_NEXT_LOOK = "the next look"  # no time: this stands on rows, which are written when it changes


class Room:
    """What is out, what is said and what is left, at one instant: whoever is taken counts from then on."""

    def __init__(self, stage: Stage, conn: Connection, now: datetime) -> None:
        self._stage = stage
        self._conn = conn
        self._now = now
        self._out = set(unit_ops.nodes_in_work(conn))
        self._ordered: Mapping[NodeId, Reason] = work_orders.held_nodes(conn, stage.fleet, now)
        self._riders = find_riders(conn)
        zone = stage.campaign.timezone
        self._midnight = local_to_utc(calendar_day(now, zone), time(0), zone)
        self._taken: set[NodeId] = set()
        self._left = TAKE_AT_ONCE_MAX

    @property
    def is_used_up(self) -> bool:
        """True when no more nodes go at this instant."""
        return self._left <= 0

    def why_not(self, names: Sequence[NodeId]) -> Reason | None:
        """Why these nodes may not be taken together now; None: they may."""
        fleet = self._stage.fleet
        for name in names:
            if name in self._ordered:
                return self._ordered[name]
            if name in self._out or name not in fleet.nodes:
                return reason(Code.ALREADY_HELD, unit=name)
        riders = [self._riders[name] for name in names if name in self._riders]
        writing = [op for op in riders if op.state is not UnitState.PENDING]
        if writing:
            return say_riding(writing, _TAKING, _NEXT_LOOK)
        return self.find_freeze(names) or self._find_full(frozenset(names))

    def take(self, window: WindowId, names: Iterable[NodeId]) -> None:
        """Counts them as out; whoever of them rides, and writes nothing, leaves its train."""
        taken = set(names)
        riders = [op for name, op in self._riders.items() if name in taken]
        leave_train(self._stage, self._conn, window, riders, self._now)
        self._out |= taken
        self._taken |= taken
        self._left -= len(taken)

    def find_freeze(self, names: Iterable[NodeId]) -> Reason | None:
        """The freeze that covers one of the nodes now, in words."""
        fleet = self._stage.fleet
        for node in (fleet.nodes[name] for name in names):
            for freeze in self._said.policy.freezes:
                is_on = freeze.start <= self._now < freeze.end
                if is_on and freeze.scope.covers(node, fleet.clusters[node.cluster]):
                    return say_frozen(freeze)
        return None

    def _find_full(self, names: frozenset[NodeId]) -> Reason | None:
        capacity, windows = self._stage.capacity, tuple(self._stage.windows.values())
        uses = capacity.uses(frozenset(self._out | names), windows, self._now)
        for use, (_, members, _) in zip(uses, capacity.counted, strict=True):
            if use.used > use.allowed and names & members:
                return reason(
                    Code.WAITS_FOR_CAPACITY,
                    window=_TAKING,
                    nodes=len(names),
                    limit=limit_words(use.limit),
                    allowed=use.allowed,
                    used=use.used - len(names & members),
                    until=_NEXT_LOOK,
                )
        return None

    @cached_property
    def _said(self) -> Said:
        return read_said(self._conn)

    def find_gap(self, op: UnitOp, device: DeviceScript, taken: Sequence[NodeId]) -> Reason | None:
        """What consent to work on the device lacks now: the words that let its update through let it back, too, as long
        as they stand. `taken`: nodes behind it that have to be taken out again for it.
        """
        stage, said, now = self._stage, self._said, self._now
        score = stage.score(stage.windows[op.window].plan)
        due = UnitPending(due=(Due(update=device.update, from_version=""),))
        pending = FleetPending(nodes={}, devices={device.device: due}, asked=score.pending.asked)
        fleet = Fleet(
            clusters={op.cluster: score.fleet.clusters[op.cluster]},
            nodes={name: score.fleet.nodes[name] for name in device.behind},
            devices={device.device: score.fleet.devices[device.device]},
        )
        consent = find_consent(fleet, said.policy, pending, said.ledger)
        gap = device_gaps(fleet, said.policy, pending, said.ledger, consent).get(device.device)
        if gap is not None:
            own = (why for why in consent.gaps.values() if why.code is not Code.SHARED_DEVICE_UNAPPROVED)
            return next(own, gap)
        span = Interval(now, now + self._length(device))
        for name in taken or device.behind:
            allowances = consent.times.get(name, frozenset())
            if not covers(allowances, span):
                cluster, length = fleet.clusters[op.cluster], span.end - span.start
                return say_outside(allowances, cluster.customer, f"device {device.device}", after=now, length=length)
        return self._find_over(frozenset(taken))

    def _find_over(self, taken: frozenset[NodeId]) -> Reason | None:
        stage, said = self._stage, self._said
        caps = find_daily_caps(stage.fleet, said.policy, stage.catalogue.updates, said.ledger)
        if not caps or not taken:
            return None
        again = unit_ops.nodes_taken_again_since(self._conn, self._stage.run, self._midnight)
        gone = unit_ops.nodes_taken_since(self._conn, self._midnight) | again | self._taken
        over = first_over(caps, taken, gone - taken)
        if over is None:
            return None
        cap, used = over
        return say_full(cap.entry, cap.most, used, calendar_day(self._now, stage.campaign.timezone))

    def _length(self, device: DeviceScript) -> timedelta:
        defaults, own = self._stage.catalogue.defaults, device.update.duration_minutes.p90
        around = defaults.drain_minutes.p90 + defaults.verify_minutes.p90 if device.update.needs_drain else 0
        return MINUTE * round(own + around)
