"""Pages that stand alone: what `simulate --html` and `why --html` write, and what a what-if's page names."""

import json
import re
from collections.abc import Sequence
from html.parser import HTMLParser
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest
from tests.cli.line import Line
from tests.cli.test_plan import write_folder

from fermata.domain.ids import ClusterId, WindowId
from fermata.planning.risk.figures import WindowRisk
from fermata.server.web.simulation_page import HEIGHT, draw_histogram, say_chance, say_figure


@pytest.fixture
def planned(line: Line, tmp_path: Path) -> tuple[Line, Path, Path]:
    """A line, the folder, and the plan made from it: two nodes of one cluster in one window."""
    folder = write_folder(tmp_path / "small", nodes_out=10)
    plan = tmp_path / "plan.json"
    assert line.run("plan", str(folder), "--out", str(plan), store=False).code == 0
    return line, folder, plan


class Reader(HTMLParser):
    """The text of a page, and what it would load or run."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.words: list[str] = []
        self.foreign: list[str] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: Sequence[tuple[str, str | None]]) -> None:
        named = dict(attrs)
        if tag in {"script", "link", "img", "iframe"} or not (named.get("href") or "#").startswith("#"):
            self.foreign.append(tag)

    def handle_data(self, data: str) -> None:
        self.words.append(data)

    @property
    def text(self) -> str:
        return " ".join(" ".join(self.words).split())


def page_of(path: Path) -> Reader:
    page = path.read_text(encoding="utf-8")
    read = Reader(page)
    assert read.foreign == []
    assert "None" not in read.text
    return read


def test_page_of_a_simulation_tells_what_the_json_does(planned: tuple[Line, Path, Path], tmp_path: Path) -> None:
    line, folder, plan = planned
    file = tmp_path / "risk.html"
    asked = ("simulate", str(plan), "--scenario", str(folder), "--runs", "40", "--gate", "--html", str(file))
    told = line.run(*asked, "--json", store=False).json
    page = page_of(file)
    assert told["plan"] in page.text
    assert "played 40 times with seed 1" in page.text
    assert "Limits held at run time: windows wait" in page.text
    for limit in told["modes"][0]["limits"]:
        assert limit["limit"] in page.text
    (window,) = told["modes"][0]["windows"]
    assert window["window"] in page.text
    drawing = re.search(r"<svg.*?</svg>", file.read_text(), re.DOTALL)
    assert drawing is not None
    ET.fromstring(drawing[0])  # well formed: a browser shows no half of it
    assert "Written to" in line.run(*asked, store=False).out


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("alpha", "alpha may not be rolled"),
        ("alpha-n0", "it assumes that lumen approves"),
        ("WINDOW", "it starts on the first day of the campaign that is left"),
    ],
)
def test_page_of_an_answer_tells_what_the_terminal_does(
    planned: tuple[Line, Path, Path], tmp_path: Path, name: str, told: str
) -> None:
    line, folder, plan = planned
    asked = json.loads(plan.read_text())["windows"][0]["id"] if name == "WINDOW" else name
    file = tmp_path / "why.html"
    files = ("--plan", str(plan), "--scenario", str(folder), "--html", str(file))
    assert line.run("why", asked, *files, store=False).code == 0
    page = page_of(file)
    assert told in page.text
    assert asked in page.text


def test_page_of_a_what_if_names_the_windows_that_change(planned: tuple[Line, Path, Path], tmp_path: Path) -> None:
    line, folder, _ = planned
    file = tmp_path / "then.html"
    asked = ("--what-if", "first_day=2026-01-04", "--html", str(file))
    assert line.run("plan", str(folder), *asked, store=False).code == 0
    assert "What changes, window by window" in page_of(file).text
    assert "may end late" in page_of(file).text


@pytest.mark.parametrize("verb", [("simulate",), ("why", "alpha", "--plan")])
def test_page_that_cannot_be_written_is_told_before_the_work(
    planned: tuple[Line, Path, Path], tmp_path: Path, verb: tuple[str, ...]
) -> None:
    line, folder, plan = planned
    nowhere = str(tmp_path / "nowhere" / "page.html")
    refused = line.run(*verb, str(plan), "--scenario", str(folder), "--html", nowhere, store=False)
    assert (refused.code, refused.out) == (2, "")


def window(late: float, promised: float) -> WindowRisk:
    return WindowRisk(
        window=WindowId("w"), cluster=ClusterId("c"), promised=promised, late=late, late_minutes_p90=0, missed=0.0
    )


def test_histogram_counts_every_window_once_and_the_fullest_bar_is_the_highest() -> None:
    windows = [window(0.0, 1.0), window(0.1, 0.9), window(0.12, 0.55), window(1.0, 0.0)]
    bins = draw_histogram(windows)
    assert [found.played.windows for found in bins] == [1, 2, 0, 0, 0, 0, 0, 0, 0, 1]
    assert [found.promised.windows for found in bins] == [1, 1, 0, 0, 1, 0, 0, 0, 0, 1]
    assert bins[1].played.height == HEIGHT
    assert bins[1].played.top == 0
    assert draw_histogram([])[0].played.height == 0


@pytest.mark.parametrize(
    ("share", "said"),
    [(0.0, "0 %"), (0.004, "under 1 %"), (0.01, "1 %"), (0.38, "38 %"), (0.996, "over 99 %"), (1.0, "100 %")],
)
def test_chance_never_claims_always_or_never_of_what_is_neither(share: float, said: str) -> None:
    assert say_chance(share) == said


@pytest.mark.parametrize(
    ("value", "said"), [(0.0, "0"), (0.03, "under 0.1"), (0.7, "0.7"), (2.0, "2"), (52.4, "52"), (1234.5, "1,234")]
)
def test_small_figures_keep_a_decimal_and_are_never_called_nothing(value: float, said: str) -> None:
    assert say_figure(value) == said
