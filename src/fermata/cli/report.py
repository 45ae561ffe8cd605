"""`fermata report`: how a campaign went, for people, machines and as one HTML file."""

from collections import Counter
from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import Annotated
from zoneinfo import ZoneInfo

import typer
from rich.text import Text

from fermata.cli import capacity, options, output, tail
from fermata.domain.ids import CampaignId
from fermata.domain.report import Outcome, Punctuality, Report, WindowLine
from fermata.formats.report import report_to_json
from fermata.server.web.report import late_words, limit_words, render_report

TAIL_SHOWN = 20  # nodes named one by one on a terminal; all of them are in --json and --html
_OUTCOME_WORDS = {
    Outcome.RETURNED: "returned, versions proven",
    Outcome.TAIL: "in the tail",
    Outcome.OUT: "out now",
    Outcome.PLANNED: "still to be taken",
    Outcome.NOT_TAKEN: "not taken",
    Outcome.NO_WORK: "nothing due",
}


def register(app: typer.Typer) -> None:
    """Adds the command."""
    app.command("report")(report)


def report(
    campaign: Annotated[str | None, typer.Argument(help="Campaign to report on.", show_default=False)] = None,
    store: options.StoreOption = options.DEFAULT_STORE,
    server: options.ServerOption = None,
    html: Annotated[
        Path | None,
        typer.Option("--html", help="Write one self-contained HTML file.", show_default=False),
    ] = None,
    as_json: options.JsonOption = False,
) -> None:
    """Shows how a campaign went: planned against actual, capacity, failures, limits, versions, tail."""
    with options.opened_place(store, server) as place, output.err.status("Adding up"):
        made = place.make_report(CampaignId(campaign) if campaign else None)
    if html is not None:
        _write(html, render_report(made))
    if as_json:
        output.print_json(report_to_json(made))
        return
    for part in report_parts(made):
        output.out.print(part)
        output.out.print()
    if html is not None:
        output.out.print(f"Written to {html}", markup=False)


def _write(path: Path, text: str) -> None:
    try:
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        raise typer.BadParameter(f"{path} cannot be written: {error.strerror}") from error


def report_parts(made: Report) -> Iterator[output.Fitted | Text | str]:
    """The terminal's version, top to bottom; reads well in 100 columns."""
    yield _headline(made)
    yield _standing(made)
    if made.accounts:
        yield capacity.account_table("Capacity by customer", "customer", made.accounts)
    yield _limits(made)
    yield _versions(made)
    if made.repairs:
        yield tail.repair_table(made.repairs)
    if made.failures:
        yield _failures(made)
    if made.windows:
        yield _windows(made)
    if made.tail:
        yield _tail(made)
    not_taken = Counter(line.reason for line in made.nodes if line.outcome is Outcome.NOT_TAKEN and line.reason)
    if not_taken:
        rows = [(f"{number:,}", reason.code, reason.sentence) for reason, number in not_taken.most_common()]
        yield output.table("Not taken", ("nodes", "code", "reason"), rows, right=(0,))


def _headline(made: Report) -> Text:
    state = "complete" if made.is_complete else "not complete"
    ended = [line for line in made.windows if line.punctuality is not None]
    paces = Counter(line.punctuality for line in ended)
    pace = ", ".join(f"{paces[kind]} {kind.replace('_', ' ')}" for kind in Punctuality)
    broken = sum(line.kept_promise is False for line in ended)
    exceeded = sum(use.exceeded for use in made.limits)
    return output.styled(
        (made.title, "bold"),
        f": {state} as of {output.utc(made.as_of)}\n"
        f"{len(ended)} of {output.count(len(made.windows), 'window')} ended: {pace}; "
        f"{output.count(broken, 'promise')} broken; "
        f"{output.count(exceeded, 'limit')} exceeded",
    )


def _standing(made: Report) -> output.Fitted:
    capacity = made.capacity
    rows = [("in scope", f"{len(made.nodes):,}")]
    rows += [
        (_OUTCOME_WORDS[outcome], f"{made.count(outcome):,}")
        for outcome in Outcome
        if made.count(outcome) or outcome in {Outcome.RETURNED, Outcome.TAIL}
    ]
    found = sum(line.as_found for line in made.nodes if line.outcome is Outcome.RETURNED)
    if found:
        rows.insert(2, ("  of them left out of service as found", f"{found:,}"))
    rows += [
        ("baseline in service", f"{capacity.baseline:,}"),
        ("  of it owed now", f"{capacity.owed:,}"),
        ("most out at once", f"{capacity.nodes_out_max:,}"),
        ("lowest in-service share", f"{capacity.in_service_share_min:.2%}"),
        ("node-hours out, planned", f"{capacity.planned_node_hours:,.0f}"),
        ("node-hours out, actual", f"{capacity.actual_node_hours:,.0f}"),
    ]
    return output.table("Nodes and capacity", ("", ""), rows, right=(1,))


def _limits(made: Report) -> output.Fitted:
    rows = [
        (limit_words(u.limit), f"{u.allowed:,}", f"{u.observed:,}", _peak(u.at), "EXCEEDED" if u.exceeded else "no")
        for u in made.limits
    ]
    return output.table("Limits", ("limit", "allowed", "most seen", "first at", "exceeded"), rows, right=(1, 2))


def _peak(at: object) -> str:
    if at is None:
        return ""
    return output.utc(at) if isinstance(at, datetime) else str(at)


def _versions(made: Report) -> output.Fitted:
    rows = [(v.update, v.target, v.version, f"{v.due:,}", f"{v.proven:,}") for v in made.versions]
    return output.table("Versions proven", ("update", "on", "version", "due", "proven"), rows, right=(3, 4))


def _failures(made: Report) -> output.Fitted:
    rows = [(f.kind, f"{f.seen:,}", f"{f.nodes:,}", f"{f.ended_in_tail:,}", f.sentence) for f in made.failures]
    return output.table("Failures", ("kind", "seen", "nodes", "tail", "sentence"), rows, right=(1, 2, 3))


def _windows(made: Report) -> output.Fitted:
    rows = [_window_row(line, ZoneInfo(made.timezone)) for line in made.windows]
    return output.table(
        f"Windows (times of {made.timezone}; minutes late, minus is ahead)",
        ("day", "cluster", "part", "state", "planned", "actual", "late", "took", "back", "tail"),
        rows,
        right=(6, 7, 8, 9),
    )


def _window_row(line: WindowLine, zone: ZoneInfo) -> Sequence[str]:
    return (
        line.planned.start.astimezone(zone).strftime("%d %b"),
        line.cluster,
        f"{line.part}/{line.parts}" if line.parts > 1 else "",
        line.state,
        _clock_span(line.planned.start, line.planned.end, zone),
        _clock_span(line.actual.start, line.actual.end, zone) if line.actual else "",
        late_words(line.late).removesuffix(" min"),
        f"{line.nodes_taken:,}",
        f"{line.nodes_returned:,}",
        f"{line.nodes_tail:,}",
    )


def _clock_span(start: datetime, end: datetime | None, zone: ZoneInfo) -> str:
    until = "" if end is None else end.astimezone(zone).strftime("%H:%M")
    return f"{start.astimezone(zone):%H:%M}-{until}"


def _tail(made: Report) -> output.Fitted:
    reasons = Counter(line.reason.code for line in made.tail if line.reason)
    title = "Tail: " + ", ".join(f"{number:,} {code}" for code, number in reasons.most_common())
    rows: list[tuple[str, str, str]] = [
        (
            line.node,
            _since(line.out.start if line.out else None, made.as_of),
            line.reason.sentence if line.reason else "",
        )
        for line in made.tail[:TAIL_SHOWN]
    ]
    hidden = len(made.tail) - len(rows)
    if hidden:
        rows.append((f"... {hidden:,} more", "", "all of them: --json or --html"))
    return output.table(title, ("node", "out for", "reason"), rows, right=(1,))


def _since(start: datetime | None, now: datetime) -> str:
    if start is None:
        return ""
    hours = (now - start) / timedelta(hours=1)
    return f"{hours / 24:.1f} d" if hours >= 48 else f"{hours:.1f} h"
