"""What we write into a node's reason and comment, so that a restart finds it: which steps were asked, and of what hold.

The reason carries the step under way, `fermata:<key> <op>, window <window>`; the comment, behind what people wrote
there, those of this hold, `fermata{...}`. In both, a key says `*` where it names its node: many nodes share one text,
and one call. Pure.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from enum import StrEnum
from urllib.parse import quote, unquote

from fermata.domain.ids import StepKey

KEYS_KEPT_MAX = 16  # steps of one hold that are remembered: a node has few in a window, and comments stay short
FOUND_MAX = 200  # characters of the reason that a node was found with
_SAFE = "/:.,+@=_-"
_ENTRY = re.compile(r"^(\w+)=(\S+)@(\d+)([+~?-])$")


class Op(StrEnum):
    """What a step asks of Slurm."""

    LOCK = "lock"
    DRAIN = "drain"
    GIVE_BACK = "give_back"
    RELEASE = "release"
    REBOOT = "reboot"
    RESET = "reset"


_OPS = frozenset(op.value for op in Op)


class Mark(StrEnum):
    """How a step that is remembered ended. ASKED: it is the last, or nobody looked."""

    ASKED = "?"
    DONE = "+"
    FAILED = "-"
    OVERTAKEN = "~"


@dataclass(frozen=True, slots=True, kw_only=True)
class Tag:
    """A step as the reason of a node tells it. `rest`: what Slurm wrote behind."""

    template: str
    op: Op
    rest: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """A step as the comment of a node remembers it. `at`: when it was asked, UTC, whole seconds."""

    op: Op
    template: str
    at: datetime
    mark: Mark = Mark.ASKED


@dataclass(frozen=True, slots=True, kw_only=True)
class Trail:
    """What the comment of a node holds. `human`: what people wrote there. `found`: the reason that a node had which was
    down when it was taken; None: it was in service.
    """

    human: str = ""
    entries: tuple[Entry, ...] = ()
    found: str | None = None

    def find(self, template: str) -> Entry | None:
        """The entry of a key."""
        return next((entry for entry in reversed(self.entries) if entry.template == template), None)

    @property
    def last(self) -> Entry | None:
        """What was asked last."""
        return self.entries[-1] if self.entries else None

    def judged(self, mark: Mark) -> "Trail":
        """The same, once the last step was judged."""
        if not self.entries or self.entries[-1].mark is not Mark.ASKED:
            return self
        return replace(self, entries=(*self.entries[:-1], replace(self.entries[-1], mark=mark)))

    def adding(self, entry: Entry) -> "Trail":
        """The same with one more step; of too many, the oldest are forgotten."""
        others = tuple(each for each in self.entries if each.template != entry.template)
        return replace(self, entries=(*others, entry)[-KEYS_KEPT_MAX:])


def to_template(key: StepKey, node: str) -> str:
    """The key with `*` for its node, free of blanks."""
    return "/".join("*" if part == node else quote(part, safe=_SAFE) for part in key.split("/"))


def to_key(template: str, node: str) -> StepKey:
    """The key that the template is of, on this node."""
    return StepKey("/".join(node if part == "*" else unquote(part) for part in template.split("/")))


def write_reason(owner: str, template: str, op: Op, rest: str = "") -> str:
    """The reason of a node that we hold."""
    parts = template.split("/")
    window = f", window {unquote(parts[1])}" if len(parts) >= 5 else ""
    return f"{owner}:{template} {op}{window}{rest}"


def read_reason(owner: str, reason: str) -> Tag | None:
    """The step that a reason tells; None when the reason is not of ours."""
    start = f"{owner}:"
    if not reason.startswith(start):
        return None
    words = reason.removeprefix(start).split(" ", 2)
    if len(words) < 2 or words[1].rstrip(",") not in _OPS:
        return None
    return Tag(template=words[0], op=Op(words[1].rstrip(",")), rest=words[2] if len(words) > 2 else "")


def write_comment(owner: str, trail: Trail) -> str:
    """The comment that keeps `trail`."""
    told = [f"{e.op}={e.template}@{int(e.at.timestamp())}{e.mark}" for e in trail.entries]
    if trail.found is not None:
        told.append(f"found={quote(trail.found[:FOUND_MAX], safe=_SAFE)}")
    ours = f"{owner}{{{' '.join(told)}}}" if told else ""
    return f"{trail.human} {ours}".strip()


def read_comment(owner: str, comment: str) -> Trail:
    """What a comment keeps. Words between our braces that are not of ours are dropped."""
    match = re.search(rf"(?:^|\s){re.escape(owner)}\{{([^{{}}]*)\}}\s*$", comment)
    if match is None:
        return Trail(human=comment.strip())
    words = match[1].split()
    found = next((unquote(w.removeprefix("found=")) for w in words if w.startswith("found=")), None)
    return Trail(human=comment[: match.start()].strip(), entries=_entries(words), found=found)


def _entries(words: Sequence[str]) -> tuple[Entry, ...]:
    matches = (_ENTRY.match(word) for word in words)
    return tuple(
        Entry(op=Op(m[1]), template=m[2], at=at, mark=Mark(m[4]))
        for m in matches
        if m is not None and m[1] in _OPS and (at := _time(m[3])) is not None
    )


def _time(digits: str) -> datetime | None:
    """None of a number that is no time: anybody may write a comment."""
    try:
        return datetime.fromtimestamp(int(digits), UTC)
    except (ValueError, OverflowError, OSError):
        return None
