"""What a customer hears while a plan is conducted: every node's event in its order, whatever is killed on the way."""

from collections import defaultdict
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from tests.services.notice_world import Desk, Recorder, StillClock
from tests.simulation import small, stagehand

from fermata.domain.notices import NoticeKind
from fermata.domain.notified import Notified
from fermata.domain.policy import AfterDue
from fermata.domain.reasons import Code
from fermata.domain.run_states import RunState, WindowState
from fermata.domain.subscriptions import ChannelKind, Consented, EventShape
from fermata.execution.delivering import deliver_round
from fermata.formats.health_events import AVAILABILITY_TYPE
from fermata.formats.notice_events import events_of
from fermata.services import notices
from fermata.services import runs as services
from fermata.store import consent, inventory, journal, outbox, runs

pytestmark = pytest.mark.databases("sqlite")

URL = "https://receiver.example/hook"
HOUR = timedelta(hours=1)


def heard(rig: stagehand.Rig) -> list[tuple[str, str]]:
    """Node and status of every scheduled event, in the order of notices."""
    page = notices.list_notices(rig.database, limit=500)
    assert page.before is None
    found = []
    for view in reversed(page.notices):
        for event in events_of(view.notice, EventShape.SCHEDULED_EVENTS):
            properties = event.data["resourceInfo"]["properties"]
            found.append((properties["Resources"][0], properties["EventStatus"]))
    return found


def states(rig: stagehand.Rig) -> dict[str, list[str]]:
    """How available each node was said to be, in the order of notices."""
    found: dict[str, list[str]] = defaultdict(list)
    for view in reversed(notices.list_notices(rig.database, limit=500).notices):
        for event in events_of(view.notice, EventShape.HEALTH_RESOURCES):
            properties = event.data["resourceInfo"]["properties"]
            if event.type == AVAILABILITY_TYPE:
                found[event.subject.rsplit("/", 1)[1]].append(properties["availabilityState"])
    return found


def subscribe(rig: stagehand.Rig) -> Desk:
    with rig.database.read() as conn:
        customers = inventory.list_customers(conn)
    desk = Desk(rig.database, clock=StillClock(rig.clock.now()), channel=Recorder(greeting=Consented()))
    desk.subscribe("hook", ChannelKind.CLOUD_EVENTS, target={"url": URL}, customers=customers)
    return desk


@pytest.mark.databases("sqlite", "postgresql")
def test_every_node_is_told_of_from_start_to_end(store_url: str, tmp_path: Path) -> None:
    rig = stagehand.set_up(store_url, tmp_path)
    desk = subscribe(rig)
    assert rig.conduct().state is RunState.FINISHED
    by_node: dict[str, list[str]] = defaultdict(list)
    for node, status in heard(rig):
        by_node[node].append(status)
    assert by_node.keys() == {name for window in rig.plan.windows for name in window.nodes}
    assert {tuple(statuses) for statuses in by_node.values()} == {("Started", "Completed")}
    views = notices.list_notices(rig.database, limit=500).notices
    kept = {node for v in views if v.notice.kind is NoticeKind.NODES_KEPT_OUT for node in v.notice.facts["nodes"]}
    assert states(rig) == {node: ["Unavailable"] + ["Available"] * (node not in kept) for node in by_node}
    desk.clock.at = rig.clock.now()
    for _ in range(200):
        if not deliver_round(desk.office).did_something:
            break
    with rig.database.read() as conn:
        lines = [line.event for line in journal.read(conn, 0, 10_000) if line.event.startswith("window.")]
    told = [event for event in lines if event != "window.ready"]  # of capacity: customers hear of each node instead
    assert [parcel.key for parcel in desk.channel.parcels if "window" in parcel.title] != []
    kinds = [view.notice.kind.value for view in reversed(notices.list_notices(rig.database, limit=500).notices)]
    assert [kind for kind in kinds if kind.startswith("window.")] == told


def test_what_was_stopped_before_it_began_is_cancelled(store_url: str, tmp_path: Path) -> None:
    rig = stagehand.set_up(store_url, tmp_path)
    subscribe(rig)
    services.stop(rig.database, None, now=rig.clock.now(), actor="operator-1", why="no")
    assert rig.conduct().state is RunState.STOPPED
    assert {status for _node, status in heard(rig)} == {"Canceled"}
    assert {node for node, _status in heard(rig)} == {name for window in rig.plan.windows for name in window.nodes}


def test_nothing_is_kept_that_nobody_hears(store_url: str, tmp_path: Path) -> None:
    rig = stagehand.set_up(store_url, tmp_path)
    desk = Desk(rig.database, clock=StillClock(rig.clock.now()))
    desk.subscribe("own", customers=frozenset(), kinds=frozenset({NoticeKind.FREEZE_ADDED}))
    rig.conduct()
    assert notices.list_notices(rig.database, limit=500).notices == ()


@pytest.mark.parametrize(
    ("told_days_ago", "left_out"),
    [(None, Code.NOTICE_NOT_DELIVERED), (89, Code.OUTSIDE_WINDOWS), (91, None)],
)
def test_no_node_is_taken_on_silence_before_the_notice_is_over(
    store_url: str, tmp_path: Path, told_days_ago: int | None, left_out: Code | None
) -> None:
    rig = stagehand.set_up(store_url, tmp_path)
    rules = small.policy()
    silent = replace(rules.customers[small.CUSTOMER], after_due=AfterDue.PROCEED)
    with rig.database.begin() as conn:
        inventory.save_policy(conn, replace(rules, customers={small.CUSTOMER: silent}))
        consent.append_entry(conn, replace(small.approval(small.catalogue(), seq=2), updates=frozenset()))
        if told_days_ago is not None:
            at = small.START - timedelta(days=told_days_ago)
            cluster = next(iter(small.fleet().clusters.values()))
            outbox.add_notified(
                conn,
                [
                    Notified(
                        customer=small.CUSTOMER,
                        supercomputer=cluster.supercomputer,
                        update=update.id,
                        impact=update.impact,
                        at=at,
                    )
                    for update in small.catalogue().updates.values()
                ],
            )
    rig.conduct()
    with rig.database.read() as conn:
        rows = runs.load_windows(conn, rig.run)
    if left_out is None:
        assert all(row.taken for row in rows)
        return
    assert {row.state for row in rows} == {WindowState.SKIPPED}
    assert {left.reason.code for row in rows for left in row.left_out} == {left_out}
    assert not any(machine.targets for machine in rig.world.nodes.values())
