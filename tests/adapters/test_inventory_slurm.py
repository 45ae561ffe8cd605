"""Slurm's own words: what scontrol of 24.11.5 printed for nine nodes behind two leaves, played back by a script."""

import json
import stat
from pathlib import Path
from typing import Any

import pytest

from fermata.adapters.inventory_slurm import SlurmNodes, parse_nodes, parse_topology, to_facts
from fermata.domain.inventory_reports import Facts
from fermata.domain.sources import Slurm
from fermata.ports import Refused, TryLater

RECORDED = Path(__file__).parent / "slurm"
HOSTNAMES = {
    "gpu[001-004]": [f"gpu{n:03}" for n in range(1, 5)],
    "gpu[005-008],login1": [*(f"gpu{n:03}" for n in range(5, 9)), "login1"],
    "gpu[001-008],login1": [*(f"gpu{n:03}" for n in range(1, 9)), "login1"],
}


def scontrol(folder: Path, **told: str) -> SlurmNodes:
    """A program that prints what is told for `nodes`, `topology` and `hostnames`, or is a line of shell after `!`."""
    words = {"nodes": f"!cat '{RECORDED}/nodes-24.11.json'", "topology": f"!cat '{RECORDED}/topology-24.11.txt'"}
    lists = "".join(f"'{key}') printf '%s\\n' {' '.join(names)};; " for key, names in HOSTNAMES.items())
    words["hostnames"] = f'!case "$3" in {lists} *) exit 1;; esac'
    cases = []
    for word, text in {**words, **told}.items():
        line = text[1:] if text.startswith("!") else f"cat <<END\n{text}\nEND\n"
        cases.append(f"{word}) {line} ;;")
    program = folder / "scontrol"
    program.write_text('#!/bin/sh\ncase "$2" in\n' + "\n".join(cases) + "\nesac\n")
    program.chmod(program.stat().st_mode | stat.S_IXUSR)
    return SlurmNodes(Slurm(scontrol=str(program)))


def by_name(facts: Any) -> dict[str, Facts]:
    return {each.name: each for each in facts}


def test_nodes_stand_below_their_switches(tmp_path: Path) -> None:
    found = by_name(scontrol(tmp_path)())
    assert sorted(found) == [*HOSTNAMES["gpu[001-008],login1"][:8], "leaf0", "leaf1", "login1", "spine"]
    assert {name: found[name].fields["switch.0"] for name in ("gpu001", "gpu005")} == {
        "gpu001": "leaf0",
        "gpu005": "leaf1",
    }
    assert found["gpu001"].fields["switch.1"] == "spine"
    assert {name: found[name].fields["sort"] for name in ("gpu001", "leaf0")} == {"gpu001": "node", "leaf0": "switch"}
    assert found["leaf1"].fields["level"] == "0"


def test_a_node_is_flat_fields(tmp_path: Path) -> None:
    fields = by_name(scontrol(tmp_path)())["gpu001"].fields
    wanted = {"features": "h100,rack-r1", "partitions": "batch", "gres": "gpu:8", "gpus": "8", "state": "in_service"}
    assert {key: fields[key] for key in wanted} == wanted
    assert fields["states"] == "CLOUD,IDLE,POWERED_DOWN"


def test_drained_and_down_nodes_serve_nobody(tmp_path: Path) -> None:
    found = by_name(scontrol(tmp_path)())
    assert {n: found[n].fields["state"] for n in ("gpu002", "gpu003", "gpu004")} == {
        "gpu002": "in_service",
        "gpu003": "out_of_service",
        "gpu004": "out_of_service",
    }


@pytest.mark.parametrize(
    ("said", "state"),
    [
        ({"state": ["IDLE"]}, "in_service"),
        ({"state": ["ALLOCATED", "COMPLETING"]}, "in_service"),
        ({"state": ["MIXED", "PLANNED"]}, "in_service"),
        ({"state": ["IDLE", "RESERVED"]}, "in_service"),
        ({"state": ["IDLE", "DRAIN"]}, "out_of_service"),
        ({"state": ["ALLOCATED", "NOT_RESPONDING"]}, "out_of_service"),
        ({"state": ["IDLE", "MAINTENANCE"]}, "out_of_service"),
        ({"state": ["IDLE", "REBOOT_ISSUED"]}, "out_of_service"),
        ({"state": ["DOWN"]}, "out_of_service"),
        ({"state": ["UNKNOWN"]}, "out_of_service"),
        ({"state": "idle", "state_flags": []}, "in_service"),
        ({"state": "idle", "state_flags": ["DRAIN"]}, "out_of_service"),
        ({"state": []}, None),
        ({}, None),
    ],
)
def test_a_state_is_read_in_the_forms_of_all_versions(said: dict[str, Any], state: str | None) -> None:
    assert to_facts({"name": "n", **said}, {}).fields.get("state") == state


@pytest.mark.parametrize(
    ("gres", "gpus"),
    [
        ("gpu:8", "8"),
        ("gpu:h100:8(S:0-1)", "8"),
        ("gpu:h100:4,gpu:a100:2,nic:2", "6"),
        ("nic:2", None),
        ("", None),
        (None, None),
    ],
)
def test_gpus_are_counted_from_gres(gres: str | None, gpus: str | None) -> None:
    assert to_facts({"name": "n", "gres": gres}, {}).fields.get("gpus") == gpus


def test_a_node_on_several_leaves_names_them_all(tmp_path: Path) -> None:
    lines = "\n".join(f"SwitchName=rail{n} Level=0 LinkSpeed=1 Nodes=gpu[001-004]" for n in range(2))
    assert by_name(scontrol(tmp_path, topology=lines)())["gpu001"].fields["switch.0"] == "rail0,rail1"


def test_a_cluster_without_a_tree_has_nodes_all_the_same(tmp_path: Path) -> None:
    found = scontrol(tmp_path, topology="No topology information available")()
    assert {facts.fields["sort"] for facts in found} == {"node"}
    assert all("switch.0" not in facts.fields for facts in found)


@pytest.mark.parametrize(
    ("told", "error", "said"),
    [
        (
            {"nodes": "!echo 'slurm_load_node error: Unable to contact slurm controller' >&2; exit 1"},
            TryLater,
            "contact",
        ),
        ({"topology": "!exit 1"}, TryLater, "show topology failed"),
        ({"hostnames": "!exit 1"}, TryLater, "show hostnames"),
        ({"nodes": "NodeName=gpu001 State=IDLE"}, Refused, "sinfo --json"),
        ({"nodes": "[]"}, Refused, "no list of nodes"),
        ({"nodes": '{"nodes": [{"state": []}]}'}, Refused, "no list of nodes"),
        ({"nodes": '{"nodes": [], "errors": [{"error": "no"}]}'}, TryLater, "tells errors"),
    ],
)
def test_what_fails_is_an_error_and_no_empty_cluster(
    tmp_path: Path, told: dict[str, str], error: type[Exception], said: str
) -> None:
    with pytest.raises(error, match=said):
        scontrol(tmp_path, **told)()


def test_a_program_that_is_not_there_is_told() -> None:
    with pytest.raises(Refused, match="nowhere/scontrol show nodes --json cannot be run"):
        SlurmNodes(Slurm(scontrol="nowhere/scontrol"))()


def test_recorded_answers_are_whole() -> None:
    assert len(parse_nodes((RECORDED / "nodes-24.11.json").read_text())) == 9
    assert [(s.name, s.level) for s in parse_topology((RECORDED / "topology-24.11.txt").read_text())] == [
        ("leaf0", 0),
        ("leaf1", 0),
        ("spine", 1),
    ]
    assert json.loads((RECORDED / "nodes-24.11.json").read_text())["meta"]["slurm"]["release"] == "24.11.5"
