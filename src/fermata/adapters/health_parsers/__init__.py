"""What health checks print, read: one tool a file, each a pure function of the output and the exit code.

Outputs come from nodes that may be broken: every parser takes bounded text and raises nothing but Unreadable.
"""

from collections.abc import Callable, Mapping
from enum import StrEnum

from fermata.adapters.health_parsers import dcgmi, exit_code, nccl_tests, node_health_check, nvidia_smi, superbench
from fermata.domain.health import Findings

Parse = Callable[[str, int], Findings]


class Parser(StrEnum):
    """Which tool a check runs."""

    DCGMI = "dcgmi"
    NVIDIA_SMI = "nvidia_smi"
    NCCL_TESTS = "nccl_tests"
    SUPERBENCH = "superbench"
    NODE_HEALTH_CHECK = "node_health_check"
    EXIT_CODE = "exit_code"


PARSERS: Mapping[Parser, Parse] = {
    Parser.DCGMI: dcgmi.parse,
    Parser.NVIDIA_SMI: nvidia_smi.parse,
    Parser.NCCL_TESTS: nccl_tests.parse,
    Parser.SUPERBENCH: superbench.parse,
    Parser.NODE_HEALTH_CHECK: node_health_check.parse,
    Parser.EXIT_CODE: exit_code.parse,
}
