"""Breaking the glass: somebody takes a role for a while, everybody is told, and it is over by itself."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime

from fermata.domain.access_codes import AccessCode
from fermata.domain.announcements import Announcement, Phase
from fermata.domain.break_glass import (
    BreakGlass,
    find_taken,
    judge_ending,
    judge_taking,
    lasting,
    place_words,
    shown_to,
    until,
)
from fermata.domain.identity import Grant, Principal
from fermata.domain.ids import BreakGlassId
from fermata.domain.reasons import reason
from fermata.services.errors import Refusal, nearest, refuse_all
from fermata.store import emergencies, journal
from fermata.store.announcing import announce_in
from fermata.store.database import Connection, Database

__all__ = ["BreakGlass", "Taking", "add_emergencies", "break_glass", "end_over", "give_back", "list_broken", "shown_to"]


def add_emergencies(db: Database, principal: Principal, now: datetime) -> Principal:
    """The principal with the roles that it has taken and that still last, which are marked as lent."""
    with db.read() as conn:
        taken = find_taken(principal, emergencies.load_open(conn), now)
    if not taken:
        return principal
    return replace(principal, grants=principal.grants | taken, lent=taken - principal.grants)


@dataclass(frozen=True, slots=True, kw_only=True)
class Taking:
    """A role that somebody wants to take for so many minutes, and why."""

    grant: Grant
    minutes: int
    why: str


def break_glass(
    db: Database, principal: Principal, wanted: Taking, *, now: datetime, new_id: Callable[[str], str]
) -> BreakGlass:
    """Takes a role from now on. It is in the journal, and the operator's own subscriptions are told.

    Raises Refusal with everything that is wrong.
    """
    refuse_all(judge_taking(principal, wanted.grant, minutes=wanted.minutes, why=wanted.why))
    taken = BreakGlass(
        id=BreakGlassId(new_id("glass")),
        holder=principal.name,
        grant=wanted.grant,
        why=wanted.why,
        taken_at=now,
        until=until(now, wanted.minutes),
    )
    with db.begin() as conn:
        emergencies.add(conn, taken)
        _record(conn, "break_glass.taken", taken, now=now, actor=principal.name)
        announce_in(conn, _announce(taken, Phase.OPENED), now=now, actor=principal.name, why=taken.why)
    return taken


def list_broken(db: Database, *, now: datetime, over: bool = False) -> tuple[BreakGlass, ...]:
    """Roles that are taken now, by when they are over; with `over`, all that ever were, by when they began."""
    with db.read() as conn:
        return emergencies.load_all(conn) if over else lasting(emergencies.load_open(conn), now)


def give_back(db: Database, name: BreakGlassId, *, now: datetime, actor: str | None, who: str) -> BreakGlass:
    """Ends one before its time. `actor` None: whoever uses this machine, on record as `who`. Raises Refusal."""
    with db.begin() as conn:
        known = {one.id: one for one in emergencies.load_all(conn)}
        found = known.get(name)
        if found is None:
            raise Refusal(reason(AccessCode.BREAK_GLASS_UNKNOWN, name=name, nearest=nearest(name, known)))
        why_not = judge_ending(found, now, actor)
        if why_not is not None:
            raise Refusal(why_not)
        return _end(conn, replace(found, ended_at=now), now, who)


def end_over(db: Database, now: datetime) -> tuple[BreakGlass, ...]:
    """Puts on record, and tells, what is over by itself. It gave nobody anything since: this only says so."""
    with db.read() as conn:
        over = [one for one in emergencies.load_open(conn) if not one.lasts(now)]
    if not over:
        return ()
    with db.begin() as conn:
        still = {one.id for one in emergencies.load_open(conn)}
        return tuple(_end(conn, replace(one, ended_at=one.until), now, "its end") for one in over if one.id in still)


def _end(conn: Connection, ended: BreakGlass, now: datetime, actor: str) -> BreakGlass:
    assert ended.ended_at is not None, "its end is said by whoever calls"
    emergencies.end(conn, ended.id, ended.ended_at)
    _record(conn, "break_glass.ended", ended, now=now, actor=actor)
    announce_in(conn, _announce(ended, Phase.CLOSED), now=now, actor=actor)
    return ended


def _record(conn: Connection, event: str, one: BreakGlass, *, now: datetime, actor: str) -> None:
    data = {
        "holder": one.holder,
        "role": one.grant.role.value,
        "place": place_words(one.grant),
        "until": one.until.isoformat(),
    }
    subject = f"break_glass:{one.id}"
    journal.append(conn, journal.Entry(at=now, actor=actor, event=event, subject=subject, why=one.why, data=data))


def _announce(one: BreakGlass, phase: Phase) -> Announcement:
    role, place = one.grant.role.value.replace("_", " "), place_words(one.grant)
    took = f"{one.holder} has the role {role} on {place} until {one.until:%Y-%m-%d %H:%MZ}"
    subject = f"Broken glass: {took}" if phase is Phase.OPENED else f"Broken glass is over: {one.holder}, {role}"
    return Announcement(
        key=f"break-glass:{one.id}",
        phase=phase,
        subject=subject,
        text=f"{took}, by breaking the glass. Why: {one.why}",
        facts={"severity": "critical" if phase is Phase.OPENED else "info"},
        to_operator=True,
    )
