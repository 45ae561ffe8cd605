"""What a run says of its hosts, read from the events that Ansible Runner writes. Values in, values out."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from fermata.domain.health import shorten

FACTS = ("fermata_versions", "fermata_staged", "fermata_boot")
SAYS = ("censored", "msg", "stderr", "module_stderr", "reason")


class End(StrEnum):
    """What is known of one host once its run is over; whether it has the version is another question."""

    DONE = "done"  # every task that concerns it ended without a fault
    FAILED = "failed"
    UNREACHED = "unreached"  # it did not answer to a task, which may have been done: a connection is lost in the middle
    UNKNOWN = "unknown"  # the run was cut off
    LEFT_OUT = "left out"  # the playbook has nothing for it


@dataclass(frozen=True, slots=True, kw_only=True)
class HostEnd:
    """`says`: the task and what went wrong; "" where nothing did. `facts`: those of ours that were set, the last of
    each.
    """

    end: End
    says: str = ""
    facts: Mapping[str, Any] = field(default_factory=dict)


@dataclass(slots=True)
class _Host:
    is_begun: bool = False
    says: str = ""
    facts: dict[str, Any] = field(default_factory=dict)


def read_ends(events: Iterable[Mapping[str, Any]], hosts: Iterable[str]) -> Mapping[str, HostEnd]:
    """The end of each of `hosts`. `events` in the order they happened; whatever is odd in one is passed over."""
    told = {name: _Host() for name in hosts}
    stats: Mapping[str, Any] | None = None
    for event in events:
        data = event.get("event_data")
        if not isinstance(data, dict):
            continue
        kind = str(event.get("event") or "")
        if kind == "playbook_on_stats":
            stats = data
        host = told.get(str(data.get("host")))
        if host is not None and kind.startswith("runner_"):
            _hear(host, kind, data)
    return {name: _judge(name, host, stats) for name, host in told.items()}


def _hear(host: _Host, kind: str, data: Mapping[str, Any]) -> None:
    host.is_begun = True
    result = data.get("res")
    result = result if isinstance(result, dict) else {}
    if kind == "runner_on_unreachable" or (kind == "runner_on_failed" and not data.get("ignore_errors")):
        host.says = _say(str(data.get("task") or "a task"), result)
    facts = result.get("ansible_facts")
    if kind == "runner_on_ok" and isinstance(facts, dict):
        host.facts |= {name: facts[name] for name in FACTS if name in facts}


def _judge(name: str, host: _Host, stats: Mapping[str, Any] | None) -> HostEnd:
    if stats is None:  # the run was cut off
        return HostEnd(end=End.UNKNOWN if host.is_begun else End.LEFT_OUT, says=host.says, facts=host.facts)
    if _count(stats, "failures", name):
        return HostEnd(end=End.FAILED, says=host.says, facts=host.facts)
    if _count(stats, "dark", name):
        return HostEnd(end=End.UNREACHED, says=host.says, facts=host.facts)
    return HostEnd(end=End.DONE if _count(stats, "processed", name) else End.LEFT_OUT, facts=host.facts)


def _count(stats: Mapping[str, Any], what: str, name: str) -> bool:
    counts = stats.get(what)
    return isinstance(counts, dict) and bool(counts.get(name))


def _say(task: str, result: Mapping[str, Any]) -> str:
    words = [shorten(str(result[key])) for key in SAYS if result.get(key)]
    return ": ".join([shorten(task), *(words or ["it does not say why"])])
