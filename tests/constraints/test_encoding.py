"""Every rule tells the planner what it asks, or why it need not; what it tells shares no code with its check."""

import ast
import pkgutil
from collections.abc import Iterator
from importlib import import_module
from inspect import get_annotations, getsource
from types import ModuleType

import pytest

from fermata.planning import constraints
from fermata.planning.encoders import list_encoders
from fermata.planning.encoding import Calendar, Capacity, Parts, Steps, Takes, Turns

OF_THE_CHECKER = tuple(f"fermata.planning.{name}" for name in ("case", "reading", "sweep", "excuses", "scores"))
OF_THE_PLANNER = tuple(f"fermata.planning.{name}" for name in ("encoding", "limits"))
RULES = [
    import_module(f"{constraints.__name__}.{module.name}") for module in pkgutil.iter_modules(constraints.__path__)
]
CODES = [rule.CODE for rule in RULES]


@pytest.mark.parametrize("rule", RULES, ids=CODES)
def test_a_rule_tells_the_planner_or_says_why_not(rule: ModuleType) -> None:
    written = getattr(rule, "WRITTEN", None)
    assert hasattr(rule, "encode") != (written is not None)
    if written is None:
        assert get_annotations(rule.encode)["return"] in (Takes, Parts, Calendar, Capacity, Steps, Turns)
    else:
        assert written.endswith(".")


def test_whatever_encodes_is_listed() -> None:
    assert [encoder.code for encoder in list_encoders()] == [rule.CODE for rule in RULES if hasattr(rule, "encode")]


@pytest.mark.parametrize("rule", RULES, ids=CODES)
def test_check_and_encode_share_no_code(rule: ModuleType) -> None:
    functions = {n.name: n for n in ast.parse(getsource(rule)).body if isinstance(n, ast.FunctionDef)}
    checked = set(reached("check", functions))
    encoded = set(reached("encode", functions)) if "encode" in functions else set()
    assert checked & encoded & functions.keys() == set()
    origins = imported_from(rule)
    assert {n for n in encoded if origins.get(n) in OF_THE_CHECKER} == set()
    assert {n for n in checked if origins.get(n) in OF_THE_PLANNER} == set()


def reached(start: str, functions: dict[str, ast.FunctionDef]) -> Iterator[str]:
    """Every name that a function uses, over the functions of the same file that it calls."""
    waiting, seen = [start], {start}
    while waiting:
        for node in ast.walk(functions[waiting.pop()]):
            if isinstance(node, ast.Name) and node.id not in seen:
                seen.add(node.id)
                yield node.id
                if node.id in functions:
                    waiting.append(node.id)


def imported_from(rule: ModuleType) -> dict[str, str]:
    imports = (node for node in ast.parse(getsource(rule)).body if isinstance(node, ast.ImportFrom))
    return {alias.name: str(node.module) for node in imports for alias in node.names}
