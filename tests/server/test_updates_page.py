"""The page of updates, and the bars of an answer: what stands there, for people and for browsers without script."""

from collections import Counter

import httpx
from tests.doors import world
from tests.doors.conftest import Doors, db, doors

from fermata.domain.durations import measure
from fermata.domain.policy import ScopeLevel
from fermata.domain.updates import Duration
from fermata.services.updates_board import list_durations, list_lines
from fermata.store import journal

__all__ = ["db", "doors"]

CLAIMED = Duration(p50=15, p90=22)


def test_each_update_says_where_it_is_blocked_and_by_what(doors: Doors) -> None:
    lines = {str(line.view.update.id): line for line in list_lines(doors.db, now=world.NOW)}
    blocks = {str(block.example.code): block for block in lines["host-os-2026.1"].blocks}
    assert (blocks["APPROVAL_MISSING"].nodes, blocks["APPROVAL_MISSING"].supercomputers) == (2, ("sc-1",))
    assert [block.devices for block in lines["leaf-31.2016"].blocks] == [1]
    world.approve(doors.db, ScopeLevel.SUPERCOMPUTER, "sc-1")
    after = {str(line.view.update.id): line for line in list_lines(doors.db, now=world.NOW)}
    assert after["leaf-31.2016"].blocks == ()


def test_the_page_shows_it_and_what_a_flight_lacks(doors: Doors) -> None:
    text = httpx.get(f"{doors.url}/updates").text
    assert "<b>2 nodes</b> in 1 supercomputer. lumen has not approved" in text
    assert "No rule says what host-os-2026.2-rc needs" in text
    assert 'href="/updates?whole=true"' in text


def test_without_script_all_of_it_is_one_page(doors: Doors) -> None:
    whole = httpx.get(f"{doors.url}/updates", params={"whole": "true"}).text
    assert "Durations, learned against claimed" in whole
    assert 'title="leaf-31.2016 with host-os-2026.1: ran on 0, failed on 0, due on 4">new' in whole
    assert 'title="host-os-2026.1 with leaf-31.2016' not in whole, "a pair stands once"
    assert "hx-get" not in whole


def test_durations_are_learned_from_where_the_last_look_ended(doors: Doors) -> None:
    def end(step: str, minutes: int, times: int) -> None:
        entry = journal.Entry(
            at=world.NOW, actor="conductor", event="step.ended", subject="node:alpha-n0", why="",
            data={"step": step, "minutes": minutes},
        )  # fmt: skip
        with doors.db.begin() as conn:
            journal.append_many(conn, [entry] * times)

    end("apply:leaf-31.2016", 40, 20)
    end("drain", 1, 50)
    found = {one.kind: one for one in list_durations(doors.db)}
    assert found["leaf-31.2016"].is_longer
    assert found["drain"].units == 0, "what was idle tells nothing"
    end("apply:leaf-31.2016", 15, 30)
    found = {one.kind: one for one in list_durations(doors.db)}
    assert found["leaf-31.2016"].units == 50
    assert found["leaf-31.2016"].took == Duration(p50=15, p90=40)
    assert not found["leaf-31.2016"].is_longer


def test_few_units_tell_nothing_and_many_say_longer_or_shorter() -> None:
    few, longer, shorter = (
        measure({"a": Counter({minutes: units})}, {"a": CLAIMED})[0]
        for minutes, units in ((40, 19), (19, 20), (12, 20))
    )
    assert (few.is_longer, longer.is_longer, shorter.is_shorter) == (False, True, True)
    assert measure({}, {"a": CLAIMED})[0].took is None


def test_an_answer_of_texts_and_numbers_is_drawn_and_others_are_not(doors: Doors) -> None:
    def page(kql: str) -> str:
        return httpx.get(f"{doors.url}/query", params={"q": kql}, timeout=30).text

    drawn = page("pendingupdates | summarize units = count() by updateId")
    assert 'aria-label="Bars: units by updateId; the table below has the same"' in drawn
    assert 'id="bars"' not in page("pendingupdates | summarize count()")
    assert 'id="bars"' not in page("pendingupdates | project cluster, unit")
