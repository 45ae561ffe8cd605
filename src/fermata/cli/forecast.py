"""`fermata forecast`: when capacity is back, how sure the promise is, and what would help."""

from datetime import datetime
from typing import Annotated

import typer

from fermata.cli import options, output
from fermata.domain.forecasts import Forecast
from fermata.domain.hashing import to_plain
from fermata.domain.ids import CampaignId
from fermata.services.forecasts import Forecasts
from fermata.services.words import chance_words

HEADINGS = ("window", "pace", "enough back", "9 in 10 by", "promised", "kept", "why")


def register(app: typer.Typer) -> None:
    """Adds the command."""
    app.command("forecast")(forecast)


def forecast(
    window: Annotated[str | None, typer.Argument(help="One window: its levels, and what would help.")] = None,
    *,
    campaign: Annotated[str | None, typer.Option("--campaign", help="Campaign, if several are on record.")] = None,
    store: options.StoreOption = options.DEFAULT_STORE,
    server: options.ServerOption = None,
    as_json: options.JsonOption = False,
) -> None:
    """When 90, 95 and 100 % of the baseline is back, how likely by the promise, and what would help."""
    with options.opened_place(store, server) as place:
        found = place.show_forecasts(CampaignId(campaign) if campaign else None, window)
    if as_json:
        output.print_json({"schema": "fermata.forecast/1", **output.with_z(to_plain(found))})
    elif window is not None:
        _print_one(found.windows[-1], window)
    else:
        _print_all(found)


def _print_all(found: Forecasts) -> None:
    output.out.print(f"Forecasts of {found.run} as of {output.utc(found.as_of)}")
    if found.whole is not None:
        _print_one(found.whole, "The whole run")
    if not found.windows:
        output.out.print("No window is open.")
        return
    rows = [_row(one) for one in found.windows]
    output.out.print(output.table("Open windows, least sure first", HEADINGS, rows, right=(5,)))
    for one in found.windows:
        if one.is_alarming:
            _print_helps(one)


def _row(made: Forecast) -> tuple[object, ...]:
    if made.enough is None:
        return made.window, "", "", "", output.utc(made.promised), "", str(made.none or "")
    return (
        made.window,
        pace(made),
        output.utc(made.enough.median),
        output.utc(made.enough.bound),
        output.utc(made.promised),
        _chance(made.kept),
        made.why,
    )


def _print_one(made: Forecast, name: str) -> None:
    if made.enough is None:
        output.out.print(output.styled((name, "bold"), f"  {made.none}"))
        return
    output.out.print(output.styled((name, "bold"), f"  {pace(made)}, as of {output.utc(made.at)}"))
    output.out.print(
        f"{100 * made.enough.share:.0f} % back by {output.utc(made.promised)}, as promised: {_chance(made.kept)};"
        f" by {output.utc(made.planned_end)}, as planned: {_chance(made.kept_end)}"
    )
    if made.why:
        output.say(made.why)
    rows = [
        (f"{100 * level.share:.0f} %", f"{level.nodes:,}", _when(level.median, made), _when(level.bound, made))
        for level in made.back
    ]
    output.out.print(output.table("Back of the baseline", ("share", "nodes", "half the time by", "9 in 10 by"), rows))
    _print_helps(made)


def _print_helps(made: Forecast) -> None:
    if made.is_alarming:
        needed = (f"{made.window or 'The run'} needs you:", "bold")
        output.out.print(output.styled(needed, f" kept with {_chance(made.kept)}."))
        for one in made.helps:
            output.say(f"  {chance_words(one.kept)} if you {one.sentence}")
        if not made.helps:
            output.out.print("  Nothing that was tried would help.")


def _when(instant: datetime, made: Forecast) -> str:
    return f"{output.utc(instant)} (back)" if instant <= made.at else output.utc(instant)


def _chance(kept: float | None) -> str:
    return "" if kept is None else chance_words(kept)


def pace(made: Forecast) -> str:
    """Against the plan, in words."""
    if made.timing is None or made.late_minutes is None:
        return ""
    by = abs(made.late_minutes)
    return f"{made.timing} by {by} min" if made.timing != "on time" else "on time"
