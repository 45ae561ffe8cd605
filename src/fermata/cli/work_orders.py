"""`fermata requests open` and what follows: work orders, and what customers say of them."""

from typing import Annotated, Any

import typer

from fermata.cli import options, output
from fermata.cli.consent import WhoOption, WhyOption
from fermata.cli.request_show import meeting_json, print_standing, standing_json
from fermata.client.words import OrderEnding
from fermata.domain.ids import OrderId, RequestId
from fermata.domain.policy import Scope, ScopeLevel
from fermata.domain.request_kinds import OrderedKind
from fermata.domain.updates import Criticality, Impact
from fermata.domain.work_orders import Target, TargetLevel, Word, WorkOrder
from fermata.services.order_words import SaidWord, WordOrder
from fermata.services.request_words import say_meeting
from fermata.services.work_orders import NewOrder, Opened

ACTOR = "operator"

OrderArgument = Annotated[str, typer.Argument(metavar="ORDER", help="Id of the work order.")]
RequestArgument = Annotated[str, typer.Argument(metavar="REQUEST", help="Id of the request.")]
LevelArgument = Annotated[
    ScopeLevel | None,
    typer.Argument(
        metavar="[LEVEL]", help="supercomputer, cluster, rack or node; default: all of it.", show_default=False
    ),
]
NamesArgument = Annotated[list[str] | None, typer.Argument(metavar="[NAMES]...", help="Names.", show_default=False)]
OrdersOption = Annotated[
    list[str] | None, typer.Option("--order", help="Only this work order (repeatable).", show_default=False)
]
SeenOption = Annotated[
    int | None,
    typer.Option("--incarnation", help="Refuse if the request has changed since this one.", show_default=False),
]


def register(group: typer.Typer) -> None:
    """Adds the commands below `fermata requests`."""
    group.command("open")(open_)
    group.command("approve")(approve)
    group.command("decline")(decline)
    group.command("withdraw")(withdraw)
    group.command("start")(start)
    group.command("complete")(complete)
    group.command("cancel")(cancel)
    group.command("told")(told)
    group.command("look")(look)


def open_(
    kind: Annotated[OrderedKind, typer.Argument(help="What is asked for.")],
    level: Annotated[TargetLevel, typer.Argument(help="What is named: cluster, rack, node or device.")],
    names: Annotated[list[str], typer.Argument(help="Names, one work order each.")],
    *,
    cause: Annotated[str, typer.Option("--cause", help="What is wrong, or why it has to be done.")],
    impact: Annotated[
        Impact | None, typer.Option("--impact", help="What a workload feels.", show_default="rebootful")
    ] = None,
    criticality: Annotated[
        Criticality, typer.Option("--criticality", help="Why it is urgent, if it is: shortens the notice.")
    ] = Criticality.REGULAR,
    wanted: Annotated[
        str | None,
        typer.Option("--at", help="Time that is wished for; never sooner than the notice.", show_default=False),
    ] = None,
    actor: options.ActorOption = ACTOR,
    store: options.StoreOption = options.DEFAULT_STORE,
    server: options.ServerOption = None,
    as_json: options.JsonOption = False,
) -> None:
    """Asks for repairs, hardware maintenance, a decommission or a move. It joins the one request of its kind."""
    orders = [
        NewOrder(
            kind=kind.kind,
            target=Target(level=level, name=name),
            cause=cause,
            impact=impact,
            criticality=criticality,
            wanted_at=options.parse_time(wanted) if wanted else None,
        )
        for name in names
    ]
    with options.opened_place(store, server) as place:
        opened = place.open_orders(orders, actor=actor)
    if as_json:
        output.print_json({"orders": [_opened_json(each) for each in opened]})
        return
    for each in opened:
        order = each.order
        nodes = output.count(len(each.nodes), "node")
        output.out.print(
            f"{order.id}: {order.kind} of {order.target}, {nodes}, due {output.utc(order.due_at)},"
            f" in {each.request} incarnation {each.incarnation}",
            markup=False,
            soft_wrap=True,
        )
        for meeting in each.meets:
            output.out.print(f"  {say_meeting(meeting)}", markup=False, soft_wrap=True)


def approve(
    request: RequestArgument,
    level: LevelArgument = None,
    names: NamesArgument = None,
    *,
    orders: OrdersOption = None,
    actor: WhoOption = None,
    why: WhyOption = "",
    seen: SeenOption = None,
    store: options.StoreOption = options.DEFAULT_STORE,
    server: options.ServerOption = None,
    as_json: options.JsonOption = False,
) -> None:
    """Approves work orders of a request: all of them, some, or a part of their nodes."""
    word = WordOrder(word=Word.APPROVED, orders=_ids(orders), actor=actor, reason=why, seen=seen)
    _say(request, level, names, word, store, server, as_json=as_json)


def decline(
    request: RequestArgument,
    level: LevelArgument = None,
    names: NamesArgument = None,
    *,
    until: Annotated[str, typer.Option("--until", help="When to ask again; within the time to choose.")],
    orders: OrdersOption = None,
    actor: WhoOption = None,
    why: WhyOption = "",
    seen: SeenOption = None,
    store: options.StoreOption = options.DEFAULT_STORE,
    server: options.ServerOption = None,
    as_json: options.JsonOption = False,
) -> None:
    """Says no to work orders until a date."""
    at = options.parse_time(until)
    word = WordOrder(word=Word.DECLINED, orders=_ids(orders), actor=actor, reason=why, seen=seen, until=at)
    _say(request, level, names, word, store, server, as_json=as_json)


def withdraw(
    request: RequestArgument,
    level: LevelArgument = None,
    names: NamesArgument = None,
    *,
    orders: OrdersOption = None,
    actor: WhoOption = None,
    why: WhyOption = "",
    store: options.StoreOption = options.DEFAULT_STORE,
    server: options.ServerOption = None,
    as_json: options.JsonOption = False,
) -> None:
    """Takes a yes or a no back, as long as the order has not begun."""
    word = WordOrder(word=Word.WITHDRAWN, orders=_ids(orders), actor=actor, reason=why)
    _say(request, level, names, word, store, server, as_json=as_json)


def start(
    order: OrderArgument,
    *,
    drained: Annotated[bool, typer.Option("--drained", help="Workloads have left its nodes.")] = False,
    actor: options.ActorOption = ACTOR,
    why: WhyOption = "",
    store: options.StoreOption = options.DEFAULT_STORE,
    server: options.ServerOption = None,
    as_json: options.JsonOption = False,
) -> None:
    """Begins a work order, which holds its nodes from then on; refused while anything forbids it."""
    with options.opened_place(store, server) as place:
        begun = place.start_order(OrderId(order), actor=actor, why=why, drained=drained)
    _print_order(begun, as_json=as_json)


def complete(
    order: OrderArgument,
    actor: options.ActorOption = ACTOR,
    why: WhyOption = "",
    store: options.StoreOption = options.DEFAULT_STORE,
    server: options.ServerOption = None,
    as_json: options.JsonOption = False,
) -> None:
    """A work order that was begun is done: its nodes are free again."""
    _end(OrderEnding.COMPLETE, order, actor, why, store, server, as_json=as_json)


def cancel(
    order: OrderArgument,
    actor: options.ActorOption = ACTOR,
    why: WhyOption = "",
    store: options.StoreOption = options.DEFAULT_STORE,
    server: options.ServerOption = None,
    as_json: options.JsonOption = False,
) -> None:
    """Takes a work order back before it begins."""
    _end(OrderEnding.CANCEL, order, actor, why, store, server, as_json=as_json)


def told(
    request: RequestArgument,
    actor: options.ActorOption = ACTOR,
    why: WhyOption = "",
    store: options.StoreOption = options.DEFAULT_STORE,
    server: options.ServerOption = None,
    as_json: options.JsonOption = False,
) -> None:
    """Puts on record that the customers of a request were told of it, by whatever means."""
    with options.opened_place(store, server) as place:
        view = place.record_notice(RequestId(request), actor=actor, why=why)
    if as_json:
        output.print_json({"id": view.request.id, **standing_json(view.standing)})
        return
    print_standing(view.standing, since=view.since)


def look(
    store: options.StoreOption = options.DEFAULT_STORE,
    server: options.ServerOption = None,
    as_json: options.JsonOption = False,
) -> None:
    """Records the states of requests that moved since the last look, such as those whose due date has passed.

    A server does so by itself, every minute.
    """
    with options.opened_place(store, server) as place:
        looked = place.watch_requests()
    if as_json:
        output.print_json({"moved": [{"id": m.request, **standing_json(m.standing)} for m in looked.moved]})
        return
    if not looked.moved:
        output.out.print("Nothing moved.")
    for moved in looked.moved:
        output.out.print(moved.request, markup=False, soft_wrap=True)
        print_standing(moved.standing, since=None)


def _ids(names: list[str] | None) -> frozenset[OrderId] | None:
    return frozenset(OrderId(name) for name in names) if names else None


def _say(
    request: str,
    level: ScopeLevel | None,
    names: list[str] | None,
    word: WordOrder,
    store: str,
    server: str | None,
    *,
    as_json: bool,
) -> None:
    if (level is None) != (not names):
        raise typer.BadParameter("give a level and names (cluster h100-01 h100-02), or neither for all of the request")
    scopes = [Scope(level=level, name=name) for name in names or ()] if level is not None else [None]
    said_of = [
        WordOrder(
            word=word.word,
            scope=scope,
            orders=word.orders,
            actor=word.actor,
            reason=word.reason,
            seen=word.seen,
            until=word.until,
        )
        for scope in scopes
    ]
    with options.opened_place(store, server) as place:
        found = place.decide_orders(RequestId(request), said_of)
    if as_json:
        output.print_json({"words": [_said_json(said) for said in found]})
        return
    for said in found:
        entry = said.entry
        until = f" until {output.utc(entry.until)}" if entry.until else ""
        output.out.print(
            f"{entry.scope}: {entry.word}{until} by {entry.actor}, {output.count(said.nodes, 'node')},"
            f" {', '.join(sorted(entry.orders))}",
            markup=False,
            soft_wrap=True,
        )


def _end(end: OrderEnding, order: str, actor: str, why: str, store: str, server: str | None, *, as_json: bool) -> None:
    with options.opened_place(store, server) as place:
        ended = place.end_order(end, OrderId(order), actor=actor, why=why)
    _print_order(ended, as_json=as_json)


def _print_order(order: WorkOrder, *, as_json: bool) -> None:
    if as_json:
        output.print_json(_order_json(order))
        return
    state = order.ended.how if order.ended else "begun"
    output.out.print(f"{order.id}: {order.kind} of {order.target} is {state}", markup=False, soft_wrap=True)


def _order_json(order: WorkOrder) -> dict[str, Any]:
    return {
        "id": order.id,
        "request": order.request,
        "kind": order.kind,
        "level": order.target.level,
        "name": order.target.name,
        "due_at": output.iso(order.due_at),
        "started_at": output.iso(order.started.at) if order.started else None,
        "ended_at": output.iso(order.ended.said.at) if order.ended else None,
        "ended": order.ended.how if order.ended else None,
    }


def _opened_json(opened: Opened) -> dict[str, Any]:
    return {
        **_order_json(opened.order),
        "incarnation": opened.incarnation,
        "nodes": list(opened.nodes),
        "meets": [meeting_json(meeting) for meeting in opened.meets],
    }


def _said_json(said: SaidWord) -> dict[str, Any]:
    entry = said.entry
    return {
        "id": entry.id,
        "request": entry.request,
        "incarnation": entry.incarnation,
        "orders": sorted(entry.orders),
        "level": entry.scope.level,
        "name": entry.scope.name,
        "word": entry.word,
        "until": output.iso(entry.until) if entry.until else None,
        "actor": entry.actor,
        "nodes": said.nodes,
    }
