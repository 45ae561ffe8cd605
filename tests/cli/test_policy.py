"""`fermata policy test` and what two people let pass a freeze, as they are typed."""

from tests.cli.line import Line

TIMES = ("--from", "2099-01-09", "--to", "2099-01-12")  # a freeze that is over cannot be passed any more


def test_what_would_happen_is_told_with_the_rule_that_decides(imported: Line) -> None:
    told = imported.run("policy", "test", "alpha-n1", "nic-28.43", "--at", "2026-01-09T10:00:00Z")
    assert told.code == 0
    assert "nic-28.43 on alpha-n1 at 2026-01-09 10:00Z: allowed" in told.out
    assert "Decided by except_criticality: allow." in told.out
    found = imported.run("policy", "test", "alpha-n1", "host-os-2026.1", "--json").json
    assert (found["outcome"], found["rule"]) == ("needs_approval", "block.deployments")
    assert [why["code"] for why in found["reasons"]] == ["APPROVAL_MISSING"]


def test_files_alone_answer_like_the_store(imported: Line) -> None:
    asked = ("policy", "test", "alpha-n1", "host-os-2026.1", "--at", "2026-01-09", "--json")
    alone = imported.run(*asked, "--scenario", str(imported.small.folder), store=False)
    assert alone.json == imported.run(*asked).json


def test_unknown_names_are_refused_with_the_nearest(imported: Line) -> None:
    node = imported.run("policy", "test", "alpha-n7", "nic-28.43")
    assert (node.code, "the nearest is alpha-n" in node.err) == (1, True)
    update = imported.run("policy", "test", "alpha-n1", "nic-28.44")
    assert (update.code, "the nearest is nic-28.43" in update.err) == (1, True)
    assert imported.run("policy", "test", "alpha-n1", "nic-28.43", "--at", "noon").code == 2


def test_two_people_let_an_update_pass_a_freeze(imported: Line) -> None:
    freeze = imported.run("freeze", "add", "cluster", "alpha", *TIMES, "--reason", "launch", "--json").json["id"]
    asked = ("policy", "test", "alpha-n1", "nic-28.43", "--at", "2099-01-10", "--json")
    assert imported.run(*asked).json["outcome"] == "waits"
    words = ("--update", "nic-28.43", "--reason", "exploited", "--as", "conductor-1")
    told = imported.run("freeze", "exempt", freeze, *words)
    assert "fermata freeze confirm exm_" in told.out
    (view,) = (v for v in imported.run("freeze", "list", "--json").json["freezes"] if v["id"] == freeze)
    (exemption,) = view["exemptions"]
    assert (exemption["asked_by"], exemption["confirmed_by"]) == ("conductor-1", None)
    assert imported.run(*asked).json["outcome"] == "waits"
    assert imported.run("freeze", "confirm", exemption["id"], "--as", "nobody").code == 1
    assert imported.run("freeze", "confirm", exemption["id"]).code == 0
    assert imported.run(*asked).json["outcome"] == "allowed"
    listed = imported.run("freeze", "list").out
    assert "asked by conductor-1, confirmed by lumen-capacity" in listed


def test_what_the_policy_does_not_exempt_is_refused(imported: Line) -> None:
    freeze = imported.run("freeze", "add", "cluster", "alpha", *TIMES, "--reason", "launch", "--json").json["id"]
    told = imported.run("freeze", "exempt", freeze, "--update", "host-os-2026.1", "--reason", "soon", "--as", "x")
    assert (told.code, "FREEZE_NOT_EXEMPT" in told.err) == (1, True)
