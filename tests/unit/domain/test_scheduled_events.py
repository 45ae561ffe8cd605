"""What a node is told: tables of states, and properties that hold for every outlook at any time."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fermata.domain.ids import ClusterId, NodeId, RequestId, UpdateId, WindowId
from fermata.domain.node_states import UnitState
from fermata.domain.request_kinds import RequestKind
from fermata.domain.run_states import WindowState
from fermata.domain.scheduled_events import (
    Answer,
    EventStatus,
    EventType,
    Leads,
    OrderedWork,
    Outlook,
    Question,
    Stay,
    event_status,
    find_events,
    order_event,
    past_events,
    question_event,
    tell,
)

NOW = datetime(2026, 1, 7, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)
NODE = NodeId("alpha-n0")
LEADS = Leads()
TIMES = st.integers(-24 * 30, 24 * 30).map(lambda hours: NOW + hours * HOUR)


def stay(start: datetime, state: WindowState | None = None, unit: UnitState | None = None, *, name: str = "w") -> Stay:
    return Stay(
        window=WindowId(name),
        cluster=ClusterId("alpha"),
        start=start,
        end=start + 4 * HOUR,
        reboots=True,
        window_state=state,
        unit=unit,
    )


def question(due_at: datetime, *updates: str, is_open: bool = True) -> Question:
    return Question(
        request=RequestId("req_sc-1_deployment"),
        incarnation=1,
        updates=tuple(UpdateId(update) for update in updates or ("nic-fw-28.43",)),
        due_at=due_at,
        choose_until=due_at,
        reboots=False,
        is_open=is_open,
    )


@pytest.mark.parametrize(
    ("window", "unit", "status"),
    [
        (None, None, "Scheduled"),
        (WindowState.PLANNED, None, "Scheduled"),
        (WindowState.WAITING, None, "Scheduled"),
        (WindowState.OPEN, UnitState.PENDING, "Scheduled"),
        *((WindowState.OPEN, unit, "Started") for unit in (UnitState.LOCKED, UnitState.DRAINING, UnitState.APPLYING)),
        *((WindowState.OPEN, unit, "Started") for unit in (UnitState.REBOOTING, UnitState.VERIFYING)),
        (WindowState.OPEN, UnitState.PROVEN, "Started"),
        (WindowState.CLOSED, UnitState.FAILED, "Started"),
        *((WindowState.OPEN, unit, "Completed") for unit in (UnitState.RETURNED, UnitState.KEPT_OUT)),
        (WindowState.OPEN, UnitState.LEFT_OUT, "Canceled"),
        (WindowState.OPEN, None, "Canceled"),
        *((state, None, "Canceled") for state in (WindowState.MISSED, WindowState.SKIPPED, WindowState.CANCELLED)),
    ],
)
def test_an_event_stands_where_its_window_and_its_node_do(
    window: WindowState | None, unit: UnitState | None, status: str
) -> None:
    assert event_status(window, unit) == status


def test_a_question_is_told_in_the_last_week_and_a_window_in_the_last_hour() -> None:
    asked = Outlook(node=NODE, question=question(NOW))
    early = tell(asked, NOW - timedelta(days=8), LEADS)
    assert (early.events, early.changes_at) == ((), NOW - timedelta(days=7))
    (event,) = tell(asked, NOW - timedelta(days=7), LEADS).events
    assert (event.status, event.type, event.not_before) == (EventStatus.SCHEDULED, EventType.FREEZE, NOW)
    planned = Outlook(node=NODE, stays=(stay(NOW),))
    early = tell(planned, NOW - 2 * HOUR, LEADS)
    assert (early.events, early.changes_at) == ((), NOW - HOUR)
    assert tell(planned, NOW - HOUR, LEADS).events[0].type is EventType.REBOOT


def test_a_window_that_is_told_takes_the_place_of_the_question() -> None:
    outlook = Outlook(node=NODE, question=question(NOW - HOUR), stays=(stay(NOW + HOUR / 2),))
    (event,) = tell(outlook, NOW, LEADS).events
    assert "window w" in event.description


def test_what_started_is_told_whatever_was_said_since() -> None:
    outlook = Outlook(node=NODE, stays=(stay(NOW, WindowState.OPEN, UnitState.APPLYING),), is_held=True)
    (event,) = tell(outlook, NOW + 40 * HOUR, LEADS).events
    assert event.status is EventStatus.STARTED
    assert tell(Outlook(node=NODE, stays=(stay(NOW),), is_held=True), NOW, LEADS).events == ()


def test_other_work_is_another_question_and_the_order_of_its_updates_does_not_matter() -> None:
    one, two = question_event(NODE, question(NOW, "a", "b")), question_event(NODE, question(NOW, "b", "a"))
    assert one.id == two.id == question_event(NODE, question(NOW + HOUR, "a", "b")).id
    others = {
        question_event(NODE, question(NOW, "a")).id,
        question_event(NodeId("alpha-n1"), question(NOW, "a", "b")).id,
    }
    assert one.id not in others
    assert "a, b, c, d, e and 2 more" in question_event(NODE, question(NOW, *"abcdefg")).description


def ordered(answer: Answer = Answer.ASKED, **more: Any) -> OrderedWork:
    given: dict[str, Any] = {"order": "wo_1", "due_at": NOW} | more
    return OrderedWork(
        kind=RequestKind.REPAIR,
        request=RequestId("req_sc-1_repair"),
        incarnation=1,
        target="node alpha-n0",
        cause="NIC 3 flaps",
        reboots=True,
        answer=answer,
        **given,
    )


@pytest.mark.parametrize(
    ("work", "shown_at", "not_before"),
    [
        (ordered(), NOW - timedelta(days=7), NOW),
        (ordered(Answer.HELD), None, NOW),
        (ordered(Answer.GIVEN), None, NOW),
        (ordered(Answer.GIVEN, starts_at=NOW + 9 * HOUR), NOW + 8 * HOUR, NOW + 9 * HOUR),
        (ordered(Answer.HELD, starts_at=NOW + 9 * HOUR), None, NOW),
        (ordered(Answer.HELD, began_at=NOW - HOUR, status=EventStatus.STARTED), NOW - 99 * HOUR, NOW - HOUR),
        (ordered(Answer.GIVEN, status=EventStatus.COMPLETED), None, NOW),
        (ordered(Answer.GIVEN, status=EventStatus.CANCELED), None, NOW),
    ],
)
def test_an_order_is_told_by_what_was_answered_and_where_it_stands(
    work: OrderedWork, shown_at: datetime | None, not_before: datetime
) -> None:
    outlook = Outlook(node=NODE, ordered=(work,), is_held=True)
    assert order_event(NODE, work).not_before == not_before
    if shown_at is None:
        assert tell(outlook, NOW + 999 * HOUR, LEADS).events == ()
        return
    (event,) = tell(outlook, shown_at, LEADS).events
    assert (event.order, event.not_before, event.ends_at) == ("wo_1", not_before, None)
    if work.status is EventStatus.SCHEDULED:
        early = tell(outlook, shown_at - HOUR, LEADS)
        assert (early.events, early.changes_at) == ((), shown_at)


def test_an_order_and_the_question_about_updates_are_told_side_by_side() -> None:
    outlook = Outlook(node=NODE, question=question(NOW), ordered=(ordered(),))
    assert [event.order for event in tell(outlook, NOW, LEADS).events] in ([None, "wo_1"], ["wo_1", None])


def test_an_agent_overrules_a_no_neither_to_updates_nor_to_an_order() -> None:
    works = (ordered(), ordered(Answer.HELD, order="wo_2"))
    for is_held in (False, True):
        outlook = Outlook(node=NODE, question=question(NOW), ordered=works, is_held=is_held)
        heard = {event.order: outlook.hears_agent(event) for event in find_events(outlook)}
        assert heard == {None: not is_held, "wo_1": True, "wo_2": False}


@st.composite
def outlooks(draw: st.DrawFn) -> Outlook:
    windows = st.sampled_from([None, *WindowState])
    units = st.sampled_from([None, *UnitState])
    stays = draw(st.lists(st.tuples(TIMES, windows, units), max_size=4))
    asked = draw(st.none() | st.tuples(TIMES, st.booleans()))
    orders = draw(
        st.lists(
            st.tuples(
                st.sampled_from(Answer), TIMES, st.none() | TIMES, st.none() | TIMES, st.sampled_from(EventStatus)
            ),
            max_size=3,
        )
    )
    works = tuple(
        ordered(answer, order=f"wo_{number}", due_at=due, starts_at=starts, began_at=began, status=status)
        for number, (answer, due, starts, began, status) in enumerate(orders)
    )
    return Outlook(
        node=NODE,
        ordered=works,
        question=None if asked is None else question(asked[0], is_open=asked[1]),
        stays=tuple(stay(*each, name=f"w{number}") for number, each in enumerate(stays)),
        is_held=draw(st.booleans()),
    )


@given(outlooks(), TIMES)
def test_whatever_is_told_may_be_approved_and_nothing_that_is_over_is_told(outlook: Outlook, now: datetime) -> None:
    told = tell(outlook, now, LEADS).events
    assert set(told) <= set(find_events(outlook))
    assert {event.id for event in told}.isdisjoint(event.id for event in past_events(outlook))
    assert len({event.id for event in told}) == len(told)
    assert list(told) == sorted(told, key=lambda event: event.not_before)
    assert all(outlook.hears_agent(event) for event in told)


@given(outlooks(), TIMES, st.integers(0, 24 * 60))
def test_what_is_told_stays_until_it_says(outlook: Outlook, now: datetime, hours: int) -> None:
    first = tell(outlook, now, LEADS)
    later = now + hours * HOUR
    if first.changes_at is None or later < first.changes_at:
        assert tell(outlook, later, LEADS).events == first.events
    else:
        assert first.changes_at > now
