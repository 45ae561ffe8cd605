"""The published plan on a status page: an entry a window under one key, moved, withdrawn and ended with the window."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from tests.conformance.desks import Page
from tests.conformance.notice import NOTICE, subscription
from tests.conformance.receivers import serving
from tests.constraints import world as w
from tests.services.notice_world import Recorder, StillClock
from tests.services.test_replan import SMALL, become, in_force, plan_again

from fermata.adapters.outbound import Outbound
from fermata.adapters.status_page import StatusPage
from fermata.adapters.vault import Vault
from fermata.domain.ids import CustomerId, PlanId, SubscriptionId
from fermata.domain.notices import NoticeKind
from fermata.domain.plans import Plan
from fermata.domain.run_states import WindowState
from fermata.domain.subscriptions import ChannelKind, SubscriptionOrder
from fermata.execution.delivering import PostOffice, deliver_round
from fermata.services.plans import publish
from fermata.services.posting import post_published
from fermata.services.room_telling import StoreRooms
from fermata.services.subscriptions import add_subscriptions
from fermata.store import outbox, plans, runs
from fermata.store.database import Database

__all__ = ["in_force"]
KEY = "canary-3f"
HOUR = timedelta(hours=1)


@pytest.fixture
def page() -> Iterator[Page]:
    desk = Page(api_key=KEY)
    with serving(desk):
        yield desk


@pytest.fixture
def office(db: Database, in_force: Plan, page: Page, tmp_path: Path) -> PostOffice:
    """Delivers to the page of customer lumen, and to a chat of its people, who subscribe once a plan is in force."""
    folder = tmp_path / "secrets" / "127.0.0.1"
    folder.mkdir(parents=True)
    (folder / "page").write_text(f"{KEY}\n")
    clock = StillClock()
    status_page = StatusPage(
        Outbound(allow_local=True, timeout=5 * timedelta(seconds=1)), clock, Vault(tmp_path / "secrets")
    )
    channels: dict[ChannelKind, Any] = {ChannelKind.STATUS_PAGE: status_page, ChannelKind.CHAT: Recorder()}
    targets = {
        ChannelKind.STATUS_PAGE: {"url": page.url, "page": page.page, "secret": "page"},
        ChannelKind.CHAT: {"url": "https://chat.example/x"},
    }
    orders = [
        SubscriptionOrder(
            id=SubscriptionId(kind.value), channel=kind, target=target, customers=frozenset({CustomerId("lumen")})
        )
        for kind, target in targets.items()
    ]
    add_subscriptions(db, orders, now=w.NOW, actor="operator-1", new_id=lambda kind: f"{kind}_1", channels=channels)
    return PostOffice(database=db, channels=channels, clock=clock, public_url=None)


def deliver(office: PostOffice, page: Page) -> dict[str, dict[str, Any]]:
    """What stands on the page then, by its key."""
    for _ in range(60):
        if not deliver_round(office).did_something:
            break
    return {one["metadata"]["fermata"]["key"]: one for one in page.incidents}


def test_every_window_of_a_published_plan_is_a_scheduled_maintenance(
    office: PostOffice, page: Page, in_force: Plan
) -> None:
    found = deliver(office, page)
    assert set(found) == {f"maintenance:{window.id}" for window in in_force.windows}
    for window in in_force.windows:
        one = found[f"maintenance:{window.id}"]
        assert one["status"] == "scheduled"
        assert (one["scheduled_for"], one["scheduled_until"]) == (window.start.isoformat(), window.end.isoformat())
        assert one["name"].startswith(f"{window.cluster}")
        assert f"{len(window.nodes)} node" in one["words"][0]
    chat = office.channels[ChannelKind.CHAT]
    assert isinstance(chat, Recorder)
    assert len([parcel for parcel in chat.parcels if parcel.incident is not None]) == 0, "its people have the plan"


def test_what_a_new_plan_moves_adds_or_drops_changes_on_the_page_and_nothing_else(
    db: Database, office: PostOffice, page: Page, in_force: Plan
) -> None:
    before = deliver(office, page)
    first = in_force.windows[0]
    become(db, first.id, WindowState.MISSED)
    made = plan_again(db, first.end).plan
    publish(db, made.id, now=first.end, actor="operator-1")
    office.clock.wait_until(first.end, lambda: False)
    after = deliver(office, page)
    now_planned = {window.id: window for window in made.windows}
    was_planned = {window.id: window for window in in_force.windows}
    assert set(now_planned) != set(was_planned)
    for name in sorted(now_planned.keys() | was_planned.keys()):
        one = after[f"maintenance:{name}"]
        if name not in now_planned:
            assert (one["status"], one["name"]) == (
                "completed",
                f"{was_planned[name].cluster}: maintenance is withdrawn",
            )
        else:
            assert one["status"] == "scheduled"
            assert one["scheduled_for"] == now_planned[name].start.isoformat()
            is_same = name in was_planned and was_planned[name] == now_planned[name]
            assert len(one["words"]) == 1 or not is_same
    assert len(page.incidents) == len(now_planned.keys() | was_planned.keys()), "one entry a window"
    assert set(before) <= set(after)


def test_a_window_that_moves_keeps_its_entry_and_gets_the_new_time(
    db: Database, office: PostOffice, page: Page, in_force: Plan
) -> None:
    deliver(office, page)
    first = in_force.windows[0]
    later = replace(first, start=first.start + HOUR, end=first.end + HOUR)
    moved = replace(in_force, id=PlanId("plan_moved"), parent=in_force.id, windows=(later, *in_force.windows[1:]))
    with db.begin() as conn:
        plans.save_plan(conn, moved, w.NOW)
        post_published(conn, moved, now=w.NOW, actor="operator-1")
        post_published(conn, moved, now=w.NOW, actor="operator-1")
    one = deliver(office, page)[f"maintenance:{first.id}"]
    assert len(one["words"]) == 2, "told once, though published twice"
    assert (one["status"], one["scheduled_for"]) == ("scheduled", later.start.isoformat())
    assert len(page.incidents) == len(in_force.windows)


def test_a_window_that_is_over_without_a_word_is_taken_down_once(
    db: Database, office: PostOffice, page: Page, in_force: Plan
) -> None:
    deliver(office, page)
    first = in_force.windows[0]
    become(db, first.id, WindowState.CANCELLED)
    with db.read() as conn:
        run = runs.live_run(conn, SMALL)
    assert run is not None
    for _ in range(2):
        StoreRooms(db).tend(run.id, w.NOW)
    one = deliver(office, page)[f"maintenance:{first.id}"]
    assert (one["status"], one["name"]) == ("completed", f"{first.cluster}: maintenance is cancelled")
    assert len(one["words"]) == 2
    with db.read() as conn:
        stands = {notice.subject for notice in outbox.open_incidents(conn, "maintenance:")}
    assert stands == {f"incident:maintenance:{window.id}" for window in in_force.windows[1:]}


def test_the_page_of_another_customer_shows_nothing_of_it(db: Database, office: PostOffice, in_force: Plan) -> None:
    with db.read() as conn:
        told = outbox.open_incidents(conn, "maintenance:")
    assert {notice.customer for notice in told} == {"lumen"}
    other = subscription(ChannelKind.STATUS_PAGE, customers=frozenset({CustomerId("vega")}))
    own = replace(other, customers=frozenset({CustomerId("lumen")}))
    operator = replace(other, customers=frozenset())
    for notice in told:
        assert [each.hears(notice) for each in (other, own, operator)] == [False, True, True]


def test_the_crew_s_words_stand_on_no_status_page_and_the_customer_s_are_not_told_to_the_operator_twice(
    in_force: Plan,
) -> None:
    page_of_all, chat, own_chat = (
        subscription(ChannelKind.STATUS_PAGE),
        subscription(ChannelKind.CHAT),
        subscription(ChannelKind.CHAT, customers=frozenset({CustomerId("lumen")})),
    )
    crew = replace(NOTICE, kind=NoticeKind.INCIDENT_UPDATED, customer=CustomerId(""), facts={"audience": "crew"})
    told = replace(NOTICE, kind=NoticeKind.INCIDENT_UPDATED, facts={"audience": "customers"})
    assert [each.hears(crew) for each in (page_of_all, chat, own_chat)] == [False, True, False]
    assert [each.hears(told) for each in (page_of_all, chat, own_chat)] == [True, False, True]
