"""`fermata standing`: from files and from a store, told to people and machines, with outages that were told before."""

from pathlib import Path

from tests.cli.line import Line

NOW = ("--now", "2026-01-02T20:00:00Z")


def test_the_table_names_day_nodes_and_what_forces_each_outage(line: Line) -> None:
    said = line.run("standing", str(line.small.folder), *NOW, store=False)
    assert said.code == 0, said.err
    assert "in place of" in said.out
    assert "proven fewest" in said.out
    assert "because of" in said.out


def test_files_and_store_give_the_same_plan(imported: Line) -> None:
    files = imported.run("standing", str(imported.small.folder), *NOW, "--json", store=False).json
    assert files == imported.run("standing", *NOW, "--json").json
    assert files["schema"] == "fermata.standing/1"
    assert files["totals"]["node_outages"] <= files["totals"]["one_per_update"]["node_outages"]


def test_outages_that_were_told_stay_when_planned_again(line: Line, tmp_path: Path) -> None:
    folder, file = str(line.small.folder), tmp_path / "standing.json"
    first = line.run("standing", folder, *NOW, "--out", str(file), "--json", store=False).json
    again = line.run(
        "standing", folder, *NOW, "--previous", str(file), "--notice-days", "365", "--json", store=False
    ).json
    assert again["supercomputers"] == first["supercomputers"]


def test_a_file_that_is_no_standing_plan_is_refused_with_its_place(line: Line, tmp_path: Path) -> None:
    file = tmp_path / "other.json"
    file.write_text('{"schema": "fermata.plan/1"}')
    said = line.run("standing", str(line.small.folder), "--previous", str(file), store=False)
    assert said.code == 2
    assert "fermata.standing/1" in said.err


def test_a_folder_that_is_none_and_an_empty_store_are_told(line: Line, tmp_path: Path) -> None:
    assert line.run("standing", str(tmp_path / "nowhere"), store=False).code == 2
    said = line.run("standing")
    assert said.code == 1
    assert "NOT_IMPORTED" in said.err


def test_a_cluster_with_nothing_pending_is_named(line: Line) -> None:
    said = line.run("standing", str(line.small.folder), *NOW, "--cluster", "gamma", store=False)
    assert said.code == 1
    assert "cluster gamma" in said.err


def test_no_outage_lies_before_the_first_day_that_is_told(line: Line) -> None:
    """Soon after midnight UTC it is still the day before in America, where a cluster's first day is one sooner."""
    told = line.run("standing", str(line.small.folder), "--now", "2026-01-03T01:00:00Z", "--json", store=False).json
    clusters = [cluster for sc in told["supercomputers"] for cluster in sc["clusters"]]
    days = [outage["day"] for cluster in clusters for outage in cluster["outages"]]
    assert told["first_day"] == min(days) == "2026-01-03"
