"""That a request is overdue, in the shape of every channel."""

from dataclasses import replace

import orjson
import pytest
from azure.core.messaging import CloudEvent
from azure.eventgrid import EventGridEvent
from tests.conformance.notice import NOTICE, parcel, subscription

from fermata.domain.notices import NoticeKind
from fermata.domain.subscriptions import ChannelKind, EventShape
from fermata.formats.notice_events import events_of

OVERDUE = replace(
    NOTICE,
    kind=NoticeKind.REQUEST_OVERDUE,
    subject="request:req_sc1_deployment",
    actor="fermata",
    why="The time to choose ended.",
    facts={
        "request": "req_sc1_deployment",
        "incarnation": 3,
        "due_at": "2026-01-05T12:00:00+00:00",
        "impact": "rebootful",
        "nodes": 18,
        "shared_devices": 1,
        "needed": "escalate",
        "who": ["lumen", "meridian"],
        "approvers": ["ann", "eve"],
        "after_due": "escalate",
    },
)
TITLE = "sc1: overdue since 2026-01-05 12:00Z: lumen and meridian must answer"
TEXT = f"""{TITLE}
Request req_sc1_deployment, incarnation 3: 18 node(s), rebootful
Who can answer for lumen: ann, eve
If nobody does: nothing that lacks the word of lumen begins
Why: The time to choose ended.

ntc_0000000012, request.overdue, 2026-01-05 12:00Z, to lumen
"""


@pytest.mark.parametrize("channel", [ChannelKind.MAIL, ChannelKind.CHAT])
def test_mail_and_chat_say_who_must_act_and_what_happens_if_nobody_does(channel: ChannelKind) -> None:
    sent = parcel(subscription(channel), notice=OVERDUE)
    assert (sent.title, sent.text) == (TITLE, TEXT)


def test_a_policy_that_names_no_approver_and_lets_work_proceed_is_said_as_it_is() -> None:
    facts = {**OVERDUE.facts, "needed": "plan", "who": ["conductor"], "approvers": [], "after_due": "proceed"}
    sent = parcel(subscription(ChannelKind.MAIL), notice=replace(OVERDUE, facts=facts))
    assert sent.title.endswith(": it proceeds without an answer")
    assert "Who can answer for lumen: nobody by its policy\n" in sent.text
    assert "If nobody does: what may go without the word of lumen begins in its windows, the rest waits\n" in sent.text


def test_mail_with_a_calendar_has_no_event_of_it() -> None:
    mail = subscription(ChannelKind.MAIL, target={"to": ["ops@lumen.example"], "calendar": True})
    assert parcel(mail).calendar is not None
    assert parcel(mail, notice=OVERDUE).calendar is None


def test_cloud_events_carry_it_in_facts() -> None:
    (body,) = parcel(subscription(ChannelKind.CLOUD_EVENTS), notice=OVERDUE).posts
    event = CloudEvent.from_json(body.decode())
    assert (event.id, event.type) == ("ntc_0000000012", "fermata.request.overdue")
    assert event.subject == "sc1/request/req_sc1_deployment"
    assert isinstance(event.data, dict)
    assert event.data.items() >= dict(OVERDUE.facts).items()
    assert (event.data["thread"], event.data["sentence"]) == ("req_sc1_deployment", TITLE)


def test_event_grids_schema_carries_it_in_facts() -> None:
    (body,) = parcel(subscription(ChannelKind.EVENT_GRID), notice=OVERDUE).posts
    (found,) = orjson.loads(body)
    event = EventGridEvent.from_json(orjson.dumps(found).decode())
    assert (event.id, event.event_type) == ("ntc_0000000012", "fermata.request.overdue")
    assert event.data.items() >= dict(OVERDUE.facts).items()


@pytest.mark.parametrize("shape", [shape for shape in EventShape if shape is not EventShape.NOTICES])
def test_azures_shapes_have_no_word_for_it_and_do_not_hear_it(shape: EventShape) -> None:
    hook = subscription(ChannelKind.EVENT_GRID, shape=shape)
    assert hook.hears(NOTICE) is (shape is not EventShape.HEALTH_RESOURCES)
    assert not hook.hears(OVERDUE)
    assert events_of(OVERDUE, shape) == ()
