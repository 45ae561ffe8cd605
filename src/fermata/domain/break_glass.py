"""Taking a role for a while in an emergency: what may be taken, for how long, and since when it is over. Pure."""

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta

from fermata.domain.access_codes import AccessCode
from fermata.domain.identity import Grant, GrantLevel, Principal, Sight
from fermata.domain.ids import BreakGlassId
from fermata.domain.reasons import Reason, reason

MINUTES_MOST = 240  # of one breaking: an emergency that lasts longer has more people by then


@dataclass(frozen=True, slots=True, kw_only=True)
class BreakGlass:
    """A role that was taken over `[taken_at, until)`, or until it was given back. Times UTC."""

    id: BreakGlassId
    holder: str
    grant: Grant
    why: str
    taken_at: datetime
    until: datetime
    ended_at: datetime | None = None

    def lasts(self, now: datetime) -> bool:
        """Whether the role is still the holder's."""
        return self.taken_at <= now < self.until and (self.ended_at is None or now < self.ended_at)


def place_words(grant: Grant) -> str:
    """Of what the grant is, as people say it."""
    return "everything" if grant.level is GrantLevel.EVERYTHING else f"{grant.level} {grant.name}"


def shown_to(every: Iterable[BreakGlass], principal: Principal) -> tuple[BreakGlass, ...]:
    """What somebody may know of: all of it who sees everything, else their own and what names a part that they see."""
    return tuple(each for each in every if each.holder == principal.name or _is_in_sight(each.grant, principal.sees))


def _is_in_sight(grant: Grant, sight: Sight) -> bool:
    named: dict[GrantLevel, Collection[str]] = {
        GrantLevel.CUSTOMER: sight.customers,
        GrantLevel.SUPERCOMPUTER: sight.supercomputers,
        GrantLevel.CLUSTER: sight.clusters,
    }
    return sight.everything or grant.name in named.get(grant.level, ())


def judge_taking(principal: Principal, wanted: Grant, *, minutes: int, why: str) -> tuple[Reason, ...]:
    """Why it may not take that role there for so long, with everything that is wrong; nothing when it may."""
    found = []
    if not is_laid_down(principal, wanted):
        known = ", ".join(sorted(f"{each.role} on {place_words(each)}" for each in principal.emergencies))
        found.append(
            reason(
                AccessCode.BREAK_GLASS_NOT_LAID_DOWN,
                holder=principal.name,
                role=wanted.role,
                place=place_words(wanted),
                known=known or "nothing",
            )
        )
    if not why.strip():
        found.append(reason(AccessCode.BREAK_GLASS_REASON_MISSING, role=wanted.role))
    if not 1 <= minutes <= MINUTES_MOST:
        found.append(reason(AccessCode.BREAK_GLASS_TOO_LONG, most=MINUTES_MOST, minutes=minutes))
    return tuple(found)


def is_laid_down(principal: Principal, wanted: Grant) -> bool:
    """Whether it may take the role there: as it was laid down, or a part of everything."""
    return any(
        each.role is wanted.role and (each.level is GrantLevel.EVERYTHING or each == wanted)
        for each in principal.emergencies
    )


def until(taken_at: datetime, minutes: int) -> datetime:
    """When a role that is taken now is over by itself."""
    return taken_at + timedelta(minutes=minutes)


def find_taken(principal: Principal, known: Iterable[BreakGlass], now: datetime) -> frozenset[Grant]:
    """The roles that it has at this moment beside its own: what is no longer laid down for it is over at once."""
    return frozenset(
        each.grant
        for each in known
        if each.holder == principal.name and each.lasts(now) and is_laid_down(principal, each.grant)
    )


def judge_ending(one: BreakGlass, now: datetime, actor: str | None) -> Reason | None:
    """Why `actor` (None: whoever uses this machine) does not end it, or None."""
    if not one.lasts(now):
        at = min(one.until, one.ended_at or one.until)
        return reason(AccessCode.BREAK_GLASS_OVER, name=one.id, at=f"{at:%Y-%m-%d %H:%MZ}")
    if actor is not None and actor != one.holder:
        told = f"{one.until:%Y-%m-%d %H:%MZ}"
        return reason(AccessCode.BREAK_GLASS_OF_ANOTHER, name=one.id, actor=actor, until=told)
    return None


def lasting(known: Collection[BreakGlass], now: datetime) -> tuple[BreakGlass, ...]:
    """Those that last, by when they are over."""
    return tuple(sorted((one for one in known if one.lasts(now)), key=lambda one: (one.until, one.id)))
