"""The run as figures that are scraped."""

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from fermata.domain.run_states import RunState, WindowState
from fermata.services import runs
from fermata.services.errors import Refusal
from fermata.services.run_views import LimitStatus, RunStatus, WindowStatus
from fermata.store.database import Database

OVER = frozenset({RunState.FINISHED, RunState.STOPPED})


@dataclass(frozen=True, kw_only=True)
class RunFigures:
    """Of the newest run; `status` None before the first."""

    status: RunStatus | None
    tail: Mapping[str, int] = field(default_factory=dict)
    needs: Mapping[str, int] = field(default_factory=dict)

    @property
    def is_live(self) -> bool:
        """True while it is not over."""
        return self.status is not None and self.status.state not in OVER

    @property
    def opened(self) -> Iterator[WindowStatus]:
        """Its windows that are open."""
        return (w for w in self.status.windows if w.state is WindowState.OPEN) if self.status else iter(())


def run_figures(db: Database) -> RunFigures:
    """As of the instant up to which it was worked on."""
    try:
        status = runs.status(db)
    except Refusal:
        return RunFigures(status=None)
    return RunFigures(
        status=status,
        tail=Counter(entry.reason.code.value for entry in status.tail),
        needs=Counter(need.code.value for need in status.needs),
    )


def limit_words(used: LimitStatus) -> str:
    """A limit in a few words: `nodes_out where geo US`."""
    where = ", ".join(
        f"{key} {'/'.join(sorted(values))}" for key, values in sorted(used.limit.where.conditions.items())
    )
    return f"{used.limit.what} where {where}" if where else f"{used.limit.what}"
