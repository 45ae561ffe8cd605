"""`fermata room`: the room of a window, what is told there, and what people say in it."""

from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from fermata.cli import options, output
from fermata.domain.hashing import to_plain
from fermata.domain.ids import CampaignId, TeamId, WindowId
from fermata.domain.room import START, Called
from fermata.domain.room_words import say_line
from fermata.services.rooms import (
    AnswerOrder,
    BridgeOrder,
    GoOrder,
    HandoverOrder,
    NoteOrder,
    RoomList,
    RoomOrder,
    RoomView,
)

MESSAGES_SHOWN = 6  # on a terminal; all of them in --json
LINES_SHOWN = 12

WindowArgument = Annotated[str, typer.Argument(help="The window's id.", show_default=False)]
CampaignOption = Annotated[
    str | None, typer.Option("--campaign", help="Campaign, if several are on record.", show_default=False)
]
ReasonOption = Annotated[str, typer.Option("--reason", "--why", help="Why; others read it.", show_default=False)]
UpdateOption = Annotated[
    str | None, typer.Option("--update", help="Of this update in the window, not of its start.", show_default=False)
]


class _ShowsWindows(TyperGroup):
    """What is no command of its own is the window to show."""

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        """`fermata room win-1` is `fermata room show win-1`."""
        is_window = bool(args) and args[0] not in self.commands and not args[0].startswith("-")
        return super().resolve_command(ctx, ["show", *args] if is_window else args)


def register(app: typer.Typer) -> None:
    """Adds the commands."""
    group = typer.Typer(
        cls=_ShowsWindows,
        help="The rooms of windows. `fermata room WINDOW` shows one: what is told there, roll-call, words of people.",
        no_args_is_help=True,
        rich_markup_mode=None,
    )
    group.command("list")(list_rooms)
    group.command("show")(show)
    group.command("answer")(answer)
    group.command("go")(go)
    group.command("no-go")(no_go)
    group.command("note")(note)
    group.command("handover")(handover)
    group.command("bridge")(bridge)
    app.add_typer(group, name="room")


def list_rooms(
    *,
    campaign: CampaignOption = None,
    store: options.StoreOption = options.DEFAULT_STORE,
    server: options.ServerOption = None,
    as_json: options.JsonOption = False,
) -> None:
    """Every room of the newest run, and what was told there last."""
    with options.opened_place(store, server) as place:
        found = place.list_rooms(_named(campaign))
    if as_json:
        output.print_json({"schema": "fermata.rooms/1", **output.with_z(to_plain(found))})
        return
    _print_list(found)


def show(
    window: WindowArgument,
    *,
    campaign: CampaignOption = None,
    store: options.StoreOption = options.DEFAULT_STORE,
    server: options.ServerOption = None,
    as_json: options.JsonOption = False,
) -> None:
    """One room: the last message, roll-call, go and no-go, and what was said."""
    with options.opened_place(store, server) as place:
        found = place.show_room(WindowId(window), _named(campaign))
    if as_json:
        output.print_json({"schema": "fermata.room/1", **_plain(found)})
        return
    _print_room(found)


def answer(
    window: WindowArgument,
    team: Annotated[str, typer.Argument(help="The update team that is there.", show_default=False)],
    *,
    text: Annotated[str, typer.Option("--text", help="What it adds.", show_default=False)] = "",
    campaign: CampaignOption = None,
    actor: options.ActorOption = "operator",
    store: options.StoreOption = options.DEFAULT_STORE,
    server: options.ServerOption = None,
    as_json: options.JsonOption = False,
) -> None:
    """A team answers the roll-call."""
    said = AnswerOrder(team=TeamId(team), text=text)
    _say(window, said, (campaign, actor), (store, server), as_json=as_json)


def go(
    window: WindowArgument,
    *,
    why: ReasonOption = "",
    update: UpdateOption = None,
    campaign: CampaignOption = None,
    actor: options.ActorOption = "operator",
    store: options.StoreOption = options.DEFAULT_STORE,
    server: options.ServerOption = None,
    as_json: options.JsonOption = False,
) -> None:
    """Go, as far as you are concerned. Consent, freezes, gates and words of operators still have to allow it."""
    said = GoOrder(topic=update or START, is_go=True, why=why)
    _say(window, said, (campaign, actor), (store, server), as_json=as_json)


def no_go(
    window: WindowArgument,
    *,
    why: ReasonOption = "",
    update: UpdateOption = None,
    campaign: CampaignOption = None,
    actor: options.ActorOption = "operator",
    store: options.StoreOption = options.DEFAULT_STORE,
    server: options.ServerOption = None,
    as_json: options.JsonOption = False,
) -> None:
    """The window does not open, or the update does not begin in it, until somebody says go. What has begun goes on."""
    said = GoOrder(topic=update or START, is_go=False, why=why)
    _say(window, said, (campaign, actor), (store, server), as_json=as_json)


def note(
    window: WindowArgument,
    text: Annotated[str, typer.Argument(help="What others should know.", show_default=False)],
    *,
    campaign: CampaignOption = None,
    actor: options.ActorOption = "operator",
    store: options.StoreOption = options.DEFAULT_STORE,
    server: options.ServerOption = None,
    as_json: options.JsonOption = False,
) -> None:
    """Writes something down for the others."""
    _say(window, NoteOrder(text=text), (campaign, actor), (store, server), as_json=as_json)


def handover(
    window: WindowArgument,
    *,
    to: Annotated[str, typer.Option("--to", help="Who has the room from now on.", show_default=False)],
    open_points: Annotated[
        list[str] | None, typer.Option("--open", help="What is open; may be given often.", show_default=False)
    ] = None,
    campaign: CampaignOption = None,
    actor: options.ActorOption = "operator",
    store: options.StoreOption = options.DEFAULT_STORE,
    server: options.ServerOption = None,
    as_json: options.JsonOption = False,
) -> None:
    """Takes the room, or hands it over. What the room asks for is put on record as open by itself."""
    said = HandoverOrder(to=to, points=tuple(open_points or ()))
    _say(window, said, (campaign, actor), (store, server), as_json=as_json)


def bridge(
    window: WindowArgument,
    url: Annotated[str, typer.Argument(help="A link: https, tel or sip.", show_default=False)],
    *,
    campaign: CampaignOption = None,
    actor: options.ActorOption = "operator",
    store: options.StoreOption = options.DEFAULT_STORE,
    server: options.ServerOption = None,
    as_json: options.JsonOption = False,
) -> None:
    """Where people of the room meet."""
    _say(window, BridgeOrder(url=url), (campaign, actor), (store, server), as_json=as_json)


def _named(campaign: str | None) -> CampaignId | None:
    return CampaignId(campaign) if campaign else None


def _say(
    window: str, said: RoomOrder, by: tuple[str | None, str], where: tuple[str, str | None], *, as_json: bool
) -> None:
    campaign, actor = by
    with options.opened_place(*where) as place:
        line = place.speak_in_room(WindowId(window), said, _named(campaign), actor=actor)
    if as_json:
        output.print_json({"schema": "fermata.room_line/1", "line": output.with_z(to_plain(line))})
    else:
        output.say(f"{line.window}: {say_line(line)}")


def _plain(found: RoomView) -> dict[str, Any]:
    body: dict[str, Any] = output.with_z(to_plain(found))
    for plain, message in zip(body["told"], found.told, strict=True):
        plain["lines"] = list(message.lines)
    return body


def _print_list(found: RoomList) -> None:
    rows = [
        (one.window, one.state, output.utc(one.planned_start), one.last.title if one.last else "")
        for one in found.rooms
    ]
    title = f"Rooms of {found.run} as of {output.utc(found.as_of)}"
    output.out.print(output.table(title, ("window", "state", "start", ""), rows))


def _print_room(found: RoomView) -> None:
    facts = found.gathered.facts
    head = f"Room of {facts.place.window}, {facts.place.cluster}, {facts.figures.state}"
    output.out.print(output.styled((head, "bold"), f"  as of {output.utc(found.as_of)}"))
    output.say(f"Bridge: {facts.book.bridge or 'none'}")
    output.say(f"Has the room: {facts.book.holder or 'nobody'}")
    if found.opens_at is not None:
        output.say(f"Nothing was told yet: it opens with its window, {output.utc(found.opens_at)}.")
    for message in found.told[:1]:
        output.out.print()
        for line in message.lines:
            output.say(line, style="bold" if line is message.title else "")
    _print_roll(found)
    _print_words(found)
    _print_history(found)


def _print_roll(found: RoomView) -> None:
    called = found.gathered.facts.book.called
    if called:
        output.out.print()
        rows = [_roll_row(one, found) for one in called]
        output.out.print(output.table("Roll-call", ("team", "updates", "starts", "answered", "by", ""), rows))


def _roll_row(one: Called, found: RoomView) -> tuple[object, ...]:
    late = one.late_minutes(found.as_of)
    answered = output.utc(one.answered_at) if one.answered_at else "not yet"
    told = f"{late} min late" if late else ""
    note_of = "; ".join(part for part in (told, one.text) if part)
    return (
        one.team,
        ", ".join(one.updates),
        output.utc(one.starts_at),
        answered,
        one.answered_by,
        note_of,
    )


def _print_words(found: RoomView) -> None:
    asked = found.gathered.facts.book.asked
    if not asked:
        return
    rows = [
        (
            "its start" if one.topic == START else one.topic,
            "waited for" if one.is_open else "nothing" if one.word is None else "go" if one.word.is_go else "no-go",
            one.by,
            output.utc(one.at) if one.at else "",
            one.word.why if one.word else "",
        )
        for one in asked
    ]
    output.out.print()
    output.out.print(output.table("Go or no-go", ("on", "said", "by", "at", "why"), rows))


def _print_history(found: RoomView) -> None:
    rest = found.told[1:]
    if rest:
        output.out.print()
        hidden = len(rest) - MESSAGES_SHOWN
        output.out.print(output.styled(("Told before", "bold"), f" ({hidden} more: --json)" if hidden > 0 else ""))
        for message in rest[:MESSAGES_SHOWN]:
            output.say(message.title)
    if found.lines:
        output.out.print()
        hidden = len(found.lines) - LINES_SHOWN
        output.out.print(output.styled(("Said", "bold"), f" ({hidden} more: --json)" if hidden > 0 else ""))
        for line in found.lines[:LINES_SHOWN]:
            output.say(f"{output.utc(line.at)} {line.actor}: {say_line(line)}")
