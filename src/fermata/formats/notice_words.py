"""A notice in words, for mail, chat and the command line: one line that says it, and the lines below it."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from fermata.domain.notices import OF_CONSENT, OF_FREEZES, OF_INCIDENTS, Notice, NoticeKind
from fermata.domain.policy import AfterDue
from fermata.domain.request_standing import NextStep

WINDOWS_MAX = 40  # of one plan in a mail or a chat; events and calendars hold them all
NAMES_MAX = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class Words:
    """`title` fits a subject line, `text` says the rest."""

    title: str
    text: str


def say_notice(notice: Notice) -> Words:
    """The same notice gives the same words."""
    title, *lines = _lines(notice)
    why = [f"Why: {notice.why}"] if notice.why else []
    end = f"{notice.id}, {notice.kind}, {_utc(notice.at)}, to {_receiver(notice)}"
    return Words(title=title, text="\n".join([title, *lines, *why, "", end]) + "\n")


def _receiver(notice: Notice) -> str:
    return notice.customer or ", ".join(notice.facts.get("teams", ())) or "the operator"


def _lines(notice: Notice) -> Iterator[str]:
    facts = notice.facts
    match notice.kind:
        case NoticeKind.REQUEST_OPENED | NoticeKind.REQUEST_CHANGED:
            yield from _say_request(notice, facts)
        case NoticeKind.REQUEST_OVERDUE | NoticeKind.REQUEST_CLOSED as kind:
            closed = (f"{notice.supercomputer}: nothing is pending any more",)
            yield from closed if kind is NoticeKind.REQUEST_CLOSED else _say_overdue(notice, facts)
        case NoticeKind.PLAN_PUBLISHED:
            yield from _say_plan(notice, facts)
        case NoticeKind.NODES_RETURNED | NoticeKind.NODES_KEPT_OUT | NoticeKind.NODES_LEFT_OUT as kind:
            yield f"{facts['cluster']}: {_count(facts['nodes'])} {_NODE_WORDS[kind]}"
            yield f"Window {facts['window']}: {_names(facts['nodes'])}"
        case NoticeKind.TEST:
            yield f"{notice.supercomputer or 'Fermata'}: a test of subscription {facts['subscription']}"
        case kind:
            of_group = (say for group, say in _GROUPS if kind in group)
            yield from next(of_group, _say_window)(notice, facts)


def _say_request(notice: Notice, facts: Mapping[str, Any]) -> Iterator[str]:
    verb = "Maintenance is asked for" if notice.kind is NoticeKind.REQUEST_OPENED else "What is asked for has changed"
    due = f", due {_utc(facts['due_at'])}" if facts["due_at"] else ""
    yield f"{notice.supercomputer}: {verb.lower()}: {facts['nodes']} node(s), {facts['impact']}{due}"
    yield f"Request {facts['request']}, incarnation {facts['incarnation']}"
    for item in facts["items"]:
        units = " and ".join(f"{item[noun]} {noun}" for noun in ("nodes", "devices") if item[noun])
        yield f"- {item['update']} ({item['title']}): {units}, {item['impact']}, not before {_utc(item['due_at'])}"
    for verb, names in (("Joined", facts["joined"]), ("Left", facts["left"])):
        if names and notice.kind is NoticeKind.REQUEST_CHANGED:
            yield f"{verb}: {', '.join(names)}"


def _say_overdue(notice: Notice, facts: Mapping[str, Any]) -> Iterator[str]:
    is_escalated = facts["needed"] == NextStep.ESCALATE
    then = f"{' and '.join(facts['who'])} must answer" if is_escalated else "it proceeds without an answer"
    yield f"{notice.supercomputer}: overdue since {_utc(facts['due_at'])}: {then}"
    yield f"Request {facts['request']}, incarnation {facts['incarnation']}: {facts['nodes']} node(s), {facts['impact']}"
    yield f"Who can answer for {notice.customer}: {', '.join(facts['approvers']) or 'nobody by its policy'}"
    if facts["after_due"] == AfterDue.PROCEED:
        yield f"If nobody does: what may go without the word of {notice.customer} begins in its windows, the rest waits"
    else:
        yield f"If nobody does: nothing that lacks the word of {notice.customer} begins"


def _say_plan(notice: Notice, facts: Mapping[str, Any]) -> Iterator[str]:
    windows = facts["windows"]
    yield f"{notice.supercomputer}: plan {facts['plan']} is in force, {len(windows)} window(s) differ"
    for line in windows[:WINDOWS_MAX]:
        span = f"{_utc(line['start'])} to {_utc(line['end'])}"
        yield f"- {line['change']}: {line['window']} {line['cluster']}, {span}, {_count(line['nodes'])}"
    if len(windows) > WINDOWS_MAX:
        yield f"... and {len(windows) - WINDOWS_MAX} more"


_NODE_WORDS = {
    NoticeKind.NODES_RETURNED: "back in service, proven",
    NoticeKind.NODES_KEPT_OUT: "proven, and out of service as before",
    NoticeKind.NODES_LEFT_OUT: "left as they were",
}
_WINDOW_WORDS = {
    NoticeKind.WINDOW_WAITING: "has to wait",
    NoticeKind.WINDOW_OPENED: "has begun",
    NoticeKind.WINDOW_LATE: "is over time",
    NoticeKind.WINDOW_CLOSED: "is over",
    NoticeKind.WINDOW_MISSED: "did not take place",
    NoticeKind.WINDOW_SKIPPED: "did not take place",
    NoticeKind.WINDOW_CANCELLED: "is cancelled",
}


_CONSENT_WORDS = {
    NoticeKind.CONSENT_APPROVED: "approved",
    NoticeKind.CONSENT_WITHDRAWN: "withdrew approval of",
    NoticeKind.CONSENT_DECLINED: "declined",
    NoticeKind.CONSENT_OFFERED: "offers another time for",
    NoticeKind.CONSENT_REFUSED: "refused the other time that was offered for",
}


def _say_consent(notice: Notice, facts: Mapping[str, Any]) -> Iterator[str]:
    until = f" until {_utc(facts['until'])}" if facts.get("until") else ""
    yield f"{notice.supercomputer}: {notice.actor} {_CONSENT_WORDS[notice.kind]} {_scopes(facts)}{until}"
    yield f"Request {facts.get('request', '')}: {', '.join(facts.get('updates') or facts.get('orders') or ())}"
    if facts.get("then"):
        follows = "it proceeds" if facts["then"] == AfterDue.PROCEED else "it is escalated"
        yield f"Afterwards {follows} without another word"
    if notice.kind is NoticeKind.CONSENT_OFFERED:
        times = facts["conditions"]
        first = f"from {_utc(times['not_before'])} " if times.get("not_before") else ""
        yield f"Their time: {first}to {_utc(times['not_after'])}; nothing is covered before you answer"
        yield f"Accept or refuse: fermata offer accept {_names(facts['offers'])}"


def _say_window(notice: Notice, facts: Mapping[str, Any]) -> Iterator[str]:
    nodes = f", {_count(facts['nodes'])} not back" if notice.kind is NoticeKind.WINDOW_LATE else ""
    yield f"{facts['cluster']}: window {facts['window']} {_WINDOW_WORDS[notice.kind]}{nodes}"
    yield f"Planned from {_utc(facts['start'])} to {_utc(facts['end'])}"
    if notice.kind is NoticeKind.WINDOW_LATE:
        yield f"Not back: {_names(facts['nodes'])}"
    if "taken" in facts:
        yield f"{facts['taken']} node(s) taken"
    if facts.get("behind_minutes"):
        yield f"Behind by {facts['behind_minutes']} min"


def _say_freeze(notice: Notice, facts: Mapping[str, Any]) -> Iterator[str]:
    match notice.kind:
        case NoticeKind.FREEZE_ADDED:
            span = f" from {_utc(facts['start'])} to {_utc(facts['end'])}"
            yield f"{notice.supercomputer}: {_scopes(facts)} frozen{span}, by {notice.actor}"
        case NoticeKind.FREEZE_ENDED:
            yield f"{notice.supercomputer}: {_scopes(facts)} open again, by {notice.actor}"
        case _:
            verb = "asks that" if notice.kind is NoticeKind.EXEMPTION_ASKED else "confirmed that"
            kinds = [f"work of kind {kind}" for kind in facts.get("kinds", ())]
            names = ", ".join([*facts["updates"], *facts.get("orders", ()), *kinds])
            yield f"{notice.supercomputer}: {notice.actor} {verb} {names} may pass {_scopes(facts)}"


def _say_incident(_notice: Notice, facts: Mapping[str, Any]) -> Iterator[str]:
    """As it was announced: no words are added."""
    yield facts["subject"]
    yield from facts["text"].splitlines()


_GROUPS = ((OF_INCIDENTS, _say_incident), (OF_CONSENT, _say_consent), (OF_FREEZES, _say_freeze))


def _scopes(facts: Mapping[str, Any]) -> str:
    more = facts["scopes_total"] - NAMES_MAX
    return ", ".join(facts["scopes"][:NAMES_MAX]) + (f" and {more} more" if more > 0 else "")


def _names(names: list[str]) -> str:
    more = len(names) - NAMES_MAX
    return ", ".join(names[:NAMES_MAX]) + (f" and {more} more" if more > 0 else "")


def _count(names: list[str]) -> str:
    return f"{len(names):,} node{'' if len(names) == 1 else 's'}"


def _utc(instant: datetime | str) -> str:
    at = datetime.fromisoformat(instant) if isinstance(instant, str) else instant
    return f"{at.astimezone(UTC):%Y-%m-%d %H:%MZ}"
