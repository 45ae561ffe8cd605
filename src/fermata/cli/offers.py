"""`fermata offer`: another time, from the customer, and the operator's answer."""

from typing import Annotated, Any

import typer

from fermata.cli import options, output
from fermata.cli.consent import (
    AtomicOption,
    FileOption,
    LevelArgument,
    NamesArgument,
    NotAfterOption,
    NotBeforeOption,
    OnlyOption,
    PerDayOption,
    SeenOption,
    WhoOption,
    WhyOption,
    WithoutOption,
    WithScopeOption,
    WithUpdateOption,
    Words,
    decide,
    describe,
    entry_json,
    make_conditions,
    make_orders,
    make_terms,
)
from fermata.domain.ids import ApprovalId
from fermata.domain.policy import Verdict
from fermata.services.offers import Answer, OfferView

OfferArgument = Annotated[str, typer.Argument(metavar="OFFER", help="Id of the counter-offer.", show_default=False)]
OperatorOption = Annotated[str, typer.Option("--as", help="Who answers for the operator.", show_default=False)]


def register(app: typer.Typer) -> None:
    """Adds the commands."""
    group = typer.Typer(no_args_is_help=True, help="Counter-offers: another time before the due date.")
    group.command("add")(offer_add)
    group.command("list")(offer_list)
    group.command("accept")(offer_accept)
    group.command("refuse")(offer_refuse)
    app.add_typer(group, name="offer")


def offer_add(
    level: LevelArgument = None,
    names: NamesArgument = None,
    *,
    file: FileOption = None,
    seen: SeenOption = None,
    only: OnlyOption = None,
    without: WithoutOption = None,
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
    """Offers another time for the work, before its due date. Until the operator answers nothing there is covered."""
    conditions = make_conditions(not_before, not_after, per_day, with_update, with_scope)
    terms = make_terms(only, without, conditions)
    words = Words(level=level, names=names or [], file=file, actor=actor, why=why, seen=seen, terms=terms)
    decide(make_orders(Verdict.OFFERED, words), store, server, atomic=atomic, as_json=as_json)


def offer_list(
    *,
    store: options.StoreOption = options.DEFAULT_STORE,
    server: options.ServerOption = None,
    as_json: options.JsonOption = False,
) -> None:
    """Shows the counter-offers that wait for an answer."""
    with options.opened_place(store, server) as place:
        found = place.list_offers()
    if as_json:
        output.print_json({"offers": [_view_json(view) for view in found]})
        return
    if not found:
        output.out.print("No counter-offer waits for an answer.")
        return
    for view in found:
        entry = view.entry
        said = [
            f"{entry.id}: {entry.scope}, {output.count(view.nodes, 'node')}, by {entry.actor}",
            *describe(entry)[:-1],
        ]
        why = f" ({entry.reason})" if entry.reason else ""
        output.out.print(", ".join(said) + why, markup=False, soft_wrap=True)
        if view.over is not None:
            output.out.print(f"  {view.over}", markup=False, soft_wrap=True)


def offer_accept(
    offer: OfferArgument,
    *,
    actor: OperatorOption,
    why: WhyOption = "",
    store: options.StoreOption = options.DEFAULT_STORE,
    server: options.ServerOption = None,
    as_json: options.JsonOption = False,
) -> None:
    """Accepts a counter-offer: it is the customer's approval for that time from now on."""
    _answer(offer, Answer(accept=True, actor=actor, why=why), store, server, as_json=as_json)


def offer_refuse(
    offer: OfferArgument,
    *,
    actor: OperatorOption,
    why: WhyOption = "",
    store: options.StoreOption = options.DEFAULT_STORE,
    server: options.ServerOption = None,
    as_json: options.JsonOption = False,
) -> None:
    """Refuses a counter-offer: nothing there is covered, as before."""
    _answer(offer, Answer(accept=False, actor=actor, why=why), store, server, as_json=as_json)


def _answer(offer: str, answer: Answer, store: str, server: str | None, *, as_json: bool) -> None:
    with options.opened_place(store, server) as place:
        entry = place.answer_offer(ApprovalId(offer), answer)
    if as_json:
        output.print_json({"verdict": entry.verdict, **entry_json(entry)})
        return
    if answer.accept:
        said = [f"{offer}: accepted, {entry.scope} is approved by {entry.actor}", *describe(entry)]
    else:
        said = [f"{offer}: refused, {entry.scope} is not covered"]
    output.out.print(", ".join(said), markup=False, soft_wrap=True)


def _view_json(view: OfferView) -> dict[str, Any]:
    over = {"code": view.over.code, "sentence": view.over.sentence} if view.over else None
    scope = view.entry.scope
    return {
        "level": scope.level,
        "name": scope.name,
        "nodes": view.nodes,
        "reason": view.entry.reason,
        "over": over,
        **entry_json(view.entry),
    }
