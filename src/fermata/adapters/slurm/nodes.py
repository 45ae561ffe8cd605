"""A node as Slurm tells it, read from the lines of `scontrol -o show nodes` (times in UTC: we ask for them so) or from
the JSON of slurmrestd, old (22.05: a word and flags) or new (a list). Pure.
"""

import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

# of the base state: jobs run on it
_BUSY = frozenset({"ALLOCATED", "MIXED", "COMPLETING", "ALLOC"})
_SERVING = frozenset({"IDLE", *_BUSY})
_NOT_SERVING = frozenset(
    {
        *("DRAIN", "DRAINED", "DRAINING", "DOWN", "FAIL", "FAILING", "MAINTENANCE", "NOT_RESPONDING", "INVALID"),
        *("INVALID_REG", "REBOOT_ISSUED", "REBOOT_REQUESTED", "POWERING_DOWN", "POWER_DOWN", "BLOCKED", "UNKNOWN"),
        *("ERROR", "FUTURE"),
    }
)
_OUT_OF_REACH = frozenset(
    {"NOT_RESPONDING", "POWERED_DOWN", "POWERING_DOWN", "POWERING_UP", "REBOOT_ISSUED", "UNKNOWN", "FUTURE"}
)
NOT_FOUND = " not found"  # ends the line that scontrol prints in place of a node that it does not know
_HELD = frozenset({"DRAIN", "DRAINED", "DRAINING", "FAIL", "FAILING"})
_BY = re.compile(r"^(.*?)(?: \[([^\]@]*)@([^\]]*)\])?$", re.DOTALL)


@dataclass(frozen=True, slots=True, kw_only=True)
class SlurmNode:
    """One node. Times are aware UTC; None: never, or not told. `reason_by`: who set the reason."""

    name: str
    states: frozenset[str]
    reason: str = ""
    reason_by: str = ""
    reason_at: datetime | None = None
    comment: str = ""
    booted_at: datetime | None = None
    started_at: datetime | None = None
    last_busy_at: datetime | None = None
    os: str = ""
    version: str = ""

    @property
    def is_busy(self) -> bool:
        """Jobs, or what they leave behind, are on it."""
        return not self.states.isdisjoint(_BUSY)

    @property
    def serves(self) -> bool:
        """Jobs are on it, or may begin there."""
        return self.is_busy or (not self.states.isdisjoint(_SERVING) and self.states.isdisjoint(_NOT_SERVING))

    @property
    def is_reachable(self) -> bool:
        """Its slurmd answers."""
        return self.states.isdisjoint(_OUT_OF_REACH)

    @property
    def is_drained(self) -> bool:
        """It has the flag that keeps jobs off until a person or a program takes it away."""
        return not self.states.isdisjoint(_HELD)

    @property
    def is_down(self) -> bool:
        """Down, for whatever reason."""
        return "DOWN" in self.states

    @property
    def takes_nothing(self) -> bool:
        """No job can begin on it."""
        return self.is_drained or self.is_down

    @property
    def reboots(self) -> bool:
        """A reboot was asked for and is not over."""
        return not self.states.isdisjoint({"REBOOT_ISSUED", "REBOOT_REQUESTED"})


def parse_lines(text: str, wanted: Collection[str] | None = None) -> Iterator[SlurmNode]:
    """The nodes of `scontrol -o show nodes`; only those `wanted`, None: all. Raises ValueError for other lines."""
    for line in text.splitlines():
        is_lacking = line.startswith("Node ") and line.endswith(NOT_FOUND)
        if not line.strip() or is_lacking or line.startswith("No nodes in the system"):
            continue
        if not line.startswith("NodeName="):
            raise ValueError(f"no line of a node: {line[:80]!r}")
        name = line[9:].split(" ", 1)[0]
        if wanted is None or name in wanted:
            yield _parse_line(name, line)


def parse_json(nodes: Sequence[Mapping[str, Any]], wanted: Collection[str] | None = None) -> Iterator[SlurmNode]:
    """The nodes of slurmrestd's answer; only those `wanted`, None: all. Raises ValueError for something else."""
    for node in nodes:
        name = node.get("name")
        if not isinstance(name, str) or not name:
            raise ValueError("a node without a name")
        if wanted is None or name in wanted:
            yield _parse_object(name, node)


def read_time(text: str) -> datetime | None:
    """A time as scontrol prints it for the zone UTC; None for `None`, `Unknown` and the like."""
    try:
        return datetime.strptime(text, "%Y-%m-%dT%H:%M:%S").replace(tzinfo=UTC)
    except ValueError:
        return None


def read_epoch(value: object) -> datetime | None:
    """A time of JSON: seconds, or an object that says whether it is set. 0 means never."""
    if isinstance(value, dict):
        value = value.get("number") if value.get("set") else 0
    is_time = isinstance(value, int) and 0 < value < 0xFFFFFFFE
    return datetime.fromtimestamp(value, UTC) if is_time and isinstance(value, int) else None


def _parse_line(name: str, line: str) -> SlurmNode:
    head, reason, comment = _cut(line)
    match = _BY.match(reason)
    words, by, at = (match[1], match[2] or "", match[3] or "") if match else (reason, "", "")
    return SlurmNode(
        name=name,
        states=frozenset(word.rstrip("*") for word in _field(head, "State").split("+")),
        reason=words,
        reason_by=by,
        reason_at=read_time(at),
        comment=comment,
        booted_at=read_time(_field(head, "BootTime")),
        started_at=read_time(_field(head, "SlurmdStartTime")),
        last_busy_at=read_time(_field(head, "LastBusyTime")),
        os=_os(head),
        version=_field(head, "Version"),
    )


def _cut(line: str) -> tuple[str, str, str]:
    """What stands before people's words, then the reason and the comment: they may say anything, and come in this
    order.
    """
    places = {key: line.find(f" {key}=") for key in ("Reason", "Comment", "Extra", "InstanceId")}
    first = min((place for place in places.values() if place >= 0), default=len(line))
    head, rest = line[:first], line[first:]
    reason = comment = ""
    if rest.startswith(" Reason="):
        reason, _, said = rest[8:].partition(" Comment=")
        rest = f" Comment={said}" if said else ""
    if rest.startswith(" Comment="):
        comment = re.split(r" (?:Extra|InstanceId|InstanceType|ResvName)=", rest[9:], maxsplit=1)[0]
    reason = re.split(r" (?:Extra|InstanceId|InstanceType|ResvName)=", reason, maxsplit=1)[0]
    return head, reason.strip(), comment.strip()


def _field(head: str, key: str) -> str:
    start = head.find(f" {key}=")
    return head[start + len(key) + 2 :].split(" ", 1)[0] if start >= 0 else ""


def _os(head: str) -> str:
    match = re.search(r" OS=(.*?) RealMemory=", head)
    return match[1].strip() if match else ""


def _parse_object(name: str, node: Mapping[str, Any]) -> SlurmNode:
    state, flags = node.get("state"), node.get("state_flags")
    found = [*(state if isinstance(state, list) else [state]), *(flags if isinstance(flags, list) else [])]
    return SlurmNode(
        name=name,
        states=frozenset(str(word).upper() for word in found if word),
        reason=str(node.get("reason") or ""),
        reason_by=str(node.get("reason_set_by_user") or ""),
        reason_at=read_epoch(node.get("reason_changed_at")),
        comment=str(node.get("comment") or ""),
        booted_at=read_epoch(node.get("boot_time")),
        started_at=read_epoch(node.get("slurmd_start_time")),
        last_busy_at=read_epoch(node.get("last_busy")),
        os=str(node.get("operating_system") or ""),
        version=str(node.get("slurmd_version") or node.get("version") or ""),
    )
