"""What `fermata plan` writes beside the plan: a page that stands alone and a calendar, whole or not at all."""

import re
from datetime import UTC, datetime
from html.parser import HTMLParser
from pathlib import Path

import pytest
from icalendar import Calendar
from tests.cli.line import Line
from tests.cli.test_plan import write_folder

VOID = {"meta", "br", "link", "img", "hr", "input"}


class Balance(HTMLParser):
    """Which tags are open; what loads or runs something."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.loads: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag not in VOID:
            self.open.append(tag)
        if tag in {"script", "link", "img", "iframe", "object"}:
            self.loads.append(tag)
        self.loads.extend(
            str(v) for k, v in attrs if k in {"src", "srcset"} or (k == "href" and not str(v).startswith("#"))
        )

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return write_folder(tmp_path / "small", nodes_out=10)


def read_page(text: str) -> Balance:
    page = Balance()
    page.feed(text)
    page.close()
    return page


def test_the_page_is_well_formed_and_loads_nothing(line: Line, folder: Path, tmp_path: Path) -> None:
    target = tmp_path / "plan.html"
    told = line.run("plan", str(folder), "--html", str(target), store=False)
    assert f"Written to {target}" in told.out
    text = target.read_text(encoding="utf-8")
    page = read_page(text)
    assert (page.open, page.loads) == ([], [])
    assert "url(" not in text
    assert "://" not in text
    for words in ("A draft", "alpha", "It starts on the first day", "proven best", "alpha-n0", "NIC firmware"):
        assert words in text


def test_the_page_escapes_what_files_say(line: Line, folder: Path, tmp_path: Path) -> None:
    campaign = folder / "campaign.yaml"
    campaign.write_text(campaign.read_text().replace("title: Small", 'title: "<script>alert(1)</script> & co"'))
    target = tmp_path / "plan.html"
    assert line.run("plan", str(folder), "--html", str(target), store=False).code == 0
    text = target.read_text()
    assert "&lt;script&gt;alert(1)&lt;/script&gt; &amp; co" in text
    assert read_page(text).loads == []


def test_equal_plans_give_equal_pages_and_calendars(line: Line, folder: Path, tmp_path: Path) -> None:
    for number in ("1", "2"):
        files = ("--html", str(tmp_path / f"{number}.html"), "--ics", str(tmp_path / f"{number}.ics"))
        assert line.run("plan", str(folder), *files, store=False).code == 0
    for kind in ("html", "ics"):
        assert (tmp_path / f"1.{kind}").read_bytes() == (tmp_path / f"2.{kind}").read_bytes()


def test_the_calendar_has_an_event_per_window_in_utc(line: Line, folder: Path, tmp_path: Path) -> None:
    target = tmp_path / "plan.ics"
    assert line.run("plan", str(folder), "--ics", str(target), store=False).code == 0
    (event,) = Calendar.from_ical(target.read_bytes()).walk("VEVENT")
    assert event["UID"] == "small.alpha.1@fermata"
    assert event.start == datetime(2026, 1, 3, 19, tzinfo=UTC)
    assert event.end > event.start
    assert event["SUMMARY"] == "alpha: 2 nodes out, whole"
    assert event.categories == ["whole"]
    assert "Updates: nic" in event["DESCRIPTION"]
    assert re.search(rb"DTSTART:20260103T190000Z\r\n", target.read_bytes())


def test_a_stored_campaign_has_its_page_and_calendar_too(line: Line, folder: Path, tmp_path: Path) -> None:
    assert line.run("import", "scenario", str(folder)).code == 0
    assert line.run("approve", "cluster", "alpha").code == 0
    files = ("--html", str(tmp_path / "p.html"), "--ics", str(tmp_path / "p.ics"))
    assert line.run("plan", "small", *files).code == 0
    assert "A draft" not in (tmp_path / "p.html").read_text()
    assert (tmp_path / "p.ics").read_bytes().startswith(b"BEGIN:VCALENDAR")


def test_a_plan_with_nothing_in_it_says_so_everywhere(line: Line, folder: Path, tmp_path: Path) -> None:
    assert line.run("import", "scenario", str(folder)).code == 0
    files = ("--html", str(tmp_path / "p.html"), "--ics", str(tmp_path / "p.ics"))
    told = line.run("plan", "small", *files)
    assert told.code == 0
    assert "NOTHING_TO_PLAN" in told.out
    assert "every node with work is left out" in told.out
    assert "Left out: 2 nodes (2 APPROVAL_MISSING)" in told.out
    text = (tmp_path / "p.html").read_text()
    assert "every node with work is left out" in text
    assert read_page(text).open == []
    assert Calendar.from_ical((tmp_path / "p.ics").read_bytes()).walk("VEVENT") == []


@pytest.mark.parametrize("option", ["--out", "--html", "--ics"])
def test_a_place_that_cannot_be_written_is_told_before_planning(line: Line, folder: Path, option: str) -> None:
    missing = line.run("plan", str(folder), option, str(folder / "no" / "file"), store=False)
    assert (missing.code, "does not exist" in missing.err) == (2, True)
    taken = line.run("plan", str(folder), option, str(folder), store=False)
    assert (taken.code, "is a folder" in taken.err) == (2, True)


def test_two_results_never_go_to_one_file(line: Line, folder: Path, tmp_path: Path) -> None:
    told = line.run("plan", str(folder), "--out", str(tmp_path / "x"), "--ics", str(tmp_path / "x"), store=False)
    assert told.code == 2
    assert not (tmp_path / "x").exists()
