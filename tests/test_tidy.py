"""What keeps the house in order: sizes, docstrings, documented words, nothing of one machine's."""

import ast
import os
import re
import subprocess
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

from fermata.domain.reasons import CODES, SENTENCES

ROOT = Path(__file__).parents[1]
MODULE_LINES_MAX = 400
FUNCTION_LINES_MAX = 60
UNFINISHED = re.compile(r"\b(TODO|FIXME|XXX|NotImplementedError)\b")
MACHINE_PATH = re.compile(r"(?<![\w.])/(wor[k]|roo[t]|tmp/bash_job[s])/")
REGISTRY = re.compile(
    r"pypi\.org|pythonhosted\.org|npmjs\.(org|com)|yarnpkg\.com|unpkg\.com|jsdelivr\.net"
    r"|cdnjs\.|deb\.debian\.org|\bartifactory\b",
    re.IGNORECASE,
)
WORDS = (
    "supercomputer", "cluster", "rack", "scalable unit", "node", "shared device", "component",
    "update", "impact", "criticality", "stage", "request",
    "incarnation", "due date", "approval", "policy", "freeze", "campaign", "plan", "window",
    "phase", "gate", "bake", "drain", "lock", "verify", "return", "baseline", "tail", "fallout",
    "forecast", "conductor",
)  # fmt: skip


def test_modules_are_short() -> None:
    sizes = {path: len(text(path).splitlines()) for path in modules("src", "tests")}
    assert [f"{path}: {n} lines" for path, n in sizes.items() if n > MODULE_LINES_MAX] == []


def test_functions_are_short() -> None:
    faults = [
        f"{path}:{node.lineno}: {node.name} has {length(node)} lines"
        for path in modules("src", "tests")
        for node in ast.walk(tree(path))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and length(node) > FUNCTION_LINES_MAX
    ]
    assert faults == []


def test_modules_say_what_they_hold() -> None:
    assert [path for path in modules("src") if not ast.get_docstring(tree(path))] == []


def test_nothing_is_left_unfinished() -> None:
    assert list(findings(UNFINISHED, modules("src"))) == []


def test_no_file_names_a_machine_or_a_registry() -> None:
    assert list(findings(MACHINE_PATH, files())) == []
    assert list(findings(REGISTRY, files())) == []


def test_locks_carry_hashes_and_no_host() -> None:
    for name in ("requirements.lock", "requirements-dev.lock"):
        lock = text(name)
        assert "://" not in lock
        assert "--hash=sha256:" in lock
        assert not re.search(r"^\s*--(?!hash=)", lock, re.MULTILINE), f"{name} has an option line"
    assert "://" not in text("package-lock.json")
    assert '"resolved"' not in text("package-lock.json")


def test_text_files_end_with_a_newline() -> None:
    contents = {path: (ROOT / path).read_bytes() for path in files()}
    faults = [
        path for path, content in contents.items() if content and b"\0" not in content and not content.endswith(b"\n")
    ]
    assert faults == []


def test_every_reason_has_a_sentence_and_a_line_in_the_docs() -> None:
    documented = text("docs/reasons.md")
    assert [code for code in CODES if not SENTENCES.get(code)] == []
    assert [code for code in CODES if f"`{code}`" not in documented] == []


def test_every_word_stands_in_the_glossary() -> None:
    entries = {
        entry.lower()
        for line in text("docs/glossary.md").splitlines()
        for entry in re.findall(r"^[-*#|\s]*[*`]*([A-Za-z][A-Za-z -]*[A-Za-z])", line)
    }
    assert [word for word in WORDS if word not in entries] == []


@cache
def files() -> tuple[str, ...]:
    """What git tracks or would track, relative to the root; a deleted file is not there."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        check=True,
        text=True,
    ).stdout.split("\0")
    return tuple(sorted({name for name in listed if name and (ROOT / name).is_file()}))


def modules(*folders: str) -> list[str]:
    return [name for name in files() if name.endswith(".py") and name.split("/")[0] in folders]


def findings(pattern: re.Pattern[str], paths: list[str] | tuple[str, ...]) -> Iterator[str]:
    for path in paths:
        content = text(path)
        for match in pattern.finditer(content):
            line = content.count("\n", 0, match.start()) + 1
            yield f"{path}:{line}: {match.group()}"


def length(node: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    assert node.end_lineno is not None
    return node.end_lineno - node.lineno + 1


@cache
def tree(path: str) -> ast.Module:
    return ast.parse(text(path))


@cache
def text(path: str) -> str:
    return (ROOT / path).read_text(encoding="utf-8", errors="replace")


@pytest.mark.xdist_group("tidy")
def test_tests_of_a_group_stay_on_one_worker(request: pytest.FixtureRequest) -> None:
    """What they share (a browser, a scheduler, ports) is there once; that they were spread was seen by chance alone."""
    if "PYTEST_XDIST_WORKER" in os.environ:
        assert request.node.nodeid.endswith("@tidy")
