"""`fermata pending` and `fermata requests`, from the store and from files alone."""

import pytest
from tests.cli.line import Line


def test_pending_groups_by_update_with_units_clusters_versions_and_date(imported: Line) -> None:
    shown = imported.run("pending").out
    (row,) = (text for text in shown.splitlines() if text.startswith("host-os-2026.1"))
    assert row.split() == ["host-os-2026.1", "4", "nodes", "2", "2025.10.0", "2026.1.0", "rebootful", "2026-03-09"]
    assert "Version unknown, so blocked" in shown


def test_files_alone_say_the_same_as_the_store(imported: Line) -> None:
    files = ("--scenario", str(imported.small.folder), "--json")
    assert imported.run("pending", *files, store=False).json == imported.run("pending", "--json").json
    told, stored = imported.run("requests", *files, store=False).json, imported.run("requests", "--json").json
    for request in (*told["requests"], *stored["requests"]):
        request["why"].pop("sentence")  # the store knows when somebody will have been told, files never do
    assert told == stored


def test_pending_of_a_node_names_its_devices_and_says_why(imported: Line) -> None:
    found = imported.run("pending", "--node", "alpha-n0", "--json").json
    assert {(line["unit"], line["update"], line["why"]) for line in found["lines"]} == {
        ("alpha-n0", "nic-28.43", "reports 28.39, older than 28.43"),
        ("alpha-n0", "host-os-2026.1", "reports 2025.10.0, older than 2026.1.0"),
        ("alpha-su0-leaf", "leaf-31.2016", "reports 31.2010, older than 31.2016"),
    }
    assert imported.run("pending", "--node", "alpha-n0", "--limit", "1").out.count("reports") == 1


@pytest.mark.parametrize(
    ("words", "updates"),
    [
        (["--cluster", "beta"], {"host-os-2026.1", "leaf-31.2016"}),
        (["--customer", "lumen", "--update", "nic-28.43"], {"nic-28.43"}),
        (["--sku", "GB200"], {"host-os-2026.1", "leaf-31.2016"}),
        (["--device", "beta-leaf"], {"leaf-31.2016"}),
        (["--supercomputer", "sc-2", "--update", "nic-28.43"], set()),
    ],
)
def test_filters_narrow_what_is_pending(imported: Line, words: list[str], updates: set[str]) -> None:
    found = imported.run("pending", *words, "--json").json
    assert {group["update"] for group in found["groups"] if group["standing"] == "due"} == updates


def test_a_mistyped_filter_is_refused_with_the_nearest_name(imported: Line) -> None:
    refused = imported.run("pending", "--cluster", "alhpa")
    assert refused.code == 1
    assert "nearest is alpha" in refused.err


def test_an_empty_store_says_what_to_import(line: Line) -> None:
    refused = line.run("pending")
    assert (refused.code, "fermata import" in refused.err) == (1, True)


def test_a_request_in_detail_shows_items_consent_and_nodes_behind_devices(imported: Line) -> None:
    found = imported.run("requests", "--request", "req_sc-1_deployment", "--json").json
    assert [item["update"] for item in found["items"]] == ["host-os-2026.1", "leaf-31.2016", "nic-28.43"]
    assert found["shared_devices"][0]["nodes"] == ["alpha-n0", "alpha-n1", "alpha-n2"]
    assert found["coverage"][0]["missing"][0]["code"] == "APPROVAL_MISSING"
    shown = imported.run("requests", "--request", "req_sc-1_deployment").out
    assert "alpha-n0, alpha-n1, alpha-n2" in shown
    assert "APPROVAL_MISSING 3" in shown


def test_the_list_of_requests_can_be_narrowed(imported: Line) -> None:
    assert len(imported.run("requests", "--json").json["requests"]) == 2
    (only,) = imported.run("requests", "--customer", "meridian", "--json").json["requests"]
    assert (only["id"], only["incarnation"]) == ("req_sc-2_deployment", 1)
    assert "req_sc-2_deployment" in imported.run("requests", "--cluster", "beta").out
