"""From a source's own words to nodes and devices, by the rules of its settings; what they do not say is not guessed."""

import re
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime
from functools import cache
from typing import TypeVar

from fermata.domain.fleet import Cluster, Device, DeviceScope, Node, NodeState, Role
from fermata.domain.ids import ClusterId, DeviceId, NodeId, RackId
from fermata.domain.inventory_reports import Facts, NotTaken, Report
from fermata.domain.reasons import Code, reason
from fermata.domain.sources import Rule, Source, UnitRules
from fermata.domain.updates import NODE_TARGET

NODE_COLUMNS = ("cluster", "rack", "fault_domain", "scalable_unit", "role", "workload", "state")
DEVICE_COLUMNS = ("kind", "cluster", "scope", "scope_id", "component")
GPUS = "gpus"  # a column of nodes that may be left out
VERSION = "version"  # likewise of devices
NAME_LENGTH_MAX = 200
VERSION_LENGTH_MAX = 128
GPUS_MAX = 1024  # beyond it the field is something else
SHOWN_MAX = 60

_BRACES = re.compile(r"\{([^{}]+)\}")
_CHOICES = {
    "role": frozenset(role.value for role in Role),
    "state": frozenset(state.value for state in NodeState),
    "scope": frozenset(scope.value for scope in DeviceScope),
}


class Unsaid(Exception):
    """No value: the source does not say a field, or says something that gives none. `why` says which."""

    def __init__(self, why: str) -> None:
        super().__init__(why)
        self.why = why


def map_report(
    source: Source,
    facts: Sequence[Facts],
    stated: Mapping[ClusterId, Cluster],
    *,
    observed_at: datetime,
    complete: bool = True,
) -> Report:
    """Everything that can be read of `facts`, with the stated clusters that it stands in, and what cannot."""
    assert source.nodes is not None, "a source in words of its own has rules for nodes"
    not_taken: list[NotTaken] = []
    nodes = _read(source, source.nodes, facts, "node", _to_node, not_taken)
    devices = _read(source, source.devices, facts, "device", _to_device, not_taken) if source.devices else {}
    used = {node.cluster for node in nodes.values()} | {device.cluster for device in devices.values()}
    return Report(
        source=source.id,
        observed_at=observed_at,
        complete=complete,
        clusters={name: stated[name] for name in sorted(used & stated.keys())},
        nodes={NodeId(name): node for name, node in nodes.items()},
        devices={DeviceId(name): device for name, device in devices.items()},
        not_taken=tuple(sorted(not_taken, key=lambda left: (left.kind, left.unit))),
    )


def fields_of(text: str) -> tuple[str, ...]:
    """The fields that a rule's text names."""
    return tuple(_BRACES.findall(text))


def find_value(rule: Rule, facts: Facts) -> str:
    """What the rule gives. Raises Unsaid."""
    missing = next((name for name in fields_of(rule.text) if not facts.fields.get(name)), None)
    if missing is not None:
        if rule.otherwise is not None:
            return rule.otherwise
        raise Unsaid(f"it says no {missing}")
    value = _BRACES.sub(lambda found: facts.fields[found.group(1)], rule.text)
    if rule.match is not None:
        found = _pattern(rule.match).search(value)
        taken = found.group(1 if found.re.groups else 0) if found else None
        if not taken:
            raise Unsaid(f"{_show(value)} does not match {rule.match}")
        value = taken
    if rule.values is None:
        return value
    if value not in rule.values:
        raise Unsaid(f"{_show(value)} is none of {', '.join(rule.values)}")
    return rule.values[value]


def is_one_of_ours(rules: UnitRules, facts: Facts) -> bool:
    """True when every rule of `only` gives a value."""
    for rule in rules.only:
        try:
            find_value(rule, facts)
        except Unsaid:
            return False
    return True


T = TypeVar("T", Node, Device)


def _read(
    source: Source,
    rules: UnitRules,
    facts: Iterable[Facts],
    kind: str,
    to_unit: Callable[[UnitRules, Facts], T],
    not_taken: list[NotTaken],
) -> dict[str, T]:
    ours = [each for each in facts if is_one_of_ours(rules, each)]
    counted = Counter(each.name for each in ours)
    found: dict[str, T] = {}
    for each in sorted(ours, key=lambda each: each.name):
        times = counted[each.name]
        if times > 1:  # nobody can tell them apart
            counted[each.name] = 0
            why = reason(Code.SOURCE_NAMES_TWICE, source=source.id, unit=each.name, times=times)
            not_taken.append(NotTaken(kind=kind, unit=each.name, reason=why))
        elif times == 1:
            try:
                found[each.name] = to_unit(rules, each)
            except _NotRead as wrong:
                fields = {"source": source.id, "unit": each.name, "column": wrong.column, "why": wrong.why}
                not_taken.append(
                    NotTaken(kind=kind, unit=each.name, reason=reason(Code.SOURCE_SAYS_TOO_LITTLE, **fields))
                )
    return found


class _NotRead(Exception):
    def __init__(self, column: str, why: str) -> None:
        super().__init__(column, why)
        self.column = column
        self.why = why


def _to_node(rules: UnitRules, facts: Facts) -> Node:
    columns = {column: _column(rules, facts, column) for column in NODE_COLUMNS}
    return Node(
        name=NodeId(_check("node", facts.name)),
        cluster=ClusterId(columns["cluster"]),
        rack=RackId(columns["rack"]),
        fault_domain=columns["fault_domain"],
        scalable_unit=columns["scalable_unit"],
        role=Role(columns["role"]),
        workload=columns["workload"],
        state=NodeState(columns["state"]),
        versions={component: _version(rule, facts, component) for component, rule in rules.components.items()},
        gpus=_gpus(rules, facts),
    )


def _to_device(rules: UnitRules, facts: Facts) -> Device:
    columns = {column: _column(rules, facts, column) for column in DEVICE_COLUMNS}
    if columns["kind"] == NODE_TARGET:
        raise _NotRead("kind", f"{NODE_TARGET} is no kind of device")
    rule = rules.columns.get(VERSION)
    return Device(
        name=DeviceId(_check("device", facts.name)),
        kind=columns["kind"],
        cluster=ClusterId(columns["cluster"]),
        scope=DeviceScope(columns["scope"]),
        scope_id=columns["scope_id"],
        component=columns["component"],
        version=_version(rule, facts, VERSION) if rule else "",
    )


def _column(rules: UnitRules, facts: Facts, column: str) -> str:
    try:
        return _check(column, find_value(rules.columns[column], facts))
    except Unsaid as unsaid:
        raise _NotRead(column, unsaid.why) from unsaid


def _check(column: str, value: str) -> str:
    choices = _CHOICES.get(column)
    if choices is not None and value not in choices:
        raise _NotRead(column, f"{_show(value)} is none of {', '.join(sorted(choices))}")
    if not value or len(value) > NAME_LENGTH_MAX or not value.isprintable() or value != value.strip():
        raise _NotRead(column, f"{_show(value)} is no name: 1 to {NAME_LENGTH_MAX} printable characters")
    return value


def _version(rule: Rule, facts: Facts, component: str) -> str:
    """ "" where the source does not say: unknown blocks, but it keeps nobody out of the fleet."""
    try:
        version = find_value(rule, facts)
    except Unsaid:
        return ""
    if len(version) > VERSION_LENGTH_MAX or not version.isprintable() or any(c.isspace() for c in version):
        raise _NotRead(
            component, f"{_show(version)} is no version: no white space, {VERSION_LENGTH_MAX} characters at most"
        )
    return version


def _gpus(rules: UnitRules, facts: Facts) -> int | None:
    rule = rules.columns.get(GPUS)
    try:
        said = find_value(rule, facts) if rule else None
    except Unsaid:
        return None
    if said is None:
        return None
    if not (said.isascii() and said.isdigit() and len(said) <= 4 and int(said) <= GPUS_MAX):
        raise _NotRead(GPUS, f"{_show(said)} is no count from 0 to {GPUS_MAX}")
    return int(said)


@cache
def _pattern(text: str) -> re.Pattern[str]:
    return re.compile(text)


def _show(value: str) -> str:
    text = value if value.isprintable() else ascii(value)[1:-1]
    return f'"{text}"' if len(text) <= SHOWN_MAX else f'"{text[:SHOWN_MAX]}..."'
