"""What operators want, said of a node, a window, a run or the whole fleet, and what follows where several words meet.

Of each scope the newest word counts. Words of different scopes do not overrule each other: whatever any of them
forbids is forbidden.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from fermata.domain.ids import NodeId, RunId, WindowId
from fermata.domain.node_states import UnitKind
from fermata.domain.operations import UnitOp
from fermata.domain.reasons import Code, Reason, reason
from fermata.domain.run_states import Desired


class ScopeKind(StrEnum):
    """What a word is said of, widest last. The brake is of the whole fleet and is released by itself alone."""

    NODE = "node"
    WINDOW = "window"
    RUN = "run"
    FLEET = "fleet"
    BRAKE = "brake"


EVERYWHERE = ""  # the scope's name where there is only one
_WIDEST_FIRST = (ScopeKind.BRAKE, ScopeKind.FLEET, ScopeKind.RUN, ScopeKind.WINDOW, ScopeKind.NODE)
_ENDS = frozenset({Desired.STOP, Desired.ABORT})


@dataclass(frozen=True, slots=True, kw_only=True)
class Intent:
    """One word of an operator. `scope`: the name of the node, window or run, else empty. `seq` is 0 until stored."""

    kind: ScopeKind
    scope: str
    desired: Desired
    actor: str
    why: str
    at: datetime
    seq: int = 0

    @property
    def place(self) -> str:
        """What it was said of, as people call it."""
        if self.kind is ScopeKind.WINDOW:
            return f"window {self.scope.partition('/')[2]}"
        return {ScopeKind.FLEET: "the fleet", ScopeKind.BRAKE: "the fleet"}.get(self.kind, f"{self.kind} {self.scope}")

    @property
    def sentence(self) -> str:
        """The word as the status tells it."""
        return f"{self.told} `{self.taken_back_by}` releases it." if self.kind is ScopeKind.BRAKE else self.told

    @property
    def told(self) -> str:
        """The word alone, without what to do about it."""
        since = f"since {self.at:%Y-%m-%d %H:%MZ} ({self.who})"
        if self.kind is ScopeKind.BRAKE:
            return f"The brake is on {since}: nothing new begins."
        verb = {Desired.PAUSE: "is paused", Desired.STOP: "is to stop", Desired.ABORT: "is aborted"}[self.desired]
        return f"{self.place[0].upper()}{self.place[1:]} {verb} {since}."

    @property
    def taken_back_by(self) -> str:
        """The command that takes it back; "" for a run that ends, which nothing does."""
        match self.kind:
            case ScopeKind.BRAKE:
                return "fermata brake off --reason ..."
            case ScopeKind.FLEET:
                return "fermata resume --fleet --reason ..."
            case ScopeKind.RUN:
                return "" if self.desired in _ENDS else "fermata resume --reason ..."
            case ScopeKind.WINDOW:
                return f"fermata resume --window {self.scope.partition('/')[2]} --reason ..."
            case ScopeKind.NODE:
                return f"fermata resume --node {self.scope} --reason ..."

    @property
    def who(self) -> str:
        """Who said it, and why."""
        return f"{self.actor}: {self.why}" if self.why else self.actor


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """What words let happen to one node, one window or one run. Each member is the word that forbids, or None.

    pause: nothing new begins. end: nothing new is taken. abort: what is taken goes back as soon as it is proven.
    """

    pause: Intent | None = None
    end: Intent | None = None
    abort: Intent | None = None

    @property
    def is_free(self) -> bool:
        """True when nobody wants anything but that the work goes on."""
        return self.pause is None and self.end is None


FREE = Standing()


def combine(words: Iterable[Intent]) -> Standing:
    """What several words come to, each the newest of its scope. Of words that forbid the same the widest is named:
    as long as it stands, taking back a narrower one changes nothing.
    """
    ordered = sorted(words, key=lambda word: _WIDEST_FIRST.index(word.kind))
    return Standing(
        pause=next((word for word in ordered if word.desired is Desired.PAUSE), None),
        end=next((word for word in ordered if word.desired in _ENDS), None),
        abort=next((word for word in ordered if word.desired is Desired.ABORT), None),
    )


@dataclass(frozen=True, kw_only=True)
class Intents:
    """The words in force: of each scope the newest, where it is not `run`. `seq`: of the newest word ever said."""

    words: tuple[Intent, ...] = ()
    seq: int = 0
    _by_scope: Mapping[tuple[ScopeKind, str], Intent] = field(init=False)
    _combined: dict[tuple[RunId, WindowId | None], Standing] = field(init=False, default_factory=dict)

    def __post_init__(self) -> None:
        by_scope = {(word.kind, word.scope): word for word in self.words}
        object.__setattr__(self, "_by_scope", by_scope)

    def of_run(self, run: RunId) -> Standing:
        """What holds for a whole run."""
        return self._of(run, None)

    def of_window(self, run: RunId, window: WindowId) -> Standing:
        """What holds for a whole window."""
        return self._of(run, window)

    def of_node(self, run: RunId, window: WindowId, node: str) -> Standing:
        """What holds for one node of a window."""
        own = self.of_node_alone(node)
        return self._of(run, window) if own is None else combine([own, *self._wider(run, window)])

    def of_unit(self, op: UnitOp) -> Standing:
        """What holds for a row of conducted work. Of devices nobody speaks by name."""
        if not self.words:
            return FREE
        if op.kind is UnitKind.DEVICE:
            return self.of_window(op.run, op.window)
        return self.of_node(op.run, op.window, op.unit)

    def of_node_alone(self, node: str) -> Intent | None:
        """The word that was said of this node, or None."""
        return self._by_scope.get((ScopeKind.NODE, node))

    def about(self, run: RunId) -> tuple[Intent, ...]:
        """The words that hold for the run or for a part of it, the widest first."""
        others = (ScopeKind.RUN, ScopeKind.WINDOW)
        mine = [w for w in self.words if w.kind not in others or w.scope.partition("/")[0] == run]
        return tuple(sorted(mine, key=lambda word: (_WIDEST_FIRST.index(word.kind), word.scope)))

    def nodes_named(self) -> Mapping[NodeId, Intent]:
        """Every node of which a word of its own is in force."""
        return {NodeId(word.scope): word for word in self.words if word.kind is ScopeKind.NODE}

    def _of(self, run: RunId, window: WindowId | None) -> Standing:
        key = (run, window)
        if key not in self._combined:
            self._combined[key] = combine(self._wider(run, window))
        return self._combined[key]

    def _wider(self, run: RunId, window: WindowId | None) -> list[Intent]:
        keys = [(ScopeKind.BRAKE, EVERYWHERE), (ScopeKind.FLEET, EVERYWHERE), (ScopeKind.RUN, run)]
        if window is not None:
            keys.append((ScopeKind.WINDOW, window_scope(run, window)))
        return [self._by_scope[key] for key in keys if key in self._by_scope]


NO_INTENTS = Intents()


def window_scope(run: RunId, window: WindowId) -> str:
    """How a window is named in a word: another run of the same plan has a window of the same id."""
    return f"{run}/{window}"


def say_paused(word: Intent, unit: str) -> Reason:
    """Why nothing new begins on `unit`."""
    if word.kind is ScopeKind.BRAKE:
        return reason(Code.BRAKE_ON, who=word.who, unit=unit)
    if word.kind is ScopeKind.RUN:
        return reason(Code.RUN_PAUSED, who=word.who, unit=unit)
    return reason(Code.HELD_BY_OPERATOR, who=word.who, place=word.place, unit=unit, option=name_option(word))


def say_ended(word: Intent, unit: str) -> Reason:
    """Why `unit` is not taken any more."""
    if word.kind is ScopeKind.RUN and word.desired is Desired.STOP:
        return reason(Code.RUN_STOPPED, who=word.who, window=unit)
    return reason(Code.ENDED_BY_OPERATOR, desired=word.desired, who=word.who, place=word.place, unit=unit)


def say_held(word: Intent, node: str) -> Reason:
    """Why a window opens without `node`, of which the word itself was said."""
    if word.desired is Desired.PAUSE:
        return say_paused(word, node)
    return say_ended(word, node)


def name_option(word: Intent) -> str:
    """The option of a command that names the word's scope."""
    match word.kind:
        case ScopeKind.NODE:
            return f"--node {word.scope}"
        case ScopeKind.WINDOW:
            return f"--window {word.scope.partition('/')[2]}"
        case ScopeKind.FLEET:
            return "--fleet"
        case ScopeKind.RUN | ScopeKind.BRAKE:
            return ""


def way_out(word: Intent) -> str:
    """The command that lets a unit be finished which an abort keeps out: a run that ends cannot run on, but finish."""
    return "stop" if word.kind is ScopeKind.RUN else f"resume {name_option(word)}"
