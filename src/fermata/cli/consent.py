"""`fermata approve`, `withdraw` and `decline`: what customers let happen, and what they do not."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import typer

from fermata.cli import options, output
from fermata.domain.ids import UpdateId
from fermata.domain.ledger import say_conditions
from fermata.domain.orders import NO_TERMS, Terms
from fermata.domain.policy import NO_CONDITIONS, AfterDue, Conditions, ConsentEntry, Scope, ScopeLevel, Verdict
from fermata.formats.approvals import VERDICTS, read_approvals
from fermata.services.consent import Order, Outcome, OutcomeState

SAID_SHOWN = 20  # of a bulk file on a terminal; all of them in --json

LevelArgument = Annotated[
    ScopeLevel | None,
    typer.Argument(
        help="What is named: supercomputer, cluster, group (of nodes behind a shared device), rack or node.",
        show_default=False,
    ),
]
NamesArgument = Annotated[list[str] | None, typer.Argument(help="One or more names.", show_default=False)]
FileOption = Annotated[
    Path | None,
    typer.Option("--from", help="Bulk file (YAML or CSV) of such words.", exists=True, dir_okay=False),
]
SeenOption = Annotated[
    int | None,
    typer.Option("--incarnation", help="The incarnation looked at: refused if the request moved on.", min=1),
]
WhoOption = Annotated[
    str | None,
    typer.Option("--as", help="The approver who says so; default: the customer's first.", show_default=False),
]
WhyOption = Annotated[str, typer.Option("--why", help="Why; goes into ledger and journal.", show_default=False)]
AtomicOption = Annotated[bool, typer.Option("--atomic", help="All of it or nothing, if anything is refused.")]
OnlyOption = Annotated[
    list[str] | None, typer.Option("--only", help="Only this update of the request (repeatable).", show_default=False)
]
WithoutOption = Annotated[
    list[str] | None,
    typer.Option("--without", help="All of the request but this update (repeatable).", show_default=False),
]
FlightOption = Annotated[
    str | None, typer.Option("--flight", help="This flight, too; --only names one alone.", show_default=False)
]
NotBeforeOption = Annotated[
    str | None, typer.Option("--not-before", help="Work starts then or later.", show_default=False)
]
NotAfterOption = Annotated[str | None, typer.Option("--not-after", help="Nodes are back by then.", show_default=False)]
PerDayOption = Annotated[
    int | None, typer.Option("--nodes-per-day", help="At most so many nodes go on a day.", min=1, show_default=False)
]
WithUpdateOption = Annotated[
    list[str] | None,
    typer.Option("--with-update", help="Only together with this update (repeatable).", show_default=False),
]
WithScopeOption = Annotated[
    str | None,
    typer.Option("--with-scope", help="Only together with all of it, e.g. rack:r004.", show_default=False),
]


@dataclass(frozen=True, kw_only=True)
class Words:
    """What the command line says of an order, beside its conditions."""

    level: ScopeLevel | None
    names: Sequence[str]
    file: Path | None
    actor: str | None
    why: str
    seen: int | None
    terms: Terms


def register(app: typer.Typer) -> None:
    """Adds the commands."""
    app.command("approve")(approve)
    app.command("withdraw")(withdraw)
    app.command("decline")(decline)


def approve(
    level: LevelArgument = None,
    names: NamesArgument = None,
    *,
    file: FileOption = None,
    seen: SeenOption = None,
    only: OnlyOption = None,
    without: WithoutOption = None,
    flight: FlightOption = None,
    not_before: NotBeforeOption = None,
    not_after: NotAfterOption = None,
    per_day: PerDayOption = None,
    with_update: WithUpdateOption = None,
    with_scope: WithScopeOption = None,
    atomic: AtomicOption = False,
    actor: WhoOption = None,
    why: WhyOption = "",
    store: options.StoreOption = options.DEFAULT_STORE,
    server: options.ServerOption = None,
    as_json: options.JsonOption = False,
) -> None:
    """Approves what is pending on a supercomputer, cluster, group, rack or node, with conditions if wanted.

    Each name is an order of its own: good ones are recorded even when others are refused, unless --atomic.
    """
    conditions = make_conditions(not_before, not_after, per_day, with_update, with_scope)
    terms = make_terms(only, without, conditions, flight)
    words = Words(level=level, names=names or [], file=file, actor=actor, why=why, seen=seen, terms=terms)
    decide(make_orders(Verdict.APPROVED, words), store, server, atomic=atomic, as_json=as_json)


def withdraw(
    level: LevelArgument = None,
    names: NamesArgument = None,
    *,
    file: FileOption = None,
    seen: SeenOption = None,
    only: OnlyOption = None,
    without: WithoutOption = None,
    atomic: AtomicOption = False,
    actor: WhoOption = None,
    why: WhyOption = "",
    store: options.StoreOption = options.DEFAULT_STORE,
    server: options.ServerOption = None,
    as_json: options.JsonOption = False,
) -> None:
    """Takes an approval, a decline or a counter-offer back, as long as no work has started there."""
    terms = make_terms(only, without)
    words = Words(level=level, names=names or [], file=file, actor=actor, why=why, seen=seen, terms=terms)
    decide(make_orders(Verdict.WITHDRAWN, words), store, server, atomic=atomic, as_json=as_json)


def decline(
    level: LevelArgument = None,
    names: NamesArgument = None,
    *,
    until: Annotated[
        str | None, typer.Option("--until", help="Until when, e.g. 2026-02-01T00:00:00Z.", show_default=False)
    ] = None,
    then: Annotated[
        AfterDue | None,
        typer.Option("--then", help="What follows; has to be said past the due date.", show_default=False),
    ] = None,
    file: FileOption = None,
    seen: SeenOption = None,
    only: OnlyOption = None,
    without: WithoutOption = None,
    atomic: AtomicOption = False,
    actor: WhoOption = None,
    why: WhyOption = "",
    store: options.StoreOption = options.DEFAULT_STORE,
    server: options.ServerOption = None,
    as_json: options.JsonOption = False,
) -> None:
    """Says no until a time, and why: nothing there is touched before it."""
    plain = make_terms(only, without)
    end = options.parse_time(until) if until else None
    terms = Terms(only=plain.only, without=plain.without, until=end, then=then) if end or then else plain
    words = Words(level=level, names=names or [], file=file, actor=actor, why=why, seen=seen, terms=terms)
    decide(make_orders(Verdict.DECLINED, words), store, server, atomic=atomic, as_json=as_json)


def make_conditions(
    not_before: str | None,
    not_after: str | None,
    per_day: int | None,
    with_update: Sequence[str] | None,
    with_scope: str | None,
) -> Conditions | None:
    """The conditions that the options name; None without any."""
    level, _, name = (with_scope or "").partition(":")
    if with_scope and (level not in set(ScopeLevel) or not name):
        raise typer.BadParameter(f"--with-scope {with_scope}: write a level and a name, such as rack:r004")
    made = Conditions(
        not_before=options.parse_time(not_before) if not_before else None,
        not_after=options.parse_time(not_after) if not_after else None,
        nodes_per_day=per_day,
        with_updates=frozenset(UpdateId(update) for update in with_update or ()),
        with_scope=Scope(level=ScopeLevel(level), name=name) if with_scope else None,
    )
    return made if made != NO_CONDITIONS else None


def make_terms(
    only: Sequence[str] | None,
    without: Sequence[str] | None,
    conditions: Conditions | None = None,
    flight: str | None = None,
) -> Terms:
    """What the options say beside yes and no."""
    if not (only or without or conditions or flight):
        return NO_TERMS
    return Terms(
        only=frozenset(UpdateId(name) for name in only) if only else None,
        without=frozenset(UpdateId(name) for name in without or ()),
        flight=UpdateId(flight) if flight else None,
        conditions=conditions,
    )


def make_orders(verdict: Verdict, words: Words) -> list[Order]:
    """The orders of a command line, or of the file that it names."""
    if (words.file is None) == (words.level is None or not words.names):
        raise typer.BadParameter("give a level and names (cluster h100-01 h100-02), or --from FILE, not both")
    if words.file is None:
        assert words.level is not None
        scopes = [Scope(level=words.level, name=name) for name in words.names]
        return [
            Order(scope=s, verdict=verdict, actor=words.actor, reason=words.why, seen=words.seen, terms=words.terms)
            for s in scopes
        ]
    if words.terms is not NO_TERMS:
        raise typer.BadParameter(f"{words.file} says of each entry what it is about: leave the other options out")
    given = read_approvals(words.file)
    if any(order.verdict is not verdict for order in given):
        word = next(word for word, each in VERDICTS.items() if each is verdict)
        raise typer.BadParameter(f"{words.file} also holds other words than {word}: give them to their own command")
    return [
        Order(scope=o.scope, verdict=o.verdict, actor=o.actor, reason=o.reason or words.why, at=o.at, terms=o.terms)
        for o in given
    ]


def decide(orders: list[Order], store: str, server: str | None, *, atomic: bool, as_json: bool) -> None:
    """Gives the orders and says what came of each; exits with 1 if any was refused."""
    with options.opened_place(store, server) as place, output.err.status("Recording"):
        told = place.decide(orders, atomic=atomic)
    refused = [outcome for outcome in told if outcome.state is OutcomeState.REFUSED]
    if as_json:
        output.print_json({"orders": [_outcome_json(outcome) for outcome in told]})
    else:
        _tell(told, refused)
    if refused:
        raise typer.Exit(output.REFUSED)


def _tell(told: Sequence[Outcome], refused: Sequence[Outcome]) -> None:
    good = [outcome for outcome in told if outcome.refused is None]
    for outcome in good[:SAID_SHOWN]:
        output.out.print(_sentence(outcome), markup=False, soft_wrap=True)
    for outcome in refused[:SAID_SHOWN]:
        output.err.print(f"{outcome.order.scope}: refused. {outcome.refused}", markup=False, soft_wrap=True)
    if refused or len(good) > SAID_SHOWN:
        added = sum(outcome.entry is not None for outcome in good)
        parts = [f"{added:,} recorded", f"{len(good) - added:,} stood so already"]
        parts += [f"{len(refused):,} refused"] if refused else []
        output.out.print(f"{'... ' if len(told) > SAID_SHOWN else ''}{len(told):,} in all: {', '.join(parts)}")


def _sentence(outcome: Outcome) -> str:
    order, entry = outcome.order, outcome.entry
    if entry is None:
        word = "without approval" if order.verdict is Verdict.WITHDRAWN else order.verdict
        return f"{order.scope}: already {word}, nothing recorded"
    nodes = output.count(outcome.nodes, "node")
    said = f"{order.scope}: {order.verdict} by {entry.actor}, {nodes}, {entry.request} incarnation {entry.incarnation}"
    return ", ".join([said, *describe(entry)])


def describe(entry: ConsentEntry) -> list[str]:
    """What a word says beside yes and no, in parts of a sentence."""
    then = {AfterDue.PROCEED: "then it proceeds", AfterDue.ESCALATE: "then it is escalated"}
    parts = [
        f"only {', '.join(sorted(entry.updates))}" if entry.is_part else "",
        f"without {', '.join(sorted(entry.excluded))}" if entry.excluded else "",
        f"flight {entry.flight}" if entry.flight and not entry.is_part else "",
        say_conditions(entry.conditions),
        f"until {output.utc(entry.until)}" if entry.until else "",
        then.get(entry.then, "") if entry.then else "",
        f"offer {entry.id}" if entry.verdict is Verdict.OFFERED else "",
    ]
    return [part for part in parts if part]


def _outcome_json(outcome: Outcome) -> dict[str, Any]:
    order, entry, refused = outcome.order, outcome.entry, outcome.refused
    return {
        "level": order.scope.level,
        "name": order.scope.name,
        "verdict": order.verdict,
        "state": outcome.state,
        "already": outcome.state is OutcomeState.STOOD,
        "nodes": outcome.nodes,
        "refused": {"code": refused.code, "sentence": refused.sentence} if refused else None,
        **(entry_json(entry) if entry else _NO_ENTRY),
    }


def entry_json(entry: ConsentEntry) -> dict[str, Any]:
    """An entry of the ledger for machines."""
    conditions = entry.conditions
    return {
        "id": entry.id,
        "request": entry.request,
        "incarnation": entry.incarnation,
        "updates": sorted(entry.updates),
        "actor": entry.actor,
        "is_part": entry.is_part,
        "excluded": sorted(entry.excluded),
        "flight": entry.flight,
        "not_before": output.iso(conditions.not_before) if conditions.not_before else None,
        "not_after": output.iso(conditions.not_after) if conditions.not_after else None,
        "nodes_per_day": conditions.nodes_per_day,
        "with_updates": sorted(conditions.with_updates),
        "with_scope": str(conditions.with_scope) if conditions.with_scope else None,
        "until": output.iso(entry.until) if entry.until else None,
        "then": entry.then,
        "offer": entry.offer,
    }


_NO_ENTRY: dict[str, Any] = {
    "id": None,
    "request": None,
    "incarnation": None,
    "updates": [],
    "actor": None,
}
