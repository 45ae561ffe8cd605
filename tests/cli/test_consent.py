"""`fermata approve`, `withdraw` and `freeze`, as they are typed."""

import pytest
from tests.cli.line import Line


def test_an_approval_names_who_spoke_and_what_it_covers(imported: Line) -> None:
    done = imported.run("approve", "cluster", "alpha")
    assert "cluster alpha: approved by lumen-capacity, 3 nodes, req_sc-1_deployment incarnation 1" in done.out
    again = imported.run("approve", "cluster", "alpha", "--json").json
    assert again["orders"][0]["already"]
    (view,) = imported.run("requests", "--cluster", "alpha", "--json").json["requests"]
    assert view["coverage"][0]["covered"] == 3


def test_of_several_names_the_good_ones_are_approved_and_the_others_told(imported: Line) -> None:
    told = imported.run("approve", "node", "alpha-n0", "alpha-n9", "--json")
    assert told.code == 1
    good, wrong = told.json["orders"]
    assert (good["state"], good["refused"]) == ("recorded", None)
    assert (wrong["state"], wrong["refused"]["code"], wrong["id"]) == ("refused", "SCOPE_UNKNOWN", None)
    again = imported.run("approve", "node", "alpha-n0", "alpha-n9")
    assert (again.code, "2 in all: 0 recorded, 1 stood so already, 1 refused" in again.out) == (1, True)
    assert "node alpha-n9: refused. SCOPE_UNKNOWN" in again.err


def test_with_atomic_one_wrong_name_is_enough_for_nothing_to_be_recorded(imported: Line) -> None:
    refused = imported.run("approve", "node", "alpha-n0", "alpha-n9", "--atomic", "--json")
    assert (refused.code, refused.json["error"]["code"]) == (1, "SCOPE_UNKNOWN")
    assert not imported.run("approve", "node", "alpha-n0", "--json").json["orders"][0]["already"]


def test_conditions_of_the_command_line_are_on_record(imported: Line) -> None:
    words = ["--not-before", "2099-01-02", "--not-after", "2099-02-01T12:00:00+01:00", "--nodes-per-day", "2"]
    words += ["--with-update", "nic-28.43", "--with-scope", "rack:alpha-r1", "--without", "host-os-2026.1"]
    (said,) = imported.run("approve", "rack", "alpha-r0", *words, "--json").json["orders"]
    assert (said["not_before"], said["not_after"]) == ("2099-01-02T00:00:00Z", "2099-02-01T11:00:00Z")
    assert (said["nodes_per_day"], said["with_updates"], said["with_scope"]) == (2, ["nic-28.43"], "rack alpha-r1")
    assert (said["excluded"], said["is_part"]) == (["host-os-2026.1"], False)


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (["approve", "cluster", "alpha", "--not-before", "2099-01-01T10:00:00"], 2),
        (["approve", "cluster", "alpha", "--with-scope", "alpha-r1"], 2),
        (["approve", "cluster", "alpha", "--with-scope", "galaxy:alpha-r1"], 2),
        (["approve", "cluster", "alpha", "--nodes-per-day", "0"], 2),
        (["decline", "cluster", "alpha", "--why", "launch"], 1),
        (["decline", "cluster", "alpha", "--until", "2099-01-01", "--then", "proceed"], 1),
        (["offer", "add", "cluster", "alpha"], 1),
        (["offer", "accept", "apr_none", "--as", "operator"], 1),
        (["freeze", "add", "group", "alpha-r0-tor", "--from", "2099-01-01", "--to", "2099-01-02", "--reason", "x"], 1),
    ],
)
def test_what_cannot_be_meant_is_refused(imported: Line, words: list[str], code: int) -> None:
    assert imported.run(*words).code == code


def test_a_decline_says_until_when_and_what_follows(imported: Line) -> None:
    words = ["--until", "2099-01-01", "--then", "escalate", "--why", "a launch"]
    told = imported.run("decline", "cluster", "alpha", *words)
    assert "cluster alpha: declined by lumen-capacity" in told.out
    assert "until 2099-01-01 00:00Z, then it is escalated" in told.out
    assert "already declined" in imported.run("decline", "cluster", "alpha", *words).out


def test_a_bulk_file_may_hold_conditions(imported: Line) -> None:
    text = """\
approvals:
  - {verdict: approve, scope: {group: alpha-r0-tor}, actor: lumen-capacity, conditions: {nodes_per_day: 1}}
  - {verdict: approve, scope: {node: alpha-n2}, actor: lumen-capacity, only: [nic-28.43]}
"""
    file = imported.small.write("bulk.yaml", text)
    first, second = imported.run("approve", "--from", str(file), "--json").json["orders"]
    assert (first["level"], first["nodes_per_day"]) == ("group", 1)
    assert (second["is_part"], second["updates"]) == (True, ["nic-28.43"])
    assert imported.run("approve", "--from", str(file), "--nodes-per-day", "2").code == 2


def test_a_bulk_file_is_carried_out_in_one_go(imported: Line) -> None:
    rows = [f"approve,node,alpha-n{i},lumen-capacity" for i in range(3)]
    file = imported.small.write("bulk.csv", "verdict,level,name,actor\n" + "\n".join(rows) + "\n")
    done = imported.run("approve", "--from", str(file), "--json").json
    assert [order["verdict"] for order in done["orders"]] == ["approved"] * 3
    mixed = imported.small.write("mixed.csv", "verdict,level,name,actor\nwithdraw,node,alpha-n0,lumen-capacity\n")
    assert imported.run("approve", "--from", str(mixed)).code == 2
    assert imported.run("withdraw", "--from", str(mixed), "--why", "launch").code == 0


@pytest.mark.parametrize("words", [[], ["cluster"], ["cluster", "alpha", "--from", "policy.yaml"]])
def test_half_an_order_is_a_usage_error(imported: Line, monkeypatch: pytest.MonkeyPatch, words: list[str]) -> None:
    monkeypatch.chdir(imported.small.folder)
    assert imported.run("approve", *words).code == 2


def test_an_approver_of_somebody_else_is_refused(imported: Line) -> None:
    refused = imported.run("approve", "cluster", "alpha", "--as", "stranger")
    assert refused.code == 1
    assert "lumen-capacity" in refused.err


def test_an_outdated_incarnation_is_refused(imported: Line) -> None:
    refused = imported.run("approve", "cluster", "alpha", "--incarnation", "2", "--json")
    assert refused.json["error"]["code"] == "REQUEST_CHANGED"


def test_a_freeze_is_added_and_ended(imported: Line) -> None:
    times = ("--from", "2099-01-09", "--to", "2099-01-14T12:00:00Z")
    added = imported.run("freeze", "add", "rack", "alpha-r0", *times, "--reason", "launch", "--json").json
    assert (added["start"], added["end"], added["customer"]) == (
        "2099-01-09T00:00:00Z",
        "2099-01-14T12:00:00Z",
        "lumen",
    )
    assert imported.run("freeze", "end", added["id"], "--why", "moved").code == 0
    gone = imported.run("freeze", "end", added["id"])
    assert (gone.code, "FREEZE_UNKNOWN" in gone.err) == (1, True)
