"""Calendars that others subscribe to: each sees its own, and what stands there stays until something is published."""

import json
from collections.abc import Callable, Iterable
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path

import httpx
import pytest
from icalendar import Calendar
from sqlalchemy import insert, update
from tests.constraints import world as small
from tests.server import world
from tests.server.conftest import HandClock

from fermata.cli.main import main
from fermata.domain.ids import PlanId
from fermata.domain.plans import Window
from fermata.domain.updates import Impact
from fermata.services.calendars import FeedOf, draw_feed
from fermata.services.errors import Refusal
from fermata.store import inventory, plans, runs
from fermata.store.database import Database

HOUR = timedelta(hours=1)
PATH = "/api/v1/calendars"
PLAN = world.plan(world.Size())
CLUSTERS = sorted({window.cluster for window in PLAN.windows})
OWNER = {cluster: ("lumen", "meridian")[number % 2] for number, cluster in enumerate(CLUSTERS)}
MOVED = PLAN.windows[-1]


@pytest.fixture
def published(in_progress: object, db: Database) -> Database:
    """A campaign half-way through, on clusters that two customers have, with updates of several teams."""
    whole = {"region": "r", "geo": "US", "datacenter": "d", "sku": "s", "division": "n", "timezone": world.ZONE}
    rows = [
        {**whole, "name": name, "supercomputer": f"sc-{name}", "customer": OWNER[name], "rolling_allowed": True}
        for name in CLUSTERS
    ]
    updates = [small.update(name, "node", f"c-{name}", 10, Impact.REBOOTFUL) for name in world.UPDATES]
    with db.begin() as conn:
        conn.execute(insert(inventory.cluster), [{**row, "single_placement_group": False} for row in rows])
        catalogue = small.scenario().catalogue
        inventory.save_catalogue(conn, replace(catalogue, updates={each.id: each for each in updates}))
    return db


def publish(db: Database, number: int, change: Callable[[tuple[Window, ...]], Iterable[Window]]) -> None:
    """Another plan in force, in the place of the one before."""
    with db.begin() as conn:
        before = plans.published_plan(conn, PLAN.campaign)
        assert before is not None
        windows = tuple(change(before.windows))
        made = replace(before, id=PlanId(f"plan_{number}"), parent=before.id, windows=windows)
        plans.save_plan(conn, made, world.NOW + number * HOUR)
        plans.publish_plan(conn, made.id, world.NOW + number * HOUR)


def events(text: bytes) -> dict[str, dict[str, object]]:
    """By UID, as a reader of iCalendar that is not ours has them."""
    return {
        str(event["UID"]): {
            "sequence": int(str(event["SEQUENCE"])),
            "status": str(event["STATUS"]),
            "start": event.decoded("DTSTART"),
            "stamp": event.decoded("DTSTAMP"),
            "cluster": str(event["LOCATION"]),
            "words": str(event["DESCRIPTION"]),
        }
        for event in Calendar.from_ical(text).walk("VEVENT")
    }


def test_each_customer_and_cluster_sees_its_own_and_not_a_name_of_others(published: Database) -> None:
    everything = events(draw_feed(published))
    assert len(everything) == len(PLAN.windows)
    for of, names in ((FeedOf.CUSTOMER, ("lumen", "meridian")), (FeedOf.CLUSTER, CLUSTERS)):
        parts = {name: draw_feed(published, of, name) for name in names}
        assert sum(len(events(text)) for text in parts.values()) == len(everything)
        for name, text in parts.items():
            own = {cluster for cluster in CLUSTERS if name in (cluster, OWNER[cluster])}
            assert {each["cluster"] for each in events(text).values()} == own
            plain = text.replace(b"\r\n ", b"").decode()  # lines that are folded
            assert not [cluster for cluster in CLUSTERS if cluster not in own and cluster in plain]


def test_a_team_sees_the_windows_of_its_updates(published: Database) -> None:
    publish(published, 1, lambda windows: [replace(each, updates=world.UPDATES[:1]) for each in windows[:3]])
    team = f"team-{world.UPDATES[0]}"
    found = events(draw_feed(published, FeedOf.TEAM, team))
    assert sum(each["status"] == "CONFIRMED" for each in found.values()) == 3
    other = events(draw_feed(published, FeedOf.TEAM, f"team-{world.UPDATES[1]}"))
    assert {each["status"] for each in other.values()} == {"CANCELLED"}, "what is no more leaves their calendars"


def test_names_that_nobody_has_are_refused(published: Database) -> None:
    for of in FeedOf:
        with pytest.raises(Refusal, match="lumin"):
            draw_feed(published, of, "lumin")


def test_times_are_in_utc_and_in_the_words_of_the_cluster(published: Database) -> None:
    first = PLAN.windows[0]
    found = events(draw_feed(published))[f"january-repave.{first.id}@fermata"]
    assert found["start"] == first.start
    assert isinstance(found["start"], datetime)
    assert found["start"].utcoffset() == timedelta(0)
    assert "Sat 2026-01-03 11:00 to Sat 2026-01-03 15:15 America/Los_Angeles" in str(found["words"])


def test_a_move_raises_the_sequence_of_its_event_alone(published: Database) -> None:
    before = events(draw_feed(published))
    later = replace(MOVED, start=MOVED.start + HOUR, end=MOVED.end + HOUR)
    publish(published, 1, lambda windows: [*windows[:-1], later])
    after = events(draw_feed(published))
    changed = {uid for uid in after if after[uid] != before[uid]}
    assert changed == {f"january-repave.{MOVED.id}@fermata"}
    (uid,) = changed
    assert (before[uid]["sequence"], after[uid]["sequence"]) == (0, 1)
    assert after[uid]["start"] == later.start
    assert after[uid]["stamp"] == world.NOW + HOUR


def test_what_is_withdrawn_is_cancelled_and_stays(published: Database) -> None:
    publish(published, 1, lambda windows: windows[:-1])
    publish(published, 2, lambda windows: windows)
    with published.begin() as conn:
        run = update(runs.window_run).where(runs.window_run.c.window == PLAN.windows[-2].id)
        conn.execute(run.values(state="cancelled"))
    found = events(draw_feed(published))
    assert len(found) == len(PLAN.windows)
    gone = {uid for uid, each in found.items() if each["status"] == "CANCELLED"}
    assert gone == {f"january-repave.{window.id}@fermata" for window in PLAN.windows[-2:]}
    assert {found[uid]["sequence"] for uid in gone} == {1}


def test_a_subscriber_is_told_that_nothing_changed(published: Database, url: str, clock: HandClock) -> None:
    address = f"{url}{PATH}/customer/{OWNER[MOVED.cluster]}.ics"
    first = httpx.get(address)
    assert first.headers["content-type"].startswith("text/calendar")
    assert first.content == draw_feed(published, FeedOf.CUSTOMER, OWNER[MOVED.cluster])
    clock.at += 30 * HOUR
    asked = {"If-None-Match": first.headers["etag"]}
    again = httpx.get(address, headers=asked)
    assert (again.status_code, again.content) == (304, b""), "time alone changes nothing"
    publish(published, 1, lambda windows: windows[:-1])
    assert httpx.get(address, headers=asked).status_code == 200
    other = "meridian" if OWNER[MOVED.cluster] == "lumen" else "lumen"
    theirs = f"{url}{PATH}/customer/{other}.ics"
    tag = httpx.get(theirs).headers["etag"]
    publish(published, 2, lambda windows: windows)
    assert httpx.get(theirs, headers={"If-None-Match": tag}).status_code == 304
    assert httpx.get(f"{url}{PATH}/all.ics").status_code == 200
    assert httpx.get(f"{url}{PATH}/customer/nobody.ics").status_code == 404
    assert httpx.get(f"{url}{PATH}/planet/lumen.ics").status_code in (404, 422)


def run(*words: str) -> int:
    with pytest.raises(SystemExit) as ended:
        main(["calendar", *words])
    return int(ended.value.code or 0)


def test_the_command_writes_what_the_server_serves(
    published: Database, url: str, tmp_path: Path, capfdbinary: pytest.CaptureFixture[bytes]
) -> None:
    out = tmp_path / "lumen.ics"
    assert run("customer", "lumen", "--server", url, "--out", str(out), "--json") == 0
    said = json.loads(capfdbinary.readouterr().out)
    assert said == {"windows": len(events(out.read_bytes())), "file": str(out)}
    assert out.read_bytes() == draw_feed(published, FeedOf.CUSTOMER, "lumen")
    assert run("--server", url) == 0
    assert capfdbinary.readouterr().out == draw_feed(published)
    assert run("customer", "--server", url) == 2
    assert run("customer", "nobody", "--server", url) == 1
