"""Reads what was observed of a plan under way, `observed.yaml` or `.json`: windows, withdrawals, durations, repairs.

Names are judged against the plan that was observed and its inputs, times against the moment the re-plan is made for.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from fermata.domain.fleet import Fleet
from fermata.domain.ids import NodeId, UpdateId, WindowId
from fermata.domain.names import Names
from fermata.domain.observed import RAN, Fate, Observed, Stretch, TailNode, WindowSeen, Withdrawal
from fermata.domain.plans import Plan, Window
from fermata.domain.updates import Catalogue
from fermata.formats import references
from fermata.formats.faults import FaultLog, quote, raise_faults
from fermata.formats.fields import Document, Fields, check_unique
from fermata.formats.jsontext import read_json
from fermata.formats.policy_rules import decode_scope
from fermata.formats.spots import Kind, Spot
from fermata.formats.yamltext import read_yaml

SUFFIXES = (".yaml", ".json")
ROOT_OPTIONAL = ("parent", "observed_at", "as_planned", "windows", "withdrawn", "durations", "repaired")
WINDOW_REQUIRED = ("window", "state")
NODE_LISTS = ("returned", "not_serviced")
WINDOW_OPTIONAL = ("started_at", "ended_at", "tail", *NODE_LISTS)
TAIL_KEYS = ("node", "reason")
WITHDRAWN_KEYS = ("scope", "reason")
FACTOR_LEAST = 1.0  # no step is planned shorter than the catalogue says: where work goes faster, that is to be changed
FACTOR_MOST = 20.0  # beyond, it is a typing error: minutes for a factor, or per cent


@dataclass(frozen=True, kw_only=True)
class Subject:
    """What the observations are about. `as_of`, UTC: nothing observed may lie after it."""

    parent: Plan
    fleet: Fleet
    catalogue: Catalogue
    as_of: datetime


def read_observed(path: Path, subject: Subject) -> Observed:
    """Read the file `path`. Raises BadInput with all its faults."""
    document = Document(log=FaultLog(path))
    root = _read(path, document.log)
    observed = Observed() if root is None else _Reader(document, subject).observed(root)
    references.check_against_fleet([document], subject.fleet, [])
    raise_faults([document.log])
    return observed


def _read(path: Path, log: FaultLog) -> Spot | None:
    match path.suffix:
        case ".yaml" | ".yml":
            return read_yaml(path, log)
        case ".json":
            return read_json(path, log)
        case _:
            log.add(f"Observations end in {' or '.join(SUFFIXES)}, not {quote(path.suffix)}.")
            return None


class _Reader:
    """One file; its faults go to the document's log."""

    def __init__(self, document: Document, subject: Subject) -> None:
        self._document = document
        self._subject = subject
        self._windows = {window.id: window for window in subject.parent.windows}
        self._names = Names(self._windows)

    def observed(self, root: Spot) -> Observed:
        """Everything in the file."""
        top = Fields(self._document, root, optional=ROOT_OPTIONAL)
        parent = top.name("parent") if top.has("parent") else self._subject.parent.id
        if top.reads("parent") and parent != self._subject.parent.id:
            top.fault("parent", f"This was observed of {quote(parent)}; the parent plan is {self._subject.parent.id}.")
        self._instant(top, "observed_at")
        entries = [
            Fields(self._document, spot, required=WINDOW_REQUIRED, optional=WINDOW_OPTIONAL)
            for spot in top.items("windows")
        ]
        check_unique((entry.spot("window") for entry in entries), self._document.log, "Window")
        top.refer("node", "repaired")
        return Observed(
            windows=tuple(seen for entry in entries if (seen := self._window(entry)) is not None),
            as_planned=top.flag("as_planned"),
            withdrawn=tuple(self._withdrawal(spot) for spot in top.items("withdrawn")),
            stretch=self._stretch(top),
            repaired=tuple(NodeId(name) for name in top.names("repaired")),
        )

    def _instant(self, fields: Fields, key: str) -> datetime | None:
        if not fields.has(key):
            return None
        instant = fields.instant(key)
        if fields.reads(key) and instant > self._subject.as_of:
            fields.fault(key, f"This lies after {self._subject.as_of:%Y-%m-%d %H:%MZ}, for which the plan is made.")
        return instant

    def _window(self, entry: Fields) -> WindowSeen | None:
        name, fate = WindowId(entry.name("window")), entry.choice("state", Fate)
        window = self._windows.get(name)
        started, ended = self._instant(entry, "started_at"), self._instant(entry, "ended_at")
        if window is None:
            if entry.reads("window"):
                sentence = f"Plan {self._subject.parent.id} has no window {quote(name)}."
                entry.fault("window", sentence, wrong=name, known=self._names)
            return None
        if fate is not Fate.CANCELLED and window.start > self._subject.as_of:
            at = f"{window.start:%Y-%m-%d %H:%MZ}"
            entry.fault("state", f"It starts at {at}, so that it can be cancelled by now, but not {fate}.")
        self._judge_times(entry, fate, started, ended)
        tail = tuple(self._tail(entry, window))
        again = self._nodes(entry, "not_serviced", window)
        self._judge_nodes(entry, window, fate, {item.node for item in tail}, again)
        return WindowSeen(
            window=name, fate=fate, started_at=started, ended_at=ended, tail=tail, again=tuple(sorted(again))
        )

    def _judge_times(self, entry: Fields, fate: Fate, started: datetime | None, ended: datetime | None) -> None:
        if started is not None and fate not in RAN:
            entry.fault("started_at", f"A window that was {fate} did not start.")
        if ended is not None and fate is not Fate.DONE:
            entry.fault("ended_at", "Only a window that is done has ended.")
        if entry.reads("started_at", "ended_at") and started and ended and ended <= started:
            entry.fault("ended_at", "It ended before it started.")

    def _tail(self, entry: Fields, window: Window) -> Iterable[TailNode]:
        members = frozenset(window.nodes)
        for spot in entry.items("tail"):
            fields = Fields(self._document, spot, required=TAIL_KEYS)
            node = NodeId(fields.name("node"))
            if fields.reads("node") and node not in members:
                fields.fault("node", f"Window {window.id} has no node {quote(node)}.", wrong=node, known=Names(members))
            yield TailNode(node=node, why=fields.text("reason"))

    def _nodes(self, entry: Fields, key: str, window: Window) -> frozenset[NodeId]:
        names = entry.names(key)
        members = frozenset(window.nodes)
        foreign = [name for name in names if name not in members]
        if foreign:
            sentence = f"Window {window.id} has no node {quote(foreign[0])}."
            entry.fault(key, sentence, wrong=foreign[0], known=Names(members))
        return frozenset(NodeId(name) for name in names)

    def _judge_nodes(
        self, entry: Fields, window: Window, fate: Fate, tail: set[NodeId], again: frozenset[NodeId]
    ) -> None:
        """A node is in one list at most; where those that returned are listed, in exactly one."""
        returned = self._nodes(entry, "returned", window)
        listed = [key for key in ("tail", *NODE_LISTS) if entry.has(key)]
        if fate not in RAN:
            for key in listed:
                entry.fault(key, f"A window that was {fate} took no node: all of them are planned again.")
            return
        both = sorted((returned & again) | (returned & tail) | (again & tail))
        if both:
            entry.fault(listed[-1], f"Node {quote(both[0])} stands in two lists of the window.")
        lost = sorted(set(window.nodes) - returned - again - tail)
        if entry.has("returned") and fate is Fate.DONE and lost:
            sentence = (
                f"{len(lost)} node(s), {quote(lost[0])} first, are neither returned, in the tail nor not serviced."
            )
            entry.fault("returned", sentence)

    def _withdrawal(self, spot: Spot) -> Withdrawal:
        fields = Fields(self._document, spot, required=WITHDRAWN_KEYS)
        return Withdrawal(scope=decode_scope(fields, "scope"), why=fields.text("reason"))

    def _stretch(self, top: Fields) -> Stretch:
        durations = top.fields("durations", optional=("overall", "updates"))
        overall = _factor(durations, "overall") if durations.has("overall") else 1.0
        found = durations.spot("updates")
        names = tuple(found.keys) if found is not None and found.kind is Kind.MAPPING else ()
        factors = durations.fields("updates", optional=names)
        known = Names(self._subject.catalogue.updates)
        for name in names:
            if name not in known:
                factors.fault(name, f"Update {quote(name)} does not exist.", wrong=name, known=known)
        return Stretch(overall=overall, updates={UpdateId(name): _factor(factors, name) for name in names})


def _factor(fields: Fields, key: str) -> float:
    return fields.number(key, above=None, least=FACTOR_LEAST, most=FACTOR_MOST)
