"""`fermata policy test` and what two people let pass a freeze, as they are typed."""

from pathlib import Path

import pytest
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


@pytest.mark.parametrize("why", ["", " "])
def test_a_freeze_without_a_reason_is_refused(imported: Line, why: str) -> None:
    told = imported.run("freeze", "add", "cluster", "alpha", *TIMES, "--reason", why)
    assert (told.code, "REASON_MISSING" in told.err) == (1, True)
    assert imported.run("freeze", "list", "--json").json["freezes"] == []


def test_an_exemption_without_a_reason_is_refused(imported: Line) -> None:
    freeze = imported.run("freeze", "add", "cluster", "alpha", *TIMES, "--reason", "launch", "--json").json["id"]
    told = imported.run("freeze", "exempt", freeze, "--update", "nic-28.43", "--reason", " ", "--as", "conductor-1")
    assert (told.code, "REASON_MISSING" in told.err) == (1, True)


def test_two_people_let_a_work_order_or_a_kind_of_work_pass_a_freeze(imported: Line) -> None:
    freeze = imported.run("freeze", "add", "cluster", "alpha", *TIMES, "--reason", "launch", "--json").json["id"]
    urgent = ("--cause", "it smokes", "--criticality", "critical_security", "--as", "ops", "--json")
    order = imported.run("requests", "open", "repair", "node", "alpha-n1", *urgent).json["orders"][0]["id"]
    said = ("--reason", "it smokes", "--as", "conductor-1")
    told = imported.run("freeze", "exempt", freeze, "--order", order, "--kind", "repair", *said)
    assert (told.code, f"{order}, work of kind repair may pass {freeze}" in told.out) == (0, True), told.err
    (view,) = (v for v in imported.run("freeze", "list", "--json").json["freezes"] if v["id"] == freeze)
    assert (view["exemptions"][0]["orders"], view["exemptions"][0]["kinds"]) == ([order], ["repair"])
    assert imported.run("freeze", "exempt", freeze, *said).code == 1, "nothing is named"


def test_the_stored_policy_is_shown_tried_and_replaced(imported: Line, tmp_path: Path) -> None:
    shown = imported.run("policy", "show")
    path = tmp_path / "changed.yaml"
    path.write_text(shown.out)
    assert "stored already" in imported.run("policy", "replace", str(path), "--preview").out
    path.write_text(shown.out.replace("deployments: all", "deployments: none", 1))
    sha256 = shown.out.splitlines()[0].removeprefix("# sha256 ")
    tried = imported.run("policy", "replace", str(path), "--preview")
    assert "host-os-2026.1 on alpha-n0 now: needs an approval -> allowed" in tried.out
    assert imported.run("policy", "show").out == shown.out
    done = imported.run("policy", "replace", str(path), "--seen", sha256, "--as", "ann", "--json")
    assert {e["after"]["stance"] for e in done.json["rulings"]} == {"allow"}
    assert imported.run("policy", "test", "alpha-n1", "host-os-2026.1", "--json").json["outcome"] == "allowed"
    late = imported.run("policy", "replace", str(path), "--seen", sha256, "--as", "ann")
    assert (late.code, "POLICY_CHANGED" in late.err) == (1, True)
    path.write_text("customers: 5")
    assert imported.run("policy", "replace", str(path), "--preview").code == 2
