"""`fermata health learn`: what nodes of each SKU usually reach in health checks, as a file that checks judge by."""

import json
from pathlib import Path
from typing import Annotated

import typer

from fermata.cli import options, output
from fermata.domain.baselines import NODES_MIN
from fermata.domain.hashing import to_plain
from fermata.services.health import learn as learn_from_store
from fermata.wiring import clocks

SCHEMA = "fermata.baselines/1"
OutOption = Annotated[Path | None, typer.Option("--out", help="Write them here, for the setting baselines of checks.")]


def register(app: typer.Typer) -> None:
    """Adds the command."""
    group = typer.Typer(name="health", help="Health checks: what is usual of each SKU.", rich_markup_mode=None)
    group.callback()(_no_command)
    group.command("learn")(learn)
    app.add_typer(group)


def learn(
    *,
    out: OutOption = None,
    store: options.StoreOption = options.DEFAULT_STORE,
    as_json: options.JsonOption = False,
) -> None:
    """Learns from the last check that each node passed. A person puts the file in force, and sees what moved."""
    with options.opened_store(store) as database:
        found = learn_from_store(database, now=clocks.utc_now())
    told = {"schema": SCHEMA, **output.with_z(to_plain(found))}
    if out is not None:
        try:
            out.write_text(json.dumps(told) + "\n", encoding="utf-8")
        except OSError as error:
            raise typer.BadParameter(f"{out} cannot be written: {error}") from error
    if as_json:
        output.print_json(told)
        return
    rows = [
        (each.sku, each.figure, f"{each.nodes:,}", f"{each.median:.4g}", f"{each.spread:.2g}")
        for each in found.baselines
    ]
    if not rows:
        output.out.print(f"No figure was measured on {NODES_MIN} nodes of a SKU yet: fixed limits alone judge.")
        return
    headings = ("SKU", "figure", "nodes", "median", "spread")
    output.out.print(output.table("Baselines", headings, rows, right=(2, 3, 4)))


def _no_command() -> None:
    """With one command, Typer takes the group for it."""
