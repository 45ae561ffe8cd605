"""What the simulated fleet remembers of nodes that are kept free of jobs ahead of a window."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from fermata.domain.ahead import Ahead
from fermata.domain.ids import NodeId, WindowId

MINUTE = timedelta(minutes=1)


@dataclass(slots=True, kw_only=True)
class KeptFree:
    """One stretch of one node, asked for at `made_at`; `gone_at` None: it stands."""

    ahead: Ahead
    made_at: datetime
    gone_at: datetime | None = None

    def stood_at(self, at: datetime) -> bool:
        """True when it was in force then."""
        return self.made_at <= at and (self.gone_at is None or at < self.gone_at)

    def keeps_off(self, begins_at: datetime, limit: datetime) -> bool:
        """True of a job that would run into the window, or last longer than a drain."""
        if self.ahead.floats is not None:
            return limit - begins_at > self.ahead.floats
        return begins_at < self.ahead.ends_at and self.ahead.starts_at < limit


def compare(there: Mapping[str, KeptFree], run: str, wanted: Sequence[Ahead]) -> tuple[list[str], list[Ahead]]:
    """What is given up, by its name, and what is made anew."""
    named = {name_of(run, ahead): ahead for ahead in wanted}
    gone = [name for name, free in there.items() if name.startswith(f"{run}/") and named.get(name) != free.ahead]
    fresh = [ahead for name, ahead in named.items() if name not in there or there[name].ahead != ahead]
    return gone, fresh


def name_of(run: str, ahead: Ahead) -> str:
    """One a window."""
    return f"{run}/{ahead.window}"


def to_item(run: str, ahead: Ahead) -> list[str]:
    """As the log of commands has it."""
    times = [str(int(at.timestamp())) for at in (ahead.starts_at, ahead.ends_at)]
    floats = "" if ahead.floats is None else str(ahead.floats // MINUTE)
    return [name_of(run, ahead), ",".join(sorted(ahead.nodes)), " ".join([*times, floats]).strip()]


def from_item(name: str, nodes: str, times: str) -> Ahead:
    """The reverse."""
    words = times.split()
    starts_at, ends_at = (datetime.fromtimestamp(int(word), UTC) for word in words[:2])
    return Ahead(
        window=WindowId(name.partition("/")[2]),
        nodes=frozenset(NodeId(node) for node in nodes.split(",")),
        starts_at=starts_at,
        ends_at=ends_at,
        floats=int(words[2]) * MINUTE if len(words) > 2 else None,
    )
