"""`fermata plan --what-if`: a changed plan beside the plan of the files, prices, changes that fit nowhere."""

from contextlib import closing
from datetime import UTC, date, datetime
from pathlib import Path

import pytest
from tests.cli.line import Line
from tests.cli.test_plan import CLUSTERS, NODES, write_folder

from fermata.domain.ids import CampaignId
from fermata.formats.comparison import what_if_to_json
from fermata.services.what_if import WhatIf, ask_what_if
from fermata.store.database import Database


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Two clusters of two nodes, of which only one can be out at once."""
    made = write_folder(tmp_path / "two", nodes_out=3)
    other = CLUSTERS.splitlines()[1].replace("alpha", "beta").replace("sc-1", "sc-2")
    (made / "fleet" / "clusters.csv").write_text(f"{CLUSTERS}{other}\n")
    rows = [line.replace("alpha", "beta") for line in NODES.splitlines()[1:]]
    (made / "fleet" / "nodes.csv").write_text(NODES + "\n".join(rows) + "\n")
    campaign = made / "campaign.yaml"
    text = campaign.read_text().replace('back_in_service_by: "19:00"', 'back_in_service_by: "14:00"')
    campaign.write_text(text.replace("[finish_by_deadline, fewest_windows]", "[finish_by_deadline, {avoid: sunday}]"))
    policy = made / "policy.yaml"
    policy.write_text(
        policy.read_text().replace(
            "freezes: []",
            "freezes:\n  - {id: freeze-1, customer: lumen, scope: {cluster: alpha}, reason: run,"
            ' start: "2026-01-03T00:00:00Z", end: "2026-01-03T01:00:00Z"}',
        )
    )
    return made


def ask(line: Line, folder: Path, *changes: str) -> dict[str, object]:
    words = [word for change in changes for word in ("--what-if", change)]
    return dict(line.run("plan", str(folder), *words, "--json", store=False).json)


def test_a_higher_limit_is_told_term_by_term(line: Line, folder: Path) -> None:
    told = ask(line, folder, "limits[0].at_once=4")
    assert told["changes"] == ["limits[0].at_once=4"]
    comparison = told["comparison"]
    assert isinstance(comparison, dict)
    assert comparison["verdict"] == "better"
    assert comparison["terms"][1] == {"term": "avoid", "now": 1, "what_if": 0, "difference": -1}
    assert comparison["last_day"] == {"now": "2026-01-04", "what_if": "2026-01-03"}
    windows = comparison["windows"]
    assert windows["moved"]
    assert len(windows["moved"]) + windows["unchanged"] == 2


def test_two_columns_the_verdict_and_the_moves_stand_in_the_terminal(line: Line, folder: Path) -> None:
    told = line.run("plan", str(folder), "--what-if", "limits[0].at_once=4", store=False)
    assert told.code == 0
    for words in (
        "What if limits[0].at_once=4",
        "windows on Sunday",
        "−1",
        "Better, by the strongest",
        "What changes",
    ):
        assert words in told.out
    assert "Sat 2026-01-03" in told.out


@pytest.mark.parametrize(
    ("change", "verdict"),
    [
        ("deadline=2026-01-05", "better"),
        ("extension_until=2026-01-09", "equal"),
        ("daily_window.back_in_service_by=19:00", "better"),
        ("weekends=staffed", "equal"),
        ("rolling.max_fraction_per_day=0.5", "equal"),
        ("teams.nic=3", "equal"),
        ("freezes.freeze-1=none", "equal"),
        ("freezes.freeze-1.end=2026-01-03T20:00:00Z", "equal"),
        ("limits[0]=none", "better"),
        ("limits[1]={what: cluster_windows, at_once: 1}", "equal"),
        ("preferences=[fewest_windows]", "equal"),
    ],
)
def test_changes_are_written_in_the_words_of_the_files(line: Line, folder: Path, change: str, verdict: str) -> None:
    comparison = ask(line, folder, change)["comparison"]
    assert isinstance(comparison, dict)
    assert comparison["verdict"] == verdict


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ("limits", "write KEY=VALUE"),
        ("dedline=2026-01-20", "did you mean deadline?"),
        ("zzz=1", "known are"),
        ("limits[0.at_once=1", "no path to a value"),
        ("freezes=none", "names none of the freezes"),
        ("freezes.freeze-2.end=2026-01-03T20:00:00Z", 'Did you mean "freeze-1"?'),
        ("teams.nicc=1", 'Did you mean "nic"?'),
        ("limits[7].at_once=1", "a list of 1, counted from 0"),
        ("limits[0].at_onc=1", "at_once"),
        ("limits[0].at_once=many", "whole number"),
        ("title.x=1", "it has no"),
        ("deadline=none", "missing"),
        ("deadline=2025-01-01", "before the first day"),
        ("daily_window={start", "YAML"),
        ("price=limits[4]", "does not count nodes"),
    ],
)
def test_a_change_that_fits_nowhere_is_refused_with_what_would(
    line: Line, folder: Path, change: str, words: str
) -> None:
    told = line.run("plan", str(folder), "--what-if", change, store=False)
    assert told.code == 2
    assert words in " ".join(told.err.replace("│", " ").split())
    assert told.out == ""


def test_a_change_that_leaves_no_plan_says_what_clashes_and_exits_3(line: Line, folder: Path) -> None:
    told = line.run("plan", str(folder), "--what-if", "limits[0].at_once=1", store=False)
    assert told.code == 3
    assert "As the files are: 2 windows" in told.out
    assert "Raise limits[0] nodes_out from 1 to 2 at_once." in told.err
    as_json = line.run("plan", str(folder), "--what-if", "limits[0].at_once=1", "--json", store=False)
    assert (as_json.code, as_json.json["comparison"]) == (3, None)
    assert as_json.json["what_if"]["relaxations"]


def test_a_what_if_plan_is_never_written_but_as_a_page(line: Line, folder: Path, tmp_path: Path) -> None:
    for option in ("--out", "--ics"):
        told = line.run(
            "plan", str(folder), "--what-if", "limits[0].at_once=4", option, str(tmp_path / "x"), store=False
        )
        assert (told.code, (tmp_path / "x").exists()) == (2, False)
    page = tmp_path / "p.html"
    told = line.run("plan", str(folder), "--what-if", "limits[0].at_once=4", "--html", str(page), store=False)
    assert told.code == 0
    text = page.read_text()
    assert "What if: limits[0].at_once=4" in text
    assert "Now and what if" in text
    assert line.run("plan", "small", "--what-if", "limits[0].at_once=4").code == 2


def test_the_price_of_a_limit_is_what_more_room_buys(line: Line, folder: Path) -> None:
    prices = ask(line, folder, "price")["prices"]
    assert isinstance(prices, list)
    assert [(price["extra"], price["worth"]) for price in prices] == [(1, "buys")]
    told = line.run("plan", str(folder), "--what-if", "price=limits[0]", store=False)
    assert "avoid 1 → 0" in told.out


@pytest.mark.parametrize(
    ("nodes_out", "worth", "words"), [(10, "slack", "the limit never fills"), (2, "nothing", "which is proven")]
)
def test_room_that_buys_nothing_is_proven_worthless(
    line: Line, tmp_path: Path, nodes_out: int, worth: str, words: str
) -> None:
    small = write_folder(tmp_path / "one", nodes_out=nodes_out)
    if worth == "nothing":
        campaign = small / "campaign.yaml"
        campaign.write_text(campaign.read_text().replace("fraction: 0.0", "fraction: 0.5"))
    prices = ask(line, small, "price")["prices"]
    assert isinstance(prices, list)
    assert {price["worth"] for price in prices} == {worth}
    assert words in line.run("plan", str(small), "--what-if", "price", store=False).out


def test_a_store_answers_what_the_files_do(line: Line, folder: Path) -> None:
    """The page of a campaign asks the store; both ways end in the same numbers."""
    asked = ("limits[0].at_once=4", "extension_until=2026-01-06", "deadline=2026-01-06", "weekends=never")
    of_files = ask(line, folder, *asked)
    assert line.run("import", "scenario", str(folder)).code == 0
    for name in ("sc-1", "sc-2"):
        assert line.run("approve", "supercomputer", name).code == 0
    wanted = WhatIf(nodes_out=4, deadline=date(2026, 1, 6), weekends=False)
    with closing(Database(f"sqlite:///{line.store}")) as db:
        answer = ask_what_if(db, CampaignId("small"), wanted, now=datetime(2026, 1, 2, 20, tzinfo=UTC))
    assert answer.changes == asked
    told = what_if_to_json(answer.changes, answer.now, answer.then, answer.comparison, ())
    for side in ("now", "what_if"):
        assert told[side].pop("plan")
        of_files[side].pop("plan")  # type: ignore[attr-defined]  # ids of plans are minted or derived
    assert told == of_files
