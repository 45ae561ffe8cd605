"""What status pages are told of a published plan: an entry a window, under the key that its maintenance keeps."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from urllib.parse import quote

from fermata.domain.announcements import KEY_LENGTH_MAX, PHASES, Announcement, Phase, Topic
from fermata.domain.customer_words import STATES
from fermata.domain.ids import ClusterId, WindowId
from fermata.domain.notices import Audience, Change
from fermata.domain.plans import Plan, Window
from fermata.domain.run_states import NOT_OPENED_YET, WindowState
from fermata.domain.spoken import clock, moment, nodes, zone_name
from fermata.domain.windows import calendar_day

WITHDRAWN = "withdrawn"  # the state in the facts of a window that no plan in force has


@dataclass(frozen=True, slots=True, kw_only=True)
class Posted:
    """A window as a page has it: how far it is with the entry, and the facts of its last word."""

    phase: Phase
    facts: Mapping[str, Any]

    @property
    def is_ahead(self) -> bool:
        """True while the page says that it is to come."""
        return self.phase is not Phase.CLOSED and self.facts["state"] in NOT_OPENED_YET


def maintenance_key(window: WindowId) -> str:
    """What customers and status pages hear of a window is kept together by, from the published plan to its end."""
    return f"maintenance:{quote(window, safe='')}"[:KEY_LENGTH_MAX]


def posted(last: Change) -> Posted:
    """What stands there after the last word of it."""
    return Posted(phase=PHASES[last.event], facts=last.data["facts"])


def post_plan(
    plan: Plan, parent: Plan | None, known: Mapping[WindowId, Posted], *, timezone: str, now: datetime
) -> Iterator[Announcement]:
    """What is new on pages once the plan is in force. Windows that stand there as they are planned are left alone, and
    so are those that have begun: of them their rooms tell.
    """
    for window in plan.windows:
        phase = _phase(window, known.get(window.id), now)
        if phase is not None:
            yield _planned(window, phase, timezone)
    there = {window.id for window in plan.windows}
    for gone in parent.windows if parent is not None else ():
        stands = known.get(gone.id)
        if gone.id not in there and stands is not None and stands.is_ahead:
            yield take_down(gone.id, gone.cluster, stands.facts)


def _phase(window: Window, stands: Posted | None, now: datetime) -> Phase | None:
    if stands is None:
        return Phase.OPENED if window.end > now else None
    if stands.phase is Phase.CLOSED:
        is_again = stands.facts["state"] == WITHDRAWN or not _is_same(window, stands.facts)
        return Phase.OPENED if is_again and window.end > now else None
    return Phase.UPDATED if stands.is_ahead and not _is_same(window, stands.facts) else None


def _is_same(window: Window, facts: Mapping[str, Any]) -> bool:
    told = facts["start"], facts["end"], facts["nodes"]
    return told == (window.start.isoformat(), window.end.isoformat(), len(window.nodes))


def _planned(window: Window, phase: Phase, timezone: str) -> Announcement:
    is_one_day = calendar_day(window.start, timezone) == calendar_day(window.end, timezone)
    end = clock(window.end, timezone) if is_one_day else moment(window.end, timezone)
    span = f"{moment(window.start, timezone)} to {end} {zone_name(window.start, timezone)}"
    part = f" part {window.part} of {window.parts}" if window.parts > 1 else ""
    reboots = f" Each is restarted {window.reboots_per_node} times." if window.reboots_per_node > 1 else ""
    return Announcement(
        key=maintenance_key(window.id),
        phase=phase,
        topic=Topic.SCHEDULE,
        subject=f"{window.cluster}{part}: maintenance planned {span}",
        text=f"{nodes(len(window.nodes))} out of service meanwhile.{reboots}",
        facts={
            "severity": "info",
            "start": window.start.isoformat(),
            "end": window.end.isoformat(),
            "window": window.id,
            "state": WindowState.PLANNED.value,
            "nodes": len(window.nodes),
        },
        clusters=frozenset({window.cluster}),
        audience=Audience.CUSTOMERS,
    )


def take_down(window: WindowId, cluster: ClusterId, facts: Mapping[str, Any], state: str = WITHDRAWN) -> Announcement:
    """A window that is over, or that no plan has any more. `facts` as they stand there."""
    how = "is withdrawn" if state == WITHDRAWN else STATES[WindowState(state)]
    return Announcement(
        key=maintenance_key(window),
        phase=Phase.CLOSED,
        topic=Topic.SCHEDULE,
        subject=f"{cluster}: maintenance {how}",
        text="",
        facts={**facts, "state": state},
        clusters=frozenset({cluster}),
        audience=Audience.CUSTOMERS,
    )
