"""How a plan differs from the one that it follows: a table for people, stable keys for machines."""

from collections.abc import Iterable, Sequence
from itertools import groupby
from typing import Any
from zoneinfo import ZoneInfo

from fermata.cli import output
from fermata.domain.campaign import Campaign
from fermata.domain.plan_diff import PlanDiff, WindowChange
from fermata.domain.plans import Window

ROWS_SHOWN = 40  # two screens; --json holds every window
NOWHERE = "-"


def tell_diff(diff: PlanDiff, campaign: Campaign) -> None:
    """What ran, what stays, and each window that does not stand as it did, times in the campaign's zone."""
    ran, kept = output.count(len(diff.ran), "window"), output.count(len(diff.kept), "window")
    output.out.print(f"Follows {diff.parent}: {ran} ran, {kept} kept as told", markup=False, soft_wrap=True)
    if not diff.changes:
        output.out.print("Nothing moved.")
        return
    rows = [_row(list(alike), campaign) for alike in _alike(diff.changes)]
    title = f"What changes ({campaign.timezone})"
    output.out.print(output.table(title, ("window", "change", "was", "is", "why"), rows[:ROWS_SHOWN]))
    if len(rows) > ROWS_SHOWN:
        output.out.print(f"... and {len(rows) - ROWS_SHOWN:,} more rows; --json tells all")


def _alike(changes: Sequence[WindowChange]) -> Iterable[Iterable[WindowChange]]:
    """Changes of one cluster with one cause in one row: a cluster that withdraws takes all its parts with it."""

    def key(change: WindowChange) -> tuple[str, str, str]:
        return change.cluster, change.change.value, change.cause.sentence

    return [list(group) for _, group in groupby(sorted(changes, key=key), key=key)]


def _row(alike: Sequence[WindowChange], campaign: Campaign) -> tuple[str, ...]:
    was = [window for change in alike for window in change.was]
    now = [window for change in alike for window in change.now]
    named = (was or now)[0].id if len(was or now) == 1 else f"{alike[0].cluster}, {len(was or now)} windows"
    return named, alike[0].change.value, _when(was, campaign), _when(now, campaign), str(alike[0].cause)


def _when(windows: Sequence[Window], campaign: Campaign) -> str:
    if not windows:
        return NOWHERE
    zone = ZoneInfo(campaign.timezone)
    starts = sorted(window.start.astimezone(zone) for window in windows)
    if len(windows) > 1:
        return f"{starts[0]:%a %d %b} to {starts[-1]:%a %d %b}"
    return f"{starts[0]:%a %d %b %H:%M} to {windows[0].end.astimezone(zone):%H:%M}"


def diff_to_json(diff: PlanDiff) -> dict[str, Any]:
    """JSON-ready, with stable keys; times are in the plans."""
    return {
        "parent": diff.parent,
        "ran": list(diff.ran),
        "kept": list(diff.kept),
        "changes": [
            {
                "change": change.change.value,
                "cluster": change.cluster,
                "was": [_to_json(window) for window in change.was],
                "now": [_to_json(window) for window in change.now],
                "code": change.cause.code.value,
                "sentence": change.cause.sentence,
            }
            for change in diff.changes
        ],
    }


def _to_json(window: Window) -> dict[str, Any]:
    return {
        "window": window.id,
        "start": output.iso(window.start),
        "end": output.iso(window.end),
        "nodes": len(window.nodes),
    }
