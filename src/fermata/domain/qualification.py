"""How an update becomes production-ready: the rings it went through, the signals of each, the rule that names them."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from fermata.domain.ids import SignalId, TeamId, UpdateId
from fermata.domain.reasons import Code, Reason, reason
from fermata.domain.updates import Criticality, Update


class Ring(StrEnum):
    """Where updates are tried, from the safest place to the costliest."""

    LAB = "lab"
    BUILD_OUT = "build_out"
    CANARY = "canary"
    FIRST_PARTY_INFERENCE = "first_party_inference"
    FIRST_PARTY_TRAINING = "first_party_training"
    THIRD_PARTY = "third_party"


class Result(StrEnum):
    """What a signal says."""

    PASSED = "passed"
    FAILED = "failed"


@dataclass(frozen=True, slots=True, kw_only=True)
class Signal:
    """`updates` ran on `nodes` nodes of `sku` ("": not said) in a ring, together, and were judged by what `name` names.

    `at` is UTC: when it was judged. `actor` said so.
    """

    id: SignalId
    updates: frozenset[UpdateId]
    ring: Ring
    name: str
    result: Result
    nodes: int
    sku: str
    at: datetime
    actor: str
    note: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Need:
    """A signal that a rule asks for: passed on `nodes` nodes in `ring`. `same_sku`: nodes of SKUs it applies to."""

    ring: Ring
    signal: str
    nodes: int
    same_sku: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class QualificationRule:
    """What updates need that it applies to; an empty field does not restrict."""

    id: str
    criticalities: frozenset[Criticality]
    owner_teams: frozenset[TeamId]
    targets: frozenset[str]
    needs: tuple[Need, ...]

    def covers(self, update: Update) -> bool:
        """True when the rule is about `update`."""
        return (
            (not self.criticalities or update.criticality in self.criticalities)
            and (not self.owner_teams or update.owner_team in self.owner_teams)
            and (not self.targets or update.target in self.targets)
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class NeedStanding:
    """How far a need is met. `passed` counts nodes since the last failure; `failed` is that failure, if it stands."""

    need: Need
    passed: int
    failed: Signal | None

    @property
    def is_met(self) -> bool:
        """True when nothing is missing."""
        return self.passed >= self.need.nodes


def find_rule(rules: Iterable[QualificationRule], update: Update) -> QualificationRule | None:
    """The first rule that is about `update`."""
    return next((rule for rule in rules if rule.covers(update)), None)


def judge_needs(rule: QualificationRule, update: Update, signals: Iterable[Signal]) -> tuple[NeedStanding, ...]:
    """How far each need of the rule is met, in the rule's order.

    What was seen before a failure counts no more: whatever failed has to pass again on as many nodes as are asked for.
    """
    own = sorted((s for s in signals if update.id in s.updates), key=lambda s: (s.at, s.id))
    return tuple(_judge(need, update, own) for need in rule.needs)


def judge_promotion(
    rules: Sequence[QualificationRule], update: Update, signals: Iterable[Signal]
) -> tuple[Reason, ...]:
    """Why `update` may not become production-ready; empty when it may. Without a rule it may not."""
    rule = find_rule(rules, update)
    if rule is None:
        return (reason(Code.QUALIFICATION_UNSTATED, update=update.id),)
    return tuple(_say(update, rule, standing) for standing in judge_needs(rule, update, signals) if not standing.is_met)


def _judge(need: Need, update: Update, signals: Iterable[Signal]) -> NeedStanding:
    passed, failed = 0, None
    for signal in signals:
        if signal.ring is not need.ring or signal.name != need.signal:
            continue
        if signal.result is Result.FAILED:
            passed, failed = 0, signal
        elif not need.same_sku or not update.applies_to.skus or signal.sku in update.applies_to.skus:
            passed += signal.nodes
    return NeedStanding(need=need, passed=passed, failed=failed if passed < need.nodes else None)


def _say(update: Update, rule: QualificationRule, standing: NeedStanding) -> Reason:
    need = standing.need
    words = {"update": update.id, "rule": rule.id, "signal": need.signal, "ring": need.ring.replace("_", "-")}
    if standing.failed is not None:
        at = f"{standing.failed.at:%Y-%m-%d %H:%MZ}"
        note = f" ({standing.failed.note})" if standing.failed.note else ""
        return reason(Code.SIGNAL_FAILED, **words, at=at, note=note, nodes=need.nodes, have=standing.passed)
    return reason(Code.SIGNAL_MISSING, **words, nodes=need.nodes, have=standing.passed)
