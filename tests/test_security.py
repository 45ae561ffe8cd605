"""SECURITY.md claims what a test proves: every threat names one that there is."""

import ast
import re
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
HEAD = "| threat | what stands against it | test |"
TEST = re.compile(r"`(tests/[\w/]+\.py)::(test_\w+)`")


def rows() -> list[tuple[str, str, str]]:
    """Threat, defence and test of each line of the table."""
    lines = (ROOT / "SECURITY.md").read_text(encoding="utf-8").splitlines()
    table = lines[lines.index(HEAD) + 2 :]
    found = [tuple(cell.strip() for cell in line.strip("|").split("|")) for line in table if line.startswith("|")]
    assert all(len(cells) == 3 for cells in found)
    return [(threat, defence, test) for threat, defence, test in found]


@cache
def list_tests(file: str) -> frozenset[str]:
    path = ROOT / file
    if not path.is_file():
        return frozenset()
    tree = ast.parse(path.read_text(encoding="utf-8"))
    return frozenset(node.name for node in tree.body if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef))


def is_a_test(named: str) -> bool:
    match = TEST.fullmatch(named)
    return match is not None and match[2] in list_tests(match[1])


@pytest.mark.parametrize(("threat", "test"), [(threat, test) for threat, _, test in rows()])
def test_a_threat_names_a_test_that_there_is(threat: str, test: str) -> None:
    assert is_a_test(test), f"{threat}: {test}"


def test_every_threat_is_told_once_with_what_stands_against_it() -> None:
    threats = [threat for threat, _, _ in rows()]
    assert len(threats) >= 40
    assert len(set(threats)) == len(threats)
    assert all(defence for _, defence, _ in rows())


@pytest.mark.parametrize(
    "named",
    ["", "none yet", "`tests/none.py::test_x`", "`tests/test_security.py::test_x`", "`tests/test_security.py`"],
)
def test_a_test_that_is_not_there_is_found_out(named: str) -> None:
    assert not is_a_test(named)
