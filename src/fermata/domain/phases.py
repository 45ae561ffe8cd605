"""Phases and their gates as data: what a campaign asks of an update before more nodes may begin it."""

from dataclasses import dataclass, field
from datetime import timedelta
from enum import StrEnum

from fermata.domain.hashing import ADDED_LATER
from fermata.domain.ids import UpdateId

CONTROL_FRACTION_MAX = 0.05  # more than that is no trial any more
DECIDES = timedelta(minutes=10)  # the last look at nodes that bake: the conductor takes one so often


class OnFailure(StrEnum):
    """What becomes of an update whose gate says stop."""

    HOLD = "hold"
    ROLL_BACK = "roll_back"


class Counted(StrEnum):
    """Which evidence counts against an update. Nodes whose outcome is not known count on neither side."""

    FAILED = "failed"
    REGRESSED = "regressed"


@dataclass(frozen=True, slots=True, kw_only=True)
class SequentialTest:
    """Wald's test of the failure rate: the fleet's own (p0) against `worse_factor` x p0, but at least `worse_by` more.

    `false_stop`: the probability of stopping an update that fails at p0 (alpha). `missed_stop`: of letting one go on
    that fails at p1 or worse (beta).
    """

    false_stop: float = 0.001
    missed_stop: float = 0.01
    worse_factor: float = 3.0
    worse_by: float = 0.03


@dataclass(frozen=True, slots=True, kw_only=True)
class HardStops:
    """Stops that need no statistics: too many of the first nodes, or too much of one rack.

    `first_failed` of the first `of_first` nodes. Of one rack, `rack_failed` nodes that are also `rack_share` of those
    that began the update there.
    """

    first_failed: int = 3
    of_first: int = 10
    rack_failed: int = 4
    rack_share: float = 0.5


@dataclass(frozen=True, slots=True, kw_only=True)
class GateTerms:
    """One gate: which evidence, how much at least, until when, how long it bakes, and what happens on failure.

    `at_least` 0 and `decide_within` None: an update goes on while the test has not decided. `bake`: what returned
    counts as good once it has been back so long.
    """

    counts: frozenset[Counted] = frozenset(Counted)
    at_least: int = 0
    decide_within: timedelta | None = None
    bake: timedelta = timedelta(minutes=60)
    test: SequentialTest = SequentialTest()
    stops: HardStops = HardStops()
    on_failure: OnFailure = OnFailure.HOLD


@dataclass(frozen=True, slots=True, kw_only=True)
class ControlPhase:
    """At most `max_fraction` of the campaign's nodes go first; the others wait for this gate."""

    max_fraction: float = 0.05
    gate: GateTerms = GateTerms(at_least=20, decide_within=timedelta(hours=24))

    @property
    def gap(self) -> timedelta:
        """What a plan leaves between the end of the last control window and the start of any other."""
        return self.gate.bake + DECIDES


class GoPhase(StrEnum):
    """Whose windows may ask for a person's go before they open: those that try first, or all others."""

    CONTROL = "control"
    FULL = "full"


@dataclass(frozen=True, slots=True, kw_only=True)
class Phases:
    """The campaign's phases. `control` None: there is none, every node is judged by `full` while the update runs.
    `metrics`: names of those that a node has to pass once it is back, before it counts as good. `go_windows`: windows
    of these phases open only with a person's go; `go_updates`: these begin in a window only with one.
    """

    control: ControlPhase | None = None
    full: GateTerms = GateTerms()
    metrics: tuple[str, ...] = field(default=(), metadata={ADDED_LATER: True})
    go_windows: frozenset[GoPhase] = field(default=frozenset(), metadata={ADDED_LATER: True})
    go_updates: frozenset[UpdateId] = field(default=frozenset(), metadata={ADDED_LATER: True})


DEFAULT_PHASES = Phases()
