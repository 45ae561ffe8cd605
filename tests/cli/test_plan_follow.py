"""`fermata plan --parent` and `fermata check --parent` on a small folder: what is told, written and refused."""

import json
from pathlib import Path

import pytest
from tests.cli.test_plan import CAMPAIGN, run, write_folder

from fermata.cli import output
from fermata.formats.plans import read_plan

AS_OF = "2026-01-04T05:00:00Z"  # after the first window


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return write_folder(tmp_path / "small", nodes_out=10)


@pytest.fixture
def parent(folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Path:
    assert run("plan", folder, "--out", tmp_path / "plan.json") == 0
    capsys.readouterr()
    return tmp_path / "plan.json"


def observe(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "observed.yaml"
    path.write_text(text)
    return path


MISSED = "windows:\n  - {window: alpha-20260103, state: missed}\n"


def test_what_moves_is_told_with_what_it_was_and_why(
    folder: Path, parent: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    observed = observe(tmp_path, MISSED)
    child = tmp_path / "child.json"
    code = run("plan", folder, "--parent", parent, "--as-of", AS_OF, "--observed", observed, "--out", child)
    told = capsys.readouterr().out
    assert code == 0
    assert f"Follows {read_plan(parent).id}: 0 windows ran, 0 windows kept as told" in told
    assert "Sat 03 Jan 11:00 to" in told
    assert "Mon 05 Jan 11:00 to" in told
    assert "DID_NOT_RUN: alpha-20260103 was missed" in told
    assert read_plan(child).parent == read_plan(parent).id
    files = ("--scenario", folder, "--parent", parent, "--observed", observed)
    assert run("check", child, *files) == 0
    assert run("simulate", child, *files, "--runs", "20") == 0
    assert run("why", "alpha", "--plan", child, *files) == 0
    for verb in (("simulate", child), ("why", "alpha", "--plan", child)):
        assert run(*verb, "--scenario", folder) == 2
        assert "say with --parent which file that is" in capsys.readouterr().err


def test_json_holds_the_plan_and_every_change(
    folder: Path, parent: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    observed = observe(tmp_path, MISSED)
    assert run("plan", folder, "--parent", parent, "--as-of", AS_OF, "--observed", observed, "--json") == 0
    text = capsys.readouterr().out
    diff = json.loads(text)["diff"]
    assert (diff["ran"], diff["kept"], len(diff["changes"])) == ([], [], 1)
    change = diff["changes"][0]
    assert (change["change"], change["code"]) == ("moved", "DID_NOT_RUN")
    assert [window["window"] for window in (*change["was"], *change["now"])] == ["alpha-20260103", "alpha-20260105"]
    (tmp_path / "told.json").write_text(text)
    assert read_plan(tmp_path / "told.json").windows[0].id == "alpha-20260105"


def test_when_all_ran_as_planned_nothing_moves(
    folder: Path, parent: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    observed = observe(tmp_path, "as_planned: true\n")
    assert run("plan", folder, "--parent", parent, "--as-of", AS_OF, "--observed", observed) == 0
    assert "1 window ran, 0 windows kept as told\nNothing moved." in capsys.readouterr().out


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (["--as-of", AS_OF], "name that plan with --parent"),
        (["--observed", "observed.yaml"], "name that plan with --parent"),
        (["--parent", "PARENT", "--as-of", AS_OF, "--now", AS_OF], "--as-of and --now say the same"),
        (["--parent", "nowhere.json", "--as-of", AS_OF], "The file does not exist."),
    ],
)
def test_options_that_do_not_fit_are_refused_and_nothing_is_written(
    folder: Path, parent: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], options: list[str], told: str
) -> None:
    given = [str(parent) if option == "PARENT" else option for option in options]
    assert run("plan", folder, *given, "--out", tmp_path / "child.json") == 2
    assert told in " ".join(capsys.readouterr().err.replace("│", " ").split())
    assert not (tmp_path / "child.json").exists()


@pytest.mark.parametrize(
    ("as_of", "code", "told"),
    [
        (AS_OF, "RAN_UNOBSERVED", "nothing says what became of them, alpha-20260103 first"),
        ("2026-01-01T00:00:00Z", "PARENT_LATER", "plan as of a time after that"),
    ],
)
def test_a_parent_that_cannot_be_followed_is_refused_with_its_reason(
    folder: Path, parent: Path, capsys: pytest.CaptureFixture[str], as_of: str, code: str, told: str
) -> None:
    child = parent.with_name("child.json")
    assert run("plan", folder, "--parent", parent, "--as-of", as_of, "--out", child, "--json") == 1
    error = json.loads(capsys.readouterr().out)["error"]
    assert (error["code"], error["exit_code"]) == (code, 1)
    assert told in error["sentence"]
    assert not child.exists()


def test_a_parent_of_another_campaign_or_fleet_is_refused(
    folder: Path, parent: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (folder / "campaign.yaml").write_text(CAMPAIGN.replace("id: small", "id: other").replace("NODES_OUT", "10"))
    assert run("plan", folder, "--parent", parent, "--as-of", AS_OF) == 1
    assert "is a plan of campaign small, not of other" in capsys.readouterr().err
    other = write_folder(tmp_path / "elsewhere", nodes_out=10)
    nodes = other / "fleet" / "nodes.csv"
    nodes.write_text(nodes.read_text().replace("alpha-n", "beta-n"))
    assert run("plan", other, "--parent", parent, "--as-of", AS_OF) == 1
    assert "knows 0 of its 2 nodes" in capsys.readouterr().err


def test_observations_of_the_future_are_refused_with_their_line(
    folder: Path, parent: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    late = 'windows:\n  - {window: alpha-20260103, state: done, ended_at: "2026-01-04T06:00:00Z"}\n'
    observed = observe(tmp_path, late)
    assert run("plan", folder, "--parent", parent, "--as-of", AS_OF, "--observed", observed) == 2
    assert f"{observed}:2:" in capsys.readouterr().err


def test_a_re_plan_is_checked_with_the_plan_that_it_follows(
    folder: Path, parent: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    observed = observe(tmp_path, "as_planned: true\n")
    child = tmp_path / "child.json"
    assert run("plan", folder, "--parent", parent, "--as-of", AS_OF, "--observed", observed, "--out", child) == 0
    assert run("check", child, "--scenario", folder) == 2
    assert "say with --parent which file that is" in " ".join(capsys.readouterr().err.split())
    assert run("check", parent, "--scenario", folder, "--parent", child) == 2
    assert run("check", child, "--scenario", folder, "--parent", child) == 2
    assert run("check", child, "--scenario", folder, "--parent", parent, "--observed", observed) == 0


def test_a_store_takes_no_parent_file(parent: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    store = f"sqlite:///{tmp_path / 'store.db'}"
    assert run("plan", "small", "--parent", parent, "--store", store) == 2
    assert "a store knows the plan in force" in " ".join(capsys.readouterr().err.split())


@pytest.mark.parametrize("seen", ["as_planned: true\n", MISSED])
def test_a_re_plan_is_explained_and_simulated_with_the_plan_that_it_follows(
    folder: Path, parent: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], seen: str
) -> None:
    observed, child = observe(tmp_path, seen), tmp_path / "child.json"
    assert run("plan", folder, "--parent", parent, "--as-of", AS_OF, "--observed", observed, "--out", child) == 0
    window = read_plan(child).windows[0]
    followed = ("--scenario", folder, "--parent", parent, "--observed", observed)
    for name in (window.id, "alpha", "alpha-n0"):
        capsys.readouterr()
        assert run("why", name, "--plan", child, *followed) == 0
        told = capsys.readouterr().out
        assert f"{window.start:%H:%MZ}" in told or output.local(window.start, "America/Los_Angeles") in told
    assert run("simulate", child, *followed, "--runs", "10") == 0
    assert run("why", "alpha", "--plan", child, "--scenario", folder) == 2
    assert "say with --parent which file that is" in " ".join(capsys.readouterr().err.split())
    assert run("why", "alpha", "--parent", parent) == 2
    assert run("simulate", "plan_1", "--parent", parent) == 2
