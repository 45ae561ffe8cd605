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


def test_several_names_are_approved_together_or_not_at_all(imported: Line) -> None:
    refused = imported.run("approve", "node", "alpha-n0", "alpha-n9", "--json")
    assert refused.code == 1
    assert refused.json["error"]["code"] == "SCOPE_UNKNOWN"
    assert not imported.run("approve", "node", "alpha-n0", "--json").json["orders"][0]["already"]


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
