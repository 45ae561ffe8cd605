"""Every field of every file, with what no field may say: refused, with a sentence that is itself harmless."""

import csv
import io

import orjson
import pytest
import yaml
from tests.formats import hostile
from tests.formats.conftest import CAMPAIGN, CLUSTERS, DEVICES, NODES, POLICY, UPDATES, Small
from tests.formats.hostile import HARMFUL, REFUSED, SHOWN

from fermata.domain.harmless import escape_json, quote_cell, show_line, show_lines, unmark
from fermata.formats.answers import answer_to_csv
from fermata.formats.faults import BadInput
from fermata.formats.scenario import read_scenario

TABLES = {"fleet/clusters.csv": CLUSTERS, "fleet/nodes.csv": NODES, "fleet/devices.csv": DEVICES}
TREES = {"updates.yaml": UPDATES, "policy.yaml": POLICY, "campaign.yaml": CAMPAIGN}


def read(small: Small) -> str:
    with pytest.raises(BadInput) as bad:
        read_scenario(small.folder)
    return str(bad.value)


def payload_of(field: int, turn: int) -> str:
    """Another for each field, and for each field another in each turn."""
    payloads = list(REFUSED.values())
    return payloads[(field + 5 * turn) % len(payloads)]


@pytest.mark.parametrize("payload", REFUSED.values(), ids=REFUSED)
def test_no_name_says_it(small: Small, payload: str) -> None:
    small.write(
        "fleet/nodes.csv", hostile.change_table(NODES, lambda cell: cell + payload if cell == "alpha-n0" else cell)
    )
    assert HARMFUL.search(read(small)) is None


@pytest.mark.parametrize("turn", range(3))
@pytest.mark.parametrize("file", TABLES)
def test_no_cell_of_a_table_says_it(small: Small, file: str, turn: int) -> None:
    rows = list(csv.reader(io.StringIO(TABLES[file])))
    for column in range(len(rows[0])):
        changed = [list(row) for row in rows]
        changed[1][column] += payload_of(column, turn)
        out = io.StringIO()
        csv.writer(out, lineterminator="\n").writerows(changed)
        small.write(file, out.getvalue())
        assert HARMFUL.search(read(small)) is None, rows[0][column]


@pytest.mark.parametrize("turn", range(2))
@pytest.mark.parametrize("file", TREES)
def test_no_text_of_a_document_says_it(small: Small, file: str, turn: int) -> None:
    for number, place in enumerate(hostile.leaves(yaml.safe_load(TREES[file]))):
        root = yaml.safe_load(TREES[file])
        hostile.put(root, place, f"x{payload_of(number, turn)}")
        small.write(file, yaml.safe_dump(root, width=100_000))
        assert HARMFUL.search(read(small)) is None, place


@pytest.mark.parametrize("payload", SHOWN.values(), ids=SHOWN)
def test_what_a_name_may_be_is_read_as_it_stands(small: Small, payload: str) -> None:
    hostile.turn(small, payload)
    fleet = read_scenario(small.folder).fleet
    assert len(fleet.nodes) == 5
    assert all(payload in name for name in fleet.nodes)


@pytest.mark.parametrize("payload", (REFUSED | SHOWN).values(), ids=REFUSED | SHOWN)
def test_whatever_it_is_it_is_made_harmless(payload: str) -> None:
    assert HARMFUL.search(show_lines(payload)) is None
    assert "\n" not in show_line(payload)
    assert "\t" not in show_line(payload)
    assert HARMFUL.search(escape_json(payload)) is None
    assert not quote_cell(payload).startswith(("=", "+", "-", "@", "\t", "\r", " ="))
    plain = unmark(payload)
    assert not any(sign in plain for sign in ("<", ">", "](", "@channel", "@everyone"))


def test_a_table_of_an_answer_has_no_formula_and_numbers_stay_numbers() -> None:
    rows = [["=1+1", -5, "+x", 2.5], ["@sum", None, "-x", "a\x1b[2Jb"], [" =x", True, ["=y"], "a\nb"]]
    found = list(csv.reader(io.StringIO(answer_to_csv(["=n", "b", "c", "d"], rows))))
    assert found == [
        ["'=n", "b", "c", "d"],
        ["'=1+1", "-5", "'+x", "2.5"],
        ["'@sum", "", "'-x", "a\\x1b[2Jb"],
        ["' =x", "true", '["=y"]', "a\nb"],
    ]


def test_json_that_is_made_harmless_means_the_same() -> None:
    said = {"a": "\x7f\x9b\u202e\U000e0041é\n", "b": ["\u2028"]}
    text = escape_json(orjson.dumps(said, option=orjson.OPT_INDENT_2).decode())
    assert HARMFUL.search(text) is None
    assert orjson.loads(text) == said
