"""`fermata query`, from the store, from files alone and from a server."""

import csv
import io

import pytest
from tests.cli.line import Line
from tests.cli.test_remote import served

PENDING = "pendingupdates | project cluster, unit, updateId, dueAt | sort by unit asc, updateId asc | take 2"


def test_store_files_and_server_give_the_same_answer(imported: Line) -> None:
    here = imported.run("query", PENDING, "--json").json
    assert here == {
        "columns": [{"name": name, "kind": "string"} for name in ("cluster", "unit", "updateId")]
        + [{"name": "dueAt", "kind": "datetime"}],
        "rows": [
            {"cluster": "alpha", "unit": "alpha-n0", "updateId": "host-os-2026.1", "dueAt": "2026-03-09T23:00:00Z"},
            {"cluster": "alpha", "unit": "alpha-n0", "updateId": "nic-28.43", "dueAt": "2025-12-20T00:00:00Z"},
        ],
        "total": 2,
    }
    files = ("--scenario", str(imported.small.folder), "--json")
    assert imported.run("query", PENDING, *files, store=False).json == here
    with served(imported.store) as url:
        assert imported.run("query", PENDING, "--server", url, "--json", store=False).json == here
        refused = imported.run("query", "wherre", "--server", url, "--json", store=False)
        assert (refused.code, refused.json) == (1, imported.run("query", "wherre", "--json").json)


def test_a_narrow_answer_is_a_table_and_a_wide_one_a_list(imported: Line) -> None:
    table = imported.run("query", "resources | summarize n=count() by type | sort by n desc, type asc | take 2").out
    assert [line.split() for line in table.splitlines()] == [
        ["type", "n"],
        ["fermata/nodes", "5"],
        ["fermata/devices", "4"],
    ]
    told = imported.run("query", "resources | where name == 'alpha-n0'").out
    assert "row 1" in told
    assert '"versions":{"host_os":"2025.10.0","nic_fw":"28.39"}' in told
    assert "extendedLocation" not in told  # what is empty is left out
    assert imported.run("query", "resources | where name == 'nobody'").out == "No rows.\n"
    cut = imported.run("query", "resources | project name | sort by name asc", "--limit", "2").out
    assert cut.splitlines()[-1].startswith("... 16 more rows")


def test_csv_holds_every_row_and_documents_on_one_line(imported: Line) -> None:
    text = imported.run("query", "where type == 'fermata/nodes' | project name, tags | sort by name asc", "--csv").out
    rows = list(csv.reader(io.StringIO(text)))
    assert rows[:2] == [["name", "tags"], ["alpha-n0", '{"role":"test","workload":"training"}']]
    assert len(rows) == 6
    assert imported.run("query", "resources", "--csv", "--json").code == 2


def test_a_query_is_read_from_standard_input(imported: Line, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO("resources\n| where type == 'fermata/nodes'\n| count\n"))
    assert imported.run("query", "-", "--customer", "lumen").out.split() == ["Count", "3"]


@pytest.mark.parametrize(
    ("query", "code"),
    [
        ("resources | wherre x", "QUERY_UNREADABLE"),
        (".drop table resources", "QUERY_NOT_ANSWERED"),
        ("nosuch | count", "QUERY_UNKNOWN_NAME"),
        ("print '" + "x" * 17_000 + "'", "QUERY_OVER_LIMIT"),
    ],
)
def test_a_refused_query_ends_with_its_code(imported: Line, query: str, code: str) -> None:
    answer = imported.run("query", query)
    assert (answer.code, answer.out) == (1, "")
    assert answer.err.startswith(code)
    assert imported.run("query", query, "--json").json["error"]["code"] == code


def test_an_unknown_customer_is_refused(imported: Line) -> None:
    answer = imported.run("query", "resources | count", "--customer", "lumn")
    assert answer.code == 1
    assert "the nearest is lumen" in answer.err
