"""`fermata inventory`: on a store and over a server, in tables and as JSON."""

from pathlib import Path

import pytest
from tests.cli.line import Answer, Line
from tests.cli.test_remote import Twins, twins

__all__ = ["twins"]
FOLDER = Path(__file__).parents[1] / "golden" / "inventory"
MONDAY, WEDNESDAY, THURSDAY = (str(FOLDER / f"{day}.yaml") for day in ("monday", "wednesday", "thursday"))
JSON = "--json"


def sync(line: Line, settings: str, *words: str) -> Answer:
    return line.run("inventory", "sync", "--sources", settings, "--as", "dana", *words)


@pytest.fixture
def held(twins: Twins) -> Twins:
    """Two stores alike: the same source synced, and the same loss held."""
    for settings in (MONDAY, WEDNESDAY):
        sync(twins.line, settings)
        there = ("--store", str(twins.line.store.with_name("served.db")))
        twins.line.run("inventory", "sync", "--sources", settings, "--as", "dana", *there, store=False)
    return twins


def ids(twins: Twins) -> tuple[str, str]:
    here, there = (ask("inventory", "held", JSON).json["holds"] for ask in (twins.here, twins.there))
    return here[0]["id"], there[0]["id"]


def test_a_server_tells_of_sources_and_holds_what_a_store_tells(held: Twins) -> None:
    for words in (("sources",), ("sources", JSON), ("held",), ("held", JSON), ("held", "--all", JSON)):
        told = held.agree("inventory", *words)
        assert told.code == 0
    (line,) = held.there("inventory", "sources", JSON).json["sources"]
    assert (line["id"], line["configured"], line["nodes"], line["hold"]) == ("datacenter", False, 24, ids(held)[1])


def test_a_server_accepts_as_a_store_does(held: Twins) -> None:
    said = ("--why", "sold", "--as", "kim", JSON)
    here, there = (
        ask("inventory", "accept", hold, *said) for ask, hold in zip((held.here, held.there), ids(held), strict=True)
    )
    assert (here.code, there.code) == (0, 0)
    assert {**here.json, "hold": None} == {**there.json, "hold": None, "observed_at": here.json["observed_at"]}
    assert there.json["counts"]["node"]["gone"] == 16
    assert held.agree("inventory", "held").out == "Nothing waits for a person.\n"
    assert held.agree("inventory", "held", "--all").out.count("accepted by kim") == 1


def test_a_server_drops_as_a_store_does(held: Twins) -> None:
    for ask, hold in zip((held.here, held.there), ids(held), strict=True):
        assert "the fleet stays as it is" in ask("inventory", "drop", hold, "--why", "no", "--as", "kim").out
        again = ask("inventory", "drop", hold, "--why", "no", JSON)
        assert (again.code, again.json["error"]["code"]) == (1, "HOLD_DECIDED")


def test_a_source_is_forgotten_over_a_server(held: Twins) -> None:
    assert held.agree("inventory", "forget", "datacenter", "--why", "gone", JSON).json["nodes"] == 24
    assert "forgotten" not in held.agree("inventory", "sources").out


@pytest.mark.parametrize(
    ("words", "code", "error"),
    [
        (("sync", "nobody"), 1, "SOURCE_UNKNOWN"),
        (("diff", "nobody"), 1, "SOURCE_UNKNOWN"),
        (("held", "hold_x"), 1, "HOLD_UNKNOWN"),
        (("accept", "hold_x", "--why", "y"), 1, "HOLD_UNKNOWN"),
        (("accept", "hold_x"), 2, "USAGE"),
        (("forget", "nobody"), 1, "SOURCE_UNKNOWN"),
    ],
)
def test_what_cannot_be_done_is_refused_alike(twins: Twins, words: tuple[str, ...], code: int, error: str) -> None:
    told = twins.agree("inventory", *words, JSON)
    assert (told.code, told.json["error"]["code"]) == (code, error)


def test_json_names_every_change_and_the_code_says_held_or_failed(line: Line) -> None:
    (first,) = sync(line, MONDAY, JSON).json["synced"]
    assert (first["outcome"], len(first["changes"])) == ("applied", 26)
    lost = sync(line, WEDNESDAY, JSON)
    assert (lost.code, lost.json["synced"][0]["reasons"][0]["code"]) == (1, "INVENTORY_LOSS")
    failed = sync(line, THURSDAY, JSON)
    assert (failed.code, failed.json["synced"][0]["outcome"]) == (1, "failed")
    diff = line.run("inventory", "diff", "datacenter", "--sources", MONDAY, JSON)
    assert (diff.code, diff.json["outcome"]) == (0, "unchanged")


def test_without_settings_nobody_is_asked(line: Line) -> None:
    assert "no source of inventory stands in the settings" in line.run("inventory", "sync", "--as", "dana").out
    assert "docs/inventory.md" in line.run("inventory", "sources").out


def test_settings_with_faults_are_refused_with_their_places(line: Line, tmp_path: Path) -> None:
    wrong = tmp_path / "sources.yaml"
    wrong.write_text("sources:\n- {id: a, kind: slrm}\n")
    told = sync(line, str(wrong))
    assert (told.code, "sources.yaml:2:" in told.err) == (2, True)


def test_a_simulated_fleet_has_no_sources(line: Line, tmp_path: Path) -> None:
    told = line.run("serve", "--simulate", str(tmp_path / "log"), "--sources", MONDAY, JSON)
    assert (told.code, told.json["error"]["code"]) == (2, "USAGE")
