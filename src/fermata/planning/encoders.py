"""Asks the rules what the planner has to know: lists every `encode` of `constraints/` and joins what they tell.

A file with CODE and `encode` is heard at once; one with WRITTEN says why the planner need not be told.
"""

import pkgutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date
from functools import cache
from importlib import import_module
from inspect import get_annotations
from typing import TypeVar

from fermata.domain.ids import NodeId
from fermata.domain.windows import Interval
from fermata.planning import constraints
from fermata.planning.encoding import Calendar, Capacity, Encoded, Facts, Parts, Steps, Takes, Turns

Kind = TypeVar("Kind", Takes, Parts, Calendar, Capacity, Steps, Turns)


@dataclass(frozen=True, slots=True, kw_only=True)
class Encoder:
    """The `encode` of one rule; `kind` is what it returns, as its annotation says."""

    code: str
    kind: type[Encoded]
    encode: Callable[[Facts], Encoded]


@dataclass(frozen=True, slots=True, kw_only=True)
class Encoding:
    """All that rules ask of windows. What may be taken at all is asked before, by `scope`."""

    parts: Parts
    calendar: Calendar
    capacities: tuple[Capacity, ...]
    steps: Steps
    turns: Turns


@cache
def list_encoders() -> tuple[Encoder, ...]:
    """Every rule in the folder that tells the planner something, by code."""
    names = sorted(module.name for module in pkgutil.iter_modules(constraints.__path__))
    modules = [import_module(f"{constraints.__name__}.{name}") for name in names]
    return tuple(
        Encoder(code=m.CODE, kind=get_annotations(m.encode)["return"], encode=m.encode)
        for m in modules
        if hasattr(m, "encode")
    )


def encode_windows(facts: Facts, encoders: Sequence[Encoder]) -> Encoding:
    """What the encoders tell about parts, calendar, capacity and steps."""
    return Encoding(
        parts=join_parts(ask(Parts, facts, encoders)),
        calendar=join_calendars(ask(Calendar, facts, encoders)),
        capacities=ask(Capacity, facts, encoders),
        steps=join_steps(ask(Steps, facts, encoders)),
        turns=join_turns(ask(Turns, facts, encoders)),
    )


def ask(kind: type[Kind], facts: Facts, encoders: Sequence[Encoder]) -> tuple[Kind, ...]:
    """What the encoders of one kind tell, in their order."""
    told = [encoder.encode(facts) for encoder in encoders if encoder.kind is kind]
    assert all(isinstance(each, kind) for each in told), "an encoder returns what its annotation says"
    return tuple(each for each in told if isinstance(each, kind))


def join_takes(told: Sequence[Takes]) -> Takes:
    """Only what every rule lets in; of two reasons the first rule's counts."""
    blocked = {name: why for each in reversed(told) for name, why in each.blocked.items()}
    barred = {name: why for each in reversed(told) for name, why in each.barred.items()}
    companions: dict[NodeId, frozenset[NodeId]] = {}
    for each in told:
        for name, others in each.companions.items():
            companions[name] = companions.get(name, frozenset()) | others
    return Takes(
        covers=lambda cluster: all(t.covers(cluster) for t in told),
        blocked=blocked,
        barred=barred,
        companions=companions,
    )


def join_parts(told: Sequence[Parts]) -> Parts:
    """Only splits that every rule allows."""

    def sizes(nodes: int) -> tuple[int, int]:
        bounds = [each.sizes(nodes) for each in told]
        return max((least for least, _ in bounds), default=0), min((most for _, most in bounds), default=nodes)

    return Parts(
        may_roll=lambda cluster: all(each.may_roll(cluster) for each in told),
        sizes=sizes,
        ties=lambda update: any(each.ties(update) for each in told),
    )


def join_calendars(told: Sequence[Calendar]) -> Calendar:
    """Only times that every rule allows. Some rule bounds the days, and some the time of day."""
    rooms = [each.room for each in told if each.room is not None]

    def room(day: date) -> Interval:
        allowed = [find(day) for find in rooms]
        start = max(each.start for each in allowed)
        return Interval(start, max(start, min(each.end for each in allowed)))

    return Calendar(
        first_day=max(each.first_day for each in told),
        last_day=min(each.last_day for each in told),
        weekdays=frozenset.intersection(*(each.weekdays for each in told)),
        room=room,
        not_before=max(each.not_before for each in told),
        closed=tuple(closed for each in told for closed in each.closed),
    )


def join_steps(told: Sequence[Steps]) -> Steps:
    """Everything that any rule asks; of one step the longest of its least lengths."""
    before: dict[str, frozenset[str]] = {}
    minutes: dict[str, int] = {}
    for each in told:
        for name, firsts in each.before.items():
            before[name] = before.get(name, frozenset()) | firsts
        for name, least in each.minutes.items():
            minutes[name] = max(minutes.get(name, 0), least)
    return Steps(
        minutes=minutes,
        before=before,
        drained=frozenset().union(*(each.drained for each in told)),
        rebooted=frozenset().union(*(each.rebooted for each in told)),
        alone=frozenset().union(*(each.alone for each in told)),
        apart=frozenset().union(*(each.apart for each in told)),
        isolated={name: how for each in told for name, how in each.isolated.items()},
    )


def join_turns(told: Sequence[Turns]) -> Turns:
    """What the one rule about it says."""
    assert len(told) <= 1, "two rules about who goes first would need two groups"
    return next(iter(told), Turns())
