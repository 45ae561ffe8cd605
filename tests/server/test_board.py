"""The board's snapshot and its page: what a conductor reads, from an empty store to a run in progress."""

import re
import time
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import httpx
import pytest
from tests.server import world
from tests.server.conftest import QUICK

from fermata.domain.deadline_risk import DeadlineRisk
from fermata.domain.ids import PlanId
from fermata.domain.reasons import Code, reason
from fermata.domain.replans import Replan, ReplanOutcome
from fermata.server.web import words
from fermata.services import runs
from fermata.services.board import BoardReader
from fermata.services.board_assembly import tail_page
from fermata.services.board_views import Board, Mark, Pace, Stage
from fermata.store import replans, unit_ops
from fermata.store.database import Database

SIZE = world.Size()


def snapshot(db: Database, now: datetime = world.NOW) -> Board:
    return BoardReader(db).snapshot(now)


def text_of(html: str) -> str:
    """What a person reads: no tags, single spaces."""
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", html)).strip()


def test_empty_store_says_what_to_import_first(client: httpx.Client, db: Database) -> None:
    assert snapshot(db).stage is Stage.NO_CAMPAIGN
    page = client.get("/")
    assert page.status_code == 200
    assert "fermata import scenario DIR" in page.text


def test_campaign_without_a_plan_says_how_to_plan(client: httpx.Client, db: Database) -> None:
    world.save_campaign(db, SIZE)
    assert snapshot(db).stage is Stage.NO_PLAN
    assert "fermata plan DIR" in client.get("/").text


def test_plan_that_is_not_published_says_how_to_publish(client: httpx.Client, db: Database) -> None:
    world.save_campaign(db, SIZE)
    world.save_plan(db, SIZE, publish=False)
    assert "fermata publish PLAN" in client.get("/").text


def test_published_plan_shows_its_calendar_and_says_how_to_start(client: httpx.Client, db: Database) -> None:
    world.save_campaign(db, SIZE)
    world.save_plan(db, SIZE)
    board = snapshot(db, world.OPENING - timedelta(hours=20))
    assert board.stage is Stage.NOT_STARTED
    assert {chip.mark for day in board.days for chip in day.chips} == {Mark.PLANNED}
    assert "fermata start january-repave" in client.get("/").text


def test_first_sentence_says_day_pace_and_counts(client: httpx.Client, db: Database, in_progress: object) -> None:
    board = snapshot(db)
    figures = board.figures
    assert figures is not None
    assert (figures.in_scope, figures.cap, figures.windows) == (480, 80, 24)
    assert figures.tail == SIZE.tail
    sentence = words.headline(board)
    assert re.fullmatch(
        r"Day 5 of 6 – (ahead by|behind by|on time)[^–]* – [\d,]+ of 480 nodes returned, \d+ out of 80 allowed,"
        r" 15 in the tail",
        sentence,
    ), sentence
    assert all(part in text_of(client.get("/").text) for part in sentence.split(" – "))


def test_demo_says_that_it_is_one(client: httpx.Client, in_progress: object) -> None:
    assert "Demo: simulated fleet, 3,000×" in client.get("/").text


def test_calendar_holds_every_day_and_every_window_once(db: Database, in_progress: object) -> None:
    board = snapshot(db)
    assert [day.day for day in board.days] == [world.FIRST + timedelta(days=n) for n in range(SIZE.days)]
    names = [chip.id for day in board.days for chip in day.chips]
    assert len(names) == len(set(names)) == SIZE.days * SIZE.windows_per_day
    assert [day.is_today for day in board.days] == [False, False, False, False, True, False]


def test_windows_are_marked_by_what_became_of_them(db: Database, in_progress: object) -> None:
    board = snapshot(db)
    marks = [[chip.mark for chip in day.chips] for day in board.days]
    assert all(mark in {Mark.DONE, Mark.OVERRUN} for day in marks[:4] for mark in day)
    assert Mark.OVERRUN in {mark for day in marks[:4] for mark in day}
    assert Mark.WAITING in marks[4]
    assert set(marks[4]) & {Mark.APPLYING, Mark.VERIFYING}
    assert set(marks[5]) == {Mark.PLANNED}


def test_waiting_window_says_why_and_how_late_it_is(client: httpx.Client, db: Database, in_progress: object) -> None:
    lane = next(lane for lane in snapshot(db).lanes if lane.chip.mark is Mark.WAITING)
    assert lane.slip.pace is Pace.BEHIND
    assert lane.slip.by == world.NOW - lane.chip.start
    assert lane.chip.why is not None
    assert lane.chip.why in text_of(client.get("/").text)


def test_open_window_says_what_it_does_and_how_far_it_is(db: Database, in_progress: object) -> None:
    lanes = [lane for lane in snapshot(db).lanes if lane.opened and not lane.closed]
    assert lanes
    step = r"(drain|apply [\w.-]+( \(batch \d of \d\))?|reboot|verify)"
    for lane in lanes:
        assert re.fullmatch(rf"{step}: \d+ nodes?|\d+ nodes? at {step}, waiting", lane.doing)
        assert 0 < lane.done <= 1
        assert lane.due == pytest.approx((world.NOW - lane.chip.start) / (lane.chip.end - lane.chip.start))


def test_overrun_shows_while_a_window_is_open_past_its_planned_end(db: Database, in_progress: object) -> None:
    later = snapshot(db, world.NOW + timedelta(hours=5))
    open_marks = {lane.chip.mark for lane in later.lanes if lane.opened and not lane.closed}
    assert open_marks == {Mark.OVERRUN}


def test_lanes_show_the_next_day_once_today_has_no_window(db: Database, in_progress: object) -> None:
    board = snapshot(db, datetime(2026, 1, 2, 12, tzinfo=UTC))
    assert board.lanes_day == world.FIRST
    assert board.head is not None
    assert board.head.day is None


def test_curves_keep_peaks_and_end_now(db: Database, in_progress: object) -> None:
    board = snapshot(db)
    assert board.curves is not None
    curves = board.curves
    assert max(curves.actual) >= SIZE.nodes
    assert curves.start + len(curves.actual) * curves.step >= world.NOW
    assert curves.planned[-1][1] == 0


def test_second_snapshot_reads_only_new_samples_and_agrees_with_a_fresh_one(db: Database, in_progress: object) -> None:
    reader = BoardReader(db)
    reader.snapshot(world.NOW - timedelta(hours=2))
    assert reader.snapshot(world.NOW) == snapshot(db)


def test_tail_is_paged_and_filtered(client: httpx.Client, db: Database, in_progress: object) -> None:
    board = snapshot(db)
    pages = [tail_page(board, page=n, code=None) for n in (1, 2)]
    assert [len(page.rows) for page in pages] == [12, 3]
    assert len({row.node for page in pages for row in page.rows}) == SIZE.tail
    assert tail_page(board, page=99, code=None) == pages[1]
    code = board.tail[-1].code
    of_code = tail_page(board, page=1, code=code)
    assert of_code.total == board.tail[-1].nodes
    assert {row.code for row in of_code.rows} == {code}
    fragment = client.get("/board/tail", params={"page": 2}).text
    assert all(row.node in fragment for row in pages[1].rows)
    assert pages[1].rows[0].node in client.get("/", params={"page": 2}).text


def test_window_has_a_page_of_its_own(client: httpx.Client, db: Database, in_progress: object) -> None:
    lane = next(lane for lane in snapshot(db).lanes if lane.opened and not lane.closed)
    page = text_of(client.get(f"/windows/{lane.chip.id}").text)
    assert lane.chip.cluster in page
    assert "nic-fw-28.43 (batch 1 of 2)" in page
    assert client.get("/windows/w999").status_code == 404


def test_names_from_inventory_cannot_inject_markup(client: httpx.Client, db: Database) -> None:
    evil = "<img src=x onerror=alert(1)>"
    world.save_campaign(db, SIZE, title=evil)
    html = client.get("/").text
    assert evil not in html
    assert "&lt;img" in html


def test_store_that_fails_is_a_sentence_not_a_traceback(client: httpx.Client, db: Database) -> None:
    with db.begin() as conn:
        unit_ops.unit_op.metadata.drop_all(conn)
    answer = client.get("/")
    assert answer.status_code == 503
    assert answer.json()["code"] == "STORE_UNAVAILABLE"
    assert "Traceback" not in answer.text


def test_what_waits_for_a_person_stands_under_the_first_sentence(
    client: httpx.Client, db: Database, in_progress: object
) -> None:
    status = runs.status(db)
    need = reason(Code.REPLAN_WAITS, plan="plan_2", campaign="january-repave")
    made = Replan(
        run=status.run,
        campaign=status.campaign,
        at=world.NOW,
        key="a window that did not run",
        causes=(),
        outcome=ReplanOutcome.PROPOSED,
        parent=status.plan,
        plan=PlanId("plan_2"),
        needs=need,
    )
    risk = DeadlineRisk(
        run=status.run,
        plan=status.plan,
        at=world.NOW,
        deadline=world.NOW + timedelta(days=9),
        plays=250,
        missed=0.036,
        late_node_days=1.5,
        late_node_days_p90=4.0,
        windows=3,
        homeless=0,
        drivers=(),
    )
    with db.begin() as conn:
        replans.add_replan(conn, made)
        replans.add_risk(conn, risk)
    told = text_of(client.get("/").text)
    assert f"Needs you: {need.sentence}" in told
    assert "The deadline is missed in 4% of 250 plays of what is left, with 1.5 late node-days on average." in told
    late = reason(
        Code.DEADLINE_AT_RISK,
        campaign=status.campaign,
        deadline="soon",
        percent=4,
        node_days=1.5,
        driver="",
        help="Wait.",
    )
    with db.begin() as conn:
        replans.add_replan(conn, replace(made, needs=late))
    time.sleep(QUICK.refresh)
    told = text_of(client.get("/").text)
    assert f"Needs you: {late.sentence}" in told
    assert "The deadline is missed in" not in told  # it is not said twice
    with db.begin() as conn:
        replans.add_replan(conn, replace(made, outcome=ReplanOutcome.PUBLISHED, needs=None))
    time.sleep(QUICK.refresh)  # a page is at most one refresh old
    assert "Needs you" not in text_of(client.get("/").text)
