"""How the demo tells what it is doing: live on a terminal, plain lines in a log, JSON lines for machines."""

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from threading import Lock
from typing import Any, Protocol

import orjson
from rich.console import Group
from rich.live import Live
from rich.table import Table
from rich.text import Text

from fermata.cli import output
from fermata.domain.campaign import LimitKind
from fermata.domain.run_states import WindowState
from fermata.services.run_views import RunStatus, WindowStatus

PLAIN_EVERY_SECONDS = 10.0  # a log of ten minutes stays under a hundred lines
OPEN_SHOWN = 8  # windows listed under the status on a terminal
_TO_COME = frozenset({WindowState.PLANNED, WindowState.WAITING})


class Teller(Protocol):
    """What the demo says. Called from more than one thread."""

    def tell(self, event: str, sentence: str, **facts: Any) -> None:
        """Something happened; `facts` are for machines."""
        ...

    def begin(self, step: str, sentence: str) -> None:
        """A step that takes a while begins."""
        ...

    def finish(self, step: str, sentence: str, seconds: float, **facts: Any) -> None:
        """The step ended."""
        ...

    def status(self, status: RunStatus) -> None:
        """How far the run is; called often, shown when it suits."""
        ...

    def close(self) -> None:
        """Nothing more will be said."""
        ...


@contextmanager
def told_step(teller: Teller, step: str, sentence: str) -> Iterator[Callable[..., None]]:
    """Tells that a step begins and how long it took. The block calls what it is given with the result, in words."""
    started = time.monotonic()
    result: dict[str, Any] = {"sentence": sentence, "facts": {}}

    def conclude(words: str, **facts: Any) -> None:
        result.update(sentence=words, facts=facts)

    teller.begin(step, sentence)
    yield conclude
    teller.finish(step, result["sentence"], time.monotonic() - started, **result["facts"])


class JsonTeller:
    """One JSON object a line on standard output, and nothing else; the keys event and sentence are always there."""

    def __init__(self) -> None:
        self._lock = Lock()

    def tell(self, event: str, sentence: str, **facts: Any) -> None:
        """Writes one line."""
        line = orjson.dumps({"event": event, "sentence": sentence, **facts}, option=orjson.OPT_APPEND_NEWLINE)
        with self._lock:
            sys.stdout.buffer.write(line)
            sys.stdout.buffer.flush()

    def begin(self, step: str, sentence: str) -> None:
        """As `step_started`."""
        self.tell("step_started", sentence, step=step)

    def finish(self, step: str, sentence: str, seconds: float, **facts: Any) -> None:
        """As `step_finished`."""
        self.tell("step_finished", sentence, step=step, seconds=round(seconds, 2), **facts)

    def status(self, status: RunStatus) -> None:
        """As `status`."""
        self.tell("status", status_words(status), **status_facts(status))

    def close(self) -> None:
        """Nothing to put back."""


class PlainTeller:
    """Sentences, one a line, for pipes and logs."""

    def __init__(self) -> None:
        self._told_at = 0.0

    def tell(self, event: str, sentence: str, **facts: Any) -> None:
        """Prints the sentence."""
        output.out.print(sentence, markup=False, soft_wrap=True)

    def begin(self, step: str, sentence: str) -> None:
        """Says what begins."""
        output.out.print(f"{sentence} ...", markup=False, soft_wrap=True)

    def finish(self, step: str, sentence: str, seconds: float, **facts: Any) -> None:
        """Says what came of it and how long it took."""
        output.out.print(f"  {sentence} ({seconds:.1f} s)", markup=False, soft_wrap=True)

    def status(self, status: RunStatus) -> None:
        """Prints a line now and then."""
        now = time.monotonic()
        if now - self._told_at >= PLAIN_EVERY_SECONDS:
            self._told_at = now
            output.out.print(status_words(status), markup=False, soft_wrap=True)

    def close(self) -> None:
        """Nothing to put back."""


class LiveTeller(PlainTeller):
    """Sentences above, and the status redrawn in place below them."""

    def __init__(self) -> None:
        super().__init__()
        self._live = Live(console=output.out, auto_refresh=False, transient=True)
        self._live.start()

    def begin(self, step: str, sentence: str) -> None:
        """Shows what goes on in the place of the status."""
        self._live.update(Text(f"{sentence} ..."), refresh=True)

    def finish(self, step: str, sentence: str, seconds: float, **facts: Any) -> None:
        """Says what came of it and how long it took."""
        self._live.update(Text(""), refresh=True)
        output.out.print(output.styled(sentence, (f" ({seconds:.1f} s)", "dim")))

    def status(self, status: RunStatus) -> None:
        """Redraws the status."""
        self._live.update(status_block(status), refresh=True)

    def close(self) -> None:
        """Takes the status away; what was said above stays."""
        self._live.update(Text(""), refresh=True)
        self._live.stop()


def status_facts(status: RunStatus) -> dict[str, Any]:
    """The status for machines."""
    states = [window.state for window in status.windows]
    behind = run_behind(status)
    return {
        "as_of": output.iso(status.as_of),
        "state": status.state.value,
        "windows_done": states.count(WindowState.CLOSED),
        "windows_open": states.count(WindowState.OPEN),
        "windows_left": sum(state in _TO_COME for state in states),
        "windows_missed": states.count(WindowState.MISSED),
        "nodes_returned": status.nodes_returned + status.nodes_kept_out,
        "nodes_planned": status.nodes_planned,
        "nodes_out": status.nodes_out,
        "nodes_out_cap": cap(status),
        "nodes_in_tail": status.nodes_in_tail,
        "in_service_share": round(status.in_service_share, 6),
        "behind_minutes": None if behind is None else round(behind / timedelta(minutes=1)),
    }


def status_words(status: RunStatus) -> str:
    """The status as one line."""
    facts = status_facts(status)
    of_cap = "" if facts["nodes_out_cap"] is None else f"/{facts['nodes_out_cap']:,}"
    missed = f", {facts['windows_missed']} missed" if facts["windows_missed"] else ""
    pace = pace_words(run_behind(status))
    return (
        f"{output.utc(status.as_of)}  {facts['windows_done']} done, {facts['windows_open']} open,"
        f" {facts['windows_left']} to come{missed} | {facts['nodes_returned']:,}/{facts['nodes_planned']:,} back,"
        f" {facts['nodes_out']:,}{of_cap} out, {facts['nodes_in_tail']:,} tail{' | ' if pace else ''}{pace}"
    )


def status_block(status: RunStatus) -> Group:
    """The status as a few lines that are redrawn in place."""
    opened = [window for window in status.windows if window.state is WindowState.OPEN]
    opened.sort(key=lambda window: (window.planned_end, window.cluster))
    grid = Table(box=None, pad_edge=False, show_header=False)
    for _ in range(5):
        grid.add_column()
    for window in opened[:OPEN_SHOWN]:
        part = f" {window.part}/{window.parts}" if window.parts > 1 else ""
        grid.add_row(
            f"  {window.cluster}{part}",
            f"{window.returned + window.kept_out:,}/{window.taken:,} back",
            f"{window.working:,} working",
            f"{window.in_tail:,} tail",
            pace_words(window.behind),
        )
    hidden = len(opened) - OPEN_SHOWN
    more = [Text(f"  and {hidden} more open")] if hidden > 0 else []
    return Group(Text(status_words(status), style="bold"), grid, *more)


def cap(status: RunStatus) -> int | None:
    """The least of the limits on nodes out over the whole scope; None when there is none."""
    found = (s.allowed for s in status.limits if s.limit.what is LimitKind.NODES_OUT and not s.limit.where.conditions)
    return min(found, default=None)


def run_behind(status: RunStatus) -> timedelta | None:
    """How far the open window that is worst off is behind; of none open, the one that closed last."""
    opened = [window for window in status.windows if window.state is WindowState.OPEN]
    if opened:
        return max((window.behind for window in opened if window.behind is not None), default=None)
    closed = [window for window in status.windows if window.closed_at is not None]
    return max(closed, key=_closed_at).behind if closed else None


def _closed_at(window: WindowStatus) -> float:
    assert window.closed_at is not None
    return window.closed_at.timestamp()


def pace_words(behind: timedelta | None) -> str:
    """ahead 12 min, behind 3 min, on time."""
    if behind is None:
        return ""
    minutes = round(behind / timedelta(minutes=1))
    if minutes == 0:
        return "on time"
    return f"behind {minutes} min" if minutes > 0 else f"ahead {-minutes} min"
