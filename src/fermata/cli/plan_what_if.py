"""`fermata plan --what-if`: the plan of changed inputs beside the plan of the files, and the price of a limit."""

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated

import typer

from fermata.cli import output
from fermata.cli.plan_files import Order, order_plan, read_folder
from fermata.cli.plan_guard import tell_notes
from fermata.cli.plan_make import Wish, plan_order
from fermata.cli.plan_progress import show_stages
from fermata.cli.plan_show import tell_infeasible
from fermata.cli.plan_write import Targets, draw, write_results
from fermata.formats.campaign import ROOT_OPTIONAL, ROOT_REQUIRED
from fermata.formats.changes import Change, parse_change
from fermata.formats.comparison import tell_changes, tell_price, tell_verdict, what_if_to_json
from fermata.planning.inputs import Planned, PlanningInput, PlanningOutcome
from fermata.planning.price import Price, list_priced, price_limits
from fermata.planning.stages import Stage, Watch
from fermata.planning.what_if import Comparison, compare_plans

PRICE = re.compile(r"price(?:=limits\[(\d+)\])?")
MOVES_SHOWN = 20

WhatIfOption = Annotated[
    list[str] | None,
    typer.Option(
        "--what-if",
        metavar="KEY=VALUE",
        help="Plan a folder as if its files said so, beside the plan of what they say; again for more changes."
        " `price` or `price=limits[N]`: what more room under the limits on nodes would buy.",
        show_default=False,
    ),
]


@dataclass(frozen=True, kw_only=True)
class _Answer:
    """Both plans, their comparison if there are two, and prices if they were asked for."""

    order: Order
    changed: Order | None
    now: PlanningOutcome
    then: PlanningOutcome | None
    comparison: Comparison | None
    prices: tuple[Price, ...]


def ask_what_if(wish: Wish, texts: Sequence[str], targets: Targets, *, as_json: bool) -> None:
    """Plans twice, and once more for each price, and tells. Writes nothing but the page of the changed plan.

    Exits with 3 when the changed files, or those as they are where only prices are asked, have no plan.
    """
    _refuse_options(wish, targets)
    changes, asked = _parse(texts)
    if targets.html is not None and not changes:
        raise typer.BadParameter("--html shows a changed plan; name a change beside price")
    with show_stages(wish.title) as watch:
        answer = _plan_both(wish, changes, asked, watch)
    _tell_notes(answer)
    if as_json:
        texts_of = tuple(change.text for change in changes)
        output.print_json(what_if_to_json(texts_of, answer.now, answer.then, answer.comparison, answer.prices))
    else:
        _tell(answer)
    asked_for = answer.then if answer.then is not None else answer.now
    if not isinstance(asked_for, Planned):
        raise typer.Exit(output.INFEASIBLE)
    if targets.html is not None and answer.changed is not None:
        drawn = draw(asked_for.plan, answer.changed.inputs, targets, comparison=answer.comparison)
        write_results(asked_for.plan, drawn, targets)
        if not as_json:
            output.out.print(f"Written to {targets.html}", markup=False, soft_wrap=True)


def _refuse_options(wish: Wish, targets: Targets) -> None:
    """Raises BadParameter for options that a question has no use for."""
    if not wish.is_folder:
        raise typer.BadParameter("--what-if changes the files of a folder; name one in place of a campaign on record")
    if wish.following is not None:
        raise typer.BadParameter("--what-if compares plans made from scratch: leave --parent out")
    if targets.out is not None or targets.ics is not None:
        raise typer.BadParameter(
            "a what-if plan is of no files, so it is not written: change the files, then plan with --out or --ics"
        )


def _tell_notes(answer: _Answer) -> None:
    """Once for both plans: two that were cut short compare badly, whichever it was."""
    noted = [outcome for outcome in (answer.now, answer.then) if isinstance(outcome, Planned) and outcome.notes]
    if noted:
        tell_notes(noted[0])


def _parse(texts: Sequence[str]) -> tuple[tuple[Change, ...], tuple[str, ...]]:
    """The changes, and of the prices that are asked for the number of the limit, "" for all."""
    prices = [found for text in texts if (found := PRICE.fullmatch(text.strip()))]
    changes = []
    for text in texts:
        if PRICE.fullmatch(text.strip()):
            continue
        try:
            changes.append(parse_change(text, keys=(*ROOT_REQUIRED, *ROOT_OPTIONAL)))
        except ValueError as error:
            raise typer.BadParameter(str(error)) from error
    return tuple(changes), tuple(found[1] or "" for found in prices)


def _plan_both(wish: Wish, changes: tuple[Change, ...], asked: tuple[str, ...], watch: Watch) -> _Answer:
    watch(Stage.READING, "")
    folder = Path(wish.campaign)
    order = order_plan(read_folder(folder, wish.workloads), wish.approvals, now=wish.now, asked=wish.asked)
    changed = None
    if changes:
        changed = order_plan(
            read_folder(folder, wish.workloads, changes), wish.approvals, now=wish.now, asked=wish.asked
        )
    numbers = _find_priced(order.inputs, asked)
    now = plan_order(order, wish.asked, _named(watch, "as it is"))
    then = plan_order(changed, wish.asked, _named(watch, "what if")) if changed is not None else None
    comparison = None
    if isinstance(now, Planned) and isinstance(then, Planned):
        texts = tuple(change.text for change in changes)
        comparison = compare_plans(texts, now.plan, then.plan, order.inputs.campaign.timezone)
    prices: tuple[Price, ...] = ()
    if numbers and isinstance(now, Planned):

        def solve(inputs: PlanningInput, words: str) -> PlanningOutcome:
            return plan_order(replace(order, inputs=inputs), wish.asked, _named(watch, words.removesuffix(".")))

        prices = price_limits(order.inputs, now.plan, numbers, solve)
    return _Answer(order=order, changed=changed, now=now, then=then, comparison=comparison, prices=prices)


def _find_priced(inputs: PlanningInput, asked: Sequence[str]) -> tuple[int, ...]:
    priced = list_priced(inputs)
    if not asked:
        return ()
    for number in asked:
        if number and int(number) not in priced:
            known = ", ".join(f"limits[{n}]" for n in priced) or "none here"
            raise typer.BadParameter(f"limits[{number}] does not count nodes; a price have {known}")
    return priced if "" in asked else tuple(sorted({int(number) for number in asked}))


def _named(watch: Watch, what: str) -> Watch:
    return lambda stage, detail: watch(stage, f"{detail}, {what}" if detail else what)


def _tell(answer: _Answer) -> None:
    campaign = answer.order.inputs.campaign
    if answer.comparison is not None:
        _tell_comparison(answer.comparison, answer)
    elif answer.then is not None:
        for words, outcome in (("As the files are", answer.now), ("What if", answer.then)):
            if isinstance(outcome, Planned):
                _say(f"{words}: {output.count(len(outcome.plan.windows), 'window')}, a plan exists.", bold=True)
            else:
                _say(f"{words}: no plan.", bold=True)
                tell_infeasible(outcome, campaign, as_json=False)
    elif not isinstance(answer.now, Planned):
        tell_infeasible(answer.now, campaign, as_json=False)
    if answer.prices and isinstance(answer.now, Planned):
        _tell_prices(answer.prices, answer.now)


def _tell_comparison(found: Comparison, answer: _Answer) -> None:
    campaign = answer.order.inputs.campaign
    _say(f"What if {', '.join(found.changes)}", bold=True)
    rows = [(line.term, line.now, line.then, line.difference, line.counts) for line in tell_changes(found, campaign)]
    headings = ("preference", "now", "what if", "difference", "counts")
    output.out.print(output.table("", headings, rows, right=(1, 2, 3)))
    _say(tell_verdict(found))
    moves = [
        (
            move.cluster if move.parts == 1 else f"{move.cluster}, part {move.part}",
            output.local(move.now, campaign.timezone),
            output.local(move.then, campaign.timezone),
        )
        for move in found.moved
    ]
    cuts = [(cut.cluster, _windows(cut.now), _windows(cut.then)) for cut in found.recut]
    if moves or cuts:
        output.out.print()
        every = [*cuts, *moves]
        output.out.print(
            output.table(f"What changes, {campaign.timezone} time", ("window", "now", "what if"), every[:MOVES_SHOWN])
        )
        if len(every) > MOVES_SHOWN:
            _say(f"... and {len(every) - MOVES_SHOWN:,} more; --json tells all")


def _windows(count: int) -> str:
    return "left out" if count == 0 else "whole" if count == 1 else f"{count} parts"


def _tell_prices(prices: Sequence[Price], now: Planned) -> None:
    rows = [
        (price.name, f"{price.capacity:,}", f"+{price.extra:,}", tell_price(price, now.plan.objective))
        for price in prices
    ]
    output.out.print()
    headings = ("limit", "allows", "more", "buys")
    output.out.print(output.table("The price of limits: what more room would buy", headings, rows, right=(1, 2)))


def _say(text: str, *, bold: bool = False) -> None:
    output.say(text, style="bold" if bold else "")
