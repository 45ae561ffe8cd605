"""Builds the `fermata` command and turns whatever goes wrong into a sentence and an exit code."""

import gc
import sys
from collections.abc import Mapping, Sequence
from importlib import import_module
from typing import Annotated, NoReturn

import typer
from typer.exceptions import TyperException

import fermata
from fermata.cli import output
from fermata.cli.completion import words_asked
from fermata.cli.examples import add_examples
from fermata.client import ServerRefusal
from fermata.formats.faults import BadInput
from fermata.services.errors import Refusal
from fermata.store.database import StoreUnavailable
from fermata.wiring.errors import SiteUnusable

NOUNS: Mapping[str, tuple[str, ...]] = {
    "demo": ("demo",),
    "inventory": ("import", "remove"),
    "sources": ("inventory",),
    "updates": ("updates",),
    "requests": ("pending", "requests"),
    "policy": ("policy",),
    "consent": ("approve", "withdraw", "decline"),
    "offers": ("offer",),
    "freezes": ("freeze",),
    "subscriptions": ("subscriptions",),
    "notices": ("notices",),
    "calendars": ("calendar",),
    "plan": ("plan",),
    "standing": ("standing",),
    "check": ("check",),
    "simulate": ("simulate",),
    "why": ("why",),
    "query": ("query",),
    "replan": ("replan",),
    "publish": ("publish",),
    "runs": ("start", "status"),
    "watch": ("watch",),
    "forecast": ("forecast",),
    "rooms": ("room",),
    "readmission": ("readmission",),
    "intents": ("pause", "resume", "stop", "abort"),
    "brake": ("brake",),
    "gates": ("gates",),
    "recover": ("recover",),
    "health": ("health",),
    "capacity": ("capacity",),
    "tail": ("tail",),
    "report": ("report",),
    "chart": ("chart",),
    "serve": ("serve",),
    "worker": ("worker",),
    "metrics": ("metrics",),
    "node_key": ("node",),
    "tokens": ("tokens",),
    "sign_in": ("sign-in", "sign-out", "whoami"),
    "adapters": ("adapters",),
    "doctor": ("doctor",),
    "audit": ("audit",),
    "break_glass": ("break-glass",),
    "backup": ("backup", "restore"),
    "bench": ("bench",),
    "completion": ("completion",),
}  # each file of this folder that has commands, in the order in which a campaign needs them, with their names
REASONS_SHOWN = 50  # in full, as of faults; a server tells no more of them


def build_app(arguments: Sequence[str] = ()) -> typer.Typer:
    """The command with the verb that `arguments` begin with, or with every verb when they begin with none.

    What a verb needs takes up to a second to load, so one that was not asked for is left alone.
    """
    app = typer.Typer(
        name="fermata",
        help="Planned maintenance of GPU supercomputers: consent, windows, proof of return.",
        no_args_is_help=True,
        add_completion=False,
        pretty_exceptions_enable=False,
        rich_markup_mode=None,
    )
    app.callback()(_root)
    asked = [noun for noun, verbs in NOUNS.items() if arguments and arguments[0] in verbs]
    for noun in asked or (() if "--version" in arguments else NOUNS):
        import_module(f"fermata.cli.{noun}").register(app)
    add_examples(app)
    return app


def main(argv: list[str] | None = None) -> NoReturn:
    """Runs one command. Exit codes: 0 done, 1 refused or failed, 2 usage or bad input, 3 infeasible."""
    gc.set_threshold(100_000, 20, 100)  # a fleet is a million small objects: the default walks them again and again
    arguments = sys.argv[1:] if argv is None else argv
    as_json = "--json" in arguments
    try:
        asked = words_asked()
        code = build_app(arguments if asked is None else asked)(
            args=arguments, prog_name="fermata", standalone_mode=not as_json
        )
    except TyperException as wrong:  # with --json alone: else usage is told with a hint to --help
        output.fail("USAGE", wrong.format_message(), exit_code=output.BAD_INPUT, as_json=True)
        sys.exit(output.BAD_INPUT)
    except BadInput as bad:
        _tell_faults(bad, as_json=as_json)
        sys.exit(output.BAD_INPUT)
    except Refusal as refusal:
        reasons = [(reason.code, reason.sentence) for reason in refusal.reasons]
        _tell_refusal(reasons, len(reasons), as_json=as_json)
        sys.exit(output.REFUSED)
    except ServerRefusal as refusal:
        _tell_refusal(refusal.reasons, refusal.total, as_json=as_json)
        sys.exit(output.REFUSED)
    except (StoreUnavailable, SiteUnusable) as error:
        output.fail(error.code, str(error), exit_code=output.REFUSED, as_json=as_json)
        sys.exit(output.REFUSED)
    except OSError as error:
        output.fail("FILE_UNUSABLE", _file_sentence(error), exit_code=output.REFUSED, as_json=as_json)
        sys.exit(output.REFUSED)
    except KeyboardInterrupt:
        sys.exit(output.INTERRUPTED)
    sys.exit(code or output.DONE)


def _print_version(asked: bool) -> None:
    if asked:
        output.out.print(f"fermata {fermata.__version__}")
        raise typer.Exit


def _root(
    version: Annotated[
        bool, typer.Option("--version", help="Print the version and stop.", is_eager=True, callback=_print_version)
    ] = False,
) -> None:
    """Planned maintenance of GPU supercomputers: consent, windows, proof of return."""


def _tell_refusal(reasons: Sequence[tuple[str, str]], total: int, *, as_json: bool) -> None:
    shown = [{"code": code, "sentence": sentence} for code, sentence in reasons[:REASONS_SHOWN]]
    if as_json:
        output.print_json({"error": {**shown[0], "exit_code": output.REFUSED, "total": total, "reasons": shown}})
        return
    for reason in shown:
        output.fail(reason["code"], reason["sentence"], exit_code=output.REFUSED, as_json=False)
    if total > len(shown):
        output.err.print(f"... and {total - len(shown):,} more.")


def _file_sentence(error: OSError) -> str:
    where = f"{error.filename}: " if error.filename else ""
    return f"{where}{error.strerror or error}; nothing was written"


def _tell_faults(bad: BadInput, *, as_json: bool) -> None:
    if as_json:
        output.print_json({"error": {"code": "BAD_INPUT", "exit_code": output.BAD_INPUT, **bad.as_json()}})
        return
    output.err.print(str(bad), markup=False, soft_wrap=True)
    output.err.print(f"{output.count(bad.total, 'fault')}; nothing was changed.", style="bold")
