"""Fleet folders: what is read, and where each kind of fault is said to be."""

import csv
import io
import json
from pathlib import Path

import pyarrow as pa
import pytest
from pyarrow import parquet

from fermata.domain.fleet import DeviceScope, NodeState, Role
from fermata.domain.hashing import fleet_sha256
from fermata.formats.faults import FaultLog
from fermata.formats.fleet import read_fleet
from fermata.formats.parquet import read_columns


def places(faults):
    return [(Path(f.file).name, f.line, f.column, f.field) for f in faults]


def test_fleet_reads_every_column(small):
    fleet = read_fleet(small.path("fleet"))
    node, device, cluster = fleet.nodes["alpha-n2"], fleet.devices["beta-r0-tor"], fleet.clusters["alpha"]
    assert (node.rack, node.fault_domain, node.role, node.state) == (
        "alpha-r1",
        "0",
        Role.PROD,
        NodeState.OUT_OF_SERVICE,
    )
    assert node.versions == {"nic_fw": "", "host_os": "2026.1.0"}
    assert (device.kind, device.scope, device.version) == ("tor", DeviceScope.RACK, "")
    assert cluster.rolling_allowed
    assert not cluster.single_placement_group
    assert [n.name for n in fleet.nodes_behind(fleet.devices["beta-leaf"])] == ["beta-n0", "beta-n1"]


def to_jsonl(text: str) -> str:
    rows = list(csv.DictReader(io.StringIO(text)))
    return "".join(json.dumps(row) + "\n" for row in rows)


def to_parquet(text: str, path: Path) -> None:
    rows = list(csv.DictReader(io.StringIO(text)))
    parquet.write_table(pa.Table.from_pylist(rows), path)


def test_jsonl_and_parquet_give_the_same_fleet_as_csv(small):
    before = fleet_sha256(read_fleet(small.path("fleet")))
    small.write("fleet/nodes.jsonl", to_jsonl(small.text("fleet/nodes.csv")))
    small.path("fleet/nodes.csv").unlink()
    to_parquet(small.text("fleet/devices.csv"), small.path("fleet/devices.parquet"))
    small.path("fleet/devices.csv").unlink()
    assert fleet_sha256(read_fleet(small.path("fleet"))) == before


@pytest.mark.parametrize(
    "change",
    [
        lambda text: "\ufeff" + text,
        lambda text: text.replace("\n", "\r\n"),
        lambda text: text + "\n\n",
        lambda text: text.replace("training", '"training"'),
    ],
    ids=["byte order mark", "windows line ends", "blank lines at the end", "quotes"],
)
def test_spreadsheet_habits_change_nothing(small, change):
    before = read_fleet(small.path("fleet"))
    small.write("fleet/nodes.csv", change(small.text("fleet/nodes.csv")))
    assert read_fleet(small.path("fleet")) == before


def test_spreadsheet_truth_values_are_read(small):
    small.replace("fleet/clusters.csv", "true,false", "TRUE,False")
    assert read_fleet(small.path("fleet")).clusters["alpha"].rolling_allowed


CASES = {
    "wrong role": ("nodes.csv", "alpha-su0,test", "alpha-su0,tset", 2, 6, "role", "test"),
    "wrong state": ("nodes.csv", "api,out_of_service", "api,out_of_servce", 4, 8, "state", "out_of_service"),
    "unknown cluster": ("nodes.csv", "alpha-n1,alpha,", "alpha-n1,alhpa,", 3, 2, "cluster", "alpha"),
    "repeated node": ("nodes.csv", "beta-n1,", "beta-n0,", 6, 1, "node", None),
    "no name": ("nodes.csv", "alpha-n1,", ",", 3, 1, "node", None),
    "space in version": (
        "nodes.csv",
        "training,in_service,28.39,2025",
        "training,in_service,28 39,2025",
        2,
        9,
        "component.nic_fw",
        None,
    ),
    "control character": ("nodes.csv", "alpha-r1", "alpha-\x01r1", 4, 3, "rack", None),
    "mistyped column": ("nodes.csv", "fault_domain", "fault_domian", 1, 4, "fault_domian", "fault_domain"),
    "mistyped prefix": (
        "nodes.csv",
        "component.nic_fw",
        "componant.nic_fw",
        1,
        9,
        "componant.nic_fw",
        "component.nic_fw",
    ),
    "too few fields": ("nodes.csv", "alpha-n1,alpha,", "alpha-n1,", 3, 10, None, None),
    "too many fields": ("nodes.csv", "alpha-n1,alpha,", "alpha-n1,alpha,x,", 3, 11, None, None),
    "repeated column": ("nodes.csv", ",workload,", ",role,", 1, 7, "role", None),
    "bad quoting": ("nodes.csv", "alpha-n1,", '"alpha"-n1,', 3, 1, None, None),
    "wrong truth value": ("clusters.csv", "true,false", "ture,false", 2, 10, "rolling_allowed", "true"),
    "unknown time zone": ("clusters.csv", "Europe/London", "Europe/Lodnon", 3, 6, "timezone", "Europe/London"),
    "wrong division": ("clusters.csv", "H100,research", "H100,reserch", 2, 9, "division", "research"),
    "unknown scope": ("devices.csv", "alpha,rack", "alpha,rak", 2, 4, "scope", "rack"),
    "unknown rack": ("devices.csv", "rack,alpha-r0", "rack,alpha-r00", 2, 5, "scope_id", "alpha-r0"),
    "rack of another cluster": ("devices.csv", "tor,alpha,rack", "tor,beta,rack", 2, 5, "scope_id", None),
    "device kind node": ("devices.csv", "tor,tor,alpha", "tor,node,alpha", 2, 2, "kind", None),
    "repeated device": ("devices.csv", "beta-r0-tor", "beta-leaf", 5, 1, "device", None),
}


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_each_fault_of_a_table_has_its_place_and_nearest_name(small, refused, case):
    file, old, new, line, column, field, suggestion = case
    small.replace(f"fleet/{file}", old, new)
    faults = refused(lambda: read_fleet(small.path("fleet")))
    expected = next(f for f in faults if f.field == field)
    assert (Path(expected.file).name, expected.line, expected.column, expected.field, expected.suggestion) == (
        file,
        line,
        column,
        field,
        suggestion,
    )
    assert len(faults) == (2 if case is CASES["repeated column"] else 1)  # the column that it was is missing too


def test_missing_column_is_named(small, refused):
    small.write(
        "fleet/devices.csv", "\n".join(line.rpartition(",")[0] for line in small.text("fleet/devices.csv").split("\n"))
    )
    (fault,) = refused(lambda: read_fleet(small.path("fleet")))
    assert (fault.line, fault.field, fault.sentence) == (1, "version", 'Column "version" is missing.')


def test_two_files_of_one_table_are_refused(small, refused):
    small.write("fleet/nodes.jsonl", "{}")
    (fault,) = refused(lambda: read_fleet(small.path("fleet")))
    assert "nodes.csv or nodes.jsonl" in fault.sentence


def test_missing_table_offers_the_file_that_is_nearest(small, refused):
    small.path("fleet/nodes.csv").rename(small.path("fleet/node.csv"))
    (fault,) = refused(lambda: read_fleet(small.path("fleet")))
    assert fault.suggestion == "node.csv"


def test_rack_of_two_clusters_behind_a_device_is_refused(small, refused):
    small.replace("fleet/nodes.csv", "beta-n1,beta,beta-r0", "beta-n1,beta,alpha-r0")
    (fault,) = refused(lambda: read_fleet(small.path("fleet")))
    assert (fault.line, fault.column) == (2, 5)
    assert "beta" in fault.sentence


def test_rack_of_two_clusters_without_a_device_is_fine(small):
    small.replace("fleet/nodes.csv", "beta-n1,beta,beta-r0", "beta-n1,beta,alpha-r1")
    assert read_fleet(small.path("fleet")).nodes["beta-n1"].rack == "alpha-r1"


@pytest.mark.parametrize(
    ("data", "line", "column", "word"),
    [
        (b"", None, None, "empty"),
        (b"\xef\xbb\xbf\n", None, None, "empty"),
        (b"node,cl\0uster\n", 1, 8, "NUL"),
        ("node,cluster\n".encode("utf-16"), 1, 1, "UTF-16"),
        (b"node\nok\nna\xffme\n", 3, 3, "0xff"),
        ("node\n\u00e9\u00e9".encode() + b"\xe9\n", 2, 3, "0xe9"),
    ],
)
def test_what_is_not_text_is_refused_with_its_place(small, refused, data, line, column, word):
    small.write("fleet/nodes.csv", data)
    (fault,) = refused(lambda: read_fleet(small.path("fleet")))
    assert (fault.line, fault.column) == (line, column)
    assert word in fault.sentence


def test_table_without_rows_is_refused(small, refused):
    small.write("fleet/nodes.csv", small.text("fleet/nodes.csv").split("\n")[0] + "\n")
    faults = refused(lambda: read_fleet(small.path("fleet")))
    assert faults[0].sentence == "The table has no rows."


def test_folder_that_is_none_is_refused(small, refused):
    (fault,) = refused(lambda: read_fleet(small.path("updates.yaml")))
    assert "not a folder" in fault.sentence


def test_file_with_30_faults_reports_30_in_the_order_of_its_lines(small, refused):
    lines = small.text("fleet/nodes.csv").splitlines()
    rows = [f"n{i},alpha,alpha-r0,0,alpha-su0,prud,training,in_servise,1,1" for i in range(15)]
    small.write("fleet/nodes.csv", "\n".join([*lines, *rows]))
    faults = refused(lambda: read_fleet(small.path("fleet")))
    assert [(f.line, f.column) for f in faults] == [(line, column) for line in range(7, 22) for column in (6, 8)]
    assert {f.suggestion for f in faults} == {"prod", "in_service"}


def test_fifty_faults_are_shown_in_full_and_all_are_counted(small):
    from fermata.formats.faults import BadInput

    lines = small.text("fleet/nodes.csv").splitlines()
    rows = [f"n{i},alpha,alpha-r0,0,alpha-su0,prud,training,in_service,1,1" for i in range(80)]
    small.write("fleet/nodes.csv", "\n".join([*lines, *rows]))
    with pytest.raises(BadInput) as caught:
        read_fleet(small.path("fleet"))
    assert (len(caught.value.faults), caught.value.total) == (50, 80)
    assert str(caught.value).endswith("... and 30 more.")
    assert caught.value.as_json()["total"] == 80


def test_faults_of_all_tables_are_listed_together(small, refused):
    small.replace("fleet/clusters.csv", "Europe/London", "Nowhere")
    small.replace("fleet/nodes.csv", "prod", "prud")
    small.replace("fleet/devices.csv", "rack", "rick")
    assert [name for name, *_ in places(refused(lambda: read_fleet(small.path("fleet"))))] == [
        "clusters.csv",
        "nodes.csv",
        "devices.csv",
    ]


JSONL_CASES = {
    "number that lost digits": ('"28.39"', "28.30", 1, 'quotes, such as "28.3"'),
    "list": ('"28.39"', '["28.39"]', 1, "list"),
    "repeated key": ('"rack":', '"node":', 1, "twice"),
    "not JSON": ('"rack":', '"rack"', 1, "delimiter"),
    "NaN": ('"28.39"', "NaN", 1, "out of range"),
    "missing value": ('"workload": "training"', '"workload": null', 1, "workload is missing"),
}


@pytest.mark.parametrize("case", JSONL_CASES.values(), ids=JSONL_CASES)
def test_each_fault_of_a_json_line_has_its_line(small, refused, case):
    old, new, line, word = case
    text = to_jsonl(small.text("fleet/nodes.csv"))
    small.path("fleet/nodes.csv").unlink()
    small.write("fleet/nodes.jsonl", text.replace(old, new, 1))
    faults = refused(lambda: read_fleet(small.path("fleet")))
    assert faults[0].line == line
    assert any(word in f.sentence for f in faults)


def test_json_lines_may_write_whole_numbers_and_truth_values_bare(small):
    before = read_fleet(small.path("fleet"))
    text = to_jsonl(small.text("fleet/clusters.csv")).replace('"true"', "true").replace('"false"', "false")
    small.write("fleet/clusters.jsonl", text)
    small.path("fleet/clusters.csv").unlink()
    nodes = to_jsonl(small.text("fleet/nodes.csv")).replace('"fault_domain": "0"', '"fault_domain": 0')
    small.write("fleet/nodes.jsonl", nodes)
    small.path("fleet/nodes.csv").unlink()
    assert read_fleet(small.path("fleet")) == before


def test_damaged_parquet_is_refused(small, refused):
    small.path("fleet/devices.csv").unlink()
    small.write("fleet/devices.parquet", b"PAR1 nothing else PAR1")
    (fault,) = refused(lambda: read_fleet(small.path("fleet")))
    assert "Parquet" in fault.sentence


def test_a_parquet_file_that_unpacks_into_too_much_is_refused_before_it_is_unpacked(tmp_path):
    path = tmp_path / "nodes.parquet"
    parquet.write_table(pa.table({"node": ["a" * 2**22, "b"]}), path, compression="zstd", use_dictionary=False)
    assert path.stat().st_size < 2**13
    log = FaultLog(path)
    assert read_columns(path, log, bytes_max=2**20) is None
    (fault,) = log.shown()
    assert "once it is unpacked" in fault.sentence


def test_a_text_that_a_parquet_file_repeats_is_held_once(tmp_path):
    path = tmp_path / "nodes.parquet"
    texts = pa.DictionaryArray.from_arrays(pa.array([0] * 2000), ["a" * 2**18])
    parquet.write_table(pa.table({"node": texts}), path, compression="zstd", store_schema=False)
    assert path.stat().st_size < 2**13
    ((_, values),) = read_columns(path, FaultLog(path))
    assert len({id(value) for value in values}) == 1
