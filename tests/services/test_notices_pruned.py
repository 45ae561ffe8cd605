"""Old notices go, and nothing goes with them that somebody still asks for."""

import threading
from dataclasses import replace
from datetime import timedelta

import pytest
from sqlalchemy import func, select
from tests.constraints import world as w
from tests.services.notice_world import DAY, HOUR, Desk

from fermata.domain.announcements import Announcement, Phase
from fermata.domain.deliveries import DeliveryState, Rejected
from fermata.domain.ids import SubscriptionId
from fermata.domain.reasons import Code
from fermata.execution import pruning
from fermata.execution.delivering import KEPT, deliver_round, keep_delivering, prune_all
from fermata.services import notices, subscriptions
from fermata.services.announcements import announce
from fermata.services.errors import Refusal
from fermata.store import journal, outbox
from fermata.store.database import Database


@pytest.fixture
def desk(db: Database) -> Desk:
    """Everything was told twice and delivered: of each of 4 requests its opening, and a change."""
    made = Desk(db)
    made.import_all(updates=["nic"])
    made.subscribe()
    deliver(made)
    made.import_all(updates=["nic", "os"])
    deliver(made)
    return made


def deliver(desk: Desk) -> None:
    while deliver_round(desk.office).did_something:
        pass


def kinds(desk: Desk) -> list[str]:
    return [view.notice.kind.value for view in reversed(notices.list_notices(desk.db).notices)]


def pruned(desk: Desk) -> list[int]:
    with desk.db.read() as conn:
        return [line.data["notices"] for line in journal.read(conn) if line.event == "notices.pruned"]


def rows(desk: Desk) -> tuple[int, int]:
    """Notices and deliveries."""
    with desk.db.read() as conn:
        notice, delivery = (select(func.count()).select_from(table) for table in (outbox.notice, outbox.delivery))
        return conn.execute(notice).scalar_one(), conn.execute(delivery).scalar_one()


def test_what_was_delivered_goes_after_its_time_and_not_a_moment_sooner(desk: Desk) -> None:
    desk.clock.at = w.NOW + KEPT
    assert prune_all(desk.office) == 0
    assert rows(desk) == (8, 8)
    desk.clock.at += timedelta(seconds=1)
    assert prune_all(desk.office) == 4
    assert kinds(desk) == ["request.changed"] * 4, "the last of each request stays"
    assert rows(desk) == (4, 4)
    assert pruned(desk) == [4]


def test_whoever_subscribes_after_the_pruning_is_told_what_is_asked_and_nothing_that_is_over(desk: Desk) -> None:
    desk.import_all(updates=["none of them"])
    deliver(desk)
    assert kinds(desk)[8:] == ["request.closed"] * 4
    desk.clock.at += KEPT + DAY
    assert prune_all(desk.office) == 8
    desk.channel.parcels.clear()
    desk.subscribe("lumen-late")
    deliver(desk)
    assert desk.channel.titles == [], "had the last notice gone, an older one would ask again"
    desk.import_all(updates=["nic"])
    desk.clock.at += KEPT + DAY
    prune_all(desk.office)
    deliver(desk)
    desk.channel.parcels.clear()
    desk.subscribe("lumen-later")
    deliver(desk)
    assert len(desk.channel.titles) == 4


def test_since_when_a_customer_knows_outlives_the_notice_that_told_it(desk: Desk) -> None:
    with desk.db.read() as conn:
        known = outbox.load_notified(conn)
    assert known
    desk.clock.at += KEPT + DAY
    assert prune_all(desk.office) == 4
    with desk.db.read() as conn:
        assert outbox.load_notified(conn) == known


def test_what_is_on_its_way_or_was_delivered_again_lately_stays(desk: Desk) -> None:
    desk.clock.at += KEPT + DAY
    notices.replay_notice(desk.db, "ntc_0000000001", now=desk.clock.at, actor="operator-1")
    assert prune_all(desk.office) == 3
    deliver(desk)
    assert prune_all(desk.office) == 0, "it was delivered a moment ago"
    desk.clock.at += KEPT + DAY
    assert prune_all(desk.office) == 1


def test_a_dead_notice_stays_until_it_is_replayed(desk: Desk) -> None:
    notices.replay_notice(desk.db, "ntc_0000000001", now=desk.clock.at, actor="operator-1")
    desk.channel.outcomes = [Rejected(why="no")]
    deliver(desk)
    desk.clock.at += KEPT * 4
    assert prune_all(desk.office) == 3
    (line,) = notices.show_notice(desk.db, "ntc_0000000001").deliveries
    assert line.state is DeliveryState.DEAD
    notices.replay_notice(desk.db, "ntc_0000000001", now=desk.clock.at, actor="operator-1")
    deliver(desk)
    desk.clock.at += KEPT + HOUR
    assert prune_all(desk.office) == 1


def test_a_dead_notice_that_is_dismissed_goes_with_its_time_and_tells_nobody(desk: Desk) -> None:
    notices.replay_notice(desk.db, "ntc_0000000001", now=desk.clock.at, actor="operator-1")
    desk.channel.outcomes = [Rejected(why="no")]
    deliver(desk)
    with desk.db.read() as conn:
        known = outbox.load_notified(conn)
    view = notices.dismiss_notice(desk.db, "ntc_0000000001", now=desk.clock.at, actor="ann", why="long over")
    assert [(line.state, line.why) for line in view.deliveries] == [(DeliveryState.DROPPED, "no")]
    with desk.db.read() as conn:
        assert outbox.load_notified(conn) == known
        last = journal.read_last(conn, "notice:ntc_0000000001")
    assert last is not None
    assert (last.event, last.actor, last.why) == ("notice.dismissed", "ann", "long over")
    with pytest.raises(Refusal) as refused:
        notices.dismiss_notice(desk.db, "ntc_0000000001", now=desk.clock.at, actor="ann")
    assert refused.value.reason.code is Code.NOTHING_TO_DISMISS
    desk.clock.at += KEPT + DAY
    assert prune_all(desk.office) == 4


def test_a_dead_notice_that_nobody_can_replay_any_more_goes(desk: Desk) -> None:
    notices.replay_notice(desk.db, "ntc_0000000001", now=desk.clock.at, actor="operator-1")
    desk.channel.outcomes = [Rejected(why="no")]
    deliver(desk)
    subscriptions.remove_subscription(desk.db, SubscriptionId("lumen-chat"), now=desk.clock.at, actor="operator-1")
    desk.clock.at += KEPT + DAY
    assert prune_all(desk.office) == 4


def test_a_day_has_one_line_with_its_count_however_many_batches_it_takes(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pruning, "BATCH_MAX", 1)
    desk.clock.at += KEPT + DAY
    office = desk.office
    assert pruning.prune(office.database, now=desk.clock.at, kept=KEPT) == 1
    desk.clock.at += HOUR  # killed meanwhile: whoever comes next goes on with what was settled
    assert prune_all(office) == 3
    assert pruned(desk) == [4]


def test_the_next_line_comes_a_day_after_the_last(desk: Desk) -> None:
    desk.clock.at += KEPT - HOUR
    desk.import_all(updates=["nic"])
    deliver(desk)
    desk.clock.at += 2 * HOUR
    assert prune_all(desk.office) == 8
    desk.import_all(updates=["nic", "os"])
    deliver(desk)
    later = replace(desk.office, kept=timedelta(hours=1, minutes=59))
    assert prune_all(later) == 0, "what was settled for today is gone"
    desk.clock.at += DAY
    assert prune_all(later) == 4
    assert pruned(desk) == [8, 4]


def test_who_delivers_also_prunes(desk: Desk) -> None:
    desk.clock.at += KEPT + DAY
    stop = threading.Event()
    thread = threading.Thread(target=keep_delivering, args=(desk.office, stop))
    thread.start()
    waited = threading.Event()
    for _ in range(200):
        if pruned(desk):
            break
        waited.wait(0.05)
    stop.set()
    thread.join(10)
    assert pruned(desk) == [4]
    assert kinds(desk) == ["request.changed"] * 4


def test_the_last_word_of_what_is_open_stays(desk: Desk) -> None:
    desk.subscribe("noc", customers=frozenset())
    for key, phases in (("open", (Phase.OPENED, Phase.UPDATED)), ("over", (Phase.OPENED, Phase.CLOSED))):
        for phase in phases:
            said = Announcement(key=key, phase=phase, subject=f"{key} is {phase}", text="")
            announce(desk.db, said, now=desk.clock.at, actor="conductor")
    deliver(desk)
    before = rows(desk)[0]
    desk.clock.at += KEPT + timedelta(seconds=1)
    prune_all(desk.office)
    left = [view.title for view in notices.list_notices(desk.db).notices if view.notice.facts.get("key")]
    assert left == ["open is updated"]
    assert rows(desk)[0] < before
