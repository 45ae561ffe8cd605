"""May this node go back? The proof as a pure decision: evidence and now in, yes or everything that is missing out.

Missing, stale and contradictory evidence is a no. What a target claims is no evidence: versions are what the node's
components report themselves, and they and the health check count only after the last change of the node.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from fermata.domain.ids import DeviceId, NodeId, UpdateId
from fermata.domain.node_states import UnitState
from fermata.domain.reasons import Code, Reason, reason
from fermata.domain.versions import is_at_least

FRESH_FOR = timedelta(minutes=5)  # a look older than the pace at which targets are asked says nothing of now
CHECK_GOOD_FOR = timedelta(hours=24)  # an idle node that waits longer, for consent or a lock, is checked again


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """One look at a node: what its components report, and how its workload manager holds it, at `at`, UTC.

    `locked`: by us, so that it cannot be scaled in; None: the target cannot tell, which is no proof.
    """

    at: datetime
    versions: Mapping[str, str] = field(hash=False)
    reachable: bool
    in_service: bool
    locked: bool | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """What is on record of one node in one window; None: never seen.

    changed_at: end of the last write, reboot, reset or repair of it. checked_at: end of its last health check, which
    it passed if `healthy`.
    """

    changed_at: datetime | None = None
    checked_at: datetime | None = None
    healthy: bool = False
    reading: Reading | None = None


NO_EVIDENCE = Evidence()


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """What an update of the window wants of one component."""

    update: UpdateId
    component: str
    version: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """Everything that decides about one node at one moment.

    gaps: what consent to the targets lacks at that moment; None: nobody looked. devices: those of its window that it
    hangs on and that are not proven. under_way: what is going on on it, in words; "" for nothing. astray_since: when
    it was seen in service, or without our lock, and it was not drained again since.

    Of a node that goes back early, by an abort, `targets` are what was done; `as_before` is what its other components
    reported when it was taken, and one on which nothing was tried needs no check (`is_untouched`). If it was
    not drained either, workloads may be on it (`may_serve`).
    """

    node: NodeId
    targets: tuple[Target, ...]
    evidence: Evidence
    gaps: tuple[Reason, ...] | None
    devices: Mapping[DeviceId, UnitState] = field(hash=False)
    under_way: str
    astray_since: datetime | None
    as_before: Mapping[str, str] = field(default_factory=dict, hash=False)
    is_untouched: bool = False
    may_serve: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Proven:
    """One targeted component that reports its target. `seen_at`: when it did."""

    update: UpdateId
    component: str
    version: str
    seen_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Readmitted:
    """Every piece is there."""

    proven: tuple[Proven, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class NotReadmitted:
    """`missing`: all that lacks, at least one. `proven`: what would count if the rest were there."""

    missing: tuple[Reason, ...]
    proven: tuple[Proven, ...]


def judge(case: Case, now: datetime) -> Readmitted | NotReadmitted:
    """The proof."""
    proven = tuple(_proven(case, now))
    missing = (
        *_lacking_reading(case, now),
        *_lacking_versions(case),
        *_lacking_check(case, now),
        *_lacking_hold(case),
        *_lacking_consent(case),
        *_lacking_devices(case),
        *_going_on(case),
    )
    return NotReadmitted(missing=missing, proven=proven) if missing else Readmitted(proven=proven)


def _proven(case: Case, now: datetime) -> Iterator[Proven]:
    reading = case.evidence.reading
    if reading is None or next(_lacking_reading(case, now), None) is not None:
        return
    for target in case.targets:
        version = reading.versions.get(target.component, "")
        if is_at_least(version, target.version):
            yield Proven(update=target.update, component=target.component, version=version, seen_at=reading.at)


def _lacking_reading(case: Case, now: datetime) -> Iterator[Reason]:
    """One sentence for a look that does not count, whatever it saw."""
    reading, changed_at = case.evidence.reading, case.evidence.changed_at
    if reading is None or not reading.reachable:
        yield reason(Code.RETURN_NOT_READ, unit=case.node)
    elif changed_at is not None and reading.at < changed_at:
        yield reason(Code.RETURN_READ_EARLY, unit=case.node, read_at=_say(reading.at), changed_at=_say(changed_at))
    elif reading.at > now:
        yield reason(Code.RETURN_READ_AHEAD, unit=case.node, read_at=_say(reading.at), now=_say(now))
    elif now - reading.at > FRESH_FOR:
        limit = FRESH_FOR // timedelta(minutes=1)
        yield reason(Code.RETURN_READ_STALE, unit=case.node, read_at=_say(reading.at), now=_say(now), limit=limit)


def _lacking_versions(case: Case) -> Iterator[Reason]:
    reading = case.evidence.reading
    if reading is None:
        return
    for target in case.targets:
        version = reading.versions.get(target.component, "")
        if not is_at_least(version, target.version):
            yield reason(
                Code.RETURN_VERSION,
                unit=case.node,
                component=target.component,
                version=version or "nothing",
                target=target.version,
                update=target.update,
            )
    for component, before in sorted(case.as_before.items()):
        version = reading.versions.get(component, "")
        if version != before:
            told = {"component": component, "version": version or "nothing", "before": before or "nothing"}
            yield reason(Code.RETURN_NOT_AS_BEFORE, unit=case.node, **told)


def _lacking_check(case: Case, now: datetime) -> Iterator[Reason]:
    found = case.evidence
    if case.is_untouched:
        return
    if found.checked_at is None:
        yield reason(Code.RETURN_UNCHECKED, unit=case.node)
    elif not found.healthy:
        yield reason(Code.RETURN_UNHEALTHY, unit=case.node, checked_at=_say(found.checked_at))
    elif found.changed_at is not None and found.checked_at < found.changed_at:
        times = {"checked_at": _say(found.checked_at), "changed_at": _say(found.changed_at)}
        yield reason(Code.RETURN_CHECK_EARLY, unit=case.node, **times)
    elif not timedelta(0) <= now - found.checked_at <= CHECK_GOOD_FOR:
        limit = CHECK_GOOD_FOR // timedelta(hours=1)
        yield reason(Code.RETURN_CHECK_STALE, unit=case.node, checked_at=_say(found.checked_at), limit=limit)


def _lacking_hold(case: Case) -> Iterator[Reason]:
    if case.astray_since is not None:
        yield reason(Code.RETURN_ASTRAY, unit=case.node, at=_say(case.astray_since))
    reading = case.evidence.reading
    if reading is None:
        return
    if reading.locked is not True:
        yield reason(Code.RETURN_UNLOCKED, unit=case.node)
    if reading.in_service and not case.may_serve:
        yield reason(Code.RETURN_IN_SERVICE, unit=case.node)


def _lacking_consent(case: Case) -> Iterator[Reason]:
    if case.gaps is None:
        yield reason(Code.RETURN_CONSENT_UNASKED, unit=case.node)
        return
    for gap in case.gaps:
        yield reason(Code.RETURN_CONSENT, unit=case.node, why=gap.sentence)


def _lacking_devices(case: Case) -> Iterator[Reason]:
    for name in sorted(case.devices):
        yield reason(Code.RETURN_DEVICE, unit=case.node, device=name, state=case.devices[name])


def _going_on(case: Case) -> Iterator[Reason]:
    if case.under_way:
        yield reason(Code.RETURN_UNDER_WAY, unit=case.node, step=case.under_way)


def _say(at: datetime) -> str:
    return f"{at:%Y-%m-%d %H:%MZ}"
