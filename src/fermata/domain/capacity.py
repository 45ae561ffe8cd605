"""What a campaign took from the capacity in service and what came back, planned beside actual. Pure."""

from collections.abc import Sequence
from datetime import time

from fermata.domain.accounts import Books
from fermata.domain.operations import Run
from fermata.domain.report import Capacity, DayLine
from fermata.domain.usage import Curve, Outage, curve, hours_within, peak, peak_within, weighted_curve
from fermata.domain.windows import Interval, calendar_day, day_interval, days_between

MIDNIGHT = time(0)


def measure_capacity(books: Books, run: Run | None, outages: Sequence[Outage]) -> Capacity:
    """Counts every node held by us, the tail included; only those in service before count against the baseline.

    The plan's side counts the windows that opened, so that both sides are about the same work.
    """
    served = [outage for outage in outages if outage.in_service_before]
    out, lost = curve(outage.out for outage in outages), curve(outage.out for outage in served)
    planned = weighted_curve(
        (Interval(w.planned_start, w.planned_end), w.nodes) for w in books.windows if w.opened_at is not None
    )
    baseline = run.baseline_in_service if run else 0
    owed = sum(not outage.ended for outage in served)
    days = _days(books, planned, out, lost, baseline)
    return Capacity(
        baseline=baseline,
        planned_node_hours=sum(day.planned_node_hours for day in days),
        actual_node_hours=sum(day.actual_node_hours for day in days),
        nodes_out_max=peak(out)[0],
        in_service_share_min=_share(baseline, peak(lost)[0]),
        in_service_share_now=_share(baseline, owed),
        returned=len({outage.node for outage in served if outage.ended}),
        owed=owed,
        days=days,
        out_curve=out,
    )


def _days(books: Books, planned: Curve, out: Curve, lost: Curve, baseline: int) -> tuple[DayLine, ...]:
    """Every calendar day on which something was planned to be, or was, out."""
    instants = [at for steps in (planned, out) for at, _ in steps]
    if not instants:
        return ()
    zone = books.campaign.timezone
    lines = []
    for day in days_between(calendar_day(min(instants), zone), calendar_day(max(instants), zone)):
        over = day_interval(day, MIDNIGHT, MIDNIGHT, zone)
        lines.append(
            DayLine(
                day=day,
                planned_node_hours=hours_within(planned, over),
                actual_node_hours=hours_within(out, over),
                nodes_out_max=peak_within(out, over),
                in_service_share_min=_share(baseline, peak_within(lost, over)),
            )
        )
    return tuple(lines)


def _share(baseline: int, lost: int) -> float:
    return (baseline - lost) / baseline if baseline else 1.0
