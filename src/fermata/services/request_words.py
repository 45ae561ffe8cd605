"""How commands and board say where a request stands, what it needs next and from whom, and what meets what."""

from fermata.domain.combining import Outcome
from fermata.domain.request_book import Meeting
from fermata.domain.request_standing import NextStep, Standing
from fermata.domain.request_states import RequestState

_NEXT = {
    NextStep.NOTIFY: "notify {who}",
    NextStep.ANSWER: "answer by {who}",
    NextStep.ESCALATE: "escalate to {who}",
    NextStep.PLAN: "plan",
    NextStep.BEGIN: "begin",
    NextStep.WAIT: "wait",
    NextStep.CONDUCT: "conduct",
    NextStep.NOTHING: "",
}
_OUTCOMES = {
    Outcome.OWN: "goes its own way beside",
    Outcome.MERGE: "is one request with",
    Outcome.JOIN: "shares an outage with",
    Outcome.WAIT: "waits for",
    Outcome.REPLACE: "will end",
    Outcome.REFUSE: "is refused by",
}


def state_words(state: RequestState) -> str:
    """A state as people say it."""
    return state.replace("_", " ")


def next_words(standing: Standing) -> str:
    """What is needed next, and from whom."""
    return _NEXT[standing.needed].format(who=", ".join(standing.who) or "its customer")


def is_waited_for(standing: Standing) -> bool:
    """True when a person has to do something before it goes on."""
    return standing.needed not in (NextStep.WAIT, NextStep.CONDUCT, NextStep.NOTHING)


def say_meeting(meeting: Meeting) -> str:
    """What becomes of work, by what it meets."""
    what = f"order {meeting.order}" if meeting.order else "updates"
    nodes = f"{meeting.nodes:,} node{'' if meeting.nodes == 1 else 's'}"
    return f"{_OUTCOMES[meeting.outcome]} {what} ({meeting.kind}, {state_words(meeting.state)}) on {nodes}"
