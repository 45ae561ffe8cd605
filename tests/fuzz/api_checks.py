"""What Schemathesis loads to ask as one caller (SCHEMATHESIS_HOOKS): real names among made-up ones, and what every
answer is held to beside the description. FERMATA_ASKED names the file that says who asks; FERMATA_COUNTED where to tell
what was answered.
"""

import json
import os
import re
import zlib
from collections import Counter
from pathlib import Path
from typing import Any

import schemathesis
from schemathesis import Case, CheckContext, GenerationMode, HookContext, Response

ASKED: dict[str, Any] = json.loads(Path(os.environ["FERMATA_ASKED"]).read_text())
FORBIDDEN = frozenset(ASKED["forbidden"])
WORDS = re.compile("|".join(f".{{0,60}}{re.escape(word)}.{{0,30}}" for word in ASKED["others"]) or "(?!)")
FREE_TEXT = frozenset({"why", "text", "reason", "cause", "label", "note", "title"})  # comes back as it was sent
METHODS_UNKNOWN = 405
UNKNOWN, BAD, NOT_ALLOWED, SERVER_ERROR = 401, 400, 403, 500
ADDRESS_TOO_LONG = 414  # told before anybody is looked up
_counted = Counter[str]()
_done = set[str]()


@schemathesis.hook
def map_case(context: HookContext, case: Case) -> Case:
    """Half of the strings that name something name what is there, of the caller's part and of others'."""
    if case.meta is not None and case.meta.generation.mode is not GenerationMode.POSITIVE:
        return case
    number = zlib.crc32(repr((case.path_parameters, case.query, case.body)).encode())
    for holder in (case.path_parameters, case.query):
        _name(holder, number)
    if isinstance(case.body, dict | list):
        _name(case.body, number)
    return case


def _name(value: Any, number: int) -> None:
    """In place; `number` chooses."""
    if isinstance(value, list):
        for part in value:
            _name(part, number)
        return
    if not hasattr(value, "items"):
        return
    for position, (key, held) in enumerate(list(value.items())):
        chosen = zlib.crc32(f"{number} {position} {key}".encode())
        names = ASKED["names"].get(key)
        if names and isinstance(held, str) and (key == "actor" or chosen % 4):
            value[key] = names[chosen // 4 % len(names)]
        elif names and isinstance(held, list) and held and all(isinstance(part, str) for part in held):
            value[key] = list(dict.fromkeys(names[(chosen + at) % len(names)] for at in range(len(held))))
        elif isinstance(held, dict | list):
            _name(held, chosen)


@schemathesis.hook
def after_call(context: HookContext, case: Case, response: Response) -> None:
    """Counts."""
    _counted[str(response.status_code)] += 1
    if response.status_code < BAD:
        _done.add(case.operation.label)
    if _counted.total() % 50 == 1:
        _tell()


@schemathesis.check
def nobody_unknown_is_answered(ctx: CheckContext, response: Response, case: Case) -> None:
    """Whoever shows nothing learns that, and nothing else; but that an address is too long, whoever it is."""
    if not ASKED["caller"] and response.status_code not in (UNKNOWN, ADDRESS_TOO_LONG):
        raise AssertionError(f"nobody was answered {response.status_code}")


@schemathesis.check
def roles_do_what_is_theirs(ctx: CheckContext, response: Response, case: Case) -> None:
    """Whatever is sent to an operation that none of the caller's roles may do, nothing comes of it."""
    label = f"{response.request.method} {case.operation.path}"
    if label in FORBIDDEN and response.status_code < BAD:
        raise AssertionError(f"{label} takes another role, and was answered {response.status_code}")


@schemathesis.check
def answers_name_nothing_of_others(ctx: CheckContext, response: Response, case: Case) -> None:
    """But what the caller named itself in what it asked."""
    if not ASKED["others"]:
        return
    sent = f"{response.request.url} {response.request.body!r} {response.request.headers}"
    text = f"{response.text} {response.headers}"
    for given in sorted(set(re.findall(r"[\w.-]*zq[\w-]+", sent)), key=len, reverse=True):
        text = text.replace(given, "")
    found = WORDS.search(text)
    if found is not None:
        raise AssertionError(f"it names what is another's: {found[0]}")


def _tell() -> None:
    told = {"statuses": dict(sorted(_counted.items())), "done": sorted(_done)}
    Path(os.environ["FERMATA_COUNTED"]).write_text(json.dumps(told))


@schemathesis.check
class TellsInTheEnd:
    """Not a check: it writes what was counted."""

    def after_run(self, ctx: CheckContext) -> None:
        """After all."""
        _tell()
