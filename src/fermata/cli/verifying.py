"""How far the journal is verified, on a terminal; nothing in a pipe."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

from fermata.cli import output


@contextmanager
def verifying() -> Iterator[Callable[[int, int], None]]:
    """Gives what is to be told: the line that was read last, and the last there is."""
    columns = (
        TextColumn("Verifying the journal"),
        BarColumn(),
        TextColumn("{task.completed:,.0f}"),
        TimeElapsedColumn(),
    )
    with Progress(*columns, console=output.err, transient=True, disable=not output.err.is_terminal) as progress:
        bar = progress.add_task("", total=None)
        yield lambda seq, last: progress.update(bar, completed=seq, total=last)
