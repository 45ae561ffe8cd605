"""What is known of an update from the nodes that began it: who failed, who is good, and whose outcome is still open."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from fermata.domain.ids import UpdateId
from fermata.domain.node_states import UnitState
from fermata.domain.operations import UnitOp
from fermata.domain.plans import RebootStep, Step
from fermata.domain.scripts import APPLY_PREFIX, REBOOT_PREFIX, RESET_PREFIX, VERIFY

HISTORY_MIN = 500  # nodes of earlier runs: fewer say less about a rate of one in a hundred than the campaign's own word
RATE_MIN = 0.002  # a fleet without a failure on record is not one that never fails

_AT_STEP = frozenset({UnitState.APPLYING, UnitState.RESETTING, UnitState.FAILED})  # elsewhere it is the one to come
_GOOD = frozenset({UnitState.PROVEN, UnitState.RETURNED, UnitState.KEPT_OUT})


class RateSource(StrEnum):
    """Where the base rate is from."""

    HISTORY = "history"
    CAMPAIGN = "campaign"


@dataclass(frozen=True, slots=True, kw_only=True)
class BaseRate:
    """Share of nodes that fail in an ordinary outage, and how many nodes of the fleet's own history say so."""

    rate: float
    source: RateSource
    nodes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class RackEvidence:
    """The rack with most failures: nodes that began the update there, and how many of them failed."""

    rack: str
    tried: int
    failed: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """Units by what is known of the update on them; every unit that began it stands in exactly one count.

    good: proven with it. failed: gave up at a step that it may be to blame for, repaired since or not. regressed:
    proven, but failed within the bake. open: begun, outcome not known. baking: those of `good` that have not been
    back for the whole bake, the last of them until `bakes_until`. `begun_at`: when the first unit began it.
    unmeasured: those of `open` that are proven, and whose metrics have not been seen fine since; `lack`: why, of one.
    """

    good: int = 0
    failed: int = 0
    regressed: int = 0
    open: int = 0
    baking: int = 0
    bakes_until: datetime | None = None
    begun_at: datetime | None = None
    worst_rack: RackEvidence | None = None
    unmeasured: int = 0
    lack: str = ""

    @property
    def tried(self) -> int:
        """Every unit that began it."""
        return self.good + self.failed + self.regressed + self.open


def find_base_rate(tried: int, failed: int, campaign_fraction: float) -> BaseRate:
    """The fleet's own rate where enough nodes of earlier runs are on record, else what the campaign expects."""
    if tried >= HISTORY_MIN:
        return BaseRate(rate=max(failed / tried, RATE_MIN), source=RateSource.HISTORY, nodes=tried)
    return BaseRate(rate=max(campaign_fraction, RATE_MIN), source=RateSource.CAMPAIGN, nodes=tried)


def order_steps(steps: Iterable[Step]) -> tuple[Step, ...]:
    """A window's steps as its script numbers them."""
    return tuple(sorted(steps, key=lambda step: (step.start, step.end, step.step)))


def begun_mask(op: UnitOp, bits: Mapping[UpdateId, int]) -> int:
    """The updates that were begun on a unit: a mask like `applied`."""
    if not op.begun:
        return 0
    tried = 0
    for label in (*op.retries, op.step if op.state in _AT_STEP else ""):
        step = label.removeprefix(RESET_PREFIX)
        if step.startswith(APPLY_PREFIX):
            tried |= bits.get(UpdateId(step.removeprefix(APPLY_PREFIX)), 0)
    return op.applied | op.active | tried


def proven_mask(op: UnitOp) -> int:
    """The updates that a unit was proven with; 0 while it is not."""
    return op.active if op.begun and op.state in _GOOD else 0


def suspects(op: UnitOp, steps: tuple[Step, ...], bits: Mapping[UpdateId, int]) -> int:
    """The updates that may be to blame when a unit gives up where `op` stands: a mask.

    A write: the update itself. A reboot: whatever it was to make active on the node. A health check: everything that
    runs there. A lock or a drain: none.
    """
    step = op.step.removeprefix(RESET_PREFIX)
    if step.startswith(APPLY_PREFIX):
        return bits.get(UpdateId(step.removeprefix(APPLY_PREFIX)), 0)
    if step.startswith(REBOOT_PREFIX):
        index = int(step.removeprefix(REBOOT_PREFIX))
        found = steps[index] if index < len(steps) else None
        activates = found.activates if isinstance(found, RebootStep) else ()
        return sum(bits.get(update, 0) for update in activates) & op.applied
    return op.applied | op.active if step == VERIFY else 0
