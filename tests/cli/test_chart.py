"""`fermata chart`: every chart as a picture that is what it says, small enough for a phone, without a browser."""

import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest
from PIL import Image
from tests.cli.line import Line
from tests.cli.test_watch import db
from tests.services.test_report import troubled

from fermata.cli import chart_draw
from fermata.cli.chart import CHARTS, OF_CAMPAIGN, OF_REPORT
from fermata.domain.report import Report
from fermata.store import inventory, plans
from fermata.store.database import Database

__all__ = ["db", "troubled"]
OF_BOARD = [name for name in CHARTS if name not in OF_REPORT | OF_CAMPAIGN]


def text_of(svg: Path) -> str:
    """What is written in it."""
    return " ".join("".join(element.itertext()) for element in ET.parse(svg).iter() if element.tag.endswith("text"))


@pytest.fixture(autouse=True)
def written_as_text(monkeypatch: pytest.MonkeyPatch) -> None:
    """Letters of an SVG are outlines otherwise, which no test can read."""
    import matplotlib as mpl

    monkeypatch.setitem(mpl.rcParams, "svg.fonttype", "none")


@pytest.mark.parametrize("name", OF_BOARD)
def test_a_chart_of_the_board_has_title_units_and_zone(line: Line, db: Database, tmp_path: Path, name: str) -> None:
    svg = tmp_path / f"{name}.svg"
    assert line.run("chart", name, "--out", str(svg), "--json").json["files"] == [str(svg)]
    told = text_of(svg)
    assert "January repave: " in told
    assert "as of Wed 7 Jan 14:40 PST" in told
    assert "America/Los_Angeles" in told or name == "tail", "the tail has no time on its axes"
    assert {
        "out": "nodes out",
        "share": "share of the baseline",
        "today": "time of day",
        "calendar": "day,",
        "tail": "nodes",
    }[name] in told
    assert {
        "out": "limit 80",
        "share": "480 nodes",
        "today": "promised back",
        "calendar": "24 windows",
        "tail": "15 nodes",
    }[name] in told


@pytest.mark.parametrize(
    ("name", "shows"),
    [
        ("progress", ("nodes back", "planned", "deadline", "America/Los_Angeles")),
        ("windows", ("24 windows, planned above actual", "ran in time", "America/Los_Angeles")),
        ("limits", ("nodes out at once", "80 allowed", "7 Jan")),
    ],
)
def test_a_chart_of_the_campaign_has_title_units_and_zone(
    line: Line, db: Database, tmp_path: Path, name: str, shows: tuple[str, ...]
) -> None:
    with db.begin() as conn:
        plans.save_snapshot(conn, "f", inventory.load_fleet(conn))
    svg = tmp_path / f"{name}.svg"
    assert line.run("chart", name, "--out", str(svg), "--json").json["files"] == [str(svg)]
    told = text_of(svg)
    assert "January repave: " in told
    assert "as of Wed 7 Jan 14:40 PST" in told
    assert [one for one in shows if one not in told] == []


def test_a_chart_of_the_campaign_is_drawn_where_the_store_is(line: Line) -> None:
    told = line.run("chart", "limits", "--server", "http://127.0.0.1:9", store=False)
    assert (told.code, "--store" in told.err) == (2, True)


def test_an_unknown_campaign_and_an_empty_store_are_refused(line: Line, db: Database, tmp_path: Path) -> None:
    unknown = line.run("chart", "limits", "--campaign", "febuary")
    assert (unknown.code, "CAMPAIGN_UNKNOWN" in unknown.err) == (1, True)
    empty = line.run("chart", "limits", "--store", str(tmp_path / "empty.db"), store=False)
    assert (empty.code, "NOT_IMPORTED" in empty.err) == (1, True)


@pytest.mark.parametrize("name", sorted(OF_REPORT))
def test_a_chart_of_the_report_has_title_units_and_zone(troubled: Report, tmp_path: Path, name: str) -> None:
    chart_draw.draw_report(name, troubled, tmp_path / "made.svg", "phone")
    told = text_of(tmp_path / "made.svg")
    assert troubled.title in told
    assert {"capacity": "node-hours out", "late": "minutes after the planned end"}[name] in told


def test_a_picture_is_as_wide_as_a_phone_shows_and_has_something_on_it(
    line: Line, db: Database, tmp_path: Path
) -> None:
    for size, width in (("phone", 1080), ("desk", 1800)):
        png = tmp_path / f"{size}.png"
        assert line.run("chart", "out", "--out", str(png), "--size", size).code == 0
        with Image.open(png) as picture:
            assert picture.width == width
            assert len(picture.convert("RGB").getcolors(1_000_000) or ()) > 20
    assert line.run("chart", "today", "--out", str(tmp_path / "a.pdf")).code == 0
    assert (tmp_path / "a.pdf").read_bytes().startswith(b"%PDF")


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("mood",), "there are out, share"),
        (("out", "--out", "a.gif"), "should end with .png"),
        (("out", "--size", "wall"), "neither phone nor desk"),
    ],
)
def test_what_cannot_be_drawn_is_refused(line: Line, db: Database, words: tuple[str, ...], said: str) -> None:
    answer = line.run("chart", *words, "--json")
    assert answer.code == 2
    assert said in answer.json["error"]["sentence"]


def test_without_the_extra_it_says_what_to_install(line: Line, db: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "fermata.cli.chart_draw", None)
    monkeypatch.delattr("fermata.cli.chart_draw", raising=False)
    answer = line.run("chart", "out", "--json")
    assert answer.code == 2
    assert "fermata[charts]" in answer.json["error"]["sentence"]


def test_which_charts_there_are_is_told_without_drawing_any() -> None:
    listed = "main(['chart', '--list'])"
    code = f"""import sys; from fermata.cli.main import main
try: {listed}
finally: assert 'matplotlib' not in sys.modules"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert all(name in done.stdout for name in CHARTS)
