"""`pause`, `resume`, `stop`, `abort` and `brake` on a store and over a server: what is said, shown and refused."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.cli.line import Line
from tests.cli.test_remote import served
from tests.simulation import stagehand

from fermata.formats.brake import brake_file


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Path]:
    stagehand.set_up(stagehand.fresh_sqlite(tmp_path), tmp_path)
    yield tmp_path / "store.sqlite"
    while stagehand.OPENED:
        stagehand.OPENED.pop().close()


@pytest.fixture(params=["store", "server"])
def place(request: pytest.FixtureRequest, store: Path) -> Iterator[tuple[str, str]]:
    """The options that name where to work."""
    if request.param == "store":
        yield "--store", str(store)
        return
    with served(store) as url:
        yield "--server", url


def ask(line: Line, *words: str) -> Any:
    answer = line.run(*words, "--json", store=False)
    assert answer.code == 0, answer.err
    return json.loads(answer.out)


def test_words_of_every_scope_are_shown_by_status_and_taken_back(line: Line, place: tuple[str, str]) -> None:
    for scope in (("--node", "c0-n001", "--node", "c0-n002"), ("--window", "win-c0"), ("--fleet",), ()):
        ask(line, "pause", *scope, "--reason", "smoke", "--as", "ann", *place)
    words = ask(line, "status", *place)["words"]
    assert [word["kind"] for word in words] == ["fleet", "run", "window", "node", "node"]
    assert {(word["desired"], word["actor"], word["why"]) for word in words} == {("pause", "ann", "smoke")}
    assert "node c0-n001 is paused since" in line.run("status", *place, store=False).out.replace("\n", " ").lower()
    for scope in (("--node", "c0-n001", "--node", "c0-n002"), ("--window", "win-c0"), ("--fleet",), ()):
        ask(line, "resume", *scope, "--reason", "over", *place)
    assert ask(line, "status", *place)["words"] == []


def test_abort_of_a_run_is_final_but_stop_may_follow(line: Line, place: tuple[str, str]) -> None:
    assert ask(line, "abort", "--reason", "bad firmware", *place)["run"]["desired"] == "abort"
    assert line.run("resume", "--reason", "no", *place, store=False).code == 1
    assert ask(line, "stop", "--reason", "finish the rest", *place)["run"]["desired"] == "stop"


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (("abort",), 1),
        (("pause", "--fleet"), 1),
        (("pause", "--node", "c0-n999", "--reason", "x"), 1),
        (("pause", "--window", "win-c9", "--reason", "x"), 1),
        (("pause", "--fleet", "--window", "win-c0", "--reason", "x"), 2),
        (("brake", "on"), 2),
        (("brake", "off", "--reason", "x"), 1),
    ],
)
def test_what_cannot_be_said_changes_nothing(
    line: Line, place: tuple[str, str], words: tuple[str, ...], code: int
) -> None:
    answer = line.run(*words, *place, store=False)
    assert answer.code == code, answer.err
    assert ask(line, "status", *place)["words"] == []


def test_brake_is_shown_everywhere_until_it_is_released(line: Line, place: tuple[str, str], store: Path) -> None:
    file = brake_file(f"sqlite:///{store}")
    assert ask(line, "brake", "show", *place)["on"] is False
    shown = ask(line, "brake", "on", "--reason", "smoke", "--as", "ann", *place)
    assert (shown["on"], shown["file"]["why"], shown["row"]["actor"]) == (True, "smoke", "ann")
    assert file.is_on()
    assert [word["kind"] for word in ask(line, "status", *place)["words"]] == ["brake"]
    assert "ann: smoke" in line.run("brake", "show", *place, store=False).out
    assert ask(line, "brake", "off", "--reason", "no fire", *place)["on"] is False
    assert not file.is_on()
    assert ask(line, "status", *place)["words"] == []


def test_brake_is_pulled_while_the_store_is_gone(line: Line, tmp_path: Path) -> None:
    (tmp_path / "broken.db").write_text("this is no database")
    store = str(tmp_path / "broken.db")
    answer = line.run("brake", "on", "--reason", "smoke", "--store", store, "--json", store=False)
    shown = json.loads(answer.out)
    assert shown["on"] is True
    assert shown["row"] is None
    assert shown["row_missing"]
    assert brake_file(f"sqlite:///{store}").is_on()


def test_while_the_store_is_gone_the_brake_tells_what_this_machine_knows_and_that_it_is_not_all(
    line: Line, tmp_path: Path
) -> None:
    (tmp_path / "broken.db").write_text("this is no database")
    place = ("--store", str(tmp_path / "broken.db"))
    unknown = line.run("brake", "show", *place, store=False)
    assert (unknown.code, "The brake is off on this machine." in unknown.out) == (1, True)
    assert json.loads(line.run("brake", "show", *place, "--json", store=False).out)["on"] is None
    pulled = line.run("brake", "on", "--reason", "smoke", *place, store=False)
    assert "The brake is on for this machine alone: nothing new begins here." in pulled.out
    assert "Pull it on every machine that conducts, or try again." in pulled.err
    assert json.loads(line.run("brake", "show", *place, "--json", store=False).out)["on"] is True
