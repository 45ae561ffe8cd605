"""What becomes of work that arrives for a node of which another request asks already: one table, and what it claims."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType

from fermata.domain.reasons import Code, Reason, reason
from fermata.domain.repairs import FOLDED
from fermata.domain.request_kinds import SEQUENCE, RequestKind
from fermata.domain.request_states import ASKED, ENDED, RequestState


class Outcome(StrEnum):
    """What becomes of work that arrives.

    - `own`: it goes its own way; what stands does not concern it.
    - `merge`: it changes the one request of its kind, which gets a new incarnation.
    - `join`: one outage for whatever of both is approved by then, in the order of `request_kinds.SEQUENCE`.
    - `wait`: it is taken in, and begins on that node when what runs there has ended: one request holds a node.
    - `replace`: when it begins, it ends what stands: nothing is mended or updated on what leaves.
    - `refuse`: it is not taken in for that node.
    """

    OWN = "own"
    MERGE = "merge"
    JOIN = "join"
    WAIT = "wait"
    REPLACE = "replace"
    REFUSE = "refuse"


class Phase(StrEnum):
    """How far the request stands that is there already, as far as the table tells states apart."""

    ASKED = "asked"
    APPROVED = "approved"
    SCHEDULED = "scheduled"
    IN_PROGRESS = "in_progress"
    ENDED = "ended"


PHASES: Mapping[RequestState, Phase] = MappingProxyType(
    {
        **dict.fromkeys(ASKED, Phase.ASKED),
        RequestState.APPROVED: Phase.APPROVED,
        RequestState.SCHEDULED: Phase.SCHEDULED,
        RequestState.IN_PROGRESS: Phase.IN_PROGRESS,
        **dict.fromkeys(ENDED, Phase.ENDED),
    }
)

_K = RequestKind
_O = Outcome
_FOUND = (Phase.ASKED, Phase.APPROVED, Phase.SCHEDULED, Phase.IN_PROGRESS)
_TOGETHER = (_O.JOIN, _O.JOIN, _O.JOIN, _O.WAIT)
_ONE_REQUEST = (_O.MERGE, _O.MERGE, _O.MERGE, _O.WAIT)
_INTO_WINDOW = (_O.JOIN, _O.JOIN, _O.JOIN, _O.JOIN)
_LEAVES = (_O.REPLACE, _O.REPLACE, _O.REPLACE, _O.WAIT)
_LEFT_ALONE = (_O.OWN, _O.REFUSE, _O.REFUSE, _O.REFUSE)


def _row(arriving: RequestKind, standing: RequestKind) -> tuple[Outcome, ...]:
    if arriving is standing:
        return _ONE_REQUEST
    if arriving is _K.DECOMMISSION:
        return _LEAVES
    if arriving in FOLDED and standing is _K.DEPLOYMENT:
        return _INTO_WINDOW
    return _LEFT_ALONE if standing is _K.DECOMMISSION else _TOGETHER


OUTCOMES: Mapping[tuple[RequestKind, RequestKind, Phase], Outcome] = MappingProxyType(
    {
        **{
            (arriving, standing, phase): outcome
            for arriving in RequestKind
            for standing in RequestKind
            for phase, outcome in zip(_FOUND, _row(arriving, standing), strict=True)
        },
        **{(arriving, standing, Phase.ENDED): _O.OWN for arriving in RequestKind for standing in RequestKind},
    }
)


def combine(arriving: RequestKind, standing: RequestKind, state: RequestState) -> Outcome:
    """What becomes of work of one kind on a node of which a request of another stands in `state`."""
    return OUTCOMES[arriving, standing, PHASES[state]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Claim:
    """What stands on one node: the work order `name`, of that kind, in that state."""

    name: str
    kind: RequestKind
    state: RequestState


def why_held(node: str, arriving: RequestKind, claims: Iterable[Claim]) -> Reason | None:
    """Why work of kind `arriving` may not be planned or begun on a node with these claims now; None when it may.

    A repair or hardware order that may go is done inside the window that takes the node out, by its people, before any
    firmware is written there. What leaves its place is left to its order. Which of two orders comes first is for the
    people to say who do them.
    """
    for claim in claims:
        fields = {"unit": node, "order": claim.name, "kind": claim.kind, "state": str(claim.state).replace("_", " ")}
        match combine(arriving, claim.kind, claim.state):
            case Outcome.WAIT:
                return reason(Code.HELD_BY_ORDER, **fields)
            case Outcome.REFUSE:
                return reason(Code.LEAVES_BY_ORDER, **fields)
            case Outcome.JOIN if claim.state not in ASKED and _goes_first(claim.kind, arriving):
                return reason(Code.ORDER_FIRST, **fields)
            case _:
                continue
    return None


def _goes_first(kind: RequestKind, arriving: RequestKind) -> bool:
    """True when updates wait for work of that kind: it comes first, and no window can take it in."""
    return arriving is RequestKind.DEPLOYMENT and kind not in FOLDED and SEQUENCE.index(kind) < SEQUENCE.index(arriving)


def outcomes_table() -> str:
    """The table as Markdown, for the docs: rows by what arrives and what stands, columns by how far that stands."""
    lines = [f"| arrives | stands | {' | '.join(phase.replace('_', ' ') for phase in _FOUND)} |"]
    lines.append("|---" * (2 + len(_FOUND)) + "|")
    for arriving in RequestKind:
        for standing in RequestKind:
            cells = (OUTCOMES[arriving, standing, phase] for phase in _FOUND)
            lines.append(f"| {arriving} | {standing} | {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"
