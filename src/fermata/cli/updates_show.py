"""What `fermata updates` prints: tables for people, values for JSON."""

from collections.abc import Sequence
from typing import Any

from fermata.cli import output
from fermata.cli.flights_show import flight_json, print_flights
from fermata.domain.combinations import Combination, Pair
from fermata.domain.piles import Pile
from fermata.domain.qualification import NeedStanding, Signal
from fermata.services.updates import UpdateView

PAIRS_SHOWN = 3


def show_updates(found: Sequence[UpdateView]) -> None:
    """The catalogue, a line each."""
    rows = [
        (
            view.update.id,
            f"{view.update.released_at:%Y-%m-%d}",
            view.update.owner_team,
            _words(view.update.stage),
            f"{view.nodes:,}",
            f"{view.devices:,}",
            _lacks(view),
        )
        for view in found
    ]
    columns = ("update", "released", "team", "stage", "nodes", "devices", "lacks")
    output.out.print(output.table("Updates", columns, rows, right=(4, 5)))


def show_update(view: UpdateView) -> None:
    """One update whole."""
    update = view.update
    output.say(f"{update.id}: {update.title}, {_words(update.stage)}, of team {update.owner_team}")
    output.say(f"Due on {output.count(view.nodes, 'node')} and {output.count(view.devices, 'device')}.")
    print_flights(view.flights)
    if view.needs:
        rows = [(*_need_words(standing), "yes" if standing.is_met else "no") for standing in view.needs]
        columns = ("ring", "signal", "nodes asked", "passed on", "met")
        output.out.print(output.table(f"Rule {view.rule}", columns, rows, right=(2, 3)))
    if view.signals:
        said = [
            (
                output.utc(one.at),
                _words(one.ring),
                one.name,
                one.result,
                f"{one.nodes:,}",
                ", ".join(sorted(one.updates)),
                one.note,
            )
            for one in view.signals
        ]
        headings = ("judged", "ring", "signal", "result", "nodes", "updates", "reason")
        output.out.print(output.table("Signals", headings, said, right=(4,)))
    for why in view.missing:
        output.say(f"{why.code}: {why.sentence}")


def show_combinations(found: Sequence[Combination]) -> None:
    """Sets that are pending together, and what is to be said of new ones."""
    if not found:
        output.say("No two updates are pending on the same node.")
        return
    rows = [
        (", ".join(one.updates), f"{one.nodes:,}", str(len(one.clusters)), _ran(one), _pairs(one.untested))
        for one in found
    ]
    columns = ("pending together", "nodes", "clusters", "on", "why")
    headings = (*columns[:3], "ran together before", "pairs that never did")
    output.out.print(output.table("Combinations", headings, rows, right=(1, 2)))
    new = [one for one in found if one.is_new]
    if new:
        nodes = output.count(sum(one.nodes for one in new), "node")
        sets = output.count(len(new), "combination")
        output.say(f"NEVER_TOGETHER: {sets} on {nodes} never ran together well: try each on a few nodes first.")


def show_piles(found: Sequence[Pile]) -> None:
    """What waits in the scope of each freeze."""
    if not found:
        output.say("No freeze has begun.")
    for pile in found:
        stated = pile.freeze
        output.say(
            f"{stated.id}: {stated.scope}, {output.utc(stated.start)} to {output.utc(stated.end)}, {stated.reason}"
        )
        if not pile.lines:
            output.say("Nothing waits there.")
            continue
        rows = [
            (
                line.update,
                f"{line.nodes:,}",
                f"{line.devices:,}",
                f"{line.age.days} d",
                "while it held" if line.released_during else "before",
            )
            for line in pile.lines
        ]
        title = f"Waiting on {output.count(pile.nodes, 'node')} at {output.utc(pile.as_of)}"
        output.out.print(output.table(title, ("update", "nodes", "devices", "age", "released"), rows, right=(1, 2, 3)))
        if pile.untested:
            output.say(f"Never together: {_pairs(pile.untested)}")


def update_json(view: UpdateView) -> dict[str, Any]:
    """One update."""
    update = view.update
    return {
        "id": update.id,
        "title": update.title,
        "owner_team": update.owner_team,
        "target": update.target,
        "component": update.component,
        "to_version": update.to_version,
        "impact": update.impact,
        "criticality": update.criticality,
        "stage": update.stage,
        "released_at": output.iso(update.released_at),
        "nodes": view.nodes,
        "devices": view.devices,
        "flights": [flight_json(flight) for flight in view.flights],
        "rule": view.rule,
        "needs": [_need_json(standing) for standing in view.needs],
        "missing": [{"code": why.code, "sentence": why.sentence} for why in view.missing],
        "signals": [signal_json(one) for one in view.signals],
    }


def signal_json(signal: Signal) -> dict[str, Any]:
    """One signal."""
    return {
        "id": signal.id,
        "updates": sorted(signal.updates),
        "ring": signal.ring,
        "name": signal.name,
        "result": signal.result,
        "nodes": signal.nodes,
        "sku": signal.sku,
        "at": output.iso(signal.at),
        "actor": signal.actor,
        "note": signal.note,
    }


def combination_json(one: Combination) -> dict[str, Any]:
    """One combination."""
    return {
        "updates": list(one.updates),
        "nodes": one.nodes,
        "clusters": list(one.clusters),
        "never_together": one.is_new,
        "ran_nodes": one.ran_nodes,
        "failed_nodes": one.failed_nodes,
        "places": list(one.places),
        "untested": [list(pair) for pair in one.untested],
    }


def pile_json(pile: Pile) -> dict[str, Any]:
    """What waits in the scope of one freeze."""
    return {
        "freeze": pile.freeze.id,
        "scope": {"level": pile.freeze.scope.level, "name": pile.freeze.scope.name},
        "start": output.iso(pile.freeze.start),
        "end": output.iso(pile.freeze.end),
        "as_of": output.iso(pile.as_of),
        "nodes": pile.nodes,
        "updates": [
            {
                "id": line.update,
                "title": line.title,
                "nodes": line.nodes,
                "devices": line.devices,
                "released_at": output.iso(line.released_at),
                "age_days": line.age.days,
                "released_during": line.released_during,
            }
            for line in pile.lines
        ],
        "untested": [list(pair) for pair in pile.untested],
    }


def _need_json(standing: NeedStanding) -> dict[str, Any]:
    need = standing.need
    return {
        "ring": need.ring,
        "signal": need.signal,
        "nodes": need.nodes,
        "same_sku": need.same_sku,
        "passed": standing.passed,
        "met": standing.is_met,
    }


def _words(value: str) -> str:
    return value.replace("_", "-")


def _lacks(view: UpdateView) -> str:
    if not view.missing:
        return ""
    return "a rule" if view.rule is None else output.count(len(view.missing), "signal")


def _need_words(standing: NeedStanding) -> tuple[str, str, str, str]:
    need = standing.need
    return _words(need.ring), need.signal, f"{need.nodes:,}", f"{standing.passed:,}"


def _ran(one: Combination) -> str:
    if not one.places:
        return "never"
    failed = f", {one.failed_nodes:,} failed" if one.failed_nodes else ""
    went = f"{output.count(one.ran_nodes, 'node')}{failed}"
    if not one.ran_nodes:
        went = f"failed on {output.count(one.failed_nodes, 'node')}"
    return f"{went}: {', '.join(one.places)}"


def _pairs(pairs: Sequence[Pair]) -> str:
    shown = "; ".join(" with ".join(pair) for pair in pairs[:PAIRS_SHOWN])
    more = len(pairs) - PAIRS_SHOWN
    return f"{shown} and {more} more" if more > 0 else shown
