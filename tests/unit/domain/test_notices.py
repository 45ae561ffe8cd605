"""Which notices a change makes, to whom, and what they say."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from tests.constraints import world as w

from fermata.domain.ids import ClusterId, CustomerId, OrderId, SupercomputerId
from fermata.domain.notices import (
    OF_CONSENT,
    OF_FREEZES,
    OF_INCIDENTS,
    WINDOW_EVENTS,
    Change,
    Home,
    Notice,
    NoticeKind,
    Place,
    tell_plan,
    tell_window,
)
from fermata.domain.plans import Plan, Window
from fermata.domain.scope_notices import tell_scopes
from fermata.domain.subscriptions import EventShape
from fermata.formats.maintnote import maintnote_to_bytes
from fermata.formats.notice_events import events_of
from fermata.formats.notice_words import say_notice

HOUR = timedelta(hours=1)
LUMEN = Home(customer=CustomerId("lumen"), supercomputer=SupercomputerId("sc-alpha"))
MERIDIAN = Home(customer=CustomerId("meridian"), supercomputer=SupercomputerId("sc-beta"))
HOMES = {ClusterId("alpha"): LUMEN, ClusterId("gamma"): LUMEN, ClusterId("beta"): MERIDIAN}


PLAN: Plan = w.plan(w.scenario(), w.windows(w.scenario()))


def change(event: str, subject: str, **data: Any) -> Change:
    return Change(at=w.NOW, actor="operator-1", event=event, subject=subject, why="", data=data)


def published(plan: Plan, parent: Plan | None = None) -> tuple[Notice, ...]:
    return tell_plan(change("plan.published", f"plan:{plan.id}"), plan, parent, HOMES)


def lines(notices: tuple[Notice, ...]) -> list[tuple[str, str, str]]:
    return [(n.customer, line["change"], line["window"]) for n in notices for line in n.facts["windows"]]


def test_a_first_plan_tells_each_customer_of_its_own_windows_alone() -> None:
    plan = PLAN
    told = published(plan)
    assert {notice.customer for notice in told} == {"lumen", "meridian"}
    for notice in told:
        clusters = {line["cluster"] for line in notice.facts["windows"]}
        assert {HOMES[ClusterId(name)].customer for name in clusters} == {notice.customer}
        assert {line["change"] for line in notice.facts["windows"]} == {"added"}


def test_a_plan_that_follows_tells_what_differs_and_nothing_else() -> None:
    parent = PLAN
    (first, second, *rest) = parent.windows
    moved = replace(first, start=first.start + HOUR, end=first.end + HOUR)
    fewer = replace(second, nodes=second.nodes[1:])
    added: Window = replace(rest[-1], id=type(rest[-1].id)("w-new"))
    plan = replace(parent, id=type(parent.id)("plan_2"), parent=parent.id, windows=(moved, fewer, *rest[1:], added))
    told = {(name, what) for _customer, what, name in lines(published(plan, parent))}
    assert told == {(first.id, "moved"), (second.id, "changed"), (rest[0].id, "dropped"), ("w-new", "added")}
    (line,) = [x for n in published(plan, parent) for x in n.facts["windows"] if x["window"] == second.id]
    assert line["left"] == [second.nodes[0]]
    assert published(replace(plan, windows=parent.windows), parent) == ()


def test_words_on_many_scopes_are_one_notice_to_each_who_is_concerned() -> None:
    said = [change("consent.approved", f"node:n{index}", request="req", updates=["nic"]) for index in range(2500)]
    homes = {f"node n{index}": (LUMEN,) if index % 2 else (LUMEN, MERIDIAN) for index in range(2500)}
    told = tell_scopes(said, homes)
    assert {(n.customer, n.facts["scopes_total"], len(n.facts["scopes"])) for n in told} == {
        ("lumen", 2500, 1000),
        ("meridian", 1250, 1000),
    }


def test_a_notice_of_words_on_several_scopes_names_what_any_of_them_speaks_of() -> None:
    said = [
        change("consent.approved", "cluster:alpha", request="req", orders=["wo_2", "wo_1"], updates=[]),
        change("consent.approved", "rack:r9", request="req", orders=["wo_3"], updates=["nic"]),
    ]
    homes = {"cluster alpha": (LUMEN,), "rack r9": (LUMEN, MERIDIAN)}
    holders = {
        OrderId("wo_1"): (LUMEN.customer,),
        OrderId("wo_2"): (MERIDIAN.customer,),
        OrderId("wo_3"): (LUMEN.customer, MERIDIAN.customer),
    }
    told = tell_scopes(said, homes, holders)
    assert [(n.customer, n.facts["orders"], n.facts["updates"]) for n in told] == [
        ("lumen", ["wo_1", "wo_3"], ["nic"]),
        ("meridian", ["wo_3"], ["nic"]),
    ]


def of_every_kind() -> list[Notice]:
    window = PLAN.windows[0]
    place = Place(
        window=window.id,
        cluster=window.cluster,
        home=LUMEN,
        start=window.start,
        end=window.end,
        nodes=window.nodes,
        reboots_per_node=1,
    )
    made = [
        tell_window([change(event, f"window:{window.id}", taken=3, behind_minutes=9)], place) for event in WINDOW_EVENTS
    ]
    span = {"start": window.start.isoformat(), "end": window.end.isoformat(), "updates": ["nic"]}
    span |= {"id": "apr_1", "until": span["end"], "then": "escalate", "conditions": {"not_after": span["end"]}}
    scoped = [kind.value for kind in (*OF_FREEZES, *OF_CONSENT)]
    for event in scoped:
        made += tell_scopes([change(event, "cluster:alpha", request="req", **span)], {"cluster alpha": (LUMEN,)})
    made += published(PLAN)
    item = {"update": "nic", "title": "NIC", "nodes": 2, "devices": 1, "impact": "rebootful", "due_at": span["start"]}
    asked = {"request": "req", "incarnation": 2, "due_at": span["start"], "impact": "rebootful", "nodes": 2}
    asked |= {"shared_devices": 1, "items": [item], "joined": ["nic"], "left": ["old"]}
    overdue = {key: asked[key] for key in ("request", "incarnation", "due_at", "impact", "nodes", "shared_devices")}
    overdue |= {"needed": "escalate", "who": ["lumen"], "approvers": ["ann"], "after_due": "escalate"}
    plain = [
        (NoticeKind.REQUEST_OPENED, asked),
        (NoticeKind.REQUEST_CHANGED, asked),
        (NoticeKind.REQUEST_OVERDUE, overdue),
        (NoticeKind.REQUEST_CLOSED, asked),
        (NoticeKind.TEST, {"subscription": "hook"}),
        *((kind, {"key": "window:w1", "subject": "alpha: begun", "text": "3 out"}) for kind in OF_INCIDENTS),
    ]
    return [*made, *(replace(made[0], kind=kind, facts=facts) for kind, facts in plain)]


def test_every_kind_has_words_an_event_and_an_end() -> None:
    made = of_every_kind()
    assert {notice.kind for notice in made} == set(NoticeKind)
    for notice in made:
        words = say_notice(notice)
        assert "\n" not in words.title
        assert words.text.startswith(words.title)
        (event,) = events_of(notice, EventShape.NOTICES)
        assert event.data["sentence"] == words.title


@pytest.mark.parametrize(
    ("kind", "status"),
    [
        (NoticeKind.WINDOW_OPENED, b"IN-PROCESS"),
        (NoticeKind.WINDOW_CLOSED, b"COMPLETED"),
        (NoticeKind.WINDOW_MISSED, b"CANCELLED"),
        (NoticeKind.PLAN_PUBLISHED, b"CONFIRMED"),
        (NoticeKind.REQUEST_OPENED, None),
        (NoticeKind.REQUEST_OVERDUE, None),
        (NoticeKind.WINDOW_WAITING, None),
    ],
)
def test_a_maintenance_note_is_of_windows_alone(kind: NoticeKind, status: bytes | None) -> None:
    notice = next(notice for notice in of_every_kind() if notice.kind is kind)
    note = maintnote_to_bytes(notice, organizer="noc@operator.example")
    assert (note is None) == (status is None)
    assert status is None or (note is not None and b"X-MAINTNOTE-STATUS:" + status in note)
