"""What each tool prints becomes faults, doubts and figures; what is none of its output says nothing of the node."""

import json

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.adapters.health import outputs

from fermata.adapters.health_parsers import PARSERS, Parser
from fermata.domain.health import Findings, Unreadable

GOOD = {
    Parser.DCGMI: outputs.dcgmi_4({0: "Pass", 1: "Pass"}),
    Parser.NVIDIA_SMI: outputs.nvidia_smi(),
    Parser.NCCL_TESTS: outputs.nccl(),
    Parser.SUPERBENCH: outputs.superbench(),
    Parser.NODE_HEALTH_CHECK: "",
    Parser.EXIT_CODE: "all is well",
}


def read(parser: Parser, text: str, exit_code: int = 0) -> Findings:
    return PARSERS[parser](text, exit_code)


@pytest.mark.parametrize("parser", Parser)
def test_what_a_healthy_node_prints_is_neither_fault_nor_doubt(parser: Parser) -> None:
    found = read(parser, GOOD[parser])
    assert (found.faults, found.doubts) == ((), ())


FAULTS = (
    (Parser.DCGMI, outputs.dcgmi_4({0: "Pass", 3: "Fail"}, warnings={3: "DBE found"}), "memory on GPU 3: DBE found"),
    (Parser.DCGMI, outputs.dcgmi_3("Fail"), "PCIe on GPU 1: fail"),
    (Parser.NVIDIA_SMI, outputs.nvidia_smi(ecc=2), "GPU 00000000:2D:00.0: 2 uncorrectable ECC errors"),
    (Parser.NVIDIA_SMI, outputs.nvidia_smi(attached=8), "8 GPUs are attached and 2 are listed"),
    (
        Parser.NVIDIA_SMI,
        outputs.nvidia_smi(inside="<remapped_rows><remapped_row_failure>Yes</remapped_row_failure></remapped_rows>"),
        "rows could not be remapped",
    ),
    (Parser.NCCL_TESTS, outputs.nccl(wrong=5), "5 values out of bounds"),
    (Parser.SUPERBENCH, outputs.superbench(**{"nccl-bw__return_code___1": 3}), "nccl-bw/return_code:1 is 3"),
)


@pytest.mark.parametrize(("parser", "text", "said"), FAULTS)
def test_what_the_tool_says_is_broken_is_a_fault(parser: Parser, text: str, said: str) -> None:
    assert said in " / ".join(read(parser, text).faults)


DOUBTS = (
    (Parser.DCGMI, outputs.dcgmi_4({0: "Pass", 1: "Warn"}), "memory on GPU 1: warn"),
    (Parser.DCGMI, outputs.dcgmi_3("perhaps"), "PCIe on GPU 1: perhaps"),
    (Parser.DCGMI, json.dumps({"DCGM Diagnostic": {"test_categories": []}}), "no test passed"),
    (Parser.DCGMI, json.dumps({"DCGM GPU Diagnostic": {"runtime_error": "no host engine"}}), "no host engine"),
    (
        Parser.NVIDIA_SMI,
        outputs.nvidia_smi(inside="<remapped_rows><remapped_row_pending>Yes</remapped_row_pending></remapped_rows>"),
        "waits for a reset",
    ),
    (Parser.NVIDIA_SMI, outputs.nvidia_smi(inside="<fabric><state>In Progress</state></fabric>"), "In Progress"),
    (Parser.SUPERBENCH, json.dumps({"node": "n", "gemm/fp16:0": 1.5}), "names no benchmark that ran"),
    (Parser.NODE_HEALTH_CHECK, "ERROR:  nhc:  Health check failed:  check_fs_free:  /tmp", "ends with 0 and says"),
)


@pytest.mark.parametrize(("parser", "text", "said"), DOUBTS)
def test_what_is_odd_is_a_doubt_and_no_fault(parser: Parser, text: str, said: str) -> None:
    found = read(parser, text)
    assert (found.faults, said in " / ".join(found.doubts)) == ((), True)


@pytest.mark.parametrize(
    ("parser", "text", "said"),
    [
        (Parser.DCGMI, "Error: unable to establish a connection to the specified host: localhost", "no JSON"),
        (Parser.DCGMI, '{"Diagnostic": {}}', "it has none of"),
        (Parser.NVIDIA_SMI, "<nvidia_smi_log><attached_gpus>0</attached_gpus></nvidia_smi_log>", "lists 0 GPUs"),
        (Parser.NVIDIA_SMI, "<a><b/></a>", "no nvidia_smi_log"),
        (Parser.NVIDIA_SMI, outputs.nvidia_smi()[:-30], "no XML"),
        (
            Parser.NVIDIA_SMI,
            '<!DOCTYPE a [<!ENTITY b "bbb">]><nvidia_smi_log>&b;</nvidia_smi_log>',
            "declares entities",
        ),
        (Parser.NCCL_TESTS, outputs.nccl(ended=False), "did not end"),
        (Parser.NCCL_TESTS, outputs.nccl().replace("103.66", "103.66 7"), "other columns"),
        (Parser.SUPERBENCH, outputs.superbench() * 2, "no JSON"),
        (Parser.SUPERBENCH, '{"node": NaN}', "NaN is no number"),
        (Parser.SUPERBENCH, "[" * 100_000, "no JSON"),
    ],
)
def test_what_is_no_output_of_the_tool_is_refused_by_name(parser: Parser, text: str, said: str) -> None:
    with pytest.raises(Unreadable, match=said):
        read(parser, text)


def test_figures_have_the_tools_own_names() -> None:
    nccl = {figure.name: figure.value for figure in read(Parser.NCCL_TESTS, outputs.nccl()).figures}
    assert nccl == {
        "busbw": 181.4,
        "busbw_average": 108.3,
        "out_of_bounds": 0,
        "busbw_1048576": 35.08,
        "busbw_8589934592": 181.4,
    }
    smi = {figure.name: figure.value for figure in read(Parser.NVIDIA_SMI, outputs.nvidia_smi(ecc=2)).figures}
    assert smi == {"gpus": 2, "uncorrectable_ecc": 2, "temperature:0": 33, "temperature:1": 41}
    bench = read(Parser.SUPERBENCH, outputs.superbench(gemm__fp16___0=812.5, gemm__fp16___1=799)).figures
    assert {figure.name: figure.value for figure in bench} == {"gemm/fp16:0": 812.5, "gemm/fp16:1": 799}


def test_node_health_check_tells_what_failed() -> None:
    text = "20261127 [slurm] /etc/nhc/nhc.conf\nERROR:  nhc:  Health check failed:  check_hw_ib:  No IB port at 400\n"
    assert read(Parser.NODE_HEALTH_CHECK, text, 1).faults == ("check_hw_ib: No IB port at 400",)
    assert read(Parser.NODE_HEALTH_CHECK, "", 139).faults == ()


def test_a_command_that_says_no_more_than_its_exit_code_is_believed() -> None:
    assert read(Parser.EXIT_CODE, "looking\nfan 3 stands still\n", 2).faults == ("exit code 2: fan 3 stands still",)


WORDS = ("Pass", "Fail", "status", "results", "tests", "<gpu>", "</gpu>", "nan", "1e999", "-", "0", "\x00", "\udce9")


@st.composite
def spoilt(draw: st.DrawFn, good: str) -> str:
    """A good output with parts cut out, doubled, or replaced by what tools and people write."""
    text = good
    for _ in range(draw(st.integers(0, 4))):
        begin = draw(st.integers(0, len(text)))
        end = min(len(text), begin + draw(st.integers(0, 40)))
        stand_in = draw(st.sampled_from([*WORDS, text[begin:end] * 2]) | st.text(max_size=8))
        text = text[:begin] + stand_in + text[end:]
    return text


@pytest.mark.parametrize("parser", Parser)
def test_no_output_makes_a_parser_raise_anything_else(parser: Parser) -> None:
    @settings(max_examples=50, deadline=None, database=None, suppress_health_check=[HealthCheck.too_slow])
    @given(st.text() | spoilt(GOOD[parser] or "ERROR:  nhc:  Health check failed:  x") | TREES, st.integers(0, 255))
    def check(text: str, exit_code: int) -> None:
        try:
            found = read(parser, text, exit_code)
        except Unreadable:
            return
        assert all(isinstance(words, str) for words in (*found.faults, *found.doubts))
        assert len(found.figures) <= 600

    check()


KEYS = (
    *("DCGM Diagnostic", "DCGM GPU Diagnostic", "test_categories", "tests", "results", "status", "warnings", "name"),
    *("gpu_id", "entity_id", "entity_group", "test_summary", "node", "a/return_code", "a/b:0", "runtime_error"),
)
LEAVES = st.sampled_from([None, True, 0, -1, 10**400, 1e308, float("inf"), "", "Pass", "Fail", [], {}])
BRANCHES = st.dictionaries(st.sampled_from(KEYS), LEAVES | st.lists(LEAVES, max_size=3), max_size=4)
TWIGS = st.dictionaries(st.sampled_from(KEYS), BRANCHES | st.lists(BRANCHES, max_size=3) | LEAVES, max_size=3)
TREES = st.dictionaries(st.sampled_from(KEYS), TWIGS | LEAVES | st.lists(TWIGS, max_size=2), max_size=3).map(json.dumps)
