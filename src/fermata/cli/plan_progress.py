"""How far a plan is, on a terminal's standard error while it is made; nothing of it stays, a pipe sees none of it."""

from collections.abc import Iterator
from contextlib import contextmanager

from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

from fermata.cli import output
from fermata.planning.stages import Stage, Watch

_STEPS = tuple(stage for stage in Stage if stage is not Stage.EXPLAINING)  # that one comes instead of the last ones


@contextmanager
def show_stages(title: str) -> Iterator[Watch]:
    """Shows each stage that it is told of, until the end of the block."""
    columns = (
        SpinnerColumn(),
        TextColumn("{task.description}", markup=False),
        BarColumn(bar_width=20),
        TimeElapsedColumn(),
    )
    with Progress(*columns, console=output.err, transient=True, disable=not output.err.is_terminal) as progress:
        task = progress.add_task(f"{title}: {Stage.READING}", total=len(_STEPS))

        def watch(stage: Stage, detail: str) -> None:
            words = f"{title}: {stage}{f', {detail}' if detail else ''}"
            done = _STEPS.index(stage) if stage in _STEPS else len(_STEPS) - 1
            progress.update(task, description=words, completed=done)

        yield watch
