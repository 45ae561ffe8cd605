"""What one cluster adds to the evidence of its supercomputer's deployment, whatever is planned or under way."""

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property

from fermata.domain.consent import Consent
from fermata.domain.fleet import Fleet, place_of
from fermata.domain.hearing import NodeSaid, notice_over
from fermata.domain.ids import ClusterId, DeviceId, NodeId, UpdateId
from fermata.domain.notified import NotifiedTimes
from fermata.domain.pending import FleetPending, work_on
from fermata.domain.policy import Policy
from fermata.domain.reasons import Code, Reason
from fermata.domain.updates import Update


@dataclass(frozen=True, slots=True, kw_only=True)
class ClusterEvidence:
    """In units: nodes with work (`working`), and devices whose work drains nobody. `members`: all nodes.

    `ready`: units that lack no word; of them `proceeding` that nobody answered for and that the policy lets go later;
    `lacking`: the rest. `dated`: the earliest due date of what was not approved; `due_at`: when the time to choose is
    over for the first of it, None while its customer was told of none. `own`: nodes that lack a word of their own
    customer, of them `declined` until `declined_until` at the earliest. `is_waiting`: the cluster's customer has to
    answer.
    """

    members: frozenset[NodeId]
    working: frozenset[NodeId]
    ready: frozenset[str]
    lacking: int
    proceeding: int
    dated: datetime | None
    due_at: datetime | None
    own: int
    declined: int
    declined_until: datetime | None
    is_waiting: bool


@dataclass(frozen=True, kw_only=True)
class Weighing:
    """A fleet with what is pending on it and what is said of that, asked where deployments stand."""

    fleet: Fleet
    policy: Policy
    pending: FleetPending
    said: Mapping[NodeId, NodeSaid]
    consent: Consent
    device_gaps: Mapping[DeviceId, Reason]

    def weigh(self, cluster: ClusterId, working: frozenset[NodeId]) -> ClusterEvidence:
        """What `cluster` adds; `working`: its nodes with work."""
        gaps, names = self.consent.gaps, self.fleet.names_in(cluster)
        devices = self._quiet_devices(cluster)
        lacking = working & gaps.keys()
        quiet_lacking = devices & self.device_gaps.keys()
        times = tuple(self._times(working, devices)) if self.consent.times else ()
        asking = lacking.union(self._behind(quiet_lacking)) if quiet_lacking else lacking
        said = self._said_of(asking)
        missing = _unanswered(said) or self._work(asking)
        waiting = {**missing, **(_unanswered(self._said_of(working)) if times else {})}
        on = self.fleet.clusters[cluster]
        ends = [notice_over(self.policy, self._told, update, on) for update in missing.values()]
        own = self._own(lacking)
        of_own = said if own is asking else self._said_of(own)
        noes = [each.declined_until for each in of_own if each.declined_until is not None]
        return ClusterEvidence(
            members=working if len(working) == len(names) else frozenset(names),
            working=working,
            ready=frozenset[str]().union(working - lacking, devices - quiet_lacking),
            lacking=len(lacking) + len(quiet_lacking),
            proceeding=len(times),
            dated=min(map(self.policy.due_at, waiting.values()), default=None),
            due_at=min((*times, *(at for at in ends if at is not None)), default=None),
            own=len(own),
            declined=sum(1 for name in own if self.said[name].declined_until is not None) if noes else 0,
            declined_until=min(noes, default=None),
            is_waiting=bool(asking or times),
        )

    @cached_property
    def _told(self) -> NotifiedTimes | None:
        return None if self.policy.notified is None else NotifiedTimes(self.policy.notified)

    def _own(self, lacking: Collection[NodeId]) -> Collection[NodeId]:
        """Those that lack a word of their own customer; nodes that lack the same share its reason."""
        gaps, shared = self.consent.gaps, Code.SHARED_DEVICE_UNAPPROVED
        reasons = list(map(gaps.__getitem__, lacking))
        if not any(why.code is shared for why in dict(zip(map(id, reasons), reasons, strict=True)).values()):
            return lacking
        return [name for name in lacking if gaps[name].code is not shared]

    def _said_of(self, names: Iterable[NodeId]) -> list[NodeSaid]:
        """What is said of these nodes, once for all that share it."""
        found = [said for said in map(self.said.get, names) if said is not None]
        return list(dict(zip(map(id, found), found, strict=True)).values())

    def _work(self, names: Collection[NodeId]) -> Mapping[UpdateId, Update]:
        """All that is done there: what approvals speak of whose conditions are not met lacks no word by itself."""
        nodes = map(self.fleet.nodes.__getitem__, names)
        return {update.id: update for node in nodes for update in work_on(self.fleet, self.pending, node)}

    def not_before(self, name: NodeId) -> datetime | None:
        """When work that nobody answered for may go on this node by the policy; None: it need not wait for that.

        A time from which on an approval holds is no such time: somebody did answer.
        """
        found = self.consent.times.get(name)
        if not found or not self.said[name].unanswered:
            return None
        return max((each.not_before for each in found if each.not_before is not None), default=None)

    def _times(self, working: frozenset[NodeId], devices: frozenset[DeviceId]) -> Iterator[datetime]:
        """When what nobody answered for may go on each of these."""
        for name in working - self.consent.gaps.keys():
            if (at := self.not_before(name)) is not None:
                yield at
        for device in devices - self.device_gaps.keys():
            found = (self.not_before(name) for name in self._behind([device]))
            if (at := max((each for each in found if each is not None), default=None)) is not None:
                yield at

    def _quiet_devices(self, cluster: ClusterId) -> frozenset[DeviceId]:
        """Devices whose work drains nobody: they need a word of their own."""
        units = self.pending.devices
        mine = [device.name for device in self.fleet.devices_by_cluster[cluster] if device.name in units]
        quiet = {
            id(unit): bool(unit.due) and not unit.drains
            for unit in {id(u): u for u in map(units.__getitem__, mine)}.values()
        }
        return frozenset([name for name in mine if quiet[id(units[name])]])

    def _behind(self, devices: Iterable[DeviceId]) -> Iterator[NodeId]:
        """The nodes behind these devices, of which many stand at one place."""
        places = {place_of(self.fleet.devices[name]) for name in devices}
        return (node.name for place in places for node in self.fleet.nodes_at(place))


def _unanswered(said: Iterable[NodeSaid]) -> Mapping[UpdateId, Update]:
    """What waits for a word."""
    return {update.id: update for each in said for update in each.unanswered}
