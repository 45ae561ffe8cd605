"""`fermata completion`: what makes a shell complete our commands and options."""

import os
import shlex
from collections.abc import Sequence
from enum import StrEnum
from typing import Annotated

import typer
from typer.completion import completion_init, get_completion_script  # type: ignore[attr-defined]  # no __all__ there

from fermata.cli import options, output

ASKED = "_FERMATA_COMPLETE"  # set by the script when the shell asks
_WORDS = ("COMP_WORDS", "_TYPER_COMPLETE_ARGS")  # what stands on the line so far: of bash, of the others


class Shell(StrEnum):
    """The shells that we were tried with."""

    BASH = "bash"
    ZSH = "zsh"
    FISH = "fish"


ShellArgument = Annotated[Shell, typer.Argument(help="The shell that you use.", show_default=False)]


def register(app: typer.Typer) -> None:
    """Adds the command."""
    app.command("completion")(completion)


def completion(shell: ShellArgument, as_json: options.JsonOption = False) -> None:
    """Prints the script that makes a shell complete commands and options with the tab key. It changes no file of yours:
    put it where your shell looks.
    """
    script = get_completion_script(prog_name="fermata", complete_var=ASKED, shell=shell.value)
    if as_json:
        output.print_json({"schema": "fermata.completion/1", "shell": shell.value, "script": script})
    else:
        output.print_line(script)


def words_asked() -> Sequence[str] | None:
    """While a shell asks for completions: the words after the command so far, of which the last is not whole. None when
    it is not asking.
    """
    if ASKED not in os.environ:
        return None
    completion_init()
    text = next((os.environ[name] for name in _WORDS if name in os.environ), "")
    try:
        words = shlex.split(text)[1:]
    except ValueError:  # a quote is still open
        return ()
    is_begun = len(words) > 1 or text.endswith((" ", "\n"))
    return words if is_begun else ()
