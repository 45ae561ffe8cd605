"""`fermata query`: read-only KQL over everything that is known, as a table, JSON or CSV."""

import sys
from collections.abc import Sequence
from typing import Annotated

import typer

from fermata.cli import options, output
from fermata.cli.requests import opened_listing
from fermata.formats.answers import answer_to_csv, cell_text
from fermata.services.query import ROWS_MAX, ROWS_USUAL, Answer

CELL_MAX = 60  # characters of one cell of a table; all of it in --json and --csv, and in a list
GAP = 2  # between columns
NUMBERS = frozenset({"long", "int", "real", "decimal"})


def register(app: typer.Typer) -> None:
    """Adds the command."""
    app.command("query")(query)


def query(
    text: Annotated[
        str, typer.Argument(metavar="KQL", help="The query; - reads it from standard input.", show_default=False)
    ],
    *,
    customer: Annotated[
        list[str] | None,
        typer.Option("--customer", help="Only over what this customer holds (repeatable).", show_default=False),
    ] = None,
    limit: Annotated[int, typer.Option("--limit", help="Most rows.", min=1, max=ROWS_MAX)] = ROWS_USUAL,
    scenario: options.ScenarioOption = None,
    store: options.StoreOption = options.DEFAULT_STORE,
    server: options.ServerOption = None,
    as_csv: Annotated[bool, typer.Option("--csv", help="Print CSV, and nothing else.")] = False,
    as_json: options.JsonOption = False,
) -> None:
    """Answers a read-only query (KQL) over resources, maintenanceresources and pendingupdates: see docs/query.md."""
    if as_csv and as_json:
        raise typer.BadParameter("print --csv or --json, not both")
    asked = sys.stdin.read() if text == "-" else text
    with opened_listing(scenario, store, server) as listing:
        answer = listing.query(asked, limit=limit, customers=customer or ())
    if as_json:
        _print_json(answer)
    elif as_csv:
        sys.stdout.write(answer_to_csv([column.name for column in answer.columns], answer.rows))
    else:
        _print_rows(answer)


def _print_json(answer: Answer) -> None:
    names = [column.name for column in answer.columns]
    output.print_json(
        {
            "columns": [{"name": column.name, "kind": column.kind} for column in answer.columns],
            "rows": [dict(zip(names, row, strict=True)) for row in answer.rows],
            "total": answer.total,
        }
    )


def _print_rows(answer: Answer) -> None:
    cells = [[cell_text(value) for value in row] for row in answer.rows]
    names = [column.name for column in answer.columns]
    if not cells:
        output.out.print("No rows.")
        return
    if _width(names, cells) > output.out.width:
        _print_list(names, cells)
    else:
        right = [index for index, column in enumerate(answer.columns) if column.kind in NUMBERS]
        short = [[_shorten(cell) for cell in row] for row in cells]
        output.out.print(output.table("", list(names), short, right=right))
    if answer.is_cut:
        more = output.count(answer.total - len(cells), "more row")
        output.out.print(f"... {more}: --limit shows up to {ROWS_MAX:,}, or ask for less")


def _width(names: Sequence[str], cells: Sequence[Sequence[str]]) -> int:
    columns = zip(names, *cells, strict=True)
    return sum(max(len(_shorten(cell)) for cell in column) + GAP for column in columns)


def _shorten(cell: str) -> str:
    return cell if len(cell) <= CELL_MAX else cell[: CELL_MAX - 1] + "…"


def _print_list(names: Sequence[str], cells: Sequence[Sequence[str]]) -> None:
    """Too wide for a table: a block per row, without what is empty."""
    widest = max(len(name) for name in names)
    for number, row in enumerate(cells, start=1):
        output.out.print(f"row {number}", style="dim")
        for name, cell in zip(names, row, strict=True):
            if cell:
                output.out.print(f"  {name.ljust(widest)}  {cell}", soft_wrap=True)
