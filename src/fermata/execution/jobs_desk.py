"""What the duty `jobs` remembers between two looks; a restart looks and asks again."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from fermata.domain.ahead import Ahead, JobsAhead
from fermata.domain.ids import NodeId, PlanId, WindowId
from fermata.domain.reasons import Reason
from fermata.domain.run_states import WindowState

Seen = tuple[tuple[WindowId, WindowState, PlanId, datetime, bool], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Free:
    """Nodes of a window, of this plan and start, that their customers let go. `why`: what one of the others lacks;
    None: there is no other.
    """

    of: tuple[PlanId, datetime]
    nodes: tuple[NodeId, ...]
    why: Reason | None = None


@dataclass(kw_only=True)
class JobsDesk:
    """`known`: None until it was read from the store. `seen`, `said`: the windows, and the newest word, that `free`
    follows from. `wanted`: what the target was asked for last, at `asked_at`. `owed_since`: since when it has not done
    all of that, or was not asked yet; None: it has. `told`: what was said to be left.
    """

    known: dict[WindowId, JobsAhead] | None = None
    seen: Seen | None = None
    said: int = -1
    free: Mapping[WindowId, Free] = field(default_factory=dict)
    wanted: tuple[Ahead, ...] | None = None
    asked_at: datetime | None = None
    owed_since: datetime | None = None
    try_at: datetime | None = None
    told: set[str] = field(default_factory=set)
