"""`fermata subscriptions`: who hears which notices, and through which channel."""

from datetime import timedelta
from pathlib import Path
from typing import Annotated, Any

import typer

from fermata.cli import options, output
from fermata.cli.consent import WhyOption
from fermata.domain.deliveries import ATTEMPTS_MAX, LIVES
from fermata.domain.hashing import to_plain
from fermata.domain.ids import CustomerId, SubscriptionId, SupercomputerId, TeamId
from fermata.domain.notices import NoticeKind
from fermata.domain.subscriptions import ChannelKind, EventShape, SubscriptionOrder
from fermata.formats.subscriptions import LIVES_MINUTES_MAX, read_subscriptions
from fermata.services.subscriptions import SubscriptionView

IdArgument = Annotated[str, typer.Argument(metavar="SUBSCRIPTION", help="Id of the subscription.", show_default=False)]
UrlOption = Annotated[
    str | None, typer.Option("--url", help="Of a webhook, or of a chat room (Apprise).", show_default=False)
]
ToOption = Annotated[list[str] | None, typer.Option("--to", help="A mail address (repeatable).", show_default=False)]
TopicOption = Annotated[str | None, typer.Option("--topic", help="Of a pull.", show_default=False)]
KeyOption = Annotated[
    str | None,
    typer.Option(
        "--key", envvar="FERMATA_PULL_KEY", help="Of a pull: what its client signs in with.", show_default=False
    ),
]
SecretOption = Annotated[
    str | None,
    typer.Option(
        "--secret",
        help="Name of a status page's or incident API's key, or of what signs, in FERMATA_CHANNEL_SECRETS.",
        show_default=False,
    ),
]
PageOption = Annotated[str | None, typer.Option("--page", help="Id of a status page.", show_default=False)]
ComponentOption = Annotated[
    list[str] | None, typer.Option("--component", help="Id on a status page (repeatable).", show_default=False)
]
RateOption = Annotated[
    int | None, typer.Option("--rate", min=1, help="Sends a minute to ask CloudEvents for.", show_default=False)
]
CustomerOption = Annotated[
    list[str] | None, typer.Option("--customer", help="Only of this customer (repeatable).", show_default=False)
]
SupercomputerOption = Annotated[
    list[str] | None,
    typer.Option("--supercomputer", help="Only of this supercomputer (repeatable).", show_default=False),
]
TeamOption = Annotated[
    list[str] | None, typer.Option("--team", help="Only what this team is told (repeatable).", show_default=False)
]
KindOption = Annotated[
    list[NoticeKind] | None, typer.Option("--kind", help="Only of this kind (repeatable).", show_default=False)
]
ShapeOption = Annotated[EventShape, typer.Option("--shape", help="What a webhook's events look like.")]
AttemptsOption = Annotated[
    int, typer.Option("--attempts", min=1, max=ATTEMPTS_MAX, help="Tries before a delivery is dead.")
]
MinutesOption = Annotated[int, typer.Option("--minutes", min=1, max=LIVES_MINUTES_MAX, help="How long it is tried.")]


def register(app: typer.Typer) -> None:
    """Adds the commands."""
    subscriptions = typer.Typer(no_args_is_help=True, help="Who hears which notices, and how.")
    subscriptions.command("list")(subscription_list)
    subscriptions.command("add")(subscription_add)
    subscriptions.command("import")(subscription_import)
    subscriptions.command("validate")(subscription_validate)
    subscriptions.command("remove")(subscription_remove)
    app.add_typer(subscriptions, name="subscriptions")


def subscription_list(
    *,
    store: options.StoreOption = options.DEFAULT_STORE,
    server: options.ServerOption = None,
    as_json: options.JsonOption = False,
) -> None:
    """Shows every subscription, whether it may be written to, and how much waits for it."""
    with options.opened_place(store, server) as place:
        found = place.list_subscriptions()
    if as_json:
        output.print_json({"subscriptions": [_json(view) for view in found]})
        return
    if not found:
        output.out.print("Nobody subscribed.")
        return
    rows = [(v.id, v.channel, _hears(v), v.state.replace("_", " "), v.waiting, v.state_why) for v in found]
    headings = ("subscription", "channel", "scope", "state", "waiting", "why")
    output.out.print(output.table("Subscriptions", headings, rows, right=(4,)))


def subscription_add(
    channel: Annotated[ChannelKind, typer.Argument(help="How it is written to.")],
    subscription: IdArgument,
    *,
    url: UrlOption = None,
    to: ToOption = None,
    calendar: Annotated[bool, typer.Option("--calendar", help="With mail: a maintenance note goes along.")] = False,
    topic: TopicOption = None,
    key: KeyOption = None,
    rate: RateOption = None,
    secret: SecretOption = None,
    page: PageOption = None,
    component: ComponentOption = None,
    customer: CustomerOption = None,
    supercomputer: SupercomputerOption = None,
    team: TeamOption = None,
    kind: KindOption = None,
    shape: ShapeOption = EventShape.NOTICES,
    attempts_max: AttemptsOption = ATTEMPTS_MAX,
    lives_minutes: MinutesOption = int(LIVES / timedelta(minutes=1)),
    actor: options.ActorOption = "operator",
    store: options.StoreOption = options.DEFAULT_STORE,
    server: options.ServerOption = None,
    as_json: options.JsonOption = False,
) -> None:
    """Adds a subscription. A webhook is asked for its consent first; without --customer it is the operator's own."""
    target = {
        "url": url,
        "to": to or None,
        "topic": topic,
        "key": key if channel is ChannelKind.PULL else None,
        "rate": rate,
        "calendar": calendar or None,
        "secret": secret,
        "page": page,
        "components": component or None,
    }
    order = SubscriptionOrder(
        id=SubscriptionId(subscription),
        channel=channel,
        target={name: value for name, value in target.items() if value is not None},
        customers=frozenset(CustomerId(name) for name in customer or ()),
        supercomputers=frozenset(SupercomputerId(name) for name in supercomputer or ()),
        teams=frozenset(TeamId(name) for name in team or ()),
        kinds=frozenset(kind or ()),
        shape=shape,
        attempts_max=attempts_max,
        lives=timedelta(minutes=lives_minutes),
    )
    _add([order], actor, store, server, as_json=as_json)


def subscription_import(
    file: Annotated[Path, typer.Argument(help="YAML with a list of subscriptions.", show_default=False)],
    *,
    actor: options.ActorOption = "operator",
    store: options.StoreOption = options.DEFAULT_STORE,
    server: options.ServerOption = None,
    as_json: options.JsonOption = False,
) -> None:
    """Adds all subscriptions of a file, or none; those that stand already are left as they are."""
    _add(list(read_subscriptions(file)), actor, store, server, as_json=as_json)


def subscription_validate(
    subscription: IdArgument,
    *,
    actor: options.ActorOption = "operator",
    store: options.StoreOption = options.DEFAULT_STORE,
    server: options.ServerOption = None,
    as_json: options.JsonOption = False,
) -> None:
    """Begins a webhook's handshake anew; nothing is sent before it ends well."""
    with options.opened_place(store, server) as place:
        view = place.validate_subscription(SubscriptionId(subscription), actor=actor)
    _tell([view], as_json=as_json)


def subscription_remove(
    subscription: IdArgument,
    *,
    actor: options.ActorOption = "operator",
    why: WhyOption = "",
    store: options.StoreOption = options.DEFAULT_STORE,
    server: options.ServerOption = None,
    as_json: options.JsonOption = False,
) -> None:
    """Removes a subscription; what was on its way to it is dropped."""
    with options.opened_place(store, server) as place:
        view = place.remove_subscription(SubscriptionId(subscription), actor=actor, why=why)
    if as_json:
        output.print_json(_json(view))
        return
    output.out.print(f"{view.id} hears nothing any more.", markup=False, soft_wrap=True)


def _add(orders: list[SubscriptionOrder], actor: str, store: str, server: str | None, *, as_json: bool) -> None:
    with options.opened_place(store, server) as place:
        added = place.add_subscriptions(orders, actor=actor)
    _tell(list(added), as_json=as_json)


def _tell(views: list[SubscriptionView], *, as_json: bool) -> None:
    if as_json:
        output.print_json({"subscriptions": [_json(view) for view in views]})
        return
    for view in views:
        output.out.print(
            f"{view.id}: {view.channel}, hears {_hears(view)}, {view.state.replace('_', ' ')}",
            markup=False,
            soft_wrap=True,
        )


def _hears(view: SubscriptionView) -> str:
    of = ", ".join((*view.customers, *view.supercomputers, *view.teams)) or "everything (the operator's own)"
    return f"{of}: {', '.join(view.kinds)}" if view.kinds else of


def _json(view: SubscriptionView) -> dict[str, Any]:
    found: dict[str, Any] = to_plain(view)
    return found
