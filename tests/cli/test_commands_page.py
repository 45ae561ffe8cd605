"""docs/commands.md has a row for every command, with exactly the options that it takes."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer

from fermata.cli.main import NOUNS, build_app

PAGE = (Path(__file__).parents[2] / "docs" / "commands.md").read_text(encoding="utf-8")
ROW = re.compile(r"^\| `((?:[a-z-]+ ?)+)[^|]*\| ([^|]*)\| ((?:`--[^|]*)?)\|", re.MULTILINE)  # command, places, options
SHARED = {"--json", "--help"}


def commands(group: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[str, set[str]]]:
    for name, command in group.commands.items():
        if hasattr(command, "commands"):
            yield from commands(command, (*path, name))
        if not hasattr(command, "commands") or command.invoke_without_command:
            options = {flag for param in command.params for flag in param.opts if flag.startswith("--")}
            yield " ".join((*path, name)), options - SHARED


def rows() -> dict[str, set[str]]:
    """By command, the options that its row names, those of its places included."""
    found = {}
    for name, places, options in ROW.findall(PAGE):
        letters = set(re.findall(r"\b[SV]\b", places))
        shared = {flag for letter, flag in (("S", "--store"), ("V", "--server")) if letter in letters}
        found[name.strip()] = shared | set(re.findall(r"--[a-z-]+", options))
    return found


def test_every_command_stands_on_the_page_with_its_options() -> None:
    assert rows() == dict(commands(typer.main.get_command(build_app())))


@pytest.mark.parametrize("noun", NOUNS)
def test_a_verb_is_found_in_the_file_that_the_table_names(noun: str) -> None:
    for verb in NOUNS[noun]:
        alone = typer.main.get_command(build_app([verb, "--help"]))
        assert {name.split()[0] for name, _ in commands(alone)} == set(NOUNS[noun])
