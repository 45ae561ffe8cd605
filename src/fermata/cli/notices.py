"""`fermata notices`: what customers were told, how far it came, and sending it again."""

from collections import Counter
from typing import Annotated, Any

import typer

from fermata.cli import options, output
from fermata.cli.consent import WhyOption
from fermata.cli.simulating import chosen_settings
from fermata.domain.deliveries import DeliveryState
from fermata.domain.hashing import to_plain
from fermata.domain.ids import CustomerId, SubscriptionId
from fermata.execution.delivering import deliver_round, prune_all
from fermata.services.notices import NoticeView
from fermata.wiring.clocks import UtcClock
from fermata.wiring.telling import open_office

NoticeArgument = Annotated[str, typer.Argument(metavar="NOTICE", help="Id of the notice.", show_default=False)]


def register(app: typer.Typer) -> None:
    """Adds the commands."""
    notices = typer.Typer(no_args_is_help=True, help="What customers were told, and how far it came.")
    notices.command("list")(notice_list)
    notices.command("show")(notice_show)
    notices.command("replay")(notice_replay)
    notices.command("dismiss")(notice_dismiss)
    notices.command("test")(notice_test)
    notices.command("deliver")(notice_deliver)
    app.add_typer(notices, name="notices")


def notice_list(
    *,
    customer: Annotated[
        list[str] | None, typer.Option("--customer", help="Only to this customer (repeatable).", show_default=False)
    ] = None,
    state: Annotated[
        list[DeliveryState] | None,
        typer.Option("--state", help="Only with a delivery in this state (repeatable).", show_default=False),
    ] = None,
    before: Annotated[
        int | None, typer.Option("--before", help="Only those before this number.", show_default=False)
    ] = None,
    limit: Annotated[int, typer.Option("--limit", min=1, max=500, help="How many.")] = 50,
    store: options.StoreOption = options.DEFAULT_STORE,
    server: options.ServerOption = None,
    as_json: options.JsonOption = False,
) -> None:
    """Shows notices, the newest first, and how far each came."""
    customers = [CustomerId(name) for name in customer or ()]
    with options.opened_place(store, server) as place:
        page = place.list_notices(customers=customers, states=state or [], before=before, limit=limit)
    if as_json:
        output.print_json({"notices": [_json(view) for view in page.notices], "before": page.before})
        return
    if not page.notices:
        output.out.print("No notice.")
        return
    rows = [(v.id, output.utc(v.notice.at), v.notice.customer or "-", v.title, _standing(v)) for v in page.notices]
    output.out.print(output.table("Notices", ("notice", "at", "customer", "sentence", "deliveries"), rows))
    if page.before is not None:
        output.out.print(f"Older ones: --before {page.before}")


def notice_show(
    notice: NoticeArgument,
    *,
    store: options.StoreOption = options.DEFAULT_STORE,
    server: options.ServerOption = None,
    as_json: options.JsonOption = False,
) -> None:
    """Shows one notice in full, and each of its deliveries."""
    with options.opened_place(store, server) as place:
        _tell(place.show_notice(notice), as_json=as_json)


def notice_replay(
    notice: NoticeArgument,
    *,
    to: Annotated[str | None, typer.Option("--to", help="To this subscription alone. Default: to all it had.")] = None,
    actor: options.ActorOption = "operator",
    why: WhyOption = "",
    store: options.StoreOption = options.DEFAULT_STORE,
    server: options.ServerOption = None,
    as_json: options.JsonOption = False,
) -> None:
    """Sends a notice again whose delivery is dead or done, under the same id."""
    with options.opened_place(store, server) as place:
        view = place.replay_notice(notice, to=SubscriptionId(to) if to else None, actor=actor, why=why)
    _tell(view, as_json=as_json)


def notice_dismiss(
    notice: NoticeArgument,
    *,
    to: Annotated[
        str | None, typer.Option("--to", help="To this subscription alone. Default: all that are dead.")
    ] = None,
    actor: options.ActorOption = "operator",
    why: WhyOption = "",
    store: options.StoreOption = options.DEFAULT_STORE,
    server: options.ServerOption = None,
    as_json: options.JsonOption = False,
) -> None:
    """Gives up a notice whose delivery is dead: it is kept no longer than others. Its customer stays untold."""
    with options.opened_place(store, server) as place:
        view = place.dismiss_notice(notice, to=SubscriptionId(to) if to else None, actor=actor, why=why)
    _tell(view, as_json=as_json)


def notice_test(
    subscription: Annotated[
        str, typer.Argument(metavar="SUBSCRIPTION", help="Id of the subscription.", show_default=False)
    ],
    *,
    actor: options.ActorOption = "operator",
    store: options.StoreOption = options.DEFAULT_STORE,
    server: options.ServerOption = None,
    as_json: options.JsonOption = False,
) -> None:
    """Sends a notice that tells of nothing, to see whether it arrives."""
    with options.opened_place(store, server) as place:
        view = place.test_subscription(SubscriptionId(subscription), actor=actor)
    _tell(view, as_json=as_json)


def notice_deliver(
    *,
    store: options.StoreOption = options.DEFAULT_STORE,
    as_json: options.JsonOption = False,
) -> None:
    """Makes the handshakes and the tries that are due now, once, and removes what was delivered long ago. A server does
    so by itself, all the time.
    """
    settings = chosen_settings(store=store)
    with options.opened_store(store) as database:
        office = open_office(database, settings, UtcClock())
        done = deliver_round(office)
        pruned = prune_all(office)
    if as_json:
        output.print_json({**to_plain(done), "pruned": pruned})
        return
    output.out.print(
        f"{output.count(done.greeted, 'handshake')}; delivered {done.delivered}, to be tried again {done.postponed},"
        f" dead {done.dead}"
    )
    if pruned:
        output.out.print(
            f"Removed {output.count(pruned, 'notice')} that went out more than {office.kept.days} days ago."
        )


def _tell(view: NoticeView, *, as_json: bool) -> None:
    if as_json:
        output.print_json(_json(view))
        return
    output.out.print(view.text.rstrip(), markup=False, soft_wrap=True)
    for line in view.deliveries:
        told = f"  to {line.subscription}: {line.state}"
        if line.attempts:
            told += f" after {output.count(line.attempts, 'try', 'tries')}"
        if line.why:
            told += f" ({line.why})"
        if line.state is DeliveryState.PENDING and line.next_at is not None:
            told += f", next at {line.next_at:%Y-%m-%d %H:%M:%SZ}"
        output.out.print(told, markup=False, soft_wrap=True)


def _standing(view: NoticeView) -> str:
    counts = Counter(line.state.value for line in view.deliveries)
    return ", ".join(f"{number} {state}" for state, number in sorted(counts.items())) or "nobody subscribed"


def _json(view: NoticeView) -> dict[str, Any]:
    found: dict[str, Any] = to_plain(view)
    return found
