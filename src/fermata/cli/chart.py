"""`fermata chart`: a chart of the board, the campaign or the report as a picture in a file."""

from pathlib import Path
from typing import Annotated

import typer

from fermata.cli import options, output
from fermata.cli.credentials import connect
from fermata.cli.watch_feed import look, reader_of
from fermata.domain.ids import CampaignId
from fermata.domain.reasons import Code, reason
from fermata.services.board_views import Board
from fermata.services.campaigns import CampaignDesk, CampaignView
from fermata.services.errors import Refusal

CHARTS = {
    "out": "nodes out over time: planned, actual, and the limit",
    "share": "share of the baseline in service over time",
    "today": "the day's windows: steps as planned, what came of them, and when capacity is back",
    "calendar": "every window of the plan in force by day and cluster",
    "tail": "nodes that are not back, by reason",
    "progress": "nodes back over the campaign: planned, actual, and foreseen until the deadline",
    "windows": "every window of the campaign, as planned and as it ran",
    "limits": "what is planned and used of every limit, day by day",
    "capacity": "node-hours out, day by day, planned and actual",
    "late": "how late or early each window that is over ended",
}
OF_CAMPAIGN = frozenset({"progress", "windows", "limits"})
OF_REPORT = frozenset({"capacity", "late"})
ENDINGS = (".png", ".svg", ".pdf")
SIZES = ("phone", "desk")


def register(app: typer.Typer) -> None:
    """Adds the command."""
    app.command("chart")(chart)


def chart(
    name: Annotated[str | None, typer.Argument(help="Which one: see --list.", show_default=False)] = None,
    *,
    out: Annotated[
        Path | None, typer.Option("--out", help="File to write: .png, .svg or .pdf.", show_default="NAME.png")
    ] = None,
    campaign: Annotated[
        str | None,
        typer.Option("--campaign", help="Of which campaign; not for charts of the board.", show_default=False),
    ] = None,
    size: Annotated[str, typer.Option("--size", help="phone or desk.")] = "phone",
    listed: Annotated[bool, typer.Option("--list", help="Say which charts there are.")] = False,
    store: options.StoreOption = options.DEFAULT_STORE,
    server: options.ServerOption = None,
    as_json: options.JsonOption = False,
) -> None:
    """Draws a chart of the board, the campaign or the report as a picture, from the figures that they show."""
    if listed or name is None:
        _list(as_json=as_json)
        return
    target = out or Path(f"{name}.png")
    _check(name, target, size)
    if name in OF_CAMPAIGN and server is not None:
        raise typer.BadParameter(f"{name} is drawn where the store is: name that with --store", param_hint="--server")
    try:
        from fermata.cli import chart_campaign, chart_draw  # noqa: PLC0415 - an extra, and slow to load
    except ModuleNotFoundError as error:
        raise typer.BadParameter("charts are drawn by an extra: pip install 'fermata[charts]'") from error
    if name in OF_REPORT:
        with options.opened_place(store, server) as place, output.err.status("Adding up"):
            report = place.make_report(CampaignId(campaign) if campaign else None)
        chart_draw.draw_report(name, report, target, size)
    elif name in OF_CAMPAIGN:
        chart_campaign.draw_campaign(name, _campaign(store, campaign), target, size)
    else:
        chart_draw.draw_board(name, _board(store, server), target, size)
    if as_json:
        output.print_json({"schema": "fermata.files/1", "files": [str(target)]})
    else:
        output.say(f"{target} written.")


def _list(*, as_json: bool) -> None:
    if as_json:
        output.print_json({"charts": [{"name": name, "shows": shows} for name, shows in CHARTS.items()]})
        return
    output.out.print(output.table("Charts", ("name", "sentence"), list(CHARTS.items())))


def _check(name: str, target: Path, size: str) -> None:
    if name not in CHARTS:
        raise typer.BadParameter(f"no chart {name}; there are {', '.join(CHARTS)}", param_hint="NAME")
    if target.suffix not in ENDINGS:
        raise typer.BadParameter(f"'{target}' should end with {', '.join(ENDINGS)}", param_hint="--out")
    if size not in SIZES:
        raise typer.BadParameter(f"'{size}' is neither phone nor desk", param_hint="--size")


def _board(store: str, server: str | None) -> Board:
    if server is not None:
        with connect(server) as verbs:
            return verbs.show_board()
    with options.opened_store(store) as database:
        return look(database, reader_of(database))


def _campaign(store: str, campaign: str | None) -> CampaignView:
    with options.opened_store(store) as database:
        board = look(database, reader_of(database))
        name = campaign or (board.head.id if board.head is not None else None)
        if name is None:
            raise Refusal(reason(Code.NOT_IMPORTED, kind="campaign"))
        return CampaignDesk(database).look(CampaignId(name), board.now)
