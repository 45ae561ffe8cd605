"""What every command owes whoever meets it for the first time: JSON, help with an example that works, completion."""

import json
import os
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer
from tests.cli.line import Line

from fermata.cli import main as command_line
from fermata.cli.completion import words_asked
from fermata.cli.examples import EXAMPLES
from fermata.cli.main import build_app

ROOT = typer.main.get_command(build_app())
FILES = (
    *(f"january/{name}.yaml" for name in ("updates", "policy", "campaign", "workloads")),
    "nic.yaml", "qualification.yaml", "policy.yaml", "approvals.csv",
)  # fmt: skip
FORBIDDEN = re.compile(r"\b(idempoten\w*|refactor\w*|TODO|utili[sz]e\w*|leverage\w*)\b")


def commands(group: Any = ROOT, path: tuple[str, ...] = ()) -> Iterator[tuple[str, Any]]:
    for name, command in group.commands.items():
        if hasattr(command, "commands"):
            yield from commands(command, (*path, name))
        if not hasattr(command, "commands") or command.invoke_without_command:
            yield " ".join((*path, name)), command


EVERY = dict(commands())


@pytest.mark.parametrize("name", EVERY)
def test_a_command_prints_json_on_demand(name: str) -> None:
    assert any("--json" in param.opts for param in EVERY[name].params)


@pytest.mark.parametrize("name", EVERY)
def test_a_commands_help_says_what_it_does_and_shows_an_example(name: str) -> None:
    command = EVERY[name]
    context = command.make_context(name, [], resilient_parsing=True)
    text = command.get_help(context)
    assert len((command.help or "").split()) >= 3
    assert not FORBIDDEN.search(text)
    for example in EXAMPLES[name]:
        assert example in text, "as one line, to be copied"
    for param in command.params:
        assert getattr(param, "help", None), f"{param.opts} is not explained"


def test_examples_are_of_commands_that_there_are() -> None:
    assert set(EXAMPLES) == set(EVERY)


@pytest.mark.parametrize("example", [line for lines in EXAMPLES.values() for line in lines])
def test_an_example_is_understood(example: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """All but the work itself is done: names of commands and options, and the values of these."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "january" / "fleet").mkdir(parents=True)
    for name in FILES:
        (tmp_path / name).touch()
    words = shlex.split(example.partition(" > ")[0].partition(" >> ")[0].partition(" < ")[0])
    assert words.pop(0) == "fermata"
    command, context = ROOT, ROOT.make_context("fermata", words, resilient_parsing=True)
    while hasattr(command, "commands") and words and words[0] in command.commands:
        name = words.pop(0)
        command = command.commands[name]
        context = (
            command.make_context(name, list(words), parent=context) if not hasattr(command, "commands") else context
        )
    if hasattr(command, "commands"):  # a group that does something by itself
        command.make_context(command.name, list(words), parent=context)


def asked(words: str, shell: str, **environment: str) -> list[str]:
    """What a shell is offered."""
    outside = {**os.environ, "_FERMATA_COMPLETE": f"complete_{shell}", **environment}
    done = subprocess.run(
        [sys.executable, "-m", "fermata"], env=outside, capture_output=True, text=True, check=False, timeout=120
    )
    assert done.stderr == "", words
    return done.stdout.split()


def test_every_shell_is_offered_commands_and_options() -> None:
    assert asked("sta", "bash", COMP_WORDS="fermata sta", COMP_CWORD="1") == ["standing", "start", "status"]
    assert "--once" in asked("--o", "bash", COMP_WORDS="fermata watch --o", COMP_CWORD="2")
    assert "hold" in " ".join(asked("ho", "zsh", _TYPER_COMPLETE_ARGS="fermata gates ho"))
    fish = asked("wat", "fish", _TYPER_COMPLETE_ARGS="fermata wat", _TYPER_COMPLETE_FISH_ACTION="get-args")
    assert "watch" in fish


def test_a_word_that_is_whole_loads_its_command_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("_FERMATA_COMPLETE", "complete_bash")
    for typed, words in (("fermata wat", ()), ("fermata watch --o", ("watch", "--o")), ("fermata watch ", ("watch",))):
        monkeypatch.setenv("COMP_WORDS", typed)
        assert tuple(words_asked() or ()) == words
    monkeypatch.setenv("COMP_WORDS", "fermata query 'half a")
    assert words_asked() == ()
    monkeypatch.delenv("_FERMATA_COMPLETE")
    assert words_asked() is None


def test_bash_completes_with_the_script_that_is_printed(line: Line, tmp_path: Path) -> None:
    script = line.run("completion", "bash", store=False).out
    assert json.loads(line.run("completion", "bash", "--json", store=False).out)["script"] == script.rstrip("\n")
    (tmp_path / "fermata").write_text(f'#!/bin/sh\nexec {sys.executable} -m fermata "$@"\n')
    (tmp_path / "fermata").chmod(0o755)
    function = '$(complete -p fermata | sed "s/.*-F \\([^ ]*\\).*/\\1/")'
    typed = f'COMP_WORDS=(fermata wat); COMP_CWORD=1; {function} fermata; echo "${{COMPREPLY[@]}}"'
    done = subprocess.run(
        ["bash", "--norc", "-c", f"{script}\n{typed}"],
        env={**os.environ, "PATH": f"{tmp_path}:{os.environ['PATH']}"}, capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert done.stdout.split() == ["watch"]
    for shell in ("zsh", "fish"):
        assert "_FERMATA_COMPLETE" in line.run("completion", shell, store=False).out


@pytest.mark.parametrize("words", ["status", "requests", "updates list", "freeze list", "tail"])
def test_a_pipe_gets_no_colours(imported: Line, words: str) -> None:
    answer = imported.run(*words.split())
    assert "\x1b" not in answer.out + answer.err
    assert command_line.output.out.is_terminal is False
