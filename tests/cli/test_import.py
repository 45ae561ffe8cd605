"""`fermata import`, as it is typed."""

from tests.cli.line import Line

from fermata.store.opening import open_database


def test_a_folder_is_imported_once_and_says_what_it_brought(line: Line) -> None:
    first = line.run("import", "scenario", str(line.small.folder), "--json")
    assert first.code == 0
    assert first.json["changed"]
    assert first.json["fleet"]["node"] == {"added": 5, "changed": 0, "removed": 0}
    assert first.json["documents"] == ["updates", "policy", "campaign"]
    again = line.run("import", "scenario", str(line.small.folder))
    assert "Nothing changed" in again.out


def test_each_input_can_be_imported_alone(line: Line) -> None:
    for noun, name in (
        ("fleet", "fleet"),
        ("updates", "updates.yaml"),
        ("policy", "policy.yaml"),
        ("campaign", "campaign.yaml"),
    ):
        assert line.run("import", noun, str(line.small.path(name)), "--json").json["changed"]
    assert "Nothing changed" in line.run("import", "scenario", str(line.small.folder)).out


def test_a_changed_node_is_named(imported: Line) -> None:
    imported.small.replace(
        "fleet/nodes.csv", "alpha-n1,alpha,alpha-r0,1,alpha-su0,prod", "alpha-n1,alpha,alpha-r0,1,alpha-su0,test"
    )
    done = imported.run("import", "fleet", str(imported.small.path("fleet")))
    assert "changed: alpha-n1" in done.out


def test_a_file_with_faults_imports_nothing_and_exits_2(line: Line) -> None:
    line.small.replace("fleet/nodes.csv", "in_service", "in_servce")
    refused = line.run("import", "scenario", str(line.small.folder))
    assert refused.code == 2
    assert "nodes.csv:2" in refused.err
    assert not line.store.exists()


def test_a_store_that_cannot_be_written_exits_1_with_a_sentence(line: Line) -> None:
    line.store.write_text("not a database\n" * 200, encoding="utf-8")
    refused = line.run("import", "scenario", str(line.small.folder), "--json")
    assert refused.code == 1
    assert refused.json["error"]["code"] == "STORE_UNAVAILABLE"
    assert "nothing was saved" in refused.json["error"]["sentence"]


def test_who_imported_and_why_stands_in_the_journal(line: Line) -> None:
    line.run("import", "policy", str(line.small.path("policy.yaml")), "--as", "operator-1", "--why", "new contract")
    database = open_database(f"sqlite:///{line.store}")
    with database.read() as conn:
        row = conn.exec_driver_sql("SELECT actor, event, why FROM journal").one()
    database.close()
    assert tuple(row) == ("operator-1", "policy.imported", "new contract")
