"""What invariants are asked about: calls that targets carried out, and all that was done at one instant."""

import json
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime

from tests.simulation.mirror import UNDO, AnyRow, Mirror

from fermata.domain.ids import FreezeId
from fermata.domain.policy import ConsentEntry, Policy
from fermata.domain.updates import Update


@dataclass(frozen=True, slots=True, kw_only=True)
class Words:
    """What customers say as of one moment."""

    policy: Policy
    ledger: tuple[ConsentEntry, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Truth:
    """One machine of the world as it is, whatever anybody believes."""

    name: str
    versions: Mapping[str, str]
    staged: Mapping[str, str]
    in_service: bool
    locked: bool
    drained: bool
    busy_with: str
    changed_at: datetime | None
    healthy_at: datetime | None
    targets: Mapping[str, str]
    repaired_at: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Effect:
    """A call that a target carried out, with its machine as it was just before. `seq`: the last change of rows that was
    committed by then. `now`: what the conductor's clock said. `behind`: the nodes behind a device; `over`: of a node
    that goes back, the devices that it hangs on. `sent_before`: the freeze that came while the call was on its way.
    """

    seq: int
    op: str
    window: str
    unit: str
    step: str
    attempt: int
    now: datetime
    update: Update | None
    truth: Truth
    words: Words
    sent_before: FreezeId | None = None
    behind: tuple[Truth, ...] = ()
    over: tuple[Truth, ...] = ()

    @property
    def undoes(self) -> bool:
        """True of a write that brings back what ran before."""
        return self.step.startswith(UNDO)


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """One line of the journal."""

    seq: int
    event: str
    subject: str
    data: str
    why: str


@dataclass(frozen=True, kw_only=True)
class Instant:
    """Everything done at one instant. `moves` pairs each row with what it was before; `lines` are the new ones of the
    journal after `last_line`. `is_done`: the conductor has nothing left to do at this instant.
    """

    now: datetime
    moves: tuple[tuple[AnyRow | None, AnyRow], ...]
    effects: tuple[Effect, ...]
    lines: tuple[Line, ...]
    last_line: int
    is_done: bool
    mirror: Mirror
    truth_of: Callable[[str], Truth]

    def subjects(self) -> Counter[tuple[str, str]]:
        """How often each event was told of each subject."""
        return Counter((line.event, line.subject) for line in self.lines)

    def begun(self) -> frozenset[tuple[str, str, int, str]]:
        """Window, step, attempt and unit of everything that was begun."""
        found: set[tuple[str, str, int, str]] = set()
        for line in self.lines:
            if line.event == "step.begun":
                data = json.loads(line.data)
                window = line.subject.removeprefix("window:")
                found |= {(window, data["step"], data["attempt"], unit) for unit in data["units"]}
        return frozenset(found)


@dataclass(frozen=True, slots=True, kw_only=True)
class Planned:
    """A window of the plan: its nodes."""

    window: str
    nodes: frozenset[str]
